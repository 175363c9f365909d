/**
 * ● How many commits were acknowledged, in a small file beside the database. SQLite ends its log at the first frame that is broken and
 * drops all commits behind it without a word, as it must after a power cut; a database that knows fewer commits than were acknowledged
 * has lost some, whatever became of it. Invariant: what is counted here is on the disk in the database already. The file itself is
 * never waited for: after a power cut it may be older, and then less is found out.
 */
import { closeSync, constants, openSync, readSync, writeSync } from "node:fs";
import { crc32 } from "node:zlib";
import { codeOf } from "../../core/errors.ts";
import { PRIVATE_FILE } from "../../core/private-files.ts";

/** The count as f64, and its CRC-32. */
const BYTES = 12;

export class AcknowledgedCommits {
  readonly #bytes = new Uint8Array(BYTES);
  readonly #view = new DataView(this.#bytes.buffer);
  readonly #descriptor: number;
  readonly #failed: (error: unknown) => void;
  #isFailing = false;

  /** @param file the path of the database @param failed told when it cannot be written, which harms no commit */
  constructor(file: string, failed: (error: unknown) => void) {
    this.#failed = failed;
    this.#descriptor = openSync(nameOf(file), constants.O_RDWR | constants.O_CREAT, PRIVATE_FILE);
  }

  /** So many are on the disk. 2 us a commit. */
  write(count: number): void {
    this.#view.setFloat64(0, count);
    this.#view.setUint32(8, crc32(this.#bytes.subarray(0, 8)));
    try {
      writeSync(this.#descriptor, this.#bytes, 0, BYTES, 0);
      this.#isFailing = false;
    } catch (error) {
      if (!this.#isFailing) this.#failed(error);
      this.#isFailing = true;
    }
  }

  close(): void {
    closeSync(this.#descriptor);
  }
}

/** How many were acknowledged; 0 when that is not known. */
export function acknowledgedCommits(file: string): number {
  let descriptor: number;
  try {
    descriptor = openSync(nameOf(file), "r");
  } catch (error) {
    if (codeOf(error) === "ENOENT") return 0;
    throw error;
  }
  try {
    const bytes = new Uint8Array(BYTES);
    const isWhole = readSync(descriptor, bytes, 0, BYTES, 0) === BYTES;
    const view = new DataView(bytes.buffer);
    return isWhole && crc32(bytes.subarray(0, 8)) === view.getUint32(8) ? view.getFloat64(0) : 0;
  } finally {
    closeSync(descriptor);
  }
}

function nameOf(file: string): string {
  return `${file}-acknowledged`;
}
