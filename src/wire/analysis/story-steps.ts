/** ○ Packets among the steps of a story. */

/** A packet as a step of a story. */
export interface StoryPacket {
  /** Milliseconds since 1970-01-01 UTC, with the fraction. */
  readonly atMs: number;
  readonly what: "packet";
  readonly text: string;
}

/** The steps of a story with the packets among them, by time; what has none is of now. The first step stays the first. */
export function withPackets<Step extends { readonly atMs?: number | undefined }>(
  steps: readonly Step[],
  packets: readonly StoryPacket[],
): readonly (Step | StoryPacket)[] {
  const [first, ...rest] = steps;
  if (!first) return packets;
  const timed = (step: Step | StoryPacket): number => step.atMs ?? Infinity;
  return [first, ...[...rest, ...packets].sort((a, b) => (timed(a) === timed(b) ? 0 : timed(a) - timed(b)))];
}
