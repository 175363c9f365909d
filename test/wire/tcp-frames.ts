/** TCP segments by hand, as raw IPv4 frames, and pcap files of them. */
import { PcapngWriter } from "../../src/wire/capture/pcapng.ts";
import type { CapturedFrame } from "../../src/wire/captured-frame.ts";

export interface Made {
  readonly from?: string;
  readonly to?: string;
  readonly sequence?: number;
  readonly acknowledgment?: number;
  /** Bits as in the header; default ACK. */
  readonly flags?: number;
  readonly window?: number;
  readonly payload?: Uint8Array | string;
  readonly atMs?: number;
  readonly windowScale?: number;
}

export const CLIENT = "10.0.0.2:40000";
export const SERVER = "10.0.0.1:7000";

/** One segment; by default from client to server, an ACK without payload. */
export function frame(made: Made): CapturedFrame {
  const [from, to] = [ends(made.from ?? CLIENT), ends(made.to ?? (made.from === SERVER ? CLIENT : SERVER))];
  const payload = typeof made.payload === "string" ? Buffer.from(made.payload, "latin1") : (made.payload ?? new Uint8Array(0));
  const options = made.windowScale === undefined ? [] : [1, 3, 3, made.windowScale];
  const bytes = Buffer.alloc(40 + options.length + payload.length);
  bytes.writeUInt8(0x45, 0);
  bytes.writeUInt16BE(bytes.length, 2);
  bytes.writeUInt8(64, 8);
  bytes.writeUInt8(6, 9);
  bytes.set(from.host, 12);
  bytes.set(to.host, 16);
  bytes.writeUInt16BE(from.port, 20);
  bytes.writeUInt16BE(to.port, 22);
  bytes.writeUInt32BE((made.sequence ?? 0) >>> 0, 24);
  bytes.writeUInt32BE((made.acknowledgment ?? 0) >>> 0, 28);
  bytes.writeUInt8(((20 + options.length) / 4) << 4, 32);
  bytes.writeUInt8(made.flags ?? 0x10, 33);
  bytes.writeUInt16BE(made.window ?? 1000, 34);
  bytes.set(options, 40);
  bytes.set(payload, 40 + options.length);
  return {
    wallNs: 1_700_000_000_000_000_000n + BigInt(Math.round((made.atMs ?? 0) * 1000)) * 1000n,
    bytes,
    originalLength: bytes.length,
    linkType: 101,
  };
}

/** A pcapng file of frames. */
export function pcapng(frames: readonly CapturedFrame[]): Buffer {
  const writer = new PcapngWriter();
  return Buffer.concat([writer.start(), ...frames.map((each) => writer.frame(each))]);
}

/** A classic pcap file of frames of one link type, as tcpdump writes it on a big-endian or little-endian machine. */
export function pcap(frames: readonly CapturedFrame[], { nanoseconds = false, bigEndian = false } = {}): Buffer {
  const u32 = (...values: number[]): Buffer => {
    const bytes = Buffer.alloc(4 * values.length);
    for (const [index, value] of values.entries()) {
      if (bigEndian) bytes.writeUInt32BE(value, 4 * index);
      else bytes.writeUInt32LE(value, 4 * index);
    }
    return bytes;
  };
  const version = bigEndian ? Buffer.of(0, 2, 0, 4) : Buffer.of(2, 0, 4, 0);
  const magic = nanoseconds ? 0xa1b23c4d : 0xa1b2c3d4;
  const head = Buffer.concat([u32(magic), version, u32(0, 0, 262_144, frames[0]?.linkType ?? 101)]);
  return Buffer.concat([
    head,
    ...frames.flatMap(({ wallNs, bytes, originalLength }) => {
      const fraction = Number(wallNs % 1_000_000_000n);
      const units = nanoseconds ? fraction : Math.floor(fraction / 1000);
      return [u32(Number(wallNs / 1_000_000_000n), units, bytes.length, originalLength), Buffer.from(bytes)];
    }),
  ]);
}

function ends(address: string): { host: number[]; port: number } {
  const [host, port] = address.split(":") as [string, string];
  return { host: host.split(".").map(Number), port: Number(port) };
}
