/**
 * ○ Looks at every row that there is, a slice at a time, for the tasks that a filter lets through: complete whatever has passed through
 * the broker before, and ten million rows hold up nobody. Where most tasks pass, their numbers are tried one after the other first
 * (`probe`), so that a page of them costs no look at all rows. `IdPage` puts what was found in the order of the tasks' numbers.
 */
import { stateCode, type TaskState } from "../tasks/life-cycle.ts";
import {
  CREATED,
  ERROR,
  F64_FIELDS,
  GROUP_QUEUE,
  ID,
  NONE,
  STATE,
  type TaskColumns,
  U32_FIELDS,
} from "../tasks/task-columns.ts";
import type { TaskStateMachine } from "../tasks/task-state-machine.ts";

/** 100,000 rows at a time: 1 to 2 ms, in which no message is answered. */
export const SCAN_ROWS = 100_000;
/** 4096 numbers at a time: each costs ten times as much as a row in passing. */
const PROBE_IDS = 4096;

export interface RowFilter {
  /** Only this task. */
  readonly id?: number | undefined;
  readonly queue?: string | undefined;
  /** Only of these queues. */
  readonly sees?: ((queue: string) => boolean) | undefined;
  readonly states?: readonly TaskState[] | undefined;
  readonly group?: string | undefined;
  /** With the queue: only the task that was added under it. */
  readonly key?: string | undefined;
  /** The fingerprint of its newest error. */
  readonly error?: number | undefined;
  /** Added then or later, in ms since 1970. */
  readonly fromMs?: number | undefined;
  /** Added before. */
  readonly untilMs?: number | undefined;
  /** Only greater numbers; default 0. */
  readonly after?: number | undefined;
}

export class TaskScan {
  readonly #stateMachine: TaskStateMachine;
  readonly #filter: RowFilter;
  /** By a state's code 1 where the filter lets it through. */
  readonly #states: Uint8Array;
  /** By the number of a group queue whether its queue and group pass, as of a slice: twice the slice's number, plus one if so. */
  #verdicts = new Uint32Array(0);
  #slice = 0;
  #row = NONE + 1;

  constructor(stateMachine: TaskStateMachine, filter: RowFilter) {
    this.#stateMachine = stateMachine;
    this.#filter = filter;
    this.#states = Uint8Array.from({ length: 32 }, () => (filter.states ? 0 : 1));
    for (const state of filter.states ?? []) this.#states[stateCode(state)] = 1;
  }

  /**
   * What needs no look at the rows: one task by its id or its key, and filters of which the queue's counts say that nothing passes.
   *
   * @returns false when the rows must be looked at
   */
  direct(found: (id: number, row: number) => void): boolean {
    const { id, key, queue: name, states, after = 0 } = this.#filter;
    if (id !== undefined || key !== undefined) {
      const row = id === undefined ? this.#stateMachine.findKey(name ?? "", key!) : this.#stateMachine.find(id);
      const number = row === NONE ? 0 : this.#stateMachine.table.f(row, ID);
      if (number > after && this.passes(row)) found(number, row);
      return true;
    }
    if (name === undefined) return false;
    const queue = this.#stateMachine.findQueue(name);
    return !queue || (states !== undefined && states.every((state) => queue.count(state) === 0));
  }

  /**
   * Tries numbers after `from`, at most so many. Those that were found are all that there are up to where it got.
   *
   * @returns the last number that was tried
   */
  probe(from: number, most: number, found: (id: number, row: number) => boolean): number {
    const end = Math.min(this.#stateMachine.lastId, from + Math.min(most, PROBE_IDS));
    for (let id = from + 1; id <= end; id += 1) {
      const row = this.#stateMachine.find(id);
      if (row !== NONE && this.passes(row) && found(id, row)) return id;
    }
    return end;
  }

  /** Looks at the next rows. @returns false when all were looked at */
  look(found: (id: number, row: number) => void, rows = SCAN_ROWS): boolean {
    const { table } = this.#stateMachine;
    const end = Math.min(table.end, this.#row + rows);
    this.#slice += 1;
    while (this.#row < end) {
      const run = table.run(this.#row);
      const count = Math.min(run.rows, end - this.#row);
      this.#lookAt(run, count, found);
      this.#row += count;
    }
    return this.#row < table.end;
  }

  /** On the arrays themselves, and with what costs least first: ten million rows are a tenth of a second this way, and a whole one by `passes`. */
  #lookAt({ u32, f64, u, f }: ReturnType<TaskColumns["run"]>, count: number, found: (id: number, row: number) => void): void {
    const { queue, sees, group, error = 0, after = 0, fromMs = -Infinity, untilMs = Infinity } = this.#filter;
    const states = this.#states;
    const isPlaced = queue !== undefined || group !== undefined || sees !== undefined;
    const isTimed = fromMs !== -Infinity || untilMs !== Infinity;
    const first = this.#row;
    for (let n = 0; n < count; n += 1) {
      const at = u + n * U32_FIELDS;
      if (states[u32[at + STATE]!] === 0) continue;
      if (error !== 0 && u32[at + ERROR] !== error) continue;
      if (isPlaced && !this.#isPlaced(u32[at + GROUP_QUEUE]!, first + n)) continue;
      const place = f + n * F64_FIELDS;
      if (isTimed && !(f64[place + CREATED]! >= fromMs && f64[place + CREATED]! < untilMs)) continue;
      const id = f64[place + ID]!;
      if (id > after && this.passes(first + n)) found(id, first + n);
    }
  }

  passes(row: number): boolean {
    const { queue, sees, group, error, fromMs = -Infinity, untilMs = Infinity } = this.#filter;
    const { table } = this.#stateMachine;
    if (this.#states[table.u(row, STATE)] === 0 || this.#stateMachine.isUnwritten(row)) return false;
    if (error !== undefined && table.u(row, ERROR) !== error) return false;
    if (queue !== undefined && this.#stateMachine.queueOf(row).name !== queue) return false;
    if (sees !== undefined && !sees(this.#stateMachine.queueOf(row).name)) return false;
    if (group !== undefined && this.#stateMachine.group(row) !== group) return false;
    const createdMs = table.f(row, CREATED);
    return createdMs >= fromMs && createdMs < untilMs;
  }

  /** Whether the queue and the group of a row pass. Asked of each row, answered once for each group queue and slice. */
  #isPlaced(groupQueue: number, row: number): boolean {
    // A row that is not in use.
    if (groupQueue === 0) return false;
    const known = this.#verdicts[groupQueue] ?? 0;
    return known >>> 1 === this.#slice ? (known & 1) === 1 : this.#judge(groupQueue, row);
  }

  #judge(groupQueue: number, row: number): boolean {
    if (groupQueue >= this.#verdicts.length) {
      const more = new Uint32Array(Math.max(1024, groupQueue * 2));
      more.set(this.#verdicts);
      this.#verdicts = more;
    }
    const { key, queue } = this.#stateMachine.groupOf(row);
    const { queue: name = queue.owner.name, sees, group = key } = this.#filter;
    const passes = queue.owner.name === name && key === group && (sees?.(name) ?? true);
    this.#verdicts[groupQueue] = this.#slice * 2 + (passes ? 1 : 0);
    return passes;
  }
}

/** Room for 1024 numbers beyond the limit: sorting them out costs 40 ns a number. */
const SPARE = 1024;

/** The smallest numbers of all that were added, as many as `limit`. */
export class IdPage {
  readonly #limit: number;
  readonly #ids: Float64Array;
  #count = 0;
  /** Numbers above it have no place on the page. */
  #highest = Infinity;
  #found = 0;

  constructor(limit: number) {
    this.#limit = limit;
    this.#ids = new Float64Array(limit + SPARE);
  }

  add(id: number): void {
    this.#found += 1;
    if (id > this.#highest) return;
    this.#ids[this.#count] = id;
    this.#count += 1;
    if (this.#count === this.#ids.length) this.#sort();
  }

  /** In order, and the number to go on after; undefined when these were all. */
  get(): { ids: readonly number[]; next: number | undefined } {
    this.#sort();
    const ids = Array.from(this.#ids.subarray(0, this.#count));
    return { ids, next: this.#found > ids.length ? ids.at(-1) : undefined };
  }

  #sort(): void {
    this.#ids.subarray(0, this.#count).sort();
    if (this.#count < this.#limit) return;
    this.#count = this.#limit;
    this.#highest = this.#ids[this.#limit - 1]!;
  }
}
