/**
 * ○ How much is requested from one server at once, in bytes of replies. The rest waits in the client's queue, where another call
 * that wants the same key can still join it, and where a call that times out wastes no transfer. The size of a reply is not known
 * beforehand: each outstanding key counts as the average of recent ones. Invariant: open whenever nothing is outstanding.
 */

/** 16 MiB: some milliseconds of any network's bandwidth and more than sockets buffer, so that no server is idle. */
const BYTES_MAX = 16 * 1024 * 1024;

/** 16 KiB a key until the first replies have come: a thousand keys at once. */
const KEY_BYTES_FIRST = 16 * 1024;

/** An eighth of the way to the newest batch's average: follows a change of size within a few batches. */
const STEP = 1 / 8;

export class InFlightWindow {
  #keys = 0;
  #keyBytes: number | undefined = undefined;
  #shut = false;

  /** Average bytes of recent replies, misses included. */
  get keyBytes(): number {
    return this.#keyBytes ?? KEY_BYTES_FIRST;
  }

  asked(keys: number): void {
    this.#keys += keys;
  }

  answered(keys: number, bytes: number): void {
    this.#keys -= keys;
    this.#keyBytes = this.#keyBytes === undefined ? bytes / keys : this.#keyBytes + (bytes / keys - this.#keyBytes) * STEP;
  }

  /** Once shut it opens when half is answered: then many requests are written together, and calls can share keys. */
  get open(): boolean {
    const bytes = this.#keys * this.keyBytes;
    this.#shut = bytes > (this.#shut ? BYTES_MAX / 2 : BYTES_MAX);
    return !this.#shut;
  }
}
