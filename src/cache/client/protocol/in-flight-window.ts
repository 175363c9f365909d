/**
 * ○ How much is asked of one server at once, in bytes of answers. What is beyond waits in the client's queue, where another call
 * that wants the same key can still join it, and where a deadline costs nobody a transfer. How long an answer will be is not
 * known: the keys outstanding count as the average of those answered lately. Invariant: open whenever nothing is outstanding.
 */

/** 16 MiB: some milliseconds of any network's bandwidth and more than sockets buffer, so that no server waits for questions. */
const BYTES_MAX = 16 * 1024 * 1024;

/** 16 KiB a key, until the first answers say more: a thousand keys at once. */
const KEY_BYTES_FIRST = 16 * 1024;

/** An eighth of the way to the newest batch's average: a few batches of another size are enough to be believed. */
const STEP = 1 / 8;

export class InFlightWindow {
  #keys = 0;
  #keyBytes: number | undefined = undefined;
  #shut = false;

  /** Average bytes of an answer lately; misses count. */
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

  /** Once shut it opens when half is answered: what is asked then is asked in large pieces, in which calls share keys. */
  get open(): boolean {
    const bytes = this.#keys * this.keyBytes;
    this.#shut = bytes > (this.#shut ? BYTES_MAX / 2 : BYTES_MAX);
    return !this.#shut;
  }
}
