/**
 * ○ What the workers last said of their progress, for those who begin to watch later. Invariant: no more than PROGRESS_BYTES_MAX
 * in all; past it what was said longest ago is forgotten. What a lost lease said is never told.
 */
import type { LeaseRef } from "./dispatcher.ts";

/** 16 KiB: progress is a number or a sentence; what is longer is told to those who watch, and not kept. */
const ONE_BYTES_MAX = 16 * 1024;
/** 16 MiB: a thousand of the longest, a hundred thousand of the usual. */
const PROGRESS_BYTES_MAX = 16 * 1024 ** 2;
/** What an entry costs beside its bytes. */
const ENTRY_BYTES = 150;

interface Said {
  readonly token: number;
  readonly bytes: Uint8Array;
}

export class LastProgress {
  /** In the order in which it was said. */
  readonly #said = new Map<number, Said>();
  #bytes = 0;

  said({ id, token }: LeaseRef, bytes: Uint8Array): void {
    this.forget(id);
    if (bytes.length > ONE_BYTES_MAX) return;
    // The network's buffer is not kept for a few bytes of it.
    this.#said.set(id, { token, bytes: new Uint8Array(bytes) });
    this.#bytes += bytes.length + ENTRY_BYTES;
    for (const oldest of this.#said.keys()) {
      if (this.#bytes <= PROGRESS_BYTES_MAX) return;
      this.forget(oldest);
    }
  }

  /** Under the lease that the task has now; undefined when it said nothing, or too much. */
  of({ id, token }: LeaseRef): Uint8Array | undefined {
    const said = this.#said.get(id);
    return said?.token === token ? said.bytes : undefined;
  }

  /** The task has ended. */
  forget(id: number): void {
    const said = this.#said.get(id);
    if (!said) return;
    this.#said.delete(id);
    this.#bytes -= said.bytes.length + ENTRY_BYTES;
  }
}
