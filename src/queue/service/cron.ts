/**
 * ○ Tasks by the calendar. The calendar itself is an argument (`next`, calendar.ts), so that this file knows nothing of time zones.
 * A run is missed that comes more than CRON_LATE_MS late: the broker was away, or stopped, or the wall clock was set forward. The
 * rule for those: `latest` (default) makes up for all of them with one task, `skip` with none, `all` with one each (the latest
 * hundred). When the wall clock was set back the schedule goes on from what it says now. Each run has an idempotency key made of its
 * name and its time: a crash between adding the task and writing that it was added makes no second task, nor does a time that comes
 * again.
 */
import { Buffer } from "node:buffer";
import { UsageError } from "../../core/errors.ts";
import type { TaskService } from "./task-service.ts";
import { CRON_CATCH_UP_MAX, CRON_LATE_MS } from "../limits.ts";
import { OWN_KEY, readSpec, type TaskOptions } from "../tasks/task-policy.ts";

/** The first time after `afterMs` that matches, in wall ms; undefined = never again. Throws when the expression is no good. */
export type NextRun = (expression: string, timeZone: string | undefined, afterMs: number) => number | undefined;

export interface CronSettings {
  /** Cron expression: minute hour day month weekday, with an optional field for seconds in front. */
  readonly expression: string;
  /** IANA name such as "Europe/Berlin"; default UTC. */
  readonly timeZone?: string;
  readonly queue: string;
  /** As of any submission, but for key, delayMs and runAtMs. */
  readonly options?: TaskOptions;
  /** Default "latest". */
  readonly missed?: "latest" | "skip" | "all";
}

interface Entry {
  readonly name: string;
  readonly settings: CronSettings;
  readonly body: Buffer;
  /** Until when all runs were made, or decided not to be, in wall ms. */
  lastMs: number;
  /** The same as it was before the wall clock was last set back: that run is not made again. */
  beforeMs: number;
  /** The next run. */
  nextMs: number | undefined;
  /** Runs that were refused (queue full, disk full) and are still owed, and when they are tried again, in queue time. */
  owed: number[];
  retryMs: number;
}

const CRON_SETTING = "cron:";
/** 1 s after a refused run, it is tried again. */
const OWED_RETRY_MS = 1000;
/** 1 min: the first stretch that is searched for the latest runs; each further one is four times as long. */
const SEARCH_MS = 60_000;

export class CronTable {
  readonly #service: TaskService;
  readonly #next: NextRun;
  readonly #entries = new Map<string, Entry>();

  constructor(service: TaskService, next: NextRun) {
    this.#service = service;
    this.#next = next;
  }

  /** Continues with the schedules of the store, and makes up for missed runs by each one's rule. One that cannot be read does not run. */
  restore(settings: ReadonlyMap<string, string>): void {
    for (const [name, value] of settings) {
      if (name.startsWith(CRON_SETTING)) this.#service.guard.run(() => this.#restore(name.slice(CRON_SETTING.length), value));
    }
  }

  #restore(name: string, value: string): void {
    const { settings, body, lastMs } = JSON.parse(value) as { settings: CronSettings; body: string; lastMs: number };
    const entry = newEntry({ name, settings, body: Buffer.from(body, "base64"), lastMs });
    this.#schedule(entry);
    this.#entries.set(name, entry);
    this.#look(entry, NOTHING_IS_LATE);
  }

  /** @throws UsageError QUEUE_OPTIONS_INVALID */
  put(name: string, { settings, body }: { settings: Record<string, unknown>; body: Buffer }, settled: () => void): void {
    const cron = this.#check(settings);
    const entry = newEntry({ name, settings: cron, body: Buffer.from(body), lastMs: this.#service.wallMs });
    this.#entries.set(name, entry);
    this.#schedule(entry);
    this.#save(entry, settled);
  }

  remove(name: string, settled: () => void): void {
    this.#entries.delete(name);
    this.#service.setting(CRON_SETTING + name, undefined, settled);
  }

  /** @param runs of how many next runs the times are told */
  list(
    runs = 0,
  ): readonly (CronSettings & { name: string; lastMs: number; nextMs: number | undefined; nextRunsMs?: number[] })[] {
    return [...this.#entries.values()].map((entry) => {
      const { name, settings, lastMs, nextMs } = entry;
      return { name, ...settings, lastMs, nextMs, ...(runs > 0 && { nextRunsMs: this.#nextRuns(entry, runs) }) };
    });
  }

  #nextRuns(entry: Entry, runs: number): number[] {
    const times: number[] = [];
    for (let atMs = entry.nextMs; atMs !== undefined && times.length < runs; atMs = this.#nextAfter(entry, atMs))
      times.push(atMs);
    return times;
  }

  /** When `tick` has something to do, in wall ms, or undefined. */
  get nextMs(): number | undefined {
    const { nowMs, wallMs } = this.#service;
    let soonest: number | undefined;
    for (const { nextMs, owed, retryMs } of this.#entries.values()) {
      const atMs = Math.min(nextMs ?? Infinity, owed.length > 0 ? wallMs + retryMs - nowMs : Infinity);
      if (atMs !== Infinity && (soonest === undefined || atMs < soonest)) soonest = atMs;
    }
    return soonest;
  }

  /** Adds the tasks whose time has come. */
  tick(): void {
    for (const entry of this.#entries.values()) {
      if (entry.retryMs <= this.#service.nowMs) for (const atMs of entry.owed.splice(0)) this.#run(entry, atMs);
      this.#look(entry, CRON_LATE_MS);
    }
  }

  /** Makes the runs whose time has come, those that come more than `lateMs` late by the schedule's rule. */
  #look(entry: Entry, lateMs: number): void {
    const { wallMs } = this.#service;
    if (wallMs < entry.lastMs) {
      entry.beforeMs = entry.lastMs;
      entry.lastMs = wallMs;
      this.#schedule(entry);
    }
    if (entry.nextMs === undefined || entry.nextMs > wallMs) return;
    const { missed = "latest" } = entry.settings;
    const due = this.#latest(entry, wallMs, missed === "all" ? CRON_CATCH_UP_MAX : 1);
    entry.lastMs = due.at(-1) ?? wallMs;
    this.#schedule(entry);
    const isLate = wallMs - entry.lastMs > lateMs;
    const runs = missed === "skip" && isLate ? [] : due.filter((atMs) => atMs !== entry.beforeMs);
    for (const atMs of runs) this.#run(entry, atMs);
    if (runs.length === 0) this.#save(entry, () => {});
  }

  /** The latest runs until a time that are not made or decided yet, `count` at most, however many there were. */
  #latest(entry: Entry, untilMs: number, count: number): number[] {
    for (let searchMs = SEARCH_MS; ; searchMs *= 4) {
      const afterMs = Math.max(entry.lastMs, untilMs - searchMs);
      const runs: number[] = [];
      for (
        let atMs = this.#nextAfter(entry, afterMs);
        atMs !== undefined && atMs <= untilMs;
        atMs = this.#nextAfter(entry, atMs)
      )
        runs.push(atMs);
      if (runs.length >= count || afterMs === entry.lastMs) return runs.slice(-count);
    }
  }

  #run(entry: Entry, atMs: number): void {
    const { queue, options } = entry.settings;
    const { nowMs, wallMs } = this.#service;
    const key = `${OWN_KEY}cron:${entry.name}:${new Date(atMs).toISOString()}`;
    const spec = { ...readSpec(options ?? {}, { nowMs, wallMs, numberOf: () => undefined }), key };
    this.#service.add(
      { queue, spec, bodies: [entry.body] },
      {
        added: () => this.#save(entry, () => {}),
        // Full or out of disk: the run is owed, under the same key.
        refused: () => {
          entry.owed = [...entry.owed, atMs].slice(-CRON_CATCH_UP_MAX);
          entry.retryMs = nowMs + OWED_RETRY_MS;
        },
      },
    );
  }

  #schedule(entry: Entry): void {
    entry.nextMs = this.#nextAfter(entry, entry.lastMs);
  }

  #nextAfter({ settings }: Entry, afterMs: number): number | undefined {
    return this.#next(settings.expression, settings.timeZone, afterMs);
  }

  #save(entry: Entry, settled: () => void): void {
    if (this.#entries.get(entry.name) !== entry) {
      settled();
      return;
    }
    const { settings, body, lastMs } = entry;
    this.#service.setting(
      CRON_SETTING + entry.name,
      JSON.stringify({ settings, body: body.toString("base64"), lastMs }),
      settled,
    );
  }

  #check(settings: Record<string, unknown>): CronSettings {
    const { expression, timeZone, queue, options, missed = "latest", ...unknown } = settings;
    const extra = Object.keys(unknown)[0];
    if (extra !== undefined) throw invalid(extra, "is unknown");
    if (typeof queue !== "string" || queue === "") throw invalid("queue", "is a name");
    if (missed !== "latest" && missed !== "skip" && missed !== "all") throw invalid("missed", "is 'latest', 'skip' or 'all'");
    if (typeof expression !== "string") throw invalid("expression", "is a cron expression");
    if (timeZone !== undefined && typeof timeZone !== "string") throw invalid("timeZone", "is an IANA name");
    const { nowMs, wallMs } = this.#service;
    readSpec((options ?? {}) as TaskOptions, { nowMs, wallMs, numberOf: () => undefined });
    let firstMs: number | undefined;
    try {
      firstMs = this.#next(expression, timeZone, wallMs);
    } catch (error) {
      throw new UsageError("QUEUE_OPTIONS_INVALID", `Cannot schedule '${expression}': ${String(error)}`, { cause: error });
    }
    if (firstMs === undefined)
      throw new UsageError("QUEUE_OPTIONS_INVALID", `Cannot schedule '${expression}': it has no next run`);
    const optional = { ...(timeZone === undefined ? {} : { timeZone }), ...(options === undefined ? {} : { options }) };
    return { expression, queue, missed, ...optional } as CronSettings;
  }
}

/** What was not made before the start was missed, however little late. */
const NOTHING_IS_LATE = -1;

function newEntry(entry: Pick<Entry, "name" | "settings" | "body" | "lastMs">): Entry {
  return { ...entry, beforeMs: -Infinity, nextMs: undefined, owed: [], retryMs: -Infinity };
}

function invalid(option: string, reason: string): UsageError {
  return new UsageError("QUEUE_OPTIONS_INVALID", `Cannot schedule: '${option}' ${reason}`);
}
