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

/** At once where there is nothing to wait for: then it costs no promise. */
export type MaybePromise<T> = T | PromiseLike<T>;

export function isPending<T>(value: MaybePromise<T>): value is PromiseLike<T> {
  return typeof (value as Partial<PromiseLike<T>> | null | undefined)?.then === "function";
}

export function after<T, R>(value: MaybePromise<T>, then: (value: T) => MaybePromise<R>): MaybePromise<R> {
  return isPending(value) ? value.then(then) : then(value);
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

  /** A promise only where the schema has to be waited for. @throws UsageError QUEUE_PAYLOAD_INVALID */
  encode(value: T): MaybePromise<Uint8Array> {
    return after(this.#checked(value), (checked) => this.#codec.encode(checked));
  }

  /** As `encode`. @throws UsageError QUEUE_PAYLOAD_INVALID when the bytes cannot be decoded or do not match */
  decode(bytes: Uint8Array): MaybePromise<T> {
    return this.#checked(this.#decoded(bytes));
  }

  #decoded(bytes: Uint8Array): T {
    try {
      return this.#codec.decode(bytes);
    } catch (error) {
      throw new UsageError("QUEUE_PAYLOAD_INVALID", `Cannot decode ${this.#what}: ${messageOf(error)}`, { cause: error });
    }
  }

  #checked(value: T): MaybePromise<T> {
    return this.#schema ? after(this.#schema["~standard"].validate(value), (outcome) => this.#accepted(outcome)) : value;
  }

  #accepted(outcome: StandardSchemaV1.Result<T>): T {
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
