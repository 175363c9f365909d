/** ○ What callers may send → the parts of a message, without a copy where they are bytes already. */
import { Buffer } from "node:buffer";
import { EMPTY_BUFFER } from "../../core/buffers.ts";
import type { Message } from "../../zmtp/message-parts.ts";
import { wrongType, zmqError } from "../errors.ts";

/** One part of a message received: `receive` gives an array of them. */
export type MessagePart = Buffer;

/** One part, as the caller has it. Strings are sent as UTF-8, null as an empty part, anything else as its text. */
export type MessageLike = NodeJS.ArrayBufferView | ArrayBuffer | SharedArrayBuffer | string | number | null;

/**
 * The parts to send. Bytes are not copied: the caller must leave them alone until they are sent.
 *
 * @throws TypeError when there is none; UsageError EINVAL when there is no part
 */
export function toMessage(message: MessageLike | readonly MessageLike[]): Message {
  if (Buffer.isBuffer(message)) return [message];
  if (!Array.isArray(message)) return [toPart(message as MessageLike)];
  if (message.length === 0) throw zmqError("EINVAL", "Cannot send: a message has at least one part");
  const parts = new Array<Buffer>(message.length);
  for (let index = 0; index < parts.length; index += 1) parts[index] = toPart(message[index] as MessageLike);
  return parts;
}

/** What is neither bytes nor text is sent as its text, as in `zeromq`. @throws TypeError on undefined */
export function toPart(part: MessageLike): Buffer {
  if (typeof part === "string") return Buffer.from(part);
  if (Buffer.isBuffer(part)) return part;
  if (part === null) return EMPTY_BUFFER;
  if (ArrayBuffer.isView(part)) return Buffer.from(part.buffer, part.byteOffset, part.byteLength);
  if (part instanceof ArrayBuffer || part instanceof SharedArrayBuffer) return Buffer.from(part);
  if (part === undefined) throw wrongType("Message must be present");
  return Buffer.from(String(part));
}
