/**
 * ○ memcached's binary protocol as bytes: a header of 24 bytes, then extras, key and value. Requests are read in place;
 * nothing is allocated per request. All numbers are big-endian. What the verbs do is not here.
 */
import type { U64 } from "./numbers.ts";

export const BINARY_HEADER_BYTES = 24;

/** First byte of a request: `-B auto` recognizes the protocol by it. */
export const BINARY_REQUEST = 0x80;

export const OPCODE = {
  get: 0x00,
  set: 0x01,
  add: 0x02,
  replace: 0x03,
  delete: 0x04,
  increment: 0x05,
  decrement: 0x06,
  quit: 0x07,
  flush: 0x08,
  noop: 0x0a,
  version: 0x0b,
  getk: 0x0c,
  append: 0x0e,
  prepend: 0x0f,
  stat: 0x10,
  touch: 0x1c,
  gat: 0x1d,
  saslListMechanisms: 0x20,
  saslAuth: 0x21,
  saslStep: 0x22,
  gatk: 0x23,
} as const;

/** Quiet opcode → the same command that is not quiet. */
const NOT_QUIET: Readonly<Record<number, number>> = {
  0x09: OPCODE.get,
  0x0d: OPCODE.getk,
  0x11: OPCODE.set,
  0x12: OPCODE.add,
  0x13: OPCODE.replace,
  0x14: OPCODE.delete,
  0x15: OPCODE.increment,
  0x16: OPCODE.decrement,
  0x17: OPCODE.quit,
  0x18: OPCODE.flush,
  0x19: OPCODE.append,
  0x1a: OPCODE.prepend,
  0x1e: OPCODE.gat,
  0x24: OPCODE.gatk,
};
const COMMANDS = Uint8Array.from({ length: 256 }, (_, opcode) => NOT_QUIET[opcode] ?? opcode);

export const STATUS = {
  ok: 0x00,
  notFound: 0x01,
  exists: 0x02,
  tooLarge: 0x03,
  invalid: 0x04,
  notStored: 0x05,
  nonNumeric: 0x06,
  authError: 0x20,
  authContinue: 0x21,
  unknownCommand: 0x81,
  outOfMemory: 0x82,
} as const;

/** memcached's sentence for each status that is an error. */
export const STATUS_TEXT: Readonly<Record<number, string>> = {
  [STATUS.notFound]: "Not found",
  [STATUS.exists]: "Data exists for key.",
  [STATUS.tooLarge]: "Too large.",
  [STATUS.invalid]: "Invalid arguments",
  [STATUS.notStored]: "Not stored.",
  [STATUS.nonNumeric]: "Non-numeric server-side value for incr or decr",
  [STATUS.authError]: "Auth failure.",
  [STATUS.unknownCommand]: "Unknown command",
  [STATUS.outOfMemory]: "Out of memory",
};

/** A request's header, read into one object again and again. */
export class BinaryRequest {
  /** As it was sent, and goes back in the reply. */
  opcode = 0;
  /** The opcode of the same command that is not quiet: one of `OPCODE`, or unknown. */
  command = 0;
  quiet = false;
  keyBytes = 0;
  extraBytes = 0;
  /** Extras, key and value together. */
  bodyBytes = 0;
  /** Four bytes that the reply repeats. */
  opaque = 0;
  readonly cas: U64 = { high: 0, low: 0 };

  /**
   * Reads the header at `at`, of which all 24 bytes are there.
   *
   * @returns false when it is no request: nothing that follows can be trusted
   */
  read(bytes: Uint8Array, at: number): boolean {
    if (bytes[at] !== BINARY_REQUEST) return false;
    this.opcode = bytes[at + 1]!;
    this.command = COMMANDS[this.opcode]!;
    this.quiet = this.command !== this.opcode;
    this.keyBytes = readU16(bytes, at + 2);
    this.extraBytes = bytes[at + 4]!;
    this.bodyBytes = readU32BigEndian(bytes, at + 8);
    this.opaque = readU32BigEndian(bytes, at + 12);
    this.cas.high = readU32BigEndian(bytes, at + 16);
    this.cas.low = readU32BigEndian(bytes, at + 20);
    return true;
  }

  /** Bytes of the value: what the body holds beside extras and key. */
  get valueBytes(): number {
    return this.bodyBytes - this.keyBytes - this.extraBytes;
  }
}

function readU16(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 8) | bytes[at + 1]!;
}

/** An unsigned big-endian 32-bit number. */
export function readU32BigEndian(bytes: Uint8Array, at: number): number {
  return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;
}
