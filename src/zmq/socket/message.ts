/** ○ What callers may send → the parts of a message, without a copy where they are bytes already. */
import { Buffer } from "node:buffer";
import { EMPTY_BUFFER } from "../../core/buffers.ts";
import { UsageError } from "../../core/errors.ts";
import type { Message } from "../../zmtp/message-parts.ts";

/** One part, as the caller has it. Strings are sent as UTF-8, numbers as their decimal text, null as an empty part. */
export type MessageLike = NodeJS.ArrayBufferView | ArrayBuffer | SharedArrayBuffer | string | number | null;

/** The parts to send. Bytes are not copied: the caller must leave them alone until they are sent. @throws UsageError EINVAL */
export function toMessage(message: MessageLike | readonly MessageLike[]): Message {
  if (Buffer.isBuffer(message)) return [message];
  if (!Array.isArray(message)) return [toPart(message as MessageLike)];
  if (message.length === 0) throw new UsageError("EINVAL", "Cannot send: a message has at least one part");
  const parts = new Array<Buffer>(message.length);
  for (let index = 0; index < parts.length; index += 1) parts[index] = toPart(message[index] as MessageLike);
  return parts;
}

/** @throws UsageError EINVAL */
export function toPart(part: MessageLike): Buffer {
  if (typeof part === "string") return Buffer.from(part);
  if (Buffer.isBuffer(part)) return part;
  if (part === null) return EMPTY_BUFFER;
  if (typeof part === "number") return Buffer.from(String(part));
  if (ArrayBuffer.isView(part)) return Buffer.from(part.buffer, part.byteOffset, part.byteLength);
  if (part instanceof ArrayBuffer || part instanceof SharedArrayBuffer) return Buffer.from(part);
  throw new UsageError("EINVAL", `Cannot send a part of type ${typeof part}: bytes, text, a number or null can be sent`);
}
