/**
 * ○ Finds tasks for people: pages of them, all of them for one command, and what the dead died of. Between two slices of a search
 * messages are read (`Clock.afterInput`).
 */
import type { Clock } from "../../core/clock.ts";
import { AT, ERROR, FLAG_ERRORS, FLAGS, NONE } from "../tasks/task-columns.ts";
import { errorFingerprint, errorKind, showFingerprint } from "../tasks/error-fingerprint.ts";
import { decodeAttemptError } from "./attempt-error.ts";
import type { ServiceContext } from "./service-context.ts";
import { type TaskFilter, IdPage, TaskScan } from "./task-scan.ts";

/** Dead tasks of one queue with the same kind of error. */
export interface ErrorGroup {
  /** Names the kind in filters: 32 bits in hex. */
  readonly error: string;
  /** The error without what differs from task to task. */
  readonly text: string;
  readonly count: number;
  /** When the first and the last of them died, in ms since 1970. */
  readonly firstMs: number;
  readonly lastMs: number;
  /** The number of one of them. */
  readonly example: number;
}

export interface ErrorGroups {
  /** The largest first, GROUPS_LISTED_MAX of them. */
  readonly groups: readonly ErrorGroup[];
  /** Dead tasks of the queue whose errors are still being read from the store, as after a restart. */
  readonly unread: number;
}

/** 100 kinds: more is a sign that texts differ in a way that the fingerprint does not know. */
const GROUPS_LISTED_MAX = 100;
/** 256 errors are read from the store at once. */
const READS_MAX = 256;
/** 1 s: then what is known so far is answered, and reading goes on. */
const READ_MS_MAX = 1000;
/** 100,000 tasks a commit of a command for many, about half a second: the next ones wait until it is on disk. */
const EACH_TASKS = 100_000;

export class TaskSearch {
  readonly #context: ServiceContext;
  readonly #clock: Clock;
  #reading: Promise<void> | undefined;

  constructor(context: ServiceContext, clock: Clock) {
    this.#context = context;
    this.#clock = clock;
  }

  /**
   * A page of tasks in the order of their numbers, complete whatever has been.
   *
   * @param show called with the rows at once when they are known, as they are gone a moment later
   */
  async page<Shown>(
    { limit, ...filter }: TaskFilter & { readonly limit: number },
    show: (rows: readonly number[], next: number | undefined) => Shown,
  ): Promise<Shown> {
    if (filter.error !== undefined) await this.#readErrors();
    const stateMachine = this.#context.stateMachine();
    const scan = new TaskScan(stateMachine, filter);
    const page = new IdPage(limit);
    await this.#all(scan, (id) => page.add(id));
    const { ids, next } = page.get();
    const rows = ids.map((id) => stateMachine.find(id)).filter((row) => row !== NONE && scan.passes(row));
    return show(rows, next);
  }

  /** Does something to each task that passes, at most `most`. @returns to how many it was done, once that is on disk */
  async each(
    filter: TaskFilter,
    act: (rows: readonly number[]) => number,
    { settled, most = Infinity }: { settled: (callback: () => void) => void; most?: number },
  ): Promise<number> {
    let done = 0;
    for (let after: number | undefined = 0; after !== undefined && done < most;) {
      const limit = Math.min(EACH_TASKS, most - done);
      const shown: { count: number; next: number | undefined } = await this.page({ ...filter, after, limit }, (rows, next) => ({
        count: act(rows),
        next,
      }));
      done += shown.count;
      after = shown.next;
      await new Promise<void>((resolve) => {
        settled(resolve);
        this.#context.flush();
      });
    }
    return done;
  }

  /** What the dead tasks of a queue died of. */
  async errors(queue: string): Promise<ErrorGroups> {
    const reading = this.#readErrors();
    await Promise.race([reading, new Promise<void>((resolve) => this.#clock.at(this.#clock.now() + READ_MS_MAX, resolve))]);
    const { table } = this.#context.stateMachine();
    const kinds = new Map<number, { count: number; firstMs: number; lastMs: number; example: number }>();
    await this.#all(new TaskScan(this.#context.stateMachine(), { queue, states: ["dead"] }), (id, row) => {
      const error = table.u(row, ERROR);
      const atMs = table.f(row, AT);
      const kind = kinds.get(error);
      if (!kind) kinds.set(error, { count: 1, firstMs: atMs, lastMs: atMs, example: id });
      else {
        kind.count += 1;
        kind.firstMs = Math.min(kind.firstMs, atMs);
        if (atMs >= kind.lastMs) Object.assign(kind, { lastMs: atMs, example: id });
      }
    });
    const unread = kinds.get(0)?.count ?? 0;
    kinds.delete(0);
    const largest = [...kinds].sort(([, a], [, b]) => b.count - a.count || b.lastMs - a.lastMs).slice(0, GROUPS_LISTED_MAX);
    const groups = await Promise.all(
      largest.map(async ([error, kind]) => ({
        error: showFingerprint(error),
        text: errorKind((await this.#newestError(kind.example)) ?? ""),
        ...kind,
      })),
    );
    return { groups, unread };
  }

  async #all(scan: TaskScan, found: (id: number, row: number) => void): Promise<void> {
    while (scan.look(found)) await new Promise<void>((resolve) => this.#clock.afterInput(resolve));
  }

  /** After a restart the errors are in the store alone: they are read when somebody wants to know. */
  #readErrors(): Promise<void> {
    return (this.#reading ??= this.#readUnknown().finally(() => (this.#reading = undefined)));
  }

  async #readUnknown(): Promise<void> {
    const stateMachine = this.#context.stateMachine();
    const { table } = stateMachine;
    const unknown: number[] = [];
    await this.#all(new TaskScan(stateMachine, { states: ["dead"] }), (id, row) => {
      if (table.u(row, ERROR) === 0 && table.u(row, FLAGS) & FLAG_ERRORS) unknown.push(id);
    });
    const one = async (): Promise<void> => {
      for (let id = unknown.pop(); id !== undefined; id = unknown.pop()) {
        const error = (await this.#newestError(id)) ?? "";
        const row = stateMachine.find(id);
        if (row !== NONE && table.u(row, ERROR) === 0) table.setU(row, ERROR, errorFingerprint(error));
      }
    };
    await Promise.all(Array.from({ length: READS_MAX }, one));
  }

  async #newestError(id: number): Promise<string | undefined> {
    const note = (await this.#context.store.inspect(id))?.notes.at(-1);
    return note === undefined ? undefined : decodeAttemptError(note).error;
  }
}
