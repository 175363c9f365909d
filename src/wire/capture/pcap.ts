/**
 * ○ Classic pcap files, as tcpdump writes them to a pipe: either byte order, microseconds or nanoseconds. Feed, then drain.
 * Layout: 24 octets of header (magic, version 2.4, snapshot length, link type), then 16 octets before each packet.
 */
import { ByteQueue } from "../../core/byte-queue.ts";
import { captureUnreadable, viewOf, type CapturedFrame, type CapturedFrameReader } from "../captured-frame.ts";
import { BLOCK_BYTES_MAX } from "../limits.ts";

const HEADER_BYTES = 24;
const RECORD_HEADER_BYTES = 16;
const MAGIC_MICROSECONDS = 0xa1b2c3d4;
const MAGIC_NANOSECONDS = 0xa1b23c4d;

/** True if these four octets start a classic pcap file. */
export function isPcap(first: Uint8Array): boolean {
  return readMagic(first) !== undefined;
}

export class PcapReader implements CapturedFrameReader {
  readonly #bytes = new ByteQueue();
  #littleEndian = true;
  #nanosecondsPerUnit = 1n;
  /** Undefined until the file header is complete. */
  #linkType: number | undefined;

  push(chunk: Uint8Array): void {
    this.#bytes.push(chunk);
  }

  next(): CapturedFrame | undefined {
    if (this.#linkType === undefined && !this.#readHeader()) return undefined;
    if (this.#bytes.length < RECORD_HEADER_BYTES) return undefined;
    const header = viewOf(this.#bytes.peek(RECORD_HEADER_BYTES));
    const kept = header.getUint32(8, this.#littleEndian);
    if (kept > BLOCK_BYTES_MAX) {
      throw captureUnreadable(`a packet header claims ${kept} bytes`);
    }
    if (this.#bytes.length < RECORD_HEADER_BYTES + kept) return undefined;
    const seconds = BigInt(header.getUint32(0, this.#littleEndian));
    const fraction = BigInt(header.getUint32(4, this.#littleEndian));
    const originalLength = header.getUint32(12, this.#littleEndian);
    this.#bytes.skip(RECORD_HEADER_BYTES);
    return {
      wallNs: seconds * 1_000_000_000n + fraction * this.#nanosecondsPerUnit,
      bytes: this.#bytes.take(kept),
      originalLength: Math.max(kept, originalLength),
      linkType: this.#linkType!,
    };
  }

  get unfinished(): boolean {
    return this.#bytes.length > 0 || this.#linkType === undefined;
  }

  #readHeader(): boolean {
    if (this.#bytes.length < HEADER_BYTES) return false;
    const header = this.#bytes.take(HEADER_BYTES);
    const magic = readMagic(header);
    if (!magic) throw captureUnreadable("it does not start like a pcap file");
    this.#littleEndian = magic.littleEndian;
    this.#nanosecondsPerUnit = magic.nanosecondsPerUnit;
    // The upper octets carry the length of a frame check sequence; the type is the lower sixteen bits.
    this.#linkType = viewOf(header).getUint32(20, this.#littleEndian) & 0xffff;
    return true;
  }
}

function readMagic(first: Uint8Array): { littleEndian: boolean; nanosecondsPerUnit: bigint } | undefined {
  if (first.length < 4) return undefined;
  for (const littleEndian of [true, false]) {
    const magic = viewOf(first).getUint32(0, littleEndian);
    if (magic === MAGIC_MICROSECONDS) return { littleEndian, nanosecondsPerUnit: 1000n };
    if (magic === MAGIC_NANOSECONDS) return { littleEndian, nanosecondsPerUnit: 1n };
  }
  return undefined;
}
