/**
 * ○ Which leases a worker has of one broker, in memory that its process's keeper reads too (keeper-thread.ts). One thread writes.
 * Invariant: a place holds one lease or none; a reader in another thread may miss one that is just being written, never sees a mixed
 * one as a lease that exists.
 */
import type { LeaseRef } from "../service/dispatcher.ts";

export class LeaseBoard {
  readonly memory: SharedArrayBuffer;
  /** Task's number and token, place by place; number 0 = free. */
  readonly #words: Float64Array;
  readonly #free: number[] = [];

  /** @param memory of another thread's board: then it is only read */
  constructor(places: number | SharedArrayBuffer) {
    const isNew = typeof places === "number";
    this.memory = isNew ? new SharedArrayBuffer(places * PLACE_BYTES) : places;
    this.#words = new Float64Array(this.memory);
    if (isNew) for (let place = places - 1; place >= 0; place -= 1) this.#free.push(place);
  }

  /** @returns its place; -1 when all are taken: it is not on the board */
  put(id: number, token: number): number {
    const place = this.#free.pop() ?? -1;
    if (place < 0) return place;
    this.#words[2 * place + 1] = token;
    this.#words[2 * place] = id;
    return place;
  }

  clear(place: number): void {
    if (place < 0) return;
    this.#words[2 * place] = 0;
    this.#free.push(place);
  }

  leases(): LeaseRef[] {
    const leases: LeaseRef[] = [];
    for (let at = 0; at < this.#words.length; at += 2) {
      const id = this.#words[at]!;
      if (id > 0) leases.push({ id, token: this.#words[at + 1]! });
    }
    return leases;
  }
}

/** Two doubles: numbers and tokens are at most 2^53. */
const PLACE_BYTES = 2 * Float64Array.BYTES_PER_ELEMENT;
