/**
 * ● Room on the disk that is kept free for the day when it is full: a file that is given up then, so that workers finish, results are
 * written and a broker starts. From then on the store is full, whatever room there is, until the file is made again.
 */
import { closeSync, fsyncSync, openSync, rmSync, statfsSync, statSync, writeSync } from "node:fs";
import { randomFillSync } from "node:crypto";
import { dirname } from "node:path";

/** 1 MiB written at once. */
const CHUNK_BYTES = 1024 ** 2;
/** No more than a quarter of a small disk. */
const SHARE_MAX = 1 / 4;
/** 1 MiB more than the file must be free before it is made again: room for a start and for the log that leads there. */
const SLACK_BYTES = 1024 ** 2;

export class Reserve {
  readonly #name: string;
  readonly #bytes: number;

  /** @param file the path of the database @param bytes 0: none */
  constructor(file: string, bytes: number) {
    this.#name = `${file}-reserve`;
    const { blocks, bsize } = statfsSync(dirname(file));
    this.#bytes = Math.min(bytes, Math.floor(blocks * bsize * SHARE_MAX));
  }

  /** Bytes that must be free before it is made again; 0 = there is none to make. */
  get missing(): number {
    return this.#bytes === 0 ? 0 : this.#bytes + SLACK_BYTES;
  }

  /** Makes it, where it is not there. @returns whether it is there now */
  make(): boolean {
    const size = statSync(this.#name, { throwIfNoEntry: false })?.size ?? 0;
    if (this.#bytes === 0 || size !== this.#bytes) this.release();
    if (this.#bytes === 0 || size === this.#bytes) return true;
    const { bavail, bsize } = statfsSync(dirname(this.#name));
    if (bavail * bsize < this.missing) return false;
    try {
      this.#write();
      return true;
    } catch {
      // Somebody else took the room meanwhile.
      this.release();
      return false;
    }
  }

  /** Gives the room up. @returns whether there was any */
  release(): boolean {
    const isThere = statSync(this.#name, { throwIfNoEntry: false }) !== undefined;
    rmSync(this.#name, { force: true });
    return isThere;
  }

  /** Bytes by chance: of zeros some file systems would keep nothing. */
  #write(): void {
    const chunk = randomFillSync(new Uint8Array(Math.min(CHUNK_BYTES, this.#bytes)));
    const descriptor = openSync(this.#name, "w", 0o600);
    try {
      for (let at = 0; at < this.#bytes;) at += writeSync(descriptor, chunk, 0, Math.min(chunk.length, this.#bytes - at));
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
  }
}
