/** ○ Bytes of an unknown protocol: their number and, on request, the first of them. */
import type { Piece } from "../tcp/tcp-reassembler.ts";
import { missing, type ProtocolDecoder, type DecodedMessage, type Side } from "./decoded-message.ts";
import { showBytes } from "./show.ts";

export class BytesDecoder implements ProtocolDecoder {
  readonly #bodies: boolean;

  constructor({ bodies }: { bodies: boolean }) {
    this.#bodies = bodies;
  }

  feed(_side: Side, piece: Piece): DecodedMessage[] {
    if (!(piece instanceof Uint8Array)) return [missing("bytes", piece.missing)];
    const shown = this.#bodies ? `: '${showBytes(piece, 40)}'` : "";
    return [{ protocol: "bytes", text: `${piece.length} ${piece.length === 1 ? "byte" : "bytes"}${shown}` }];
  }
}
