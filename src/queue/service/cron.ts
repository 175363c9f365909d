/**
 * ○ Tasks by the calendar. The calendar itself is an argument (`next`, calendar.ts), so that this file knows nothing of time zones.
 * The rule for runs that were missed while the broker was away: `latest` (default) makes up for all of
 * them with one task, `skip` with none, `all` with one each (the latest hundred). Each run has an idempotency key made of its
 * name and its time: a crash between adding the task and writing that it was added makes no second task.
 */
import { Buffer } from "node:buffer";
import { UsageError } from "../../core/errors.ts";
import type { TaskService } from "./task-service.ts";
import { CRON_CATCH_UP_MAX } from "../limits.ts";
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
  /** The last run that was made up for or decided not to be, in wall ms. */
  lastMs: number;
  /** When to look again. */
  nextMs: number | undefined;
  /** A run that was refused (queue full, disk full) and is still owed. */
  owedMs: number | undefined;
}

const CRON_SETTING = "cron:";
const NOT_YET = { nextMs: undefined, owedMs: undefined };
/** 1 s after a refused run, it is tried again. */
const OWED_RETRY_MS = 1000;

export class CronTable {
  readonly #service: TaskService;
  readonly #next: NextRun;
  readonly #entries = new Map<string, Entry>();

  constructor(service: TaskService, next: NextRun) {
    this.#service = service;
    this.#next = next;
  }

  /** Continues with the schedules of the store, and makes up for missed runs by each one's rule. */
  restore(settings: ReadonlyMap<string, string>): void {
    for (const [name, value] of settings) {
      if (!name.startsWith(CRON_SETTING)) continue;
      const { settings: cron, body, lastMs } = JSON.parse(value) as { settings: CronSettings; body: string; lastMs: number };
      const entry: Entry = {
        name: name.slice(CRON_SETTING.length),
        settings: cron,
        body: Buffer.from(body, "base64"),
        lastMs,
        nextMs: undefined,
        owedMs: undefined,
      };
      this.#entries.set(entry.name, entry);
      this.#schedule(entry);
      if (entry.nextMs !== undefined && entry.nextMs <= this.#service.wallMs) this.#catchUp(entry);
    }
  }

  /** @throws UsageError QUEUE_OPTIONS_INVALID */
  put(name: string, { settings, body }: { settings: Record<string, unknown>; body: Buffer }, settled: () => void): void {
    const cron = this.#check(settings);
    const entry: Entry = { name, settings: cron, body: Buffer.from(body), lastMs: this.#service.wallMs, ...NOT_YET };
    this.#entries.set(name, entry);
    this.#schedule(entry);
    this.#save(entry, settled);
  }

  remove(name: string, settled: () => void): void {
    this.#entries.delete(name);
    this.#service.setting(CRON_SETTING + name, undefined, settled);
  }

  list(): readonly object[] {
    return [...this.#entries.values()].map(({ name, settings, lastMs, nextMs }) => ({ name, ...settings, lastMs, nextMs }));
  }

  /** The next run, in wall ms, or undefined. */
  get nextMs(): number | undefined {
    let soonest: number | undefined;
    for (const { nextMs } of this.#entries.values()) {
      if (nextMs !== undefined && (soonest === undefined || nextMs < soonest)) soonest = nextMs;
    }
    return soonest;
  }

  /** Adds the tasks whose time has come. */
  tick(): void {
    const { wallMs } = this.#service;
    for (const entry of this.#entries.values()) {
      if (entry.nextMs === undefined || entry.nextMs > wallMs) continue;
      const atMs = entry.owedMs ?? entry.nextMs;
      entry.owedMs = undefined;
      this.#run(entry, atMs);
    }
  }

  #catchUp(entry: Entry): void {
    const { wallMs } = this.#service;
    const missed: number[] = [];
    for (let atMs = entry.nextMs; atMs !== undefined && atMs <= wallMs; atMs = this.#nextAfter(entry, atMs)) {
      missed.push(atMs);
      if (missed.length > CRON_CATCH_UP_MAX) missed.shift();
    }
    const rule = entry.settings.missed ?? "latest";
    const runs = rule === "all" ? missed : rule === "latest" ? missed.slice(-1) : [];
    for (const atMs of runs) this.#run(entry, atMs);
    if (runs.length > 0) return;
    entry.lastMs = missed.at(-1) ?? entry.lastMs;
    this.#save(entry, () => {});
    this.#schedule(entry);
  }

  #run(entry: Entry, atMs: number): void {
    entry.lastMs = Math.max(entry.lastMs, atMs);
    this.#schedule(entry);
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
          entry.owedMs = atMs;
          entry.nextMs = wallMs + OWED_RETRY_MS;
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

function invalid(option: string, reason: string): UsageError {
  return new UsageError("QUEUE_OPTIONS_INVALID", `Cannot schedule: '${option}' ${reason}`);
}
