/** ○ What can be set for a queue while the broker runs, and the check of settings that came from outside. */
import { UsageError } from "../../core/errors.ts";
import { TIME_MS_MAX } from "../limits.ts";
import type { Rate } from "./rate-limiter.ts";

/** What can be set for a queue while the broker runs; kept over restarts. */
export interface QueueSettings {
  /** No task is given out while true. */
  readonly paused?: boolean;
  /** Bytes of waiting tasks (bodies + 128 each); default: the broker's bound. */
  readonly bytesMax?: number;
  /** Tasks running at once; null or left out = no bound. */
  readonly concurrency?: number | null;
  /** Tasks started in a stretch of time: in any window of `perMs` at most `count`, over restarts too. */
  readonly rate?: Rate | null;
  /** Tasks of one group at a worker at once. */
  readonly groupConcurrency?: number | null;
  /** The same for each group. */
  readonly groupRate?: Rate | null;
  /**
   * Tasks that have waited for this many ms get one of every eight starts, whatever waits above them; default 10,000, 0 = off: then
   * a steady stream of a higher priority holds them up for ever.
   */
  readonly agingMs?: number | null;
}

/** Without what says the default, so that a queue set back to it can be forgotten. */
export function withoutDefaults(settings: QueueSettings): QueueSettings {
  return Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== null && value !== false));
}

const CHECKS: Readonly<Record<keyof QueueSettings, (value: unknown) => boolean>> = {
  paused: (value) => typeof value === "boolean",
  bytesMax: (value) => isCount(value, 1),
  concurrency: (value) => value === null || isCount(value, 1),
  rate: isRate,
  groupConcurrency: (value) => value === null || isCount(value, 1),
  groupRate: isRate,
  agingMs: (value) => value === null || (isCount(value, 0) && (value as number) <= TIME_MS_MAX),
};

/**
 * Checks settings that came from outside.
 *
 * @throws UsageError QUEUE_OPTIONS_INVALID
 */
export function readSettings(value: unknown): QueueSettings {
  if (typeof value !== "object" || value === null) throw invalid("settings", "are an object");
  for (const [name, setting] of Object.entries(value)) {
    if (!Object.hasOwn(CHECKS, name)) throw invalid(name, "is unknown");
    if (!CHECKS[name as keyof QueueSettings](setting)) throw invalid(name, "is out of range");
  }
  return value;
}

function isCount(value: unknown, low: number): boolean {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= low;
}

function isRate(value: unknown): boolean {
  if (value === null) return true;
  if (typeof value !== "object" || value === undefined) return false;
  const { count, perMs } = value as Partial<Rate>;
  return isCount(count, 1) && isCount(perMs, 1) && perMs! <= TIME_MS_MAX && Object.keys(value).length === 2;
}

function invalid(name: string, reason: string): UsageError {
  return new UsageError("QUEUE_OPTIONS_INVALID", `Cannot set: '${name}' ${reason}`);
}
