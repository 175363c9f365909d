/**
 * ● The archive's file: read when a board begins, written once a minute and when it closes, as a whole beside the old one that it then
 * replaces. What cannot be read is begun anew, what cannot be written is tried again in a minute: a chart is no reason to stop.
 */
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import type { Cancel, Clock } from "../../core/clock.ts";
import { PRIVATE_FILE } from "../../core/private-files.ts";
import { ARCHIVE_SAVE_MS } from "../limits.ts";
import { Archive, readArchive } from "./archive.ts";

export class ArchiveFile {
  readonly archive: Archive;
  readonly #path: string | undefined;
  readonly #clock: Clock;
  #cancel: Cancel | undefined;

  /** @param path undefined: it is kept in memory only */
  constructor(path: string | undefined, clock: Clock) {
    this.#path = path;
    this.#clock = clock;
    this.archive = new Archive(path === undefined ? undefined : readArchive(readJson(path)));
  }

  start(): void {
    this.#cancel = this.#clock.at(this.#clock.now() + ARCHIVE_SAVE_MS, () => {
      this.save();
      this.start();
    });
  }

  close(): void {
    this.#cancel?.();
    this.save();
  }

  /** Never throws. */
  save(): void {
    if (this.#path === undefined) return;
    const beside = `${this.#path}.new`;
    try {
      writeFileSync(beside, JSON.stringify(this.archive.record), { mode: PRIVATE_FILE });
      renameSync(beside, this.#path);
    } catch {
      // The disk is full or gone, which the store tells.
    }
  }
}

function readJson(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, "utf8"));
  } catch {
    return undefined; // there is none yet, or it is damaged
  }
}
