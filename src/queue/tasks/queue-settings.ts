/** ○ What can be set for a queue while the broker runs, and the check of settings that came from outside. */
import { UsageError } from "../../core/errors.ts";
import { utf8 } from "../../core/bytes.ts";
import { NAME_BYTES_MAX, NAMED_GROUPS_MAX, TIME_MS_MAX } from "../limits.ts";
import type { Rate } from "./rate-limiter.ts";

/** What one group may do; what is left out is as for all groups of the queue, null is no bound. */
export interface GroupSettings {
  /** Its tasks running at once. */
  readonly concurrency?: number | null | undefined;
  /** Its tasks started in a stretch of time. */
  readonly rate?: Rate | null | undefined;
}

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
  /** Of groups that have bounds of their own, by name: `{ "customer-7": { concurrency: 1 } }`; null: as all others again. 1000 at most. */
  readonly groups?: Readonly<Record<string, GroupSettings | null>> | null;
  /** So many completed tasks are kept at most; the oldest go first. Default: as their `keep` and the broker's bounds say. */
  readonly keepCompleted?: number | null;
  /** The same of dead ones. Default: as their age and the broker's bounds say. */
  readonly keepDead?: number | null;
  /** For so many ms a completed or cancelled task is kept at most, whatever its `keep` says. */
  readonly keepCompletedMs?: number | null;
  /** For so many ms a dead task is kept; default 14 days. */
  readonly keepDeadMs?: number | null;
  /**
   * Tasks that have waited for this many ms get one of every eight starts, whatever waits above them; default 10,000, 0 = off: then
   * a steady stream of a higher priority holds them up for ever.
   */
  readonly agingMs?: number | null;
}

/** What is set now, and what was before: named groups are set one by one. */
export function mergedSettings(before: QueueSettings, now: QueueSettings): QueueSettings {
  const merged = { ...before, ...now };
  if (now.groups) {
    const groups = Object.entries({ ...before.groups, ...now.groups }).filter(([, own]) => own !== null);
    if (groups.length > NAMED_GROUPS_MAX) throw invalid("groups", `are ${NAMED_GROUPS_MAX} at most`);
    return withoutDefaults({ ...merged, groups: groups.length > 0 ? Object.fromEntries(groups) : null });
  }
  return withoutDefaults(merged);
}

/** Without what says the default, so that a queue set back to it can be forgotten. */
function withoutDefaults(settings: QueueSettings): QueueSettings {
  return Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== null && value !== false));
}

const CHECKS: Readonly<Record<keyof QueueSettings, (value: unknown) => boolean>> = {
  paused: (value) => typeof value === "boolean",
  bytesMax: (value) => isCount(value, 1),
  concurrency: (value) => value === null || isCount(value, 1),
  rate: isRate,
  groupConcurrency: (value) => value === null || isCount(value, 1),
  groupRate: isRate,
  groups: isGroups,
  keepCompleted: isCountOrNull,
  keepDead: isCountOrNull,
  keepCompletedMs: isTimeOrNull,
  keepDeadMs: isTimeOrNull,
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

function isCountOrNull(value: unknown): boolean {
  return value === null || isCount(value, 0);
}

function isTimeOrNull(value: unknown): boolean {
  return value === null || (isCount(value, 0) && (value as number) <= TIME_MS_MAX);
}

function isGroups(value: unknown): boolean {
  if (value === null) return true;
  if (typeof value !== "object" || Array.isArray(value)) return false;
  const groups = Object.entries(value as object);
  return groups.length <= NAMED_GROUPS_MAX && groups.every(([name, own]) => isGroupName(name) && isGroup(own));
}

function isGroupName(name: string): boolean {
  return name !== "" && utf8(name).length <= NAME_BYTES_MAX;
}

function isGroup(value: unknown): boolean {
  if (value === null) return true;
  if (typeof value !== "object" || Array.isArray(value)) return false;
  return Object.entries(value as object).every(([name, bound]) =>
    name === "concurrency" ? bound === null || isCount(bound, 1) : name === "rate" && isRate(bound),
  );
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
