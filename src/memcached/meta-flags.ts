/**
 * ○ The flags of a meta command, read from its tokens before anything is done: a command with a bad flag has no effect. Which
 * flags a command uses is up to the command; here they are only read. One object is used again and again.
 */
import { EMPTY_BUFFER } from "../core/buffers.ts";
import { decodeKey } from "./key-encoding.ts";
import { readI32, readU32, readU64, type U64 } from "./numbers.ts";
import type { Tokens } from "./tokens.ts";

/** memcached's MFLAG_MAX_OPT_LENGTH: tokens of a line. */
const TOKENS_MAX = 20;
/** memcached's MFLAG_MAX_OPAQUE_LENGTH, the O included. */
const OPAQUE_BYTES_MAX = 32;
const KEY_BYTES_MAX = 250;

const ERROR = {
  badFormat: "CLIENT_ERROR bad command line format",
  tooMany: "CLIENT_ERROR options flags are too long",
  duplicate: "CLIENT_ERROR duplicate flag",
  invalid: "CLIENT_ERROR invalid flag",
  key: "CLIENT_ERROR error decoding key",
  token: "CLIENT_ERROR bad token in command line format",
  initial: "CLIENT_ERROR invalid numeric initial value",
  delta: "CLIENT_ERROR invalid numeric delta value",
  opaque: "CLIENT_ERROR opaque token too long",
} as const;

/** Flags that only ask for something, or that are read where they are used. */
const PLAIN = new Set(["O", "P", "L", "k", "s", "t", "c", "f"].map((flag) => flag.charCodeAt(0)));

export class MetaFlags {
  key: Uint8Array = EMPTY_BUFFER;
  keyStart = 0;
  keyBytes = 0;
  /** `b`: the key came in base64 and goes out so. */
  binary = false;
  /** `q` */
  quiet = false;
  /** `v` */
  value = false;
  /** `u`: no bump. */
  noUpdate = false;
  /** `x` */
  removeValue = false;
  /** `I` */
  stale = false;
  /** A flag that looks at the item before the access is noted. */
  inspects = false;
  /** `N` with its time, as written. */
  vivify: number | undefined;
  /** `T` */
  ttl: number | undefined;
  /** `R` */
  recache: number | undefined;
  clientFlags = 0;
  /** `M`, or 0. */
  mode = 0;
  hasCas = false;
  readonly cas: U64 = { high: 0, low: 0 };
  hasCasIn = false;
  readonly casIn: U64 = { high: 0, low: 0 };
  readonly initial: U64 = { high: 0, low: 0 };
  readonly delta: U64 = { high: 0, low: 1 };
  readonly #seen = new Uint8Array(128);

  /**
   * Reads key and flags.
   *
   * @param first the first token that is a flag
   * @returns memcached's error line, or undefined when all is well
   */
  read(tokens: Tokens, first: number): string | undefined {
    this.#reset();
    const { bytes, starts, ends, count } = tokens;
    this.key = bytes;
    this.keyStart = starts[1]!;
    this.keyBytes = tokens.lengthOf(1);
    for (let token = first; token < count; token += 1) {
      const letter = bytes[starts[token]!]!;
      if ((letter <= 64 || letter >= 123) && (letter < 48 || letter > 57)) return ERROR.badFormat;
    }
    if (this.keyBytes > KEY_BYTES_MAX) return ERROR.badFormat;
    if (count > TOKENS_MAX) return ERROR.tooMany;
    let error: string | undefined;
    for (let token = first; token < count; token += 1) {
      const letter = bytes[starts[token]!]!;
      if (letter >= 127 || this.#seen[letter] !== 0) return ERROR.duplicate;
      this.#seen[letter] = 1;
      const wrong = this.#flag(letter, bytes, starts[token]! + 1, ends[token]!);
      if (wrong === ERROR.invalid) return wrong;
      error ??= wrong;
    }
    return error;
  }

  #flag(letter: number, bytes: Uint8Array, start: number, end: number): string | undefined {
    if (PLAIN.has(letter)) return letter === 0x4f && end - start >= OPAQUE_BYTES_MAX ? ERROR.opaque : undefined;
    switch (letter) {
      case 0x62: {
        // b
        const key = decodeKey(bytes, this.keyStart, this.keyStart + this.keyBytes);
        this.binary = true;
        if (!key) return ERROR.key;
        this.key = key;
        this.keyStart = 0;
        this.keyBytes = key.length;
        return undefined;
      }
      case 0x4e: // N
        this.inspects = true;
        this.vivify = time(bytes, start, end);
        return this.vivify === undefined ? ERROR.token : undefined;
      case 0x54: // T
        this.inspects = true;
        this.ttl = time(bytes, start, end);
        return this.ttl === undefined ? ERROR.token : undefined;
      case 0x52: // R
        this.inspects = true;
        this.recache = time(bytes, start, end);
        return this.recache === undefined ? ERROR.token : undefined;
      case 0x6c: // l
      case 0x68: // h
        this.inspects = true;
        return undefined;
      case 0x76: // v
        this.value = true;
        return undefined;
      case 0x75: // u
        this.noUpdate = true;
        return undefined;
      case 0x71: // q
        this.quiet = true;
        return undefined;
      case 0x78: // x
        this.removeValue = true;
        return undefined;
      case 0x49: // I
        this.stale = true;
        return undefined;
      case 0x46: // F
        this.clientFlags = readU32(bytes, start, end);
        return this.clientFlags < 0 ? ERROR.badFormat : undefined;
      case 0x43: // C
        this.hasCas = readU64(bytes, start, end, this.cas);
        return this.hasCas ? undefined : ERROR.token;
      case 0x45: // E
        this.hasCasIn = readU64(bytes, start, end, this.casIn);
        return this.hasCasIn ? undefined : ERROR.token;
      case 0x4d: // M
        this.mode = start < end ? bytes[start]! : 0x20;
        return undefined;
      case 0x4a: // J
        return readU64(bytes, start, end, this.initial) ? undefined : ERROR.initial;
      case 0x44: // D
        return readU64(bytes, start, end, this.delta) ? undefined : ERROR.delta;
      default:
        return ERROR.invalid;
    }
  }

  #reset(): void {
    this.binary = false;
    this.quiet = false;
    this.value = false;
    this.noUpdate = false;
    this.removeValue = false;
    this.stale = false;
    this.inspects = false;
    this.vivify = undefined;
    this.ttl = undefined;
    this.recache = undefined;
    this.clientFlags = 0;
    this.mode = 0;
    this.hasCas = false;
    this.hasCasIn = false;
    this.cas.high = 0;
    this.cas.low = 0;
    this.initial.high = 0;
    this.initial.low = 0;
    this.delta.high = 0;
    this.delta.low = 1;
    this.#seen.fill(0);
  }
}

function time(bytes: Uint8Array, start: number, end: number): number | undefined {
  const value = readI32(bytes, start, end);
  return Number.isNaN(value) ? undefined : value;
}
