/**
 * ● Codecs that compress. Impure only for node:zlib alone. Synchronous, so that a value is decoded where its bytes still
 * lie: 100 KB cost about half a millisecond. What another client compressed is told by its flag bit, never by looking at bytes.
 */
import { Buffer } from "node:buffer";
import { constants, deflateRawSync, inflateRawSync, zstdCompressSync, zstdDecompressSync } from "node:zlib";
import { UsageError } from "../../../core/errors.ts";
import { sizeBytes, type Size } from "../../../core/units.ts";
import { anyValue, type Codec } from "./codec.ts";
import { VALUE_BYTES_MAX } from "./limits.ts";

/** Bits beyond the 16 that other clients use. */
const ZSTD_FLAG = 1 << 16;
const DEFLATE_FLAG = 1 << 17;

/** 1 KiB: below it, what is saved is less than what a value's key and header take anyway. */
const OVER_BYTES_DEFAULT = 1024;

/** Options of `compressed`. */
export interface CompressionOptions {
  /** "zstd" (the default) or "deflate". */
  readonly method?: "zstd" | "deflate";
  /** Values of at most this size stay as they are; default "1k". */
  readonly over?: Size;
  /** zstd 1 to 22, default 3; deflate 1 to 9, default 6. */
  readonly level?: number;
}

/**
 * A codec whose values over a size are compressed, where that makes them smaller. Reads both methods, and values that are not
 * compressed.
 *
 * @throws UsageError CACHE_OPTION_INVALID or UNIT_INVALID
 */
export function compressed<T>(codec: Codec<T>, options: CompressionOptions = {}): Codec<T> {
  const { method = "zstd", level } = options;
  const overBytes = sizeBytes(options.over ?? OVER_BYTES_DEFAULT, "over");
  if (method !== "zstd" && method !== "deflate") {
    throw new UsageError("CACHE_OPTION_INVALID", `Cannot compress with '${String(method)}': use zstd or deflate`);
  }
  const shrink =
    method === "zstd"
      ? (bytes: string | Uint8Array) =>
          zstdCompressSync(bytes, { params: level === undefined ? {} : { [constants.ZSTD_c_compressionLevel]: level } })
      : (bytes: string | Uint8Array) => deflateRawSync(bytes, level === undefined ? {} : { level });
  const flag = method === "zstd" ? ZSTD_FLAG : DEFLATE_FLAG;
  return {
    encode(value) {
      const plain = codec.encode(value);
      if (plain.bytes.length <= overBytes) return plain;
      const bytes = shrink(plain.bytes);
      return bytes.length < plain.bytes.length ? { bytes, flags: plain.flags | flag } : plain;
    },
    decode(bytes, flags) {
      if (flags & ZSTD_FLAG) return codec.decode(zstdDecompressSync(bytes, BOUNDED), flags & ~ZSTD_FLAG);
      if (flags & DEFLATE_FLAG) return codec.decode(inflateRawSync(bytes, BOUNDED), flags & ~DEFLATE_FLAG);
      return codec.decode(bytes, flags);
    },
  };
}

/** No value grows past what the client would accept uncompressed. */
const BOUNDED = { maxOutputLength: VALUE_BYTES_MAX } as const;

const THEIR_ZSTD_FLAG = 1;
const THEIR_JSON_FLAG = 2;
const THEIR_NUMBER_FLAG = 4;
const THEIR_BYTES_FLAG = 8;

/** Values as the `memcache-client` package marks them: JSON 2, number 4, bytes 8, and 1 for compressed, which is read as zstd. */
export const memcacheClientValue: Codec<unknown> = {
  encode(value) {
    const { bytes } = anyValue.encode(value);
    if (typeof value === "string") return { bytes, flags: 0 };
    if (typeof value === "number") return { bytes, flags: THEIR_NUMBER_FLAG };
    return { bytes, flags: value instanceof Uint8Array ? THEIR_BYTES_FLAG : THEIR_JSON_FLAG };
  },
  decode(bytes, flags) {
    const plain = flags & THEIR_ZSTD_FLAG ? zstdDecompressSync(bytes, BOUNDED) : bytes;
    switch (flags & ~THEIR_ZSTD_FLAG) {
      case THEIR_JSON_FLAG:
        return JSON.parse(plain.toString());
      case THEIR_NUMBER_FLAG:
        return Number(plain.toString("latin1"));
      case THEIR_BYTES_FLAG:
        return Buffer.from(plain);
      default:
        return plain.toString();
    }
  },
};
