/**
 * ○ Bytes of a memcached server → replies of the text and the meta protocol, for a client. Invariants: no byte is searched
 * twice; a value that lies in one chunk is handed out in place, any other is copied once, into a buffer of its own size.
 * It does not know what was asked: whether a reply fits the question is the caller's check.
 *
 * A chunk pushed must be drained (`next()` until undefined) before the next is pushed, and may be overwritten after that.
 */
import { Buffer } from "node:buffer";
import { CR, LF, NINE, SPACE, ZERO } from "../core/ascii.ts";
import { assert } from "../core/assert.ts";
import { EMPTY_BUFFER } from "../core/buffers.ts";
import { ProtocolError } from "../core/errors.ts";
import { MemcachedReply, type ReplyKind } from "./reply.ts";

/** 64 KiB: the longest line any memcached writes (a `stats` value, a watch event with a key of 750 escaped bytes) is far shorter. */
const LINE_BYTES_MAX = 64 * 1024;

const VALUE = Buffer.from("VALUE ");
/** More digits than any number that is exact has; none longer is read. */
const DIGITS_MAX = 15;

const WORDS: readonly ReplyKind[] = [
  "VALUE",
  "VA",
  "END",
  "HD",
  "EN",
  "NF",
  "NS",
  "EX",
  "MN",
  "ME",
  "STORED",
  "NOT_STORED",
  "EXISTS",
  "NOT_FOUND",
  "DELETED",
  "TOUCHED",
  "OK",
  "RESET",
  "STAT",
  "CONFIG",
  "VERSION",
  "ERROR",
  "CLIENT_ERROR",
  "SERVER_ERROR",
];

/** Length and first two letters differ for all words; the letters are compared afterwards. */
const fingerprint = (first: number, second: number, length: number): number => (length << 16) | (first << 8) | second;

const WORD_BY_FINGERPRINT = new Map(
  WORDS.map((word) => [fingerprint(word.charCodeAt(0), word.charCodeAt(1), word.length), word]),
);

export class ReplyDecoder {
  readonly #reply = new MemcachedReply();
  readonly #valueBytesMax: number;
  #chunk: Buffer = EMPTY_BUFFER;
  #length = 0;
  #at = 0;
  /** The start of a line whose end has not arrived; or the line of a value that has not arrived whole. */
  #carry = Buffer.allocUnsafe(512);
  #carried = 0;
  /** Where a value that spans chunks is put together, its CR LF included; undefined between values. */
  #value: Buffer | undefined = undefined;
  #filled = 0;

  /** @param valueBytesMax what a server may announce as one value before the connection is given up */
  constructor(valueBytesMax: number) {
    this.#valueBytesMax = valueBytesMax;
  }

  /** @param length how much of the chunk's beginning counts */
  push(chunk: Buffer, length: number = chunk.length): void {
    assert(this.#at === this.#length, "a chunk is drained before the next is pushed");
    this.#chunk = chunk;
    this.#length = length;
    this.#at = 0;
  }

  /**
   * The next reply, borrowed until the next call, or undefined when more bytes are needed.
   *
   * @throws ProtocolError CACHE_REPLY_INVALID; the connection's state is lost then
   */
  next(): MemcachedReply | undefined {
    if (this.#value) return this.#fill();
    const chunk = this.#chunk;
    const start = this.#at;
    const length = this.#length;
    if (this.#carried === 0 && this.#wholeValue(chunk, start)) return this.#reply;
    let end = start;
    while (end < length && chunk[end] !== LF) end += 1;
    if (end === length) {
      this.#keep(chunk, start, length);
      this.#at = length;
      return undefined;
    }
    this.#at = end + 1;
    if (this.#carried === 0) return this.#read(chunk, start, end);
    this.#keep(chunk, start, end);
    const lineEnd = this.#carried;
    this.#carried = 0;
    return this.#read(this.#carry, 0, lineEnd);
  }

  /**
   * Reads `VALUE <key> <flags> <bytes>` and its value where both lie whole in the chunk, each byte of the line once: nearly all
   * replies to gets. False, and nothing read, for whatever is not exactly that; the long way then says what it is.
   */
  #wholeValue(chunk: Buffer, start: number): boolean {
    const length = this.#length;
    for (let index = 0; index < VALUE.length; index += 1) if (chunk[start + index] !== VALUE[index]) return false;
    const keyStart = start + VALUE.length;
    let at = keyStart;
    while (at < length && chunk[at]! > SPACE) at += 1;
    const keyEnd = at;
    const flagsStart = keyEnd + 1;
    let flags = 0;
    for (at = flagsStart; at < length && chunk[at]! >= ZERO && chunk[at]! <= NINE; at += 1)
      flags = flags * 10 + chunk[at]! - ZERO;
    const sizeStart = at + 1;
    let size = 0;
    const flagsEnd = at;
    for (at = sizeStart; at < length && chunk[at]! >= ZERO && chunk[at]! <= NINE; at += 1) size = size * 10 + chunk[at]! - ZERO;
    const valueStart = at + 2;
    const valueEnd = valueStart + size;
    if (
      keyEnd === keyStart ||
      chunk[keyEnd] !== SPACE ||
      flagsEnd === flagsStart ||
      flagsEnd - flagsStart > DIGITS_MAX ||
      chunk[flagsEnd] !== SPACE ||
      at === sizeStart ||
      at - sizeStart > DIGITS_MAX ||
      chunk[at] !== CR ||
      chunk[at + 1] !== LF ||
      size > this.#valueBytesMax ||
      valueEnd + 2 > length ||
      chunk[valueEnd] !== CR ||
      chunk[valueEnd + 1] !== LF
    )
      return false;
    const reply = this.#reply;
    reply.clear();
    reply.kind = "VALUE";
    reply.line = chunk;
    reply.lineStart = start;
    reply.lineEnd = at;
    reply.restStart = keyStart;
    reply.keyStart = keyStart;
    reply.keyEnd = keyEnd;
    reply.flags = flags;
    reply.value = chunk;
    reply.valueStart = valueStart;
    reply.valueEnd = valueEnd;
    this.#at = valueEnd + 2;
    return true;
  }

  /** Appends part of a line to what is carried. */
  #keep(chunk: Buffer, start: number, end: number): void {
    const needed = this.#carried + end - start;
    if (needed > LINE_BYTES_MAX) throw invalid(`a line of over ${LINE_BYTES_MAX} bytes`);
    if (needed > this.#carry.length) {
      const grown = Buffer.allocUnsafe(needed * 2);
      this.#carry.copy(grown, 0, 0, this.#carried);
      this.#carry = grown;
    }
    chunk.copy(this.#carry, this.#carried, start, end);
    this.#carried = needed;
  }

  #read(line: Buffer, start: number, lf: number): MemcachedReply | undefined {
    const end = lf > start && line[lf - 1] === CR ? lf - 1 : lf;
    const reply = this.#reply;
    reply.clear();
    let wordEnd = start;
    while (wordEnd < end && line[wordEnd] !== SPACE) wordEnd += 1;
    reply.line = line;
    reply.lineStart = start;
    reply.lineEnd = end;
    reply.restStart = Math.min(wordEnd + 1, end);
    reply.kind = kindOf(line, start, wordEnd);
    switch (reply.kind) {
      case "VALUE":
        return this.#body(readValueLine(reply));
      case "CONFIG":
        return this.#body(readValueLine(reply));
      case "VA":
        return this.#body(readMeta(reply, true));
      case "HD":
      case "EN":
      case "NF":
      case "NS":
      case "EX":
        readMeta(reply, false);
        return reply;
      default:
        return reply;
    }
  }

  /** The value of `size` bytes after the line just read: in place when it has arrived, else begun. */
  #body(size: number): MemcachedReply | undefined {
    if (size > this.#valueBytesMax) throw invalid(`a value of ${size} bytes, at most ${this.#valueBytesMax} accepted`);
    const reply = this.#reply;
    const chunk = this.#chunk;
    const start = this.#at;
    const end = start + size;
    if (end + 2 <= this.#length) {
      if (chunk[end] !== CR || chunk[end + 1] !== LF) throw invalid("a value that is longer than announced");
      reply.value = chunk;
      reply.valueStart = start;
      reply.valueEnd = end;
      this.#at = end + 2;
      return reply;
    }
    this.#value = Buffer.allocUnsafe(size + 2);
    this.#filled = 0;
    if (reply.line !== this.#carry) this.#ownLine();
    return this.#fill();
  }

  /** Moves the line into the carry buffer: its chunk will be overwritten before the value is whole. */
  #ownLine(): void {
    const reply = this.#reply;
    const start = reply.lineStart;
    this.#keep(reply.line, start, reply.lineEnd);
    this.#carried = 0;
    reply.line = this.#carry;
    reply.lineStart = 0;
    reply.lineEnd -= start;
    reply.restStart -= start;
    reply.keyStart -= start;
    reply.keyEnd -= start;
  }

  #fill(): MemcachedReply | undefined {
    const value = this.#value!;
    const copied = this.#chunk.copy(value, this.#filled, this.#at, this.#length);
    this.#filled += copied;
    this.#at += copied;
    if (this.#filled < value.length) return undefined;
    const end = value.length - 2;
    if (value[end] !== CR || value[end + 1] !== LF) throw invalid("a value that is longer than announced");
    const reply = this.#reply;
    reply.value = value;
    reply.valueStart = 0;
    reply.valueEnd = end;
    this.#value = undefined;
    return reply;
  }
}

function kindOf(line: Buffer, start: number, end: number): ReplyKind {
  const length = end - start;
  const first = line[start]!;
  if (first >= ZERO && first <= NINE) return isNumber(line, start, end) ? "NUMBER" : "LINE";
  const word = length < 16 ? WORD_BY_FINGERPRINT.get(fingerprint(first, line[start + 1]!, length)) : undefined;
  if (word === undefined) return "LINE";
  for (let index = 2; index < length; index += 1) {
    if (line[start + index] !== word.charCodeAt(index)) return "LINE";
  }
  return word;
}

function isNumber(line: Buffer, start: number, end: number): boolean {
  for (let index = start; index < end; index += 1) {
    if (line[index]! < ZERO || line[index]! > NINE) return false;
  }
  return end - start <= 20;
}

/** Reads `<key> <flags> <bytes>[ <cas>]`; returns the bytes. */
function readValueLine(reply: MemcachedReply): number {
  const { line, lineEnd } = reply;
  let at = reply.restStart;
  reply.keyStart = at;
  while (at < lineEnd && line[at] !== SPACE) at += 1;
  reply.keyEnd = at;
  at += 1;
  const flagsEnd = digitsEnd(line, at, lineEnd);
  reply.flags = readNumber(line, at, flagsEnd);
  at = flagsEnd + 1;
  const sizeEnd = digitsEnd(line, at, lineEnd);
  const size = readNumber(line, at, sizeEnd);
  if (sizeEnd < lineEnd) reply.cas = readCas(line, sizeEnd + 1, lineEnd);
  return size;
}

/** Reads a meta reply's size (VA only) and flags; returns the size. */
function readMeta(reply: MemcachedReply, sized: boolean): number {
  const { line, lineEnd } = reply;
  let at = reply.restStart;
  let size = 0;
  if (sized) {
    const sizeEnd = digitsEnd(line, at, lineEnd);
    size = readNumber(line, at, sizeEnd);
    at = sizeEnd + 1;
  }
  while (at < lineEnd) {
    let end = at;
    while (end < lineEnd && line[end] !== SPACE) end += 1;
    readMetaFlag(reply, at, end);
    at = end + 1;
  }
  return size;
}

function readMetaFlag(reply: MemcachedReply, start: number, end: number): void {
  const { line } = reply;
  switch (line[start]) {
    case 0x66: // f
      reply.flags = readNumber(line, start + 1, end);
      break;
    case 0x63: // c
      reply.cas = readCas(line, start + 1, end);
      break;
    case 0x6b: // k
    case 0x4f: // O: what the asker knows its question by
      reply.keyStart = start + 1;
      reply.keyEnd = end;
      break;
    case 0x74: // t
      reply.ttl = line[start + 1] === 0x2d ? -1 : readNumber(line, start + 1, end);
      break;
    case 0x57: // W
      reply.won = true;
      break;
    case 0x58: // X
      reply.stale = true;
      break;
    case 0x5a: // Z
      reply.claimed = true;
      break;
    default:
      break; // b, s …: asked for by nobody here
  }
}

function digitsEnd(line: Buffer, start: number, end: number): number {
  let at = start;
  while (at < end && line[at]! >= ZERO && line[at]! <= NINE) at += 1;
  if (at < end && line[at] !== SPACE) throw invalid("a number with other letters in it");
  return at;
}

function readNumber(line: Buffer, start: number, end: number): number {
  if (end <= start || end - start > DIGITS_MAX) throw invalid("a number that is missing or too long");
  let value = 0;
  for (let at = start; at < end; at += 1) {
    const digit = line[at]! - ZERO;
    if (digit < 0 || digit > 9) throw invalid("a number with other letters in it");
    value = value * 10 + digit;
  }
  return value;
}

function readCas(line: Buffer, start: number, end: number): bigint {
  if (end - start < 16) return BigInt(readNumber(line, start, end));
  if (!isNumber(line, start, end)) throw invalid("a CAS that is not a number");
  return BigInt(line.toString("latin1", start, end));
}

function invalid(what: string): ProtocolError {
  return new ProtocolError("CACHE_REPLY_INVALID", `Cannot read reply: ${what}`);
}
