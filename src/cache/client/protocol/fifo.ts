/**
 * ○ First in, first out, in a ring that doubles when it is full and is given up when a long queue has drained: neither end ever
 * moves the rest, and a queue that is filled and emptied call by call allocates nothing. Invariant: the `length` places from
 * `head` on hold items, all others undefined.
 */

/** 16 places: what one idle server's queue needs; a power of two, so that places are found by a mask. */
const PLACES_MIN = 16;

/** 1,024 places: a ring that has grown beyond is given up once it is empty. */
const PLACES_KEPT_MAX = 1024;

export class Fifo<T> {
  #places = emptyRing<T>(PLACES_MIN);
  #head = 0;
  length = 0;

  push(item: T): void {
    if (this.length === this.#places.length) this.#grow();
    this.#places[(this.#head + this.length) & (this.#places.length - 1)] = item;
    this.length += 1;
  }

  peek(): T | undefined {
    return this.#places[this.#head];
  }

  shift(): T | undefined {
    if (this.length === 0) return undefined;
    const item = this.#places[this.#head];
    this.#places[this.#head] = undefined;
    this.#head = (this.#head + 1) & (this.#places.length - 1);
    this.length -= 1;
    if (this.length === 0 && this.#places.length > PLACES_KEPT_MAX) this.drain();
    return item;
  }

  /** Removes and returns all, oldest first. */
  drain(): T[] {
    const items = [...this];
    this.#places = emptyRing(PLACES_MIN);
    this.#head = 0;
    this.length = 0;
    return items;
  }

  *[Symbol.iterator](): IterableIterator<T> {
    for (let index = 0; index < this.length; index += 1) {
      yield this.#places[(this.#head + index) & (this.#places.length - 1)] as T;
    }
  }

  #grow(): void {
    const items = [...this];
    this.#places = emptyRing(this.#places.length * 2);
    for (let index = 0; index < items.length; index += 1) this.#places[index] = items[index];
    this.#head = 0;
  }
}

function emptyRing<T>(places: number): (T | undefined)[] {
  return Array.from({ length: places }, () => undefined);
}
