/**
 * ○ Keeps the log's size within bounds: from time to time all that is alive is written again at its end, a portion with each
 * batch, and then everything before is forgotten. Decides when a round begins and whether a new task may still come in; what is
 * written is the caller's. Invariant: outside of a round and in it, every task that is kept has a whole record in the log that
 * will not be purged.
 *
 * A round costs as many bytes as are alive, and begins when the garbage is as much and a floor: at most every byte is written
 * twice, and the log is at most three times what is alive, and the floor.
 */

export interface LogCompactionOptions {
  /** Garbage that is not worth a round; default 64 MiB. */
  readonly floorBytes?: number;
  /** What the log may hold; Infinity without a bound. */
  readonly bytesMax: number;
}

/** 64 MiB: a round of a small queue is then seldom, and starting from the log takes a second. */
const FLOOR_BYTES = 64 * 1024 ** 2;
/** Of a bound, what is never filled with tasks: results, acknowledgements and the round itself need it. */
const RESERVED_SHARE = 0.1;
/** With a bound, garbage of this share of it is enough for a round. */
const GARBAGE_SHARE = 0.2;

export class LogCompaction {
  readonly #floorBytes: number;
  readonly #bytesMax: number;
  #logBytes: number;
  /** At most so many bytes are alive: those of the last round and all that came since. */
  #liveBytes: number;
  /** Whether a round has counted what is alive. */
  #counted = false;
  #round: { readonly firstSequence: number; copiedBytes: number; cameBytes: number } | undefined;

  /** @param logBytes what is in the log; how much of it is alive is not known before the first round */
  constructor({ floorBytes = FLOOR_BYTES, bytesMax }: LogCompactionOptions, logBytes: number) {
    this.#floorBytes = floorBytes;
    this.#bytesMax = bytesMax;
    this.#logBytes = logBytes;
    this.#liveBytes = logBytes;
  }

  get isRunning(): boolean {
    return this.#round !== undefined;
  }

  get logBytes(): number {
    return this.#logBytes;
  }

  /** The log grew; `copiedBytes` of that are a round's copies, `liveBytes` new tasks and results. */
  wrote({ bytes, copiedBytes, liveBytes }: { bytes: number; copiedBytes: number; liveBytes: number }): void {
    this.#logBytes += bytes;
    this.#liveBytes += liveBytes;
    if (!this.#round) return;
    this.#round.copiedBytes += copiedBytes;
    this.#round.cameBytes += liveBytes;
  }

  /** Whether a round should begin now. */
  get isDue(): boolean {
    if (this.#round) return false;
    if (!this.#counted) return this.#logBytes > Math.min(2 * this.#floorBytes, this.#bytesMax * GARBAGE_SHARE);
    const garbage = this.#logBytes - this.#liveBytes;
    return garbage > Math.min(this.#liveBytes + this.#floorBytes, this.#bytesMax * GARBAGE_SHARE);
  }

  /** @param firstSequence where the round's first entry will stand */
  begin(firstSequence: number): void {
    this.#round = { firstSequence, copiedBytes: 0, cameBytes: 0 };
  }

  /** All is copied. @returns the sequence before which everything may go */
  end(): number {
    const { firstSequence, copiedBytes, cameBytes } = this.#round!;
    this.#round = undefined;
    this.#liveBytes = copiedBytes + cameBytes;
    this.#counted = true;
    return firstSequence;
  }

  /** What the log holds after a purge, as NATS says. */
  measured(logBytes: number): void {
    this.#logBytes = logBytes;
    this.#liveBytes = Math.min(this.#liveBytes, logBytes);
  }

  /** Whether new tasks of so many bytes can come in and leave room for results, and for a round that copies all. */
  hasRoom(bytes: number): boolean {
    return this.#logBytes + this.#liveBytes + 2 * bytes <= this.#bytesMax * (1 - RESERVED_SHARE);
  }
}
