/**
 * ○ Values ↔ bytes and flags. memcached keeps 32 bits of flags with each item; clients note in them what the bytes are, each in
 * its own way: here are ours, and those of other packages for Node.
 */
import { Buffer } from "node:buffer";
import type { StandardSchemaV1 } from "@standard-schema/spec";
import { ProtocolError, UsageError, messageOf } from "../../../core/errors.ts";
import { TAGGED_FLAG } from "./tagged.ts";

/** A value as it is sent. */
export interface Encoded {
  /** Text is sent as UTF-8. */
  readonly bytes: string | Uint8Array;
  /** 0 to 2^32-1. */
  readonly flags: number;
}

/** Turns values of one type into bytes and back. Both ways are synchronous and may throw. */
export interface Codec<T> {
  encode(value: T): Encoded;
  /** @param bytes borrowed: copy what must outlive the call */
  decode(bytes: Buffer, flags: number): T;
  /** As `decode` of `bytes[start, end)`, for codecs that need no view of it: one object fewer for each value read. */
  decodePart?(bytes: Buffer, start: number, end: number, flags: number): T;
}

/**
 * What a codec gave, checked: text that UTF-8 can carry or bytes, and flags of 32 bits that mean no lease.
 *
 * @throws UsageError CACHE_VALUE_INVALID
 */
export function checked(encoded: Encoded): Encoded {
  const { bytes, flags } = encoded;
  if (typeof bytes === "string") {
    if (!bytes.isWellFormed()) throw notStorable("text with half of a surrogate pair, which has no bytes in UTF-8");
  } else if (!((bytes as unknown) instanceof Uint8Array)) {
    throw notStorable(`a value of type ${bytes === null ? "null" : typeof bytes}: it must be text or a Uint8Array`);
  }
  if (flags >>> 0 !== flags) throw notStorable(`flags ${flags}: they must be a whole number from 0 to 2^32-1`);
  if (flags === LEASE_FLAGS) throw notStorable(`flags ${flags}, which mark the placeholder of a lease`);
  if (flags >= TAGGED_FLAG) throw notStorable(`flags ${flags}: those from 2^31 on mark items with tags`);
  return encoded;
}

function notStorable(what: string): UsageError {
  return new UsageError("CACHE_VALUE_INVALID", `Cannot store ${what}`);
}

/** "LEAS" in ASCII: the flags of the placeholder that stands for a value while it is computed (lease.ts). No codec may use them. */
export const LEASE_FLAGS = 0x4c454153;

const JSON_FLAG = 2;
const BYTES_FLAG = 4;
/** A decimal number, as `anyValue` and counters have it. */
export const NUMBER_FLAG = 8;

/**
 * Any value: strings as they are (flags 0), numbers (8), bytes (4, read back as Buffer), everything else as JSON (2). The default.
 */
export const anyValue: Codec<unknown> = {
  encode(value) {
    if (typeof value === "string") return { bytes: value, flags: 0 };
    if (typeof value === "number") return { bytes: String(value), flags: NUMBER_FLAG };
    if (value instanceof Uint8Array) return { bytes: value, flags: BYTES_FLAG };
    return { bytes: toJson(value), flags: JSON_FLAG };
  },
  decode: (bytes, flags) => decodeAny(bytes, 0, bytes.length, flags),
  decodePart: decodeAny,
};

function decodeAny(bytes: Buffer, start: number, end: number, flags: number): unknown {
  switch (flags) {
    case JSON_FLAG:
      return JSON.parse(bytes.toString("utf8", start, end));
    case NUMBER_FLAG:
      return Number(bytes.toString("latin1", start, end));
    case BYTES_FLAG:
      return Buffer.from(bytes.subarray(start, end));
    default:
      return bytes.toString("utf8", start, end);
  }
}

/** UTF-8 text; flags 0. */
export const text: Codec<string> = {
  encode: (value) => ({ bytes: value, flags: 0 }),
  decode: (bytes) => bytes.toString(),
  decodePart: (bytes, start, end) => bytes.toString("utf8", start, end),
};

/** Bytes as they are; flags 4. What is read is the caller's own copy. */
export const bytes: Codec<Uint8Array> = {
  encode: (value) => ({ bytes: value, flags: BYTES_FLAG }),
  decode: (value) => Buffer.from(value),
};

/**
 * Values as the `memcached` package writes them: its flags are those of `anyValue`, but it puts a backslash before each line
 * break and writes bytes as if each were a letter, in UTF-8.
 */
export const memcachedValue: Codec<unknown> = {
  encode(value) {
    const { bytes, flags } = anyValue.encode(value);
    const letters = typeof bytes === "string" ? bytes : Buffer.from(bytes).toString("latin1");
    return { bytes: letters.replaceAll(/[\r\n]/g, "\\$&"), flags };
  },
  decode(bytes, flags) {
    const letters = bytes.toString().replaceAll(/\\([\r\n])/g, "$1");
    return anyValue.decode(Buffer.from(letters, flags === BYTES_FLAG ? "latin1" : "utf8"), flags);
  },
};

/** Values as the `memjs` package keeps them: strings and bytes without flags, read back as Buffer whatever the flags. */
export const memjsValue: Codec<string | Uint8Array> = {
  encode: (value) => ({ bytes: value, flags: 0 }),
  decode: (value) => Buffer.from(value),
};

/**
 * JSON; flags 2.
 *
 * @param schema any Standard Schema (zod, valibot, arktype …), asked when storing and when reading. It must answer synchronously
 * @returns a codec that throws UsageError CACHE_VALUE_INVALID for a value to store that the schema refuses, ProtocolError
 *   CACHE_VALUE_UNREADABLE for one read
 */
export function json<T>(schema?: StandardSchemaV1<unknown, T>): Codec<T> {
  return {
    encode(value) {
      if (schema) check(schema, value, (why) => new UsageError("CACHE_VALUE_INVALID", `Cannot store value: ${why}`));
      return { bytes: toJson(value), flags: JSON_FLAG };
    },
    decode(bytes) {
      const value: unknown = JSON.parse(bytes.toString());
      if (!schema) return value as T;
      return check(schema, value, (why) => new ProtocolError("CACHE_VALUE_UNREADABLE", `Cannot read value: ${why}`));
    },
  };
}

function check<T>(schema: StandardSchemaV1<unknown, T>, value: unknown, refuse: (why: string) => Error): T {
  const result = schema["~standard"].validate(value);
  if (result instanceof Promise)
    throw new UsageError("CACHE_VALUE_INVALID", "Cannot check value: the schema validates asynchronously");
  if (!result.issues) return result.value;
  throw refuse(result.issues.map(({ message }) => message).join("; "));
}

function toJson(value: unknown): string {
  let encoded: string | undefined;
  try {
    encoded = JSON.stringify(value);
  } catch (error) {
    throw new UsageError("CACHE_VALUE_INVALID", `Cannot store value: ${messageOf(error)}`, { cause: error });
  }
  if (encoded === undefined)
    throw new UsageError("CACHE_VALUE_INVALID", `Cannot store value: ${typeof value} cannot be represented in JSON`);
  return encoded;
}
