/** ○ Encodes requests and decodes replies: the text and the binary protocol of memcached implement it. */
import type { Buffer } from "node:buffer";
import type { MemcachedReply } from "../../../memcached/reply.ts";
import type { InFlightBatch } from "./in-flight.ts";
import type { CommandRequest } from "../operations/operation.ts";
import type { WriteBuffer } from "./write-buffer.ts";

export interface ClientProtocol {
  readonly decoder: { push(chunk: Buffer, length: number): void; next(): MemcachedReply | undefined };
  encodeGet(batch: InFlightBatch, out: WriteBuffer): void;
  encodeCommand(command: CommandRequest, out: WriteBuffer): void;
}
