/**
 * ○ pcapng, which Wireshark and dumpcap write: read in either byte order with comments and any clock resolution, written little
 * endian with nanoseconds. A block is type, total length, body padded to four octets, total length again
 * (draft-ietf-opsawg-pcapng, section 3.1); blocks of unknown type are skipped, as the draft requires.
 */
import { ByteQueue } from "../../core/byte-queue.ts";
import { concat, EMPTY, utf8 } from "../../core/bytes.ts";
import { captureUnreadable, viewOf, type CapturedFrame, type CapturedFrameReader } from "../captured-frame.ts";
import { BLOCK_BYTES_MAX } from "../limits.ts";

const BLOCK = { section: 0x0a0d0d0a, interface: 1, packetOld: 2, simplePacket: 3, enhancedPacket: 6 } as const;
const BYTE_ORDER_MAGIC = 0x1a2b3c4d;
const OPTION = { end: 0, comment: 1, interfaceName: 2, application: 4, resolution: 9, offsetSeconds: 14 } as const;
const FRAME_OVERHEAD_BYTES = 12;

interface Interface {
  readonly linkType: number;
  readonly snapshotLength: number;
  readonly unitsPerSecond: bigint;
  readonly offsetSeconds: bigint;
}

/** True if these four octets start a pcapng file. */
export function isPcapng(first: Uint8Array): boolean {
  return first.length >= 4 && viewOf(first).getUint32(0) === BLOCK.section;
}

export class PcapngReader implements CapturedFrameReader {
  readonly #bytes = new ByteQueue();
  #littleEndian = true;
  #started = false;
  #interfaces: Interface[] = [];

  push(chunk: Uint8Array): void {
    this.#bytes.push(chunk);
  }

  next(): CapturedFrame | undefined {
    for (;;) {
      if (this.#bytes.length < FRAME_OVERHEAD_BYTES) return undefined;
      const head = viewOf(this.#bytes.peek(FRAME_OVERHEAD_BYTES));
      if (head.getUint32(0) === BLOCK.section) this.#startSection(head);
      else if (!this.#started) throw captureUnreadable("it does not start like a pcapng file");
      const type = head.getUint32(0, this.#littleEndian);
      const total = head.getUint32(4, this.#littleEndian);
      if (total < FRAME_OVERHEAD_BYTES || total % 4 !== 0 || total > BLOCK_BYTES_MAX) {
        throw captureUnreadable(`a block of type ${type} claims ${total} bytes`);
      }
      if (this.#bytes.length < total) return undefined;
      const block = this.#bytes.take(total);
      const frame = this.#read(type, block.subarray(8, total - 4));
      if (frame) return frame;
    }
  }

  get unfinished(): boolean {
    return this.#bytes.length > 0 || !this.#started;
  }

  #startSection(head: DataView): void {
    if (head.getUint32(8, true) === BYTE_ORDER_MAGIC) this.#littleEndian = true;
    else if (head.getUint32(8, false) === BYTE_ORDER_MAGIC) this.#littleEndian = false;
    else throw captureUnreadable("the byte order of a section is invalid");
    this.#started = true;
    this.#interfaces = [];
  }

  #read(type: number, body: Uint8Array): CapturedFrame | undefined {
    if (type === BLOCK.interface) {
      this.#interfaces.push(this.#readInterface(body));
      return undefined;
    }
    if (type === BLOCK.enhancedPacket || type === BLOCK.packetOld) return this.#readPacket(type, body);
    return type === BLOCK.simplePacket ? this.#readSimplePacket(body) : undefined;
  }

  #readInterface(body: Uint8Array): Interface {
    if (body.length < 8) throw captureUnreadable("an interface block is too short");
    const view = viewOf(body);
    let unitsPerSecond = 1_000_000n;
    let offsetSeconds = 0n;
    for (const [code, value] of this.#options(body.subarray(8))) {
      if (code === OPTION.resolution && value.length >= 1) unitsPerSecond = resolution(value[0]!);
      if (code === OPTION.offsetSeconds && value.length >= 8) {
        offsetSeconds = viewOf(value).getBigInt64(0, this.#littleEndian);
      }
    }
    const snapshotLength = view.getUint32(4, this.#littleEndian) || BLOCK_BYTES_MAX;
    return { linkType: view.getUint16(0, this.#littleEndian), snapshotLength, unitsPerSecond, offsetSeconds };
  }

  #readPacket(type: number, body: Uint8Array): CapturedFrame {
    if (body.length < 20) throw captureUnreadable("a packet block is too short");
    const view = viewOf(body);
    const index = type === BLOCK.packetOld ? view.getUint16(0, this.#littleEndian) : view.getUint32(0, this.#littleEndian);
    const from = this.#interface(index);
    const high = BigInt(view.getUint32(4, this.#littleEndian));
    const units = (high << 32n) | BigInt(view.getUint32(8, this.#littleEndian));
    const kept = view.getUint32(12, this.#littleEndian);
    const end = 20 + kept;
    if (end > body.length) throw captureUnreadable(`a packet claims ${kept} bytes in a block of ${body.length}`);
    const comment = this.#options(body.subarray(20 + padded(kept))).find(([code]) => code === OPTION.comment);
    return {
      wallNs: (units * 1_000_000_000n) / from.unitsPerSecond + from.offsetSeconds * 1_000_000_000n,
      bytes: body.subarray(20, end),
      originalLength: Math.max(kept, view.getUint32(16, this.#littleEndian)),
      linkType: from.linkType,
      ...(comment && { comment: new TextDecoder().decode(comment[1]) }),
    };
  }

  /** A packet without a timestamp; its length is the lesser of the snapshot length and the packet's own. */
  #readSimplePacket(body: Uint8Array): CapturedFrame {
    if (body.length < 4) throw captureUnreadable("a simple packet block is too short");
    const { linkType, snapshotLength } = this.#interface(0);
    const originalLength = viewOf(body).getUint32(0, this.#littleEndian);
    const kept = Math.min(originalLength, snapshotLength, body.length - 4);
    return { wallNs: 0n, bytes: body.subarray(4, 4 + kept), originalLength: Math.max(kept, originalLength), linkType };
  }

  #interface(index: number): Interface {
    const found = this.#interfaces[index];
    if (!found) throw captureUnreadable(`a packet names interface ${index} of ${this.#interfaces.length}`);
    return found;
  }

  /** The readable options; a truncated one ends the list. */
  #options(bytes: Uint8Array): [number, Uint8Array][] {
    const view = viewOf(bytes);
    const found: [number, Uint8Array][] = [];
    for (let at = 0; at + 4 <= bytes.length;) {
      const code = view.getUint16(at, this.#littleEndian);
      const length = view.getUint16(at + 2, this.#littleEndian);
      if (code === OPTION.end || at + 4 + length > bytes.length) break;
      found.push([code, bytes.subarray(at + 4, at + 4 + length)]);
      at += 4 + padded(length);
    }
    return found;
  }
}

/** Writes a pcapng file: `start()` once, then `frame()` for each packet. Declares one interface per link type. */
export class PcapngWriter {
  readonly #interfaces = new Map<number, number>();

  /** The section header block. */
  start(application = "holdfast"): Uint8Array {
    const head = new Uint8Array(16);
    const view = viewOf(head);
    view.setUint32(0, BYTE_ORDER_MAGIC, true);
    view.setUint16(4, 1, true);
    view.setBigInt64(8, -1n, true); // section length unspecified
    return block(BLOCK.section, head, options([OPTION.application, optionText(application)]));
  }

  /** One packet with its comment, preceded by an interface block for a new link type. */
  frame(frame: CapturedFrame): Uint8Array {
    let index = this.#interfaces.get(frame.linkType);
    const parts: Uint8Array[] = [];
    if (index === undefined) {
      index = this.#interfaces.size;
      this.#interfaces.set(frame.linkType, index);
      parts.push(this.#declare(frame.linkType));
    }
    const head = new Uint8Array(20 + padded(frame.bytes.length));
    const view = viewOf(head);
    view.setUint32(0, index, true);
    view.setUint32(4, Number(frame.wallNs >> 32n), true);
    view.setUint32(8, Number(frame.wallNs & 0xffffffffn), true);
    view.setUint32(12, frame.bytes.length, true);
    view.setUint32(16, frame.originalLength, true);
    head.set(frame.bytes, 20);
    const comment = frame.comment === undefined ? EMPTY : options([OPTION.comment, optionText(frame.comment)]);
    parts.push(block(BLOCK.enhancedPacket, head, comment));
    return parts.length === 1 ? parts[0]! : concat(...parts);
  }

  #declare(linkType: number): Uint8Array {
    const head = new Uint8Array(8);
    viewOf(head).setUint16(0, linkType, true);
    return block(
      BLOCK.interface,
      head,
      options([OPTION.interfaceName, optionText("holdfast")], [OPTION.resolution, Uint8Array.of(9)]),
    );
  }
}

function block(type: number, head: Uint8Array, optionBytes: Uint8Array): Uint8Array {
  const total = FRAME_OVERHEAD_BYTES + head.length + optionBytes.length;
  const bytes = new Uint8Array(total);
  const view = viewOf(bytes);
  view.setUint32(0, type, true);
  view.setUint32(4, total, true);
  bytes.set(head, 8);
  bytes.set(optionBytes, 8 + head.length);
  view.setUint32(total - 4, total, true);
  return bytes;
}

function options(...list: [number, Uint8Array][]): Uint8Array {
  const parts = list.map(([code, value]) => {
    const bytes = new Uint8Array(4 + padded(value.length));
    viewOf(bytes).setUint16(0, code, true);
    viewOf(bytes).setUint16(2, value.length, true);
    bytes.set(value, 4);
    return bytes;
  });
  return concat(...parts, new Uint8Array(4));
}

/** Units per second of if_tsresol: a power of ten, or of two when the top bit is set. */
function resolution(octet: number): bigint {
  const exponent = BigInt(octet & 0x7f);
  return octet & 0x80 ? 2n ** exponent : 10n ** exponent;
}

function padded(length: number): number {
  return (length + 3) & ~3;
}

/** At most 64 KiB - 1 octets, the maximum length of an option. */
function optionText(text: string): Uint8Array {
  return utf8(text).subarray(0, 0xffff);
}
