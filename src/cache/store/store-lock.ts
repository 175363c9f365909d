/** ● The lock that threads sharing a store take around each batch of commands. Not needed, and not made, with one thread. */

const FREE = 0;
const HELD = 1;
const CONTENDED = 2;

/** 200 tries, a few microseconds: most batches are over by then, and sleeping costs two system calls. */
const SPINS = 200;

export class StoreLock {
  readonly #cell: Int32Array;

  /** @param cell one 32-bit number in shared memory, 0 at first */
  constructor(cell: Int32Array) {
    this.#cell = cell;
  }

  acquire(): void {
    const cell = this.#cell;
    for (let spin = 0; spin < SPINS; spin += 1) {
      if (Atomics.compareExchange(cell, 0, FREE, HELD) === FREE) return;
    }
    while (Atomics.exchange(cell, 0, CONTENDED) !== FREE) Atomics.wait(cell, 0, CONTENDED);
  }

  release(): void {
    if (Atomics.exchange(this.#cell, 0, FREE) === CONTENDED) Atomics.notify(this.#cell, 0, 1);
  }
}
