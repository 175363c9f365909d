/**
 * ● How many packets a second `holdfast wire` understands: memcached gets and their answers, as raw frames and as a pcapng file.
 * `node bench/wire.ts [--short] [--json]`.
 */
import { parseArgs } from "node:util";
import { CaptureReader, PcapngWriter, PacketAnalyzer, lineOf } from "../src/wire/index.ts";
import type { CapturedFrame } from "../src/wire/index.ts";
import { type Finding, finding, report } from "./support/report.ts";
import { SERVER, frame } from "../test/wire/tcp-frames.ts";

export interface WireSpeed {
  /** Frames to packets, analysed and named. */
  readonly packetsPerCpuSecond: number;
  /** From the file's bytes to printed lines. */
  readonly linesPerCpuSecond: number;
}

/** A hundred conversations of gets and their answers, interleaved. */
function traffic(count: number): CapturedFrame[] {
  const frames: CapturedFrame[] = [];
  for (let index = 0; frames.length < count; index += 1) {
    const client = `10.0.0.2:${40_000 + (index % 100)}`;
    const round = Math.floor(index / 100);
    const [sequence, acknowledgment] = [1 + round * 14, 1 + round * 131];
    const value = `VALUE key:00001 0 100\r\n${"x".repeat(100)}\r\nEND\r\n`.slice(0, 131);
    frames.push(
      frame({ from: client, sequence, acknowledgment, payload: "get key:00001\n", atMs: index }),
      frame({
        from: SERVER,
        to: client,
        sequence: acknowledgment,
        acknowledgment: sequence + 14,
        payload: value,
        atMs: index + 0.1,
      }),
    );
  }
  return frames;
}

export function measure(count: number): WireSpeed {
  const frames = traffic(count);
  const writer = new PcapngWriter();
  const file = Buffer.concat([writer.start(), ...frames.map((each) => writer.frame(each))]);
  const ports = new Map([[7000, "memcached"]] as const);
  const understood = cpuSeconds(() => {
    const analyzer = new PacketAnalyzer({ ports });
    for (const each of frames) analyzer.packet(each);
  });
  const printed = cpuSeconds(() => {
    const analyzer = new PacketAnalyzer({ ports });
    const reader = new CaptureReader();
    for (let at = 0; at < file.length; at += 65_536) {
      reader.push(file.subarray(at, at + 65_536));
      for (let next = reader.next(); next; next = reader.next()) lineOf(analyzer.packet(next), { startNs: 0n, colour: false });
    }
  });
  return { packetsPerCpuSecond: frames.length / understood, linesPerCpuSecond: frames.length / printed };
}

function cpuSeconds(work: () => void): number {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1e6;
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: { short: { type: "boolean", default: false }, json: { type: "boolean", default: false } },
  });
  const { packetsPerCpuSecond, linesPerCpuSecond } = measure(values.short ? 20_000 : 400_000);
  const single = (name: string, unit: string, figure: number): Finding =>
    finding({ name, unit }, "holdfast", { holdfast: [figure] });
  const findings = [
    single("frames understood and named", "packets / CPU s", packetsPerCpuSecond),
    single("from a pcapng file to printed lines", "lines / CPU s", linesPerCpuSecond),
  ];
  report(findings, { json: values.json });
}
