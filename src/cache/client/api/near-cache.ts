/**
 * ○ Recently read items in the memory of this process, least recently used evicted first, bounded in bytes. Invariants:
 * 0 <= bytes <= bytesMax; a read that began before a change of its key was known is not kept after it; an item is not given out
 * when its own life is over, nor when another server answers for its key. Bytes are kept, not objects, so that no caller sees what
 * another did to a value.
 */
import { Buffer } from "node:buffer";

/** What is kept of an item. */
export interface NearItem {
  readonly bytes: Buffer;
  readonly flags: number;
  /** The version read; 0n where it was not asked for. */
  readonly cas: bigint;
  /** The server that gave it. */
  readonly server: string;
  /** The connection that told its version. */
  readonly connection: number;
  /** It was invalidated, or is computed anew: still a value to read, but none to `fetch`. */
  readonly old: boolean;
}

interface Entry extends NearItem {
  readonly costBytes: number;
  freshUntilMs: number;
}

/** 150: what V8 keeps of a Map entry, the entry object and its Buffer, beside key and value. */
const ENTRY_BYTES = 150;

/** An eighth: one large item must not evict all others. */
const ITEM_SHARE = 8;

export class NearCache {
  readonly #bytesMax: number;
  /** In order of use, the least recent first. */
  readonly #entries = new Map<string, Entry>();
  /** Reads under way: key → how many; and of these, the keys changed meanwhile. */
  readonly #fills = new Map<string, number>();
  readonly #overtaken = new Set<string>();
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** The item while it is fresh. */
  fresh(key: string, nowMs: number): NearItem | undefined {
    const entry = this.#entries.get(key);
    if (!entry || nowMs >= entry.freshUntilMs) return undefined;
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    return entry;
  }

  /** The item even if it is no longer fresh: its version can be compared with the server's. */
  old(key: string): NearItem | undefined {
    return this.#entries.get(key);
  }

  /** The server said that the item is still this version. */
  renew(key: string, cas: bigint, freshUntilMs: number): void {
    const entry = this.#entries.get(key);
    if (entry?.cas === cas) entry.freshUntilMs = freshUntilMs;
  }

  /** A read begins: after a change of the key from now on, what it finds is not kept. `filled` must follow. */
  filling(key: string): void {
    this.#fills.set(key, (this.#fills.get(key) ?? 0) + 1);
  }

  /** The read has ended, with an item or none. */
  filled(key: string, item: NearItem | undefined, freshUntilMs: number): void {
    const left = this.#fills.get(key)! - 1;
    const overtaken = this.#overtaken.has(key);
    if (left > 0) this.#fills.set(key, left);
    else {
      this.#fills.delete(key);
      this.#overtaken.delete(key);
    }
    if (item === undefined) this.#remove(key);
    else if (!overtaken) this.#put(key, item, freshUntilMs);
  }

  /** The item was invalidated: what is kept as old already is no older now. */
  invalidated(key: string): void {
    if (!this.#entries.get(key)?.old) this.changed(key);
  }

  /** The item may have changed. */
  changed(key: string): void {
    if (this.#fills.has(key)) this.#overtaken.add(key);
    this.#remove(key);
  }

  /** Any item of this server may have changed. */
  serverLost(server: string): void {
    for (const [key, entry] of this.#entries) if (entry.server === server) this.#remove(key);
    for (const key of this.#fills.keys()) this.#overtaken.add(key);
  }

  /** Keys may have moved to other servers, whose items are others: what does not lie where its key leads now is forgotten. */
  routesChanged(answersFor: (key: string, server: string) => boolean): void {
    for (const [key, entry] of this.#entries) if (!answersFor(key, entry.server)) this.#remove(key);
  }

  clear(): void {
    for (const key of this.#fills.keys()) this.#overtaken.add(key);
    this.#entries.clear();
    this.#bytes = 0;
  }

  #put(key: string, { bytes, flags, cas, server, connection, old }: NearItem, freshUntilMs: number): void {
    this.#remove(key);
    const costBytes = key.length + bytes.length + ENTRY_BYTES;
    if (costBytes > this.#bytesMax / ITEM_SHARE) return;
    this.#entries.set(key, { bytes: Buffer.from(bytes), flags, cas, server, connection, old, costBytes, freshUntilMs });
    this.#bytes += costBytes;
    for (const oldest of this.#entries.keys()) {
      if (this.#bytes <= this.#bytesMax) break;
      this.#remove(oldest);
    }
  }

  #remove(key: string): void {
    const entry = this.#entries.get(key);
    if (!entry) return;
    this.#entries.delete(key);
    this.#bytes -= entry.costBytes;
  }
}
