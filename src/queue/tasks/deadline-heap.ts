/**
 * ○ Rows by deadline: a four-way heap in typed arrays. Invariant: no row's deadline is before its parent's; each row's field for it
 * (HEAP, or WALL_HEAP) is its place plus one. Four-way, because ten million rows are then twelve levels deep instead of twenty-four, and each
 * level is a cache miss.
 */
import { DEADLINE, HEAP, ID, NONE, type TaskColumns, type WALL_HEAP } from "./task-columns.ts";

const WAYS = 4;

export class DeadlineHeap {
  readonly #table: TaskColumns;
  readonly #field: number;
  #rows = new Uint32Array(1024);
  #keys = new Float64Array(1024);
  #size = 0;

  /** @param field where rows say their places */
  constructor(table: TaskColumns, field: typeof HEAP | typeof WALL_HEAP = HEAP) {
    this.#table = table;
    this.#field = field;
  }

  get size(): number {
    return this.#size;
  }

  get bytes(): number {
    return this.#rows.byteLength + this.#keys.byteLength;
  }

  /** When the first row is due, or undefined when none is scheduled. */
  get deadlineMs(): number | undefined {
    return this.#size === 0 ? undefined : this.#keys[0];
  }

  /** The row that is due first if its time has come, else 0. It stays scheduled until `set` or `drop`. */
  due(nowMs: number): number {
    return this.#size > 0 && this.#keys[0]! <= nowMs ? this.#rows[0]! : NONE;
  }

  /** Schedules the row, or changes its deadline. Infinity takes it out. */
  set(row: number, deadlineMs: number): void {
    if (deadlineMs === Infinity) {
      this.drop(row);
      this.#tell(row, Infinity);
      return;
    }
    this.#tell(row, deadlineMs);
    const place = this.#table.u(row, this.#field);
    if (place === 0) {
      if (this.#size === this.#rows.length) this.#grow();
      this.#size += 1;
      this.#rise(this.#size - 1, row, deadlineMs);
    } else this.#settle(place - 1, row, deadlineMs);
  }

  /** Takes the row out; harmless when it is not scheduled. */
  drop(row: number): void {
    const place = this.#table.u(row, this.#field);
    if (place === 0) return;
    this.#table.setU(row, this.#field, 0);
    this.#size -= 1;
    const position = place - 1;
    if (position < this.#size) this.#settle(position, this.#rows[this.#size]!, this.#keys[this.#size]!);
  }

  /** The row says when it is due in queue time. */
  #tell(row: number, deadlineMs: number): void {
    if (this.#field === HEAP) this.#table.setF(row, DEADLINE, deadlineMs);
  }

  #settle(position: number, row: number, key: number): void {
    const parent = ((position - 1) / WAYS) | 0;
    if (position > 0 && this.#before(row, key, parent)) this.#rise(position, row, key);
    else this.#sink(position, row, key);
  }

  #rise(start: number, row: number, key: number): void {
    let position = start;
    while (position > 0) {
      const parent = ((position - 1) / WAYS) | 0;
      if (!this.#before(row, key, parent)) break;
      this.#put(position, this.#rows[parent]!, this.#keys[parent]!);
      position = parent;
    }
    this.#put(position, row, key);
  }

  #sink(start: number, row: number, key: number): void {
    let position = start;
    for (;;) {
      const first = position * WAYS + 1;
      if (first >= this.#size) break;
      let least = first;
      const end = Math.min(first + WAYS, this.#size);
      for (let child = first + 1; child < end; child += 1) {
        if (this.#before(this.#rows[child]!, this.#keys[child]!, least)) least = child;
      }
      if (this.#before(row, key, least)) break;
      this.#put(position, this.#rows[least]!, this.#keys[least]!);
      position = least;
    }
    this.#put(position, row, key);
  }

  /** True when (row, key) comes before what lies at `position`; equal deadlines go by id, so that runs repeat exactly. */
  #before(row: number, key: number, position: number): boolean {
    const other = this.#keys[position]!;
    return key < other || (key === other && this.#table.f(row, ID) < this.#table.f(this.#rows[position]!, ID));
  }

  #put(position: number, row: number, key: number): void {
    this.#rows[position] = row;
    this.#keys[position] = key;
    this.#table.setU(row, this.#field, position + 1);
  }

  #grow(): void {
    const rows = new Uint32Array(this.#rows.length * 2);
    const keys = new Float64Array(this.#keys.length * 2);
    rows.set(this.#rows);
    keys.set(this.#keys);
    this.#rows = rows;
    this.#keys = keys;
  }
}
