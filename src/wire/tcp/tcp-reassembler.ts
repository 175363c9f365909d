/**
 * ○ One direction of a TCP conversation put back in order: repeated bytes are dropped, early ones held until the hole before them
 * is filled, up to a bound; a hole that will not be filled is reported once as a gap. Starts anywhere, so a capture may begin in the
 * middle of a conversation.
 */
import { REASSEMBLY_BYTES_MAX } from "../limits.ts";
import { after, wrapped } from "./tcp-analysis.ts";

/** Bytes in order, or the number of bytes that were never seen. */
export type Piece = Uint8Array | { readonly missing: number };

/** What one held segment costs besides its bytes: a million segments of one byte must not pass for a megabyte. */
const HELD_OVERHEAD_BYTES = 512;

interface Held {
  readonly sequence: number;
  readonly payload: Uint8Array;
}

export class TcpReassembler {
  #next: number | undefined;
  /** Sorted by sequence number, none overlapping what was handed out. */
  #held: Held[] = [];
  #heldBytes = 0;

  /** Bytes held back behind a hole, each segment with its overhead. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** The connection starts here: the SYN's own number takes one place. */
  start(sequence: number): void {
    this.#next = wrapped(sequence + 1);
    this.#held = [];
    this.#heldBytes = 0;
  }

  /**
   * Takes a segment's payload.
   *
   * @param length as it was on the wire; more than `payload` holds when the capture was cut short
   * @returns what can be read now, in order
   */
  push(sequence: number, payload: Uint8Array, length: number): Piece[] {
    if (length === 0) return [];
    this.#next ??= sequence;
    const pieces: Piece[] = [];
    if (after(sequence, this.#next)) {
      this.#hold(sequence, payload);
      if (this.#heldBytes > REASSEMBLY_BYTES_MAX) this.#skipHole(pieces);
      return pieces;
    }
    this.#take(sequence, payload, length, pieces);
    this.#drain(pieces);
    return pieces;
  }

  /** The other side acknowledged up to here, so that what is missing before it was only unseen, and never comes. */
  acknowledged(sequence: number): Piece[] {
    const pieces: Piece[] = [];
    const first = this.#held[0];
    if (first && this.#next !== undefined && !after(first.sequence, sequence)) this.#skipHole(pieces);
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

  #skipHole(pieces: Piece[]): void {
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
