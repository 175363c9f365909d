/**
 * ○ Requests → bytes of memcached's text protocol: the classic commands, which every server of the last twenty years supports, and
 * the meta commands for keys that must go as base64 and for what only they can express.
 */
import { Buffer } from "node:buffer";
import { ReplyDecoder } from "../../../memcached/reply-decoder.ts";
import type { InFlightBatch } from "./in-flight.ts";
import type { CommandFields, CommandRequest, Verb } from "../operations/operation.ts";
import type { ClientProtocol } from "./client-protocol.ts";
import { isBase64 } from "../operations/wire-key.ts";
import type { WriteBuffer } from "./write-buffer.ts";

/** Meta `ms` mode of each storing verb. */
const META_MODE: Readonly<Partial<Record<Verb, string>>> = { add: "E", replace: "R", append: "A", prepend: "P" };

/** The text and meta protocol on one connection. */
export class TextProtocol implements ClientProtocol {
  readonly decoder: ReplyDecoder;
  #token = 0;

  constructor(valueBytesMax: number) {
    this.decoder = new ReplyDecoder(valueBytesMax);
  }

  encodeGet(batch: InFlightBatch, out: WriteBuffer): void {
    const { keys, verb } = batch;
    const first = keys[0]!;
    if (verb === "mg") {
      // Quiet misses; each hit is named by its position, so that a key in base64 need not be compared.
      keys.forEach((key, at) => out.latin1(`mg ${isBase64(key) ? `${key.slice(1)} b` : key} v f c t q O${at}\r\n`));
      out.latin1("mn\r\n");
      return;
    }
    if (isBase64(first)) {
      // The reply is matched by a token, not by the key: memcached 1.6.18 returns an appended item's binary key unencoded.
      this.#token = (this.#token + 1) % 2 ** 31;
      batch.token = String(this.#token);
      out.latin1(`mg ${first.slice(1)} b f v c O${batch.token}\r\n`);
    } else out.latin1(`${verb} ${keys.length === 1 ? first : keys.join(" ")}\r\n`);
  }

  encodeCommand(command: CommandRequest, out: WriteBuffer): void {
    const { verb, key, fields } = command;
    if (isBase64(key) && verb !== "meta") encodeMeta(verb, key.slice(1), fields, out);
    else encodeClassic(verb, key, fields, out);
  }
}

function encodeClassic(verb: Verb, key: string, fields: CommandFields, out: WriteBuffer): void {
  switch (verb) {
    case "delete":
      out.latin1(`delete ${key}\r\n`);
      return;
    case "touch":
      out.latin1(`touch ${key} ${fields.exptime}\r\n`);
      return;
    case "gat":
      out.latin1(`gat ${fields.exptime} ${key}\r\n`);
      return;
    case "incr":
    case "decr":
      out.latin1(`${verb} ${key} ${fields.delta}\r\n`);
      return;
    case "meta": {
      const { words = "", tail = "", body } = fields;
      if (body === undefined) out.latin1(`${words}${tail}\r\n`);
      else encodeBody(out, body, (length) => `${words} ${length}${tail}`);
      return;
    }
    case "flush_all":
    case "stats":
    case "version":
    case "config":
      out.latin1(`${verb}${fields.words ? ` ${fields.words}` : ""}\r\n`);
      return;
    default: {
      const head = `${verb} ${key} ${fields.flags ?? 0} ${fields.exptime ?? 0} `;
      encodeBody(out, fields.body!, (length) => `${head}${length}${verb === "cas" ? ` ${fields.cas}` : ""}`);
    }
  }
}

/** The meta form of a classic command, for a key in base64; its replies are read as the classic ones are. */
function encodeMeta(verb: Verb, key: string, fields: CommandFields, out: WriteBuffer): void {
  const { flags = 0, exptime = 0, cas } = fields;
  switch (verb) {
    case "delete":
      out.latin1(`md ${key} b\r\n`);
      return;
    case "touch":
      out.latin1(`mg ${key} b c T${exptime}\r\n`);
      return;
    case "gat":
      out.latin1(`mg ${key} b v f c T${exptime}\r\n`);
      return;
    case "incr":
    case "decr":
      out.latin1(`ma ${key} b v M${verb === "incr" ? "I" : "D"} D${fields.delta}\r\n`);
      return;
    default: {
      const mode = META_MODE[verb] ? ` M${META_MODE[verb]}` : "";
      const expected = cas === undefined ? "" : ` C${cas}`;
      encodeBody(out, fields.body!, (length) => `ms ${key} ${length} b F${flags} T${exptime}${mode}${expected}`);
    }
  }
}

function encodeBody(out: WriteBuffer, body: string | Uint8Array, line: (length: number) => string): void {
  if (typeof body === "string") {
    const length = Buffer.byteLength(body);
    out.latin1(`${line(length)}\r\n`);
    out.utf8(body, length);
  } else {
    out.latin1(`${line(body.length)}\r\n`);
    out.bytes(body);
  }
  out.latin1("\r\n");
}
