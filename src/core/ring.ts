/**
 * ○ A first-in, first-out queue in a circular array: neither end ever moves the rest, and a queue that is filled and emptied call by
 * call allocates nothing. Invariant: the array's size is a power of two; the `length` items lie from `#head` on, all other slots
 * are undefined. It grows by doubling and shrinks when it has run empty, so that one burst does not hold memory for ever.
 */

/** 16: a queue at rest costs this many slots. */
const SIZE_MIN = 16;
/** 4096: an emptied ring of at most this size keeps its array; most bursts stay below. */
const SIZE_KEPT = 4096;

export class Ring<T> {
  #items: (T | undefined)[] = new Array<T | undefined>(SIZE_MIN);
  #mask = SIZE_MIN - 1;
  #head = 0;
  length = 0;

  push(item: T): void {
    if (this.length > this.#mask) this.#grow();
    this.#items[(this.#head + this.length) & this.#mask] = item;
    this.length += 1;
  }

  /** Puts an item before all others. */
  unshift(item: T): void {
    if (this.length > this.#mask) this.#grow();
    this.#head = (this.#head - 1) & this.#mask;
    this.#items[this.#head] = item;
    this.length += 1;
  }

  shift(): T | undefined {
    if (this.length === 0) return undefined;
    const item = this.#items[this.#head];
    this.#items[this.#head] = undefined;
    this.#head = (this.#head + 1) & this.#mask;
    this.length -= 1;
    if (this.length === 0 && this.#mask >= SIZE_KEPT) this.clear();
    return item;
  }

  peek(): T | undefined {
    return this.#items[this.#head];
  }

  /** The item that `index` others are before. */
  at(index: number): T | undefined {
    return index < this.length ? this.#items[(this.#head + index) & this.#mask] : undefined;
  }

  /** Removes and returns all, oldest first. */
  drain(): T[] {
    const items = [...this];
    this.clear();
    return items;
  }

  clear(): void {
    this.#items = new Array<T | undefined>(SIZE_MIN);
    this.#mask = SIZE_MIN - 1;
    this.#head = 0;
    this.length = 0;
  }

  *[Symbol.iterator](): IterableIterator<T> {
    for (let index = 0; index < this.length; index += 1) yield this.#items[(this.#head + index) & this.#mask] as T;
  }

  #grow(): void {
    const size = this.#mask + 1;
    const grown = new Array<T | undefined>(size * 2);
    for (let index = 0; index < size; index += 1) grown[index] = this.#items[(this.#head + index) & this.#mask];
    this.#items = grown;
    this.#mask = size * 2 - 1;
    this.#head = 0;
  }
}
