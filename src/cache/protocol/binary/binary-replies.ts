/**
 * ○ Replies of the binary protocol to the request at hand. A quiet request is answered only by what it cannot do without: an error,
 * or the value of a `get` that hit.
 */
import { Buffer } from "node:buffer";
import { EMPTY_BUFFER } from "../../../core/buffers.ts";
import { type BinaryRequest, STATUS, STATUS_TEXT } from "../../../memcached/binary.ts";
import { type BinaryReply, writeBinaryHeader, writeBinaryU32 } from "../../../memcached/binary-reply-writer.ts";
import type { ReplyBuffer } from "../../../memcached/reply-buffer.ts";
import { copyValue } from "../../store/chunks.ts";
import * as Item from "../../store/item.ts";
import type { Items } from "../../store/items.ts";
import type { StatLine } from "../cache-session.ts";

/** Client flags, before the value of a `get`. */
const FLAGS_BYTES = 4;

const ERRORS: ReadonlyMap<number, Buffer> = new Map(
  Object.entries(STATUS_TEXT).map(([status, text]) => [Number(status), Buffer.from(text, "latin1")]),
);

export class BinaryReplies {
  readonly #out: ReplyBuffer;
  readonly #items: Items;
  readonly #request: BinaryRequest;

  constructor(out: ReplyBuffer, items: Items, request: BinaryRequest) {
    this.#out = out;
    this.#items = items;
    this.#request = request;
  }

  /** Success without a body. @param item whose CAS number the reply carries; 0 for none */
  done(item = 0): void {
    if (!this.#request.quiet) this.#body(STATUS.ok, EMPTY_BUFFER, item);
  }

  error(status: number): void {
    this.#body(status, ERRORS.get(status)!);
  }

  /** A status with words of its own. */
  text(status: number, text: string): void {
    this.#body(status, Buffer.from(text, "latin1"));
  }

  /** A counter's value as 64 bits, with the CAS number of the item that holds it. */
  number(high: number, low: number, item: number): void {
    if (this.#request.quiet) return;
    this.#header({ ...this.#casOf(item), status: STATUS.ok, extraBytes: 0, keyBytes: 0, bodyBytes: 8 });
    writeBinaryU32(this.#out, high);
    writeBinaryU32(this.#out, low);
  }

  /** An item: its flags, and its key and value where asked for. */
  item(item: number, { key, value }: { key: boolean; value: boolean }): void {
    const { words, bytes } = this.#items;
    const keyBytes = key ? Item.keyBytes(words, item) : 0;
    const valueBytes = value ? Item.length(words, item) - 2 : 0;
    const bodyBytes = FLAGS_BYTES + keyBytes + valueBytes;
    this.#header({ ...this.#casOf(item), status: STATUS.ok, extraBytes: FLAGS_BYTES, keyBytes, bodyBytes });
    writeBinaryU32(this.#out, Item.clientFlags(words, item));
    this.#out.copy(bytes, Item.keyStart(item), keyBytes);
    if (value) copyValue(this.#items, item, valueBytes, this.#out);
  }

  /** A miss of a command that repeats the key. */
  missWithKey(input: Uint8Array, key: number): void {
    const { keyBytes } = this.#request;
    this.#header({ status: STATUS.notFound, extraBytes: 0, keyBytes, bodyBytes: keyBytes, casHigh: 0, casLow: 0 });
    this.#out.copy(input, key, keyBytes);
  }

  /** A reply for each line, and an empty one as the end. */
  stats(lines: readonly StatLine[]): void {
    for (const [name, value] of [...lines, ["", ""] as const]) {
      const key = Buffer.from(name, "latin1");
      const body = Buffer.from(String(value), "latin1");
      const bodyBytes = key.length + body.length;
      this.#header({ status: STATUS.ok, extraBytes: 0, keyBytes: key.length, bodyBytes, casHigh: 0, casLow: 0 });
      this.#out.put(key);
      this.#out.put(body);
    }
  }

  #body(status: number, body: Uint8Array, item = 0): void {
    this.#header({ ...this.#casOf(item), status, extraBytes: 0, keyBytes: 0, bodyBytes: body.length });
    this.#out.put(body);
  }

  #casOf(item: number): Pick<BinaryReply, "casHigh" | "casLow"> {
    const { words } = this.#items;
    return item === 0 ? NO_CAS : { casHigh: Item.casHigh(words, item), casLow: Item.casLow(words, item) };
  }

  #header(reply: BinaryReply): void {
    writeBinaryHeader(this.#out, this.#request, reply);
  }
}

const NO_CAS = { casHigh: 0, casLow: 0 } as const;
