/**
 * ○ The entries of the queue's log, byte by byte (docs/queue-log.md). A message of the stream is one entry, or one part of an entry
 * that is too long for a message; only its last part makes it whole. The checksum is handed in: this file computes none.
 *
 * ```
 * version u8 = 1 | kind u8 | 0 u16 | checksum u32 (CRC-32 of all that follows) | epoch u32 | serial u32 | writer 8 bytes | last id f64
 * lead (1): JSON | batch (2): changes as in op-codec.ts | part (3): index u32, count u32, bytes of the changes
 * ```
 */
import { Buffer } from "node:buffer";
import { ProtocolError } from "../../core/errors.ts";

export const LEAD = 1;
export const BATCH = 2;
export const PART = 3;

export type EntryKind = typeof LEAD | typeof BATCH | typeof PART;

export interface EntryHead {
  readonly kind: EntryKind;
  /** Which term of leadership: one more with each `lead`. */
  readonly epoch: number;
  /** Counts this writer's entries: tells which of them a message is. All parts of an entry have the same. */
  readonly serial: number;
  /** Who wrote it: 16 random hex digits, new with each start. */
  readonly writer: string;
  /** The largest task number ever given, this entry included. */
  readonly lastId: number;
}

export interface Entry extends EntryHead {
  /** A view into the message. */
  readonly payload: Uint8Array;
}

/** A part's place among the parts of its entry. */
export interface EntryPart {
  readonly index: number;
  readonly count: number;
  readonly bytes: Uint8Array;
}

export type CheckSum = (bytes: Uint8Array) => number;

const VERSION = 1;
export const HEAD_BYTES = 32;
const PART_HEAD_BYTES = 8;
const SUMMED_FROM = 8;

/** An entry as the messages it takes, each of at most `messageBytesMax`. */
export function encodeEntry(
  head: EntryHead,
  payload: Uint8Array,
  { messageBytesMax, checkSum }: { messageBytesMax: number; checkSum: CheckSum },
): Uint8Array[] {
  const room = messageBytesMax - HEAD_BYTES;
  if (payload.length <= room) return [message(head, [payload], checkSum)];
  const step = room - PART_HEAD_BYTES;
  const count = Math.ceil(payload.length / step);
  return Array.from({ length: count }, (_, index) => {
    const place = new Uint8Array(PART_HEAD_BYTES);
    const view = new DataView(place.buffer);
    view.setUint32(0, index);
    view.setUint32(4, count);
    return message({ ...head, kind: PART }, [place, payload.subarray(index * step, (index + 1) * step)], checkSum);
  });
}

function message(head: EntryHead, pieces: readonly Uint8Array[], checkSum: CheckSum): Uint8Array {
  const bytes = new Uint8Array(HEAD_BYTES + pieces.reduce((sum, piece) => sum + piece.length, 0));
  const view = new DataView(bytes.buffer);
  view.setUint8(0, VERSION);
  view.setUint8(1, head.kind);
  view.setUint32(8, head.epoch);
  view.setUint32(12, head.serial);
  bytes.set(Buffer.from(head.writer, "hex"), 16);
  view.setFloat64(24, head.lastId);
  let at = HEAD_BYTES;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.length;
  }
  view.setUint32(4, checkSum(bytes.subarray(SUMMED_FROM)));
  return bytes;
}

/**
 * @param place where the message stands, for the error
 * @throws ProtocolError QUEUE_STORE_CORRUPT
 */
export function decodeEntry(bytes: Uint8Array, { checkSum, place }: { checkSum: CheckSum; place: number }): Entry {
  if (bytes.length < HEAD_BYTES) throw corrupt(place, "is cut short");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (view.getUint8(0) !== VERSION) throw corrupt(place, `has version ${view.getUint8(0)}, which this version cannot read`);
  if (view.getUint32(4) !== checkSum(bytes.subarray(SUMMED_FROM))) throw corrupt(place, "does not match its checksum");
  const kind = view.getUint8(1);
  if (kind !== LEAD && kind !== BATCH && kind !== PART) throw corrupt(place, `is of the unknown kind ${kind}`);
  return {
    kind,
    epoch: view.getUint32(8),
    serial: view.getUint32(12),
    writer: Buffer.from(bytes.subarray(16, 24)).toString("hex"),
    lastId: view.getFloat64(24),
    payload: bytes.subarray(HEAD_BYTES),
  };
}

/** @throws ProtocolError QUEUE_STORE_CORRUPT */
export function decodePart({ payload }: Entry, place: number): EntryPart {
  if (payload.length < PART_HEAD_BYTES) throw corrupt(place, "is cut short");
  const view = new DataView(payload.buffer, payload.byteOffset, payload.length);
  const part = { index: view.getUint32(0), count: view.getUint32(4), bytes: payload.subarray(PART_HEAD_BYTES) };
  if (part.index >= part.count) throw corrupt(place, "is a part that cannot be");
  return part;
}

function corrupt(place: number, what: string): ProtocolError {
  return new ProtocolError("QUEUE_STORE_CORRUPT", `Cannot read the queue's log: the message at ${place} ${what}`);
}

/**
 * Puts parts together. A part whose turn it is not ends what was begun: its writer was cut off in the middle, and what it had written
 * of that entry never happened.
 */
export class EntryAssembler {
  #head: EntryHead | undefined;
  #count = 0;
  #parts: Uint8Array[] = [];

  /** The entry made whole by this message, or undefined: it is a part, and others are missing. */
  push(entry: Entry, place: number): Entry | undefined {
    if (entry.kind !== PART) {
      this.#parts = [];
      return entry;
    }
    const { index, count, bytes } = decodePart(entry, place);
    const head = this.#head;
    const continues =
      head?.writer === entry.writer && head.serial === entry.serial && this.#count === count && this.#parts.length === index;
    if (!continues) this.#parts = [];
    if (!continues && index > 0) return undefined;
    this.#head = entry;
    this.#count = count;
    this.#parts.push(bytes);
    if (this.#parts.length < count) return undefined;
    const payload = new Uint8Array(this.#parts.reduce((sum, part) => sum + part.length, 0));
    let at = 0;
    for (const part of this.#parts) {
      payload.set(part, at);
      at += part.length;
    }
    this.#parts = [];
    this.#head = undefined;
    return { ...entry, kind: BATCH, payload };
  }

  /** An entry has begun and is not whole. */
  get isPartial(): boolean {
    return this.#parts.length > 0;
  }
}
