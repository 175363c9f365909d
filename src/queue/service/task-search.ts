/**
 * ○ Finds tasks for people: pages of them, all of them for one command, and what the dead died of. Between two slices of a search
 * messages are read (`Clock.afterInput`).
 */
import type { Clock } from "../../core/clock.ts";
import { TASK_STATES } from "../tasks/life-cycle.ts";
import { AT, ERROR, FLAG_ERRORS, FLAGS, ID, NONE } from "../tasks/task-columns.ts";
import { errorFingerprint, errorKind, showFingerprint } from "../tasks/error-fingerprint.ts";
import { type BodyField, hasFields } from "./body-filter.ts";
import { errorTexts } from "../../store/facts.ts";
import { decodeAttemptError } from "./attempt-error.ts";
import type { ServiceContext } from "./service-context.ts";
import { type RowFilter, IdPage, TaskScan } from "./task-scan.ts";

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
/** 4096 numbers are tried at least before all rows are looked at: half a millisecond. */
const PROBES_MIN = 4096;
/** A fortieth of the rows: to try that many numbers costs a quarter of a look at all rows. */
const PROBES_SHARE = 1 / 40;
/** 150 ms of reading bodies: then whoever asked is told how far it is, and asks again. */
const BODIES_MS = 150;
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
    { limit, ...filter }: RowFilter & { readonly limit: number },
    show: (rows: readonly number[], next: number | undefined) => Shown,
  ): Promise<Shown> {
    if (filter.error !== undefined) await this.#readErrors();
    const stateMachine = this.#context.stateMachine();
    const scan = new TaskScan(stateMachine, filter);
    const { ids, next } = (await this.#probe(scan, { limit, after: filter.after ?? 0 })) ?? (await this.#scan(scan, limit));
    const rows = ids.map((id) => stateMachine.find(id)).filter((row) => row !== NONE && scan.passes(row));
    return show(rows, next);
  }

  /** How many tasks pass. */
  async count(filter: RowFilter): Promise<number> {
    const { queue, states = TASK_STATES, ...others } = filter;
    const stateMachine = this.#context.stateMachine();
    if (queue !== undefined && Object.values(others).every((value) => value === undefined))
      return states.reduce((sum, state) => sum + (stateMachine.findQueue(queue)?.count(state) ?? 0), 0);
    if (filter.error !== undefined) await this.#readErrors();
    let count = 0;
    await this.#all(new TaskScan(stateMachine, filter), () => (count += 1));
    return count;
  }

  /**
   * A page of tasks that pass and whose bodies have these fields. Reads bodies, for BODIES_MS at most: `searched` says how many this
   * time, `of` how many pass in all, and `next` where it goes on.
   */
  async bodies<Shown>(
    { where, limit, ...filter }: RowFilter & { readonly where: readonly BodyField[]; readonly limit: number },
    show: (rows: readonly number[]) => readonly Shown[],
  ): Promise<{ shown: readonly Shown[]; next: number | undefined; searched: number; of: number }> {
    const of = await this.count({ ...filter, after: undefined });
    const untilMs = this.#clock.now() + BODIES_MS;
    const shown: Shown[] = [];
    let searched = 0;
    let next: number | undefined = filter.after ?? 0;
    const ids = (after: number): Promise<{ ids: number[]; next: number | undefined }> =>
      this.page({ ...filter, after, limit: READS_MAX }, (rows, following) => ({
        ids: rows.map((row) => this.#context.stateMachine().table.f(row, ID)),
        next: following,
      }));
    while (next !== undefined && (searched === 0 || this.#clock.now() < untilMs)) {
      const page: Awaited<ReturnType<typeof ids>> = await ids(next);
      const bodies = await this.#context.reads.read(page.ids);
      next = page.next;
      for (const [index, body] of bodies.entries()) {
        searched += 1;
        if (!(body instanceof Uint8Array) || !hasFields(body, where)) continue;
        const row = this.#context.stateMachine().find(page.ids[index]!);
        if (row !== NONE) shown.push(...show([row]));
        if (shown.length < limit) continue;
        if (index + 1 < page.ids.length) next = page.ids[index];
        return { shown, next, searched, of };
      }
    }
    return { shown, next, searched, of };
  }

  /** Does something to each task that passes, at most `most`. @returns to how many it was done, once that is on disk */
  async each(
    filter: RowFilter,
    act: (rows: readonly number[]) => number,
    { settled, most = Infinity }: { settled: (callback: () => void) => void; most?: number | undefined },
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
    if (scan.direct(found)) return;
    while (scan.look(found)) await this.#turn();
  }

  async #scan(scan: TaskScan, limit: number): Promise<{ ids: readonly number[]; next: number | undefined }> {
    const page = new IdPage(limit);
    await this.#all(scan, (id) => page.add(id));
    return page.get();
  }

  /** A page by trying numbers, where enough of them pass; undefined: it would cost more than to look at all rows. */
  async #probe(
    scan: TaskScan,
    { limit, after }: { limit: number; after: number },
  ): Promise<{ ids: readonly number[]; next: number | undefined } | undefined> {
    const { table, lastId } = this.#context.stateMachine();
    const ids: number[] = [];
    const end = after + Math.max(PROBES_MIN, Math.floor(table.end * PROBES_SHARE));
    const found = (id: number): boolean => ids.push(id) > limit;
    if (scan.direct(found)) return { ids: ids.slice(0, limit), next: undefined };
    for (let at = after; at < end; await this.#turn()) {
      at = scan.probe(at, end - at, found);
      if (ids.length > limit) return { ids: ids.slice(0, limit), next: ids[limit - 1] };
      if (at >= lastId) return { ids, next: undefined };
      // As many as have passed so far will not fill the page in time.
      if (ids.length * (end - after) < limit * (at - after)) return undefined;
    }
    return undefined;
  }

  #turn(): Promise<void> {
    return new Promise<void>((resolve) => this.#clock.afterInput(resolve));
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
    const text = errorTexts((await this.#context.store.inspect(id))?.facts).at(-1);
    return text === undefined ? undefined : decodeAttemptError(text).error;
  }
}
