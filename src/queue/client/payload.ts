/**
 * ● Payloads and results as they travel: JSON unless told otherwise, checked against a schema (Standard Schema: zod, valibot,
 * arktype …) at both ends when there is one.
 */
import { Buffer } from "node:buffer";
import type { StandardSchemaV1 } from "@standard-schema/spec";
import { messageOf, OperationError, UsageError } from "../../core/errors.ts";
import { CARRIED_BYTES_MAX } from "../limits.ts";

/** Turns values into bytes and back. */
export interface Codec<T> {
  encode(value: T): Uint8Array;
  decode(bytes: Uint8Array): T;
}

/** JSON; `undefined` is no bytes. */
export const jsonCodec: Codec<unknown> = {
  encode: (value) => (value === undefined ? Buffer.alloc(0) : Buffer.from(JSON.stringify(value))),
  decode: (bytes) => (bytes.length === 0 ? undefined : JSON.parse(textOf(bytes))),
};

/** Bytes as they are: for workers and producers in other languages, or with another format. */
export const bytesCodec: Codec<Uint8Array> = { encode: (value) => value, decode: (bytes) => bytes };

export function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString();
}

/** A codec and a schema together. */
export class Payload<T> {
  readonly #what: string;
  readonly #codec: Codec<T>;
  readonly #schema: StandardSchemaV1<unknown, T> | undefined;

  constructor(what: string, codec: Codec<T>, schema: StandardSchemaV1<unknown, T> | undefined) {
    this.#what = what;
    this.#codec = codec;
    this.#schema = schema;
  }

  /** @throws UsageError QUEUE_PAYLOAD_INVALID */
  async encode(value: T): Promise<Uint8Array> {
    return this.#codec.encode(this.#schema ? await this.#check(value) : value);
  }

  /** True when nothing needs to be waited for. */
  get direct(): boolean {
    return this.#schema === undefined;
  }

  encodeNow(value: T): Uint8Array {
    return this.#codec.encode(value);
  }

  /** @throws UsageError QUEUE_PAYLOAD_INVALID when the bytes cannot be decoded or do not match */
  async decode(bytes: Uint8Array): Promise<T> {
    const value = this.decodeNow(bytes);
    return this.#schema ? this.#check(value) : value;
  }

  decodeNow(bytes: Uint8Array): T {
    try {
      return this.#codec.decode(bytes);
    } catch (error) {
      throw new UsageError("QUEUE_PAYLOAD_INVALID", `Cannot decode ${this.#what}: ${messageOf(error)}`, { cause: error });
    }
  }

  async #check(value: unknown): Promise<T> {
    const outcome = await this.#schema!["~standard"].validate(value);
    if (!outcome.issues) return outcome.value;
    const issues = outcome.issues.map(({ message, path }) => {
      const at = path?.map((part) => (typeof part === "object" ? String(part.key) : String(part))).join(".");
      return at ? `${at}: ${message}` : message;
    });
    throw new UsageError("QUEUE_PAYLOAD_INVALID", `Cannot use ${this.#what}: ${issues.join("; ")}`);
  }
}

/**
 * A message that is too long would end its connection, be sent again after it, and end the next.
 *
 * @throws OperationError QUEUE_BODY_TOO_LARGE when these do not go into one message, whatever the broker allows
 */
export function mustFit(bodies: readonly Uint8Array[]): void {
  let bytes = 0;
  for (const body of bodies) bytes += body.length;
  if (bytes > CARRIED_BYTES_MAX) {
    throw new OperationError(
      "QUEUE_BODY_TOO_LARGE",
      `Cannot send ${bytes} bytes at once: at most ${CARRIED_BYTES_MAX} are allowed`,
    );
  }
}
