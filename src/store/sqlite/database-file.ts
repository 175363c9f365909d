/**
 * ● The pages of a SQLite file as they are with its log: of each the newest that belongs to a commit. Unlike SQLite it does not end
 * the log at the first frame that is broken: what is in a broken one its rows' checksums say.
 * The log's format: sqlite.org/fileformat2.html, section 4.
 */
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { codeOf } from "../../core/errors.ts";
import { PAGE_BYTES, type PageSource } from "./database-pages.ts";

const LOG_HEADER_BYTES = 32;
const FRAME_HEADER_BYTES = 24;
const FRAME_BYTES = FRAME_HEADER_BYTES + PAGE_BYTES;

export class DatabaseFile implements PageSource {
  readonly #file: OpenFile;
  readonly #log: OpenFile;
  /** Where the newest of each page lies in the log. */
  readonly #inLog = new Map<number, number>();
  readonly count: number;

  /** @param file the path of the database; it need not be there */
  constructor(file: string) {
    this.#file = new OpenFile(file);
    this.#log = new OpenFile(`${file}-wal`);
    this.#readLog();
    let count = Math.ceil(this.#file.size / PAGE_BYTES);
    for (const number of this.#inLog.keys()) count = Math.max(count, number);
    this.count = count;
  }

  page(number: number): Uint8Array {
    const inLog = this.#inLog.get(number);
    return inLog === undefined ? this.#file.read((number - 1) * PAGE_BYTES, PAGE_BYTES) : this.#log.read(inLog, PAGE_BYTES);
  }

  close(): void {
    this.#file.close();
    this.#log.close();
  }

  /** Frames with another salt are of before the log was last begun anew. */
  #readLog(): void {
    const salts: string[] = [];
    for (let at = LOG_HEADER_BYTES; at + FRAME_BYTES <= this.#log.size; at += FRAME_BYTES) {
      salts.push(Buffer.from(this.#log.read(at + 8, 8)).toString("hex"));
    }
    const written = Buffer.from(this.#log.read(16, 8)).toString("hex");
    // The salt of the header, unless the header is what is damaged.
    const salt = salts.includes(written) ? written : salts[0];
    // Frames are written one after the other: what lies before one with this salt is of the same log, damaged or not.
    const last = salts.lastIndexOf(salt ?? "");
    let uncommitted: (readonly [page: number, at: number])[] = [];
    for (let index = 0; index <= last; index += 1) {
      const at = LOG_HEADER_BYTES + index * FRAME_BYTES;
      const view = new DataView(this.#log.read(at, FRAME_HEADER_BYTES).buffer);
      uncommitted.push([view.getUint32(0), at + FRAME_HEADER_BYTES]);
      if (view.getUint32(4) === 0) continue;
      // A number beyond the size of the database at this commit is no page's.
      for (const [page, place] of uncommitted) if (page > 0 && page <= view.getUint32(4)) this.#inLog.set(page, place);
      uncommitted = [];
    }
  }
}

class OpenFile {
  readonly #descriptor: number | undefined;
  readonly size: number;

  constructor(path: string) {
    try {
      this.#descriptor = openSync(path, "r");
    } catch (error) {
      if (codeOf(error) !== "ENOENT") throw error;
    }
    this.size = this.#descriptor === undefined ? 0 : fstatSync(this.#descriptor).size;
  }

  /** Zeros where there is nothing, or what cannot be read. */
  read(at: number, bytes: number): Uint8Array {
    const out = new Uint8Array(bytes);
    if (this.#descriptor === undefined) return out;
    try {
      readSync(this.#descriptor, out, 0, bytes, at);
    } catch (error) {
      if (codeOf(error) !== "EIO") throw error;
    }
    return out;
  }

  close(): void {
    if (this.#descriptor !== undefined) closeSync(this.#descriptor);
  }
}
