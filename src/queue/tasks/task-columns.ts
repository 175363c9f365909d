/**
 * ○ Rows of tasks in pages of typed arrays: outside the JavaScript heap, so that ten million waiting tasks cost the collector
 * nothing. A row is 124 bytes; growing adds a page and never copies. Row 0 stands for "none".
 * Bodies are not here: they lie in the store, the newest also in the body cache.
 */

/** 16,384 rows a page: 1.8 MB, small enough that the first task does not pay for a million. */
const PAGE_BITS = 14;
const PAGE_ROWS = 1 << PAGE_BITS;
const PAGE_MASK = PAGE_ROWS - 1;

/** No row. */
export const NONE = 0;

// Float64 fields.
export const ID = 0;
/** When the row is due, in queue time. */
export const DEADLINE = 1;
/** The newest fencing token given for this task. */
export const TOKEN = 2;
/**
 * delayed, blocked, retrying: when it is due, in queue time or (FLAG_RUN_AT) by the wall clock. waiting: since when, where it did not wait from the beginning. active: when the attempt
 * runs out of time. ended: when it ended.
 */
export const AT = 3;
export const CREATED = 4;
export const EXPIRES = 5;
export const F64_FIELDS = 6;

// Uint32 fields.
export const NEXT_ROW = 0;
export const PREVIOUS_ROW = 1;
/** Place in the heap of deadlines plus one; 0 when not scheduled. */
export const HEAP = 2;
export const GROUP_QUEUE = 3;
export const POLICY = 4;
export const BODY_BYTES = 5;
/** active: the number of its owner. */
export const CONSUMER = 6;
export const STATE = 7;
export const ATTEMPTS = 8;
export const LOST = 9;
export const FLAGS = 10;
/** ended: bytes of the result kept. */
export const RESULT_BYTES = 11;
/** Three words of the idempotency key's hash (key-hash.ts), where FLAG_KEY is set. */
export const KEY_A = 12;
export const KEY_B = 13;
export const KEY_C = 14;
/** The fingerprint of its newest error (error-fingerprint.ts); 0: it has none, or it is in the store alone. */
export const ERROR = 15;
/** The same as HEAP, in the heap of times of the wall clock. */
export const WALL_HEAP = 16;
/** When its newest attempt began, the lower 32 bits of queue time in ms; 0: not known, or it had none. */
export const STARTED = 17;
/** The number of the name of the worker that has it, or was the last to: worker-names.ts. */
export const WORKER = 18;
export const U32_FIELDS = 19;

// Bits of FLAGS.
/** Its submission is not on disk yet: nobody may see or take it. */
export const FLAG_UNWRITTEN = 1;
export const FLAG_KEY = 2;
/** Errors of earlier attempts lie in the store. */
export const FLAG_ERRORS = 4;
/** Its newest lease is written down, so that it can be resumed after a restart. */
export const FLAG_LEASE_WRITTEN = 8;
/** It waits, or waited, for other tasks. */
export const FLAG_AFTER = 16;
/** It was dead and was redriven: its expiry no longer counts. */
export const FLAG_REDRIVEN = 32;
/** Other tasks wait for it, or died waiting. Not written: found out again when those are read. */
export const FLAG_AWAITED = 64;
/** ended: its result, or its body, had to make room; that it was, and how it ended, is kept for its key's sake. */
export const FLAG_EVICTED = 128;
/** Its key, or that of the bodies it was submitted with, may be asked for again. Not written: its head says so. */
export const FLAG_REMEMBERED = 512;
/** active: its worker said that it has begun. Not written. */
export const FLAG_BEGUN = 256;
/** What the store keeps of it is not what was written. */
export const FLAG_DAMAGED = 1024;
/** delayed, blocked: it is due when the wall clock says so. */
export const FLAG_RUN_AT = 2048;
/** Steps of its handler, or signals to it, lie in the store: it has begun, and does not expire any more. */
export const FLAG_STEPS = 4096;
/** blocked: not for a task of its `after`, but for a signal or for a task that its handler called. */
export const FLAG_SUSPENDED = 8192;
/** It is of a flow: its result stays until the last task that waits for it has ended. */
export const FLAG_FLOW = 16_384;
/** It belongs to a trace (traces.ts). Not written: its head says so. */
export const FLAG_TRACED = 32_768;
/** Three bits: why it is dead, as a place in DEAD_REASONS plus one (life-cycle.ts); 0: an earlier version wrote it, or it is not dead. */
export const REASON_SHIFT = 16;
export const FLAGS_REASON = 7 << REASON_SHIFT;
/** What is written of FLAGS. */
export const FLAGS_WRITTEN =
  FLAG_KEY |
  FLAG_ERRORS |
  FLAG_LEASE_WRITTEN |
  FLAG_AFTER |
  FLAG_REDRIVEN |
  FLAG_EVICTED |
  FLAG_DAMAGED |
  FLAG_RUN_AT |
  FLAG_STEPS |
  FLAG_SUSPENDED |
  FLAG_FLOW |
  FLAGS_REASON;

export class TaskColumns {
  readonly #f64: Float64Array[] = [];
  readonly #u32: Uint32Array[] = [];
  #free = NONE;
  #used = 1;
  #count = 0;

  /** Rows in use. */
  get count(): number {
    return this.#count;
  }

  /** All rows in use are below it. Those below it that are not in use have ID 0. */
  get end(): number {
    return this.#used;
  }

  /** Bytes of all pages. */
  get bytes(): number {
    return this.#f64.length * PAGE_ROWS * (F64_FIELDS * 8 + U32_FIELDS * 4);
  }

  /** A zeroed row. */
  allocate(): number {
    this.#count += 1;
    if (this.#free !== NONE) {
      const row = this.#free;
      this.#free = this.u(row, NEXT_ROW);
      this.setU(row, NEXT_ROW, NONE);
      return row;
    }
    const row = this.#used;
    this.#used += 1;
    if (row >>> PAGE_BITS >= this.#f64.length) {
      this.#f64.push(new Float64Array(PAGE_ROWS * F64_FIELDS));
      this.#u32.push(new Uint32Array(PAGE_ROWS * U32_FIELDS));
    }
    return row;
  }

  release(row: number): void {
    this.#count -= 1;
    this.#clear(row);
    this.setU(row, NEXT_ROW, this.#free);
    this.#free = row;
  }

  f(row: number, field: number): number {
    return this.#f64[row >>> PAGE_BITS]![(row & PAGE_MASK) * F64_FIELDS + field]!;
  }

  setF(row: number, field: number, value: number): void {
    this.#f64[row >>> PAGE_BITS]![(row & PAGE_MASK) * F64_FIELDS + field] = value;
  }

  u(row: number, field: number): number {
    return this.#u32[row >>> PAGE_BITS]![(row & PAGE_MASK) * U32_FIELDS + field]!;
  }

  setU(row: number, field: number, value: number): void {
    this.#u32[row >>> PAGE_BITS]![(row & PAGE_MASK) * U32_FIELDS + field] = value;
  }

  /**
   * The rows from this one on that lie side by side, for whoever looks at all: the fields of row `row + n` begin at `u + n * U32_FIELDS` and
   * `f + n * F64_FIELDS`.
   */
  run(row: number): { u32: Uint32Array; f64: Float64Array; u: number; f: number; rows: number } {
    const at = row & PAGE_MASK;
    const page = row >>> PAGE_BITS;
    return { u32: this.#u32[page]!, f64: this.#f64[page]!, u: at * U32_FIELDS, f: at * F64_FIELDS, rows: PAGE_ROWS - at };
  }

  #clear(row: number): void {
    const f = (row & PAGE_MASK) * F64_FIELDS;
    const u = (row & PAGE_MASK) * U32_FIELDS;
    this.#f64[row >>> PAGE_BITS]!.fill(0, f, f + F64_FIELDS);
    this.#u32[row >>> PAGE_BITS]!.fill(0, u, u + U32_FIELDS);
  }
}

/** 1000: as many as one worker can give back (SLOTS_MAX), so that these keep their order, and no more work than that. */
const IN_ORDER_STEPS_MAX = 1000;

/** A doubly linked list of rows through NEXT_ROW and PREVIOUS_ROW. A row is in at most one list. */
export class RowList {
  readonly #table: TaskColumns;
  #head = NONE;
  #tail = NONE;
  #count = 0;

  constructor(table: TaskColumns) {
    this.#table = table;
  }

  get count(): number {
    return this.#count;
  }

  get head(): number {
    return this.#head;
  }

  get tail(): number {
    return this.#tail;
  }

  pushBack(row: number): void {
    this.#link(row, this.#tail, NONE);
  }

  pushFront(row: number): void {
    this.#link(row, NONE, this.#head);
  }

  /**
   * Before the first row from the front whose id is larger: for rows that come back and were among the first. Looks at
   * IN_ORDER_STEPS_MAX rows at most, then takes that place.
   */
  pushInOrder(row: number): void {
    const id = this.#table.f(row, ID);
    if (this.#tail === NONE || this.#table.f(this.#tail, ID) < id) {
      this.pushBack(row);
      return;
    }
    let after = this.#head;
    let steps = 0;
    while (after !== NONE && steps < IN_ORDER_STEPS_MAX && this.#table.f(after, ID) < id) {
      after = this.#table.u(after, NEXT_ROW);
      steps += 1;
    }
    this.#link(row, after === NONE ? this.#tail : this.#table.u(after, PREVIOUS_ROW), after);
  }

  remove(row: number): void {
    const previous = this.#table.u(row, PREVIOUS_ROW);
    const next = this.#table.u(row, NEXT_ROW);
    if (previous === NONE) this.#head = next;
    else this.#table.setU(previous, NEXT_ROW, next);
    if (next === NONE) this.#tail = previous;
    else this.#table.setU(next, PREVIOUS_ROW, previous);
    this.#table.setU(row, NEXT_ROW, NONE);
    this.#table.setU(row, PREVIOUS_ROW, NONE);
    this.#count -= 1;
  }

  *rows(): IterableIterator<number> {
    for (let row = this.#head; row !== NONE;) {
      const following = this.#table.u(row, NEXT_ROW);
      yield row;
      row = following;
    }
  }

  #link(row: number, previous: number, next: number): void {
    this.#table.setU(row, PREVIOUS_ROW, previous);
    this.#table.setU(row, NEXT_ROW, next);
    if (previous === NONE) this.#head = row;
    else this.#table.setU(previous, NEXT_ROW, row);
    if (next === NONE) this.#tail = row;
    else this.#table.setU(next, PREVIOUS_ROW, row);
    this.#count += 1;
  }
}
