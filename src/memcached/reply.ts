/**
 * ○ One reply of a memcached server, as both protocols' decoders hand it out. The decoder owns the only instance and refills it:
 * what a reply holds is borrowed until the next call of `next()`. To keep bytes, copy them.
 */
import { Buffer } from "node:buffer";
import { EMPTY_BUFFER } from "../core/buffers.ts";

/**
 * The reply's first word, as the text protocol writes it; the binary protocol's statuses are given the same words.
 * NUMBER is a bare number (incr, decr); LINE is a line that starts with no known word (a `watch` event, a cachedump ITEM).
 */
export type ReplyKind =
  | "VALUE"
  | "VA"
  | "END"
  | "HD"
  | "EN"
  | "NF"
  | "NS"
  | "EX"
  | "MN"
  | "ME"
  | "STORED"
  | "NOT_STORED"
  | "EXISTS"
  | "NOT_FOUND"
  | "DELETED"
  | "TOUCHED"
  | "OK"
  | "RESET"
  | "STAT"
  | "CONFIG"
  | "VERSION"
  | "NUMBER"
  | "ERROR"
  | "CLIENT_ERROR"
  | "SERVER_ERROR"
  | "LINE";

export class MemcachedReply {
  kind: ReplyKind = "LINE";
  /** The line without its end; for the binary protocol the packet's key or message. */
  line: Buffer = EMPTY_BUFFER;
  lineStart = 0;
  lineEnd = 0;
  /** Where in `line` the key (or the meta protocol's opaque token) stands; empty when the reply names none. */
  keyStart = 0;
  keyEnd = 0;
  /** Where in `line` the words after the first begin. */
  restStart = 0;
  /** The item's client flags; 0 when the reply gives none. */
  flags = 0;
  /** The item's CAS number; 0n when the reply gives none. */
  cas = 0n;
  /** Seconds the item has left (meta flag t); -1 never ends, undefined when the reply does not say. */
  ttl: number | undefined = undefined;
  /** Meta W: this client alone is asked to recompute. */
  won = false;
  /** Meta X: the item is stale. */
  stale = false;
  /** Meta Z: another client was already asked to recompute. */
  claimed = false;
  value: Buffer = EMPTY_BUFFER;
  valueStart = 0;
  valueEnd = 0;
  /** The value as text, where a reader has made it, and who did: further readers of this reply need not. */
  decoded: string | undefined = undefined;
  decodedBy: unknown = undefined;

  /** Forgets what the last reply carried, all but the line. */
  clear(): void {
    this.keyStart = 0;
    this.keyEnd = 0;
    this.flags = 0;
    this.cas = 0n;
    this.ttl = undefined;
    this.won = false;
    this.stale = false;
    this.claimed = false;
    this.value = EMPTY_BUFFER;
    this.decoded = undefined;
    this.decodedBy = undefined;
    this.valueStart = 0;
    this.valueEnd = 0;
  }

  /** What it says of an item, in bytes of its own: to be kept. */
  copy(): MemcachedReply {
    const copy = new MemcachedReply();
    const { kind, flags, cas, ttl, won, stale, claimed } = this;
    const value = Buffer.from(this.valueBytes);
    return Object.assign(copy, { kind, flags, cas, ttl, won, stale, claimed, value, valueEnd: value.length });
  }

  /** True when the reply's key is this one, written one byte a character. */
  keyIs(key: string): boolean {
    const length = key.length;
    if (this.keyEnd - this.keyStart !== length) return false;
    const { line, keyStart } = this;
    for (let index = 0; index < length; index += 1) {
      if (line[keyStart + index] !== key.charCodeAt(index)) return false;
    }
    return true;
  }

  /** The words after the first: an error's sentence, a version, a statistic's name and value. */
  get text(): string {
    return this.line.toString("latin1", this.restStart, this.lineEnd);
  }

  /** The whole line. */
  get wholeLine(): string {
    return this.line.toString("latin1", this.lineStart, this.lineEnd);
  }

  /** The value's bytes, borrowed. */
  get valueBytes(): Buffer {
    return this.value.subarray(this.valueStart, this.valueEnd);
  }

  /** The number of a NUMBER line, or of a value that is one (memcached pads a shrunken counter with spaces). */
  get number(): bigint {
    return BigInt(
      this.kind === "NUMBER"
        ? this.wholeLine.trimEnd()
        : this.value.toString("latin1", this.valueStart, this.valueEnd).trimEnd(),
    );
  }
}
