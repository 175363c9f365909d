/**
 * ○ Frames → buffers to write. Small bodies are copied behind each other into one batch buffer, so that many messages go out in
 * one write; a large body is passed on as it is. Invariant: after `take` the writer is empty and owns none of the buffers given
 * out; `recycle` gives a batch buffer back once the write is done.
 */
import { Buffer } from "node:buffer";
import { writeHeader, writeOldHeader } from "./frame.ts";
import type { TrafficCipher } from "./mechanism.ts";

/** 64 KiB: one write fills what the kernel takes at once; larger batches measured no faster. */
export const BATCH_BYTES = 64 * 1024;

/** 16 KiB: below, copying is cheaper than one more buffer for the kernel to gather. */
const COPIED_BYTES_MAX = 16 * 1024;

/** 64 spare batch buffers (4 MiB): enough for every connection that writes at one moment; more go back to the collector. */
const SPARE_MAX = 64;
const spare: Buffer[] = [];

/** 128 KiB: a part of 64 KiB, sealed, and its header. */
const SEALED_BYTES = 128 * 1024;

/** 32 of them (4 MiB): a new one for each large part cost a seventh of what sealing and sending it takes. */
const SPARE_SEALED_MAX = 32;
const spareSealed: Buffer[] = [];

const HEADER_BYTES_MAX = 10;

export class FrameWriter {
  #batch: Buffer | undefined;
  /** Where in the batch the octets not yet in `#chunks` begin. */
  #start = 0;
  #at = 0;
  #chunks: Buffer[] = [];
  #batches: Buffer[] = [];
  /** Octets written since the last `take`. */
  length = 0;

  /** Octets as they are, for the greeting. */
  raw(bytes: Uint8Array): void {
    this.#append(bytes, this.#room(bytes.length));
  }

  frame(flags: number, body: Uint8Array): void {
    const batch = this.#room(body.length + HEADER_BYTES_MAX);
    const at = this.#at;
    this.#at = writeHeader(batch, at, flags, body.length);
    this.length += this.#at - at;
    this.#append(body, batch);
  }

  /** A frame whose body a cipher makes of a part. */
  sealedFrame(cipher: TrafficCipher, flags: number, part: Uint8Array): void {
    const bytes = part.length + cipher.overheadBytes;
    if (bytes + HEADER_BYTES_MAX > COPIED_BYTES_MAX) {
      this.#cut();
      this.#sealAlone(cipher, flags, part, bytes);
      return;
    }
    const batch = this.#room(bytes + HEADER_BYTES_MAX);
    const at = writeHeader(batch, this.#at, 0, bytes);
    cipher.seal(flags, part, batch, at);
    this.length += at - this.#at + bytes;
    this.#at = at + bytes;
  }

  /** A large frame in a buffer of its own, header and all, so that it is one chunk to write; up to a length such buffers are used again. */
  #sealAlone(cipher: TrafficCipher, flags: number, part: Uint8Array, bytes: number): void {
    const isSpare = bytes + HEADER_BYTES_MAX <= SEALED_BYTES;
    const frame =
      (isSpare ? spareSealed.pop() : undefined) ?? Buffer.allocUnsafeSlow(isSpare ? SEALED_BYTES : bytes + HEADER_BYTES_MAX);
    const at = writeHeader(frame, 0, 0, bytes);
    cipher.seal(flags, part, frame, at);
    if (isSpare) this.#batches.push(frame);
    this.#chunks.push(frame.subarray(0, at + bytes));
    this.length += at + bytes;
  }

  /** A frame of ZMTP 1.0. */
  oldFrame(flags: number, body: Uint8Array): void {
    const batch = this.#room(body.length + HEADER_BYTES_MAX);
    const at = this.#at;
    this.#at = writeOldHeader(batch, at, flags, body.length);
    this.length += this.#at - at;
    this.#append(body, batch);
  }

  /** The buffers to write, in order, and the batch buffers among them to `recycle` once written. */
  take(): { readonly chunks: readonly Buffer[]; readonly batches: readonly Buffer[] } {
    this.#cut();
    const taken = { chunks: this.#chunks, batches: this.#batches };
    this.#batch = undefined;
    this.#start = 0;
    this.#at = 0;
    this.#chunks = [];
    this.#batches = [];
    this.length = 0;
    return taken;
  }

  /** Room in the batch for a header and, if it is to be copied, the body. */
  #room(bytes: number): Buffer {
    const wanted = bytes > COPIED_BYTES_MAX ? HEADER_BYTES_MAX : bytes;
    if (this.#batch !== undefined && this.#at + wanted <= BATCH_BYTES) return this.#batch;
    this.#cut();
    const batch = spare.pop() ?? Buffer.allocUnsafeSlow(BATCH_BYTES);
    this.#batch = batch;
    this.#batches.push(batch);
    this.#start = 0;
    this.#at = 0;
    return batch;
  }

  #append(body: Uint8Array, batch: Buffer): void {
    const bytes = body.length;
    this.length += bytes;
    if (bytes + HEADER_BYTES_MAX > COPIED_BYTES_MAX) {
      this.#cut();
      this.#chunks.push(Buffer.isBuffer(body) ? body : Buffer.from(body.buffer, body.byteOffset, bytes));
      return;
    }
    batch.set(body, this.#at);
    this.#at += bytes;
  }

  /** Moves what was copied since the last cut to the chunks. */
  #cut(): void {
    if (this.#batch === undefined || this.#at === this.#start) return;
    this.#chunks.push(this.#batch.subarray(this.#start, this.#at));
    this.#start = this.#at;
  }
}

/** Gives batch buffers back. Nobody may read them any more. */
export function recycle(batches: readonly Buffer[]): void {
  for (const batch of batches) {
    if (batch.length === SEALED_BYTES) {
      if (spareSealed.length < SPARE_SEALED_MAX) spareSealed.push(batch);
    } else if (spare.length < SPARE_MAX) spare.push(batch);
  }
}
