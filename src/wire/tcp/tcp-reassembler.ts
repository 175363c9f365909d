/**
 * ○ Reassembles one direction of a TCP conversation: drops repeated bytes, buffers out-of-order segments up to a limit until the gap
 * before them is filled, and reports a gap that will not be filled once. May start in the middle of a conversation.
 */
import { REASSEMBLY_BYTES_MAX } from "../limits.ts";
import { after, wrapped } from "./tcp-analysis.ts";

/** Bytes in order, or the number of missing bytes. */
export type Piece = Uint8Array | { readonly missing: number };

/** Memory of a buffered segment besides its bytes: a million one-byte segments must not count as 1 MB. */
const HELD_OVERHEAD_BYTES = 512;

interface Held {
  readonly sequence: number;
  readonly payload: Uint8Array;
}

export class TcpReassembler {
  #next: number | undefined;
  /** Sorted by sequence number, all after the bytes returned so far. */
  #held: Held[] = [];
  #heldBytes = 0;

  /** Bytes buffered after a gap, with the overhead of each segment. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** The connection starts here: SYN takes one sequence number. */
  start(sequence: number): void {
    this.#next = wrapped(sequence + 1);
    this.#held = [];
    this.#heldBytes = 0;
  }

  /**
   * Takes a segment's payload.
   *
   * @param length on the network; more than `payload` holds if the capture was truncated
   * @returns the bytes that are now in order
   */
  push(sequence: number, payload: Uint8Array, length: number): Piece[] {
    if (length === 0) return [];
    this.#next ??= sequence;
    const pieces: Piece[] = [];
    if (after(sequence, this.#next)) {
      this.#hold(sequence, payload);
      if (this.#heldBytes > REASSEMBLY_BYTES_MAX) this.#skipGap(pieces);
      return pieces;
    }
    this.#take(sequence, payload, length, pieces);
    this.#drain(pieces);
    return pieces;
  }

  /** The other side acknowledged up to here: missing bytes before it were not captured and will not follow. */
  acknowledged(sequence: number): Piece[] {
    const pieces: Piece[] = [];
    const first = this.#held[0];
    if (first && this.#next !== undefined && !after(first.sequence, sequence)) this.#skipGap(pieces);
    return pieces;
  }

  #take(sequence: number, payload: Uint8Array, length: number, pieces: Piece[]): void {
    const known = wrapped(this.#next! - sequence);
    if (known >= length) return;
    if (payload.length > known) pieces.push(payload.subarray(known));
    const missing = length - Math.max(payload.length, known);
    if (missing > 0) pieces.push({ missing });
    this.#next = wrapped(sequence + length);
  }

  #hold(sequence: number, payload: Uint8Array): void {
    const before = this.#held.findLastIndex((held) => !after(held.sequence, sequence));
    const same = this.#held[before];
    if (same?.sequence === sequence && same.payload.length >= payload.length) return;
    this.#held.splice(before + 1, 0, { sequence, payload });
    this.#heldBytes += payload.length + HELD_OVERHEAD_BYTES;
  }

  #skipGap(pieces: Piece[]): void {
    const first = this.#held[0]!;
    pieces.push({ missing: wrapped(first.sequence - this.#next!) });
    this.#next = first.sequence;
    this.#drain(pieces);
  }

  #drain(pieces: Piece[]): void {
    for (let first = this.#held[0]; first && !after(first.sequence, this.#next!); first = this.#held[0]) {
      this.#held.shift();
      this.#heldBytes -= first.payload.length + HELD_OVERHEAD_BYTES;
      this.#take(first.sequence, first.payload, first.payload.length, pieces);
    }
  }
}
