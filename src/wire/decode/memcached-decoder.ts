/** ○ memcached's protocols, detected by the first byte as memcached does (`-B auto`): 0x80 and 0x81 are binary, all else is text. */
import { BINARY_HEADER_BYTES } from "../../memcached/binary.ts";
import type { Piece } from "../tcp/tcp-reassembler.ts";
import { DecoderBuffer } from "./decoder-buffer.ts";
import { BINARY_MAGIC, binaryHeader, nameBinary } from "./memcached-binary.ts";
import { nameLine } from "./memcached-text.ts";
import { missing, unreadable, type ProtocolDecoder, type DecodedMessage, type Side } from "./decoded-message.ts";

export class MemcachedDecoder implements ProtocolDecoder {
  readonly #buffers: Record<Side, DecoderBuffer> = { client: new DecoderBuffer(), server: new DecoderBuffer() };
  readonly #binary: Record<Side, boolean | undefined> = { client: undefined, server: undefined };
  /** VALUE lines since the last reply ended, to detect a miss. */
  #hits = 0;
  /** True from the first unreadable line of a side until a readable one: reported once, not per line. */
  readonly #lost: Record<Side, boolean> = { client: false, server: false };

  feed(side: Side, piece: Piece): DecodedMessage[] {
    const buffer = this.#buffers[side];
    if (!(piece instanceof Uint8Array)) {
      return buffer.missing(piece.missing) ? [] : [missing("memcached", piece.missing)];
    }
    buffer.push(piece);
    const messages: DecodedMessage[] = [];
    while (buffer.length > 0) {
      this.#binary[side] ??= buffer.at(0) === BINARY_MAGIC[side];
      const before = buffer.length;
      const message = this.#binary[side] ? this.#nextBinary(side, buffer) : this.#nextText(side, buffer);
      if (message) messages.push(message);
      if (buffer.length === before) break;
    }
    return messages;
  }

  #nextText(side: Side, buffer: DecoderBuffer): DecodedMessage | undefined {
    const line = buffer.line();
    if (line === undefined) return undefined;
    const named = line === "endless" ? unreadable("memcached", "line too long") : nameLine(side, line);
    const text = side === "server" ? this.#withOutcome(named.text) : named.text;
    if ("valueBytes" in named) buffer.skip(named.valueBytes ?? 0);
    const wasLost = this.#lost[side];
    this.#lost[side] = named.unreadable === true;
    if (!named.unreadable) return { protocol: "memcached", text };
    return wasLost ? undefined : { protocol: "memcached", text, unreadable: true };
  }

  /** "END" alone is a miss, and so is EN. (END also ends `stats`, whose STAT lines count as found.) */
  #withOutcome(text: string): string {
    if (/^(VALUE|STAT|ITEM) /.test(text)) this.#hits += 1;
    if (text === "EN") return "EN (miss)";
    if (text !== "END") return text;
    const missed = this.#hits === 0;
    this.#hits = 0;
    return missed ? "END (miss)" : "END";
  }

  #nextBinary(side: Side, buffer: DecoderBuffer): DecodedMessage | undefined {
    const header = buffer.peek(BINARY_HEADER_BYTES);
    if (!header) return undefined;
    const lengths = header[0] === BINARY_MAGIC[side] ? binaryHeader(header) : undefined;
    if (!lengths) {
      buffer.clear();
      return unreadable("memcached", "binary header expected");
    }
    const upToKey = BINARY_HEADER_BYTES + lengths.keyAt + lengths.keyBytes;
    const head = buffer.take(upToKey);
    if (!head) return undefined;
    buffer.skip(lengths.bodyBytes - lengths.keyAt - lengths.keyBytes);
    const key = head.subarray(BINARY_HEADER_BYTES + lengths.keyAt);
    return { protocol: "memcached", text: nameBinary(head, lengths, key) };
  }
}
