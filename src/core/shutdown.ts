/**
 * ● The end of a process by a signal, for all that runs in it: the first signal finishes work that has begun, then waits for the
 * answers to requests that are on their way, then closes the servers; and then the signal does what it would have done. A second
 * signal does so at once. One listener a signal, however many take part. It ends no process that has listeners of its own.
 */
import { setTimeout as pause } from "node:timers/promises";

/** What stops a process: `kill`, Ctrl-C, the end of its terminal. */
export const STOP_SIGNALS: readonly NodeJS.Signals[] = ["SIGTERM", "SIGINT", "SIGHUP"];

/** In this order they end. */
const STAGES = ["work", "requests", "servers"] as const;

export interface ShutdownMember {
  readonly stage: (typeof STAGES)[number];
  /** At which signals; without it at those that another member takes part in. */
  readonly signals?: readonly NodeJS.Signals[];
  /** Resolves when nothing of it would be lost. Work bounds itself. */
  drain(): Promise<void>;
}

/** 2 s for requests, and as much for servers: both take milliseconds unless a peer or a disk hangs. With a drain of 5 s under the 10 s of container hosts. */
const STAGE_MS_MAX = 2000;

const members = new Set<ShutdownMember>();
/** How many take part at which signal: those are listened to. */
const counts = new Map<NodeJS.Signals, number>();
let isEnding = false;

/** @returns how it leaves; may be called twice */
export function joinShutdown(member: ShutdownMember): () => void {
  members.add(member);
  for (const signal of member.signals ?? []) {
    const count = counts.get(signal) ?? 0;
    // Before those of the program, whose `once` would be gone when this looks for them.
    if (count === 0) process.prependListener(signal, onSignal);
    counts.set(signal, count + 1);
  }
  return () => {
    if (!members.delete(member)) return;
    for (const signal of member.signals ?? []) {
      const count = counts.get(signal)! - 1;
      counts.set(signal, count);
      if (count === 0) process.off(signal, onSignal);
    }
  };
}

function onSignal(signal: NodeJS.Signals): void {
  const isHeardByOthers = process.listeners(signal).some((listener) => listener !== onSignal);
  if (isEnding) raise(signal, isHeardByOthers);
  // A listener of the program gives SIGHUP its own meaning, most likely to read its settings again.
  else if (signal !== "SIGHUP" || !isHeardByOthers) void end(signal, isHeardByOthers);
}

async function end(signal: NodeJS.Signals, isHeardByOthers: boolean): Promise<void> {
  isEnding = true;
  // What is awaited may hold the process open by nothing.
  const alive = setInterval(() => {}, 2 ** 30);
  for (const stage of STAGES) {
    const taking = [...members].filter((member) => member.stage === stage && (member.signals?.includes(signal) ?? true));
    const drained = Promise.allSettled(taking.map((member) => member.drain()));
    if (stage === "work") await drained;
    else await Promise.race([drained, pause(STAGE_MS_MAX, undefined, { ref: false })]);
  }
  clearInterval(alive);
  isEnding = false;
  raise(signal, isHeardByOthers);
}

/** Does what the signal would have done. A program that listens itself was told by Node, and ends when it wants to. */
function raise(signal: NodeJS.Signals, isHeardByOthers: boolean): void {
  if (isHeardByOthers) return;
  process.off(signal, onSignal);
  process.kill(process.pid, signal);
}
