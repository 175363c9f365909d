/**
 * ● The files of the archive and of the queues' history (`.queues`): read when a board begins, written once a minute and every five and
 * when it closes, as a whole beside the old one that it then replaces. What cannot be read is begun anew, what cannot be written is tried
 * again: a chart is no reason to stop.
 */
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import type { Cancel, Clock } from "../../core/clock.ts";
import { PRIVATE_FILE } from "../../core/private-files.ts";
import { ARCHIVE_SAVE_MS, QUEUE_HISTORY_BYTES_MAX, QUEUE_HISTORY_SAVE_MS } from "../limits.ts";
import { Archive, readArchive } from "./archive.ts";
import { QueueHistory } from "./queue-history.ts";

export class ArchiveFile {
  readonly archive: Archive;
  readonly queues = new QueueHistory();
  readonly #path: string | undefined;
  readonly #clock: Clock;
  #cancel: Cancel | undefined;
  #queuesSavedMs: number;

  /** @param path undefined: it is kept in memory only */
  constructor(path: string | undefined, clock: Clock) {
    this.#path = path;
    this.#clock = clock;
    this.archive = new Archive(path === undefined ? undefined : readArchive(readJson(path)));
    const queues = path === undefined ? undefined : readBytes(queuesOf(path));
    if (queues && queues.length <= QUEUE_HISTORY_BYTES_MAX) this.queues.restore(queues);
    this.#queuesSavedMs = clock.now();
  }

  start(): void {
    this.#cancel = this.#clock.at(this.#clock.now() + ARCHIVE_SAVE_MS, () => {
      this.save({ all: this.#clock.now() - this.#queuesSavedMs >= QUEUE_HISTORY_SAVE_MS });
      this.start();
    });
  }

  close(): void {
    this.#cancel?.();
    this.save();
  }

  /** Never throws. @param all false: without the queues' history, which is larger */
  save({ all = true }: { readonly all?: boolean } = {}): void {
    if (this.#path === undefined) return;
    replace(this.#path, JSON.stringify(this.archive.record));
    if (!all) return;
    this.#queuesSavedMs = this.#clock.now();
    replace(queuesOf(this.#path), this.queues.bytes);
  }
}

function queuesOf(path: string): string {
  return `${path}.queues`;
}

function replace(path: string, content: string | Uint8Array): void {
  try {
    writeFileSync(`${path}.new`, content, { mode: PRIVATE_FILE });
    renameSync(`${path}.new`, path);
  } catch {
    // The disk is full or gone, which the store tells.
  }
}

function readJson(path: string): unknown {
  try {
    return JSON.parse(readBytes(path)?.toString() ?? "");
  } catch {
    return undefined; // there is none yet, or it is damaged
  }
}

function readBytes(path: string): Buffer | undefined {
  try {
    return readFileSync(path);
  } catch {
    return undefined; // there is none yet
  }
}
