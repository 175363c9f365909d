/** ○ How questions become bytes and bytes become replies: one of the two protocols of memcached. */
import type { Buffer } from "node:buffer";
import type { Reply } from "../../../memcached/reply.ts";
import type { LookupBatch } from "./in-flight.ts";
import type { Question } from "../operations/operation.ts";
import type { WriteBuffer } from "./write-buffer.ts";

export interface Wire {
  readonly decoder: { push(chunk: Buffer, length: number): void; next(): Reply | undefined };
  encodeLookup(batch: LookupBatch, out: WriteBuffer): void;
  encodeCommand(command: Question, out: WriteBuffer): void;
}
