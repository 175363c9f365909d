/**
 * ○ A binary heap that tells each item where it lies, so that any item can be moved or removed in O(log n).
 * Invariant: no item comes before its parent, and `setPosition(item, i)` was last called with the index the item has.
 */
import { assert } from "./assert.ts";

export interface HeapPolicy<T> {
  /** True when `a` must come out before `b`. */
  before(a: T, b: T): boolean;
  /** Told where the item now lies; -1 when it has left the heap. Leave out when `remove` and `moved` are not used. */
  setPosition?(item: T, position: number): void;
}

export class Heap<T> {
  readonly #items: T[] = [];
  readonly #before: (a: T, b: T) => boolean;
  readonly #setPosition: ((item: T, position: number) => void) | undefined;

  constructor(policy: HeapPolicy<T>) {
    this.#before = (a, b) => policy.before(a, b);
    if (policy.setPosition) this.#setPosition = (item, position) => policy.setPosition!(item, position);
  }

  get size(): number {
    return this.#items.length;
  }

  /** The item that comes out next, or undefined when empty. */
  peek(): T | undefined {
    return this.#items[0];
  }

  push(item: T): void {
    this.#items.push(item);
    this.#rise(this.#items.length - 1, item);
  }

  pop(): T | undefined {
    return this.#items.length === 0 ? undefined : this.remove(0);
  }

  /** Removes the item at a position that `setPosition` told. */
  remove(position: number): T {
    assert(position >= 0 && position < this.#items.length, "a heap position lies inside the heap");
    const removed = this.#items[position]!;
    const last = this.#items.pop()!;
    if (position < this.#items.length) this.#place(position, last);
    this.#setPosition?.(removed, -1);
    return removed;
  }

  /** Restores the order after the item at this position changed its rank. */
  moved(position: number): void {
    assert(position >= 0 && position < this.#items.length, "a heap position lies inside the heap");
    this.#place(position, this.#items[position]!);
  }

  /** All items, in no particular order. */
  values(): IterableIterator<T> {
    return this.#items.values();
  }

  #place(position: number, item: T): void {
    const parent = (position - 1) >> 1;
    if (position > 0 && this.#before(item, this.#items[parent]!)) this.#rise(position, item);
    else this.#sink(position, item);
  }

  #rise(start: number, item: T): void {
    let position = start;
    while (position > 0) {
      const parent = (position - 1) >> 1;
      const above = this.#items[parent]!;
      if (!this.#before(item, above)) break;
      this.#put(position, above);
      position = parent;
    }
    this.#put(position, item);
  }

  #sink(start: number, item: T): void {
    const size = this.#items.length;
    let position = start;
    for (;;) {
      let child = 2 * position + 1;
      if (child >= size) break;
      if (child + 1 < size && this.#before(this.#items[child + 1]!, this.#items[child]!)) child += 1;
      const below = this.#items[child]!;
      if (!this.#before(below, item)) break;
      this.#put(position, below);
      position = child;
    }
    this.#put(position, item);
  }

  #put(position: number, item: T): void {
    this.#items[position] = item;
    this.#setPosition?.(item, position);
  }
}
