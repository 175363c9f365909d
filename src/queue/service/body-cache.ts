/**
 * ○ Bodies of tasks that have not ended and are still in memory, up to a bound in bytes. Full, it takes no more rather than push out old
 * ones: the oldest tasks are the next to go. What is not here is read from the store.
 */

import { Buffer } from "node:buffer";

/** What a cached body costs beside its bytes: a view object and its place in the map, measured at about 150. */
const ENTRY_BYTES = 150;

export class BodyCache {
  readonly #bodies = new Map<number, Uint8Array>();
  readonly #bytesMax: number;
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get bytes(): number {
    return this.#bytes;
  }

  put(id: number, body: Uint8Array): void {
    const bytes = body.length + ENTRY_BYTES;
    if (this.#bytes + bytes > this.#bytesMax) return;
    this.#bodies.set(id, owned(body));
    this.#bytes += bytes;
  }

  /** Until `trim` it is here in any case: what the store has of it is not this yet. */
  hold(id: number, body: Uint8Array): void {
    this.drop(id);
    this.#bodies.set(id, owned(body));
    this.#bytes += body.length + ENTRY_BYTES;
  }

  /** The store has it. */
  trim(id: number): void {
    if (this.#bytes > this.#bytesMax) this.drop(id);
  }

  get(id: number): Uint8Array | undefined {
    return this.#bodies.get(id);
  }

  drop(id: number): void {
    const body = this.#bodies.get(id);
    if (!body) return;
    this.#bodies.delete(id);
    this.#bytes -= body.length + ENTRY_BYTES;
  }
}

/** A body that is a small part of what came from the network is copied, so that it does not keep all of that alive. */
function owned(body: Uint8Array): Uint8Array {
  return body.buffer.byteLength > 2 * body.length ? Buffer.from(body) : body;
}
