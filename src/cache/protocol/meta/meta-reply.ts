/**
 * ○ What replies of the meta protocol are made of: the single flags with their values, in whatever order a command asks for them.
 */
import { Buffer } from "node:buffer";
import { encodeKey } from "../../../memcached/key-encoding.ts";
import type { MetaFlags } from "../../../memcached/meta-flags.ts";
import type { ReplyBuffer } from "../../../memcached/reply-buffer.ts";
import type { Tokens } from "../../../memcached/tokens.ts";
import * as Item from "../../store/item.ts";
import { CR_LF, type ItemStore } from "../../store/item-store.ts";

const SPACE = 0x20;
const code = (word: string): Buffer => Buffer.from(word, "latin1");
const NEVER = code("-1");
const BINARY_MARK = code(" b");

/** The status codes that begin a reply. */
export const STATUS = {
  hd: code("HD"),
  va: code("VA "),
  en: code("EN"),
  ex: code("EX"),
  nf: code("NF"),
  ns: code("NS"),
} as const;

export class MetaReply {
  readonly #store: ItemStore;
  readonly #out: ReplyBuffer;
  readonly #flags: MetaFlags;

  /** @param flags those of the command that is being answered */
  constructor(store: ItemStore, out: ReplyBuffer, flags: MetaFlags) {
    this.#store = store;
    this.#out = out;
    this.#flags = flags;
  }

  error(line: string): void {
    this.#out.text(`${line}\r\n`);
  }

  /** A status with only the opaque and the key to echo. */
  shortReply(status: Buffer, tokens: Tokens): void {
    const out = this.#out;
    out.put(status);
    for (let token = 2; token < tokens.count; token += 1) {
      const letter = tokens.bytes[tokens.starts[token]!];
      if (letter === 0x4f) this.opaque(tokens, token);
      else if (letter === 0x6b) this.askedKey();
    }
    out.put(CR_LF);
  }

  flag(letter: number): void {
    this.#out.byte(SPACE);
    this.#out.byte(letter);
  }

  ttl(item: number): void {
    this.flag(0x74);
    const expiry = Item.expiry(this.#store.items.words, item);
    if (expiry === 0) this.#out.put(NEVER);
    else this.#out.number((expiry - this.#store.now) >>> 0);
  }

  opaque(tokens: Tokens, token: number): void {
    this.#out.byte(SPACE);
    this.#out.copy(tokens.bytes, tokens.starts[token]!, tokens.lengthOf(token));
  }

  /** `k` with the item's key, in base64 when it came so. */
  keyOf(item: number): void {
    this.flag(0x6b);
    this.itemKey(item);
    if (Item.has(this.#store.items.words, item, Item.BINARY_KEY)) this.#out.put(BINARY_MARK);
  }

  itemKey(item: number): void {
    const { words, bytes } = this.#store.items;
    const start = Item.keyStart(item);
    const length = Item.keyBytes(words, item);
    if (!Item.has(words, item, Item.BINARY_KEY)) this.#out.copy(bytes, start, length);
    else this.#out.text(encodeKey(bytes, start, start + length));
  }

  /** `k` with the key of the request. */
  askedKey(): void {
    this.flag(0x6b);
    if (!this.#flags.binary) {
      this.#out.copy(this.#flags.key, this.#flags.keyStart, this.#flags.keyBytes);
      return;
    }
    this.#out.text(encodeKey(this.#flags.key as Buffer, 0, this.#flags.keyBytes));
    this.#out.put(BINARY_MARK);
  }

  /** Z: someone else recomputes; X: stale; W: you recompute. */
  leaseFlags(item: number, wonBefore: boolean): void {
    const { words } = this.#store.items;
    const sent = Item.has(words, item, Item.TOKEN_SENT);
    let won = wonBefore;
    if (sent) this.flag(0x5a);
    if (Item.has(words, item, Item.STALE)) {
      this.flag(0x58);
      if (!sent) won = true;
    }
    if (!won) return;
    this.flag(0x57);
    Item.setFlags(words, item, Item.TOKEN_SENT);
  }
}
