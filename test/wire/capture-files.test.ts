/** Capture files: read in every byte order and chunking, written so that reading gives back what was written. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { CaptureReader } from "../../src/wire/capture/capture-reader.ts";
import type { CapturedFrame } from "../../src/wire/captured-frame.ts";
import { TappedFrames } from "../../src/wire/capture/tapped-frames.ts";
import { PacketAnalyzer } from "../../src/wire/analysis/packet-analyzer.ts";
import { frame, pcap, pcapng } from "./tcp-frames.ts";

const FRAMES: readonly CapturedFrame[] = [
  { ...frame({ payload: "get a\r\n", atMs: 0.001 }), comment: "the first" },
  frame({ payload: "odd", atMs: 1 }),
  { ...frame({ payload: "cut short", atMs: 2 }), originalLength: 1500 },
];

function read(file: Uint8Array, chunkBytes = file.length): { frames: CapturedFrame[]; unfinished: boolean } {
  const reader = new CaptureReader();
  const frames: CapturedFrame[] = [];
  for (let at = 0; at < file.length; at += chunkBytes) {
    reader.push(file.subarray(at, at + chunkBytes));
    for (let next = reader.next(); next; next = reader.next()) frames.push({ ...next, bytes: Buffer.from(next.bytes) });
  }
  return { frames, unfinished: reader.unfinished };
}

test("a pcapng file read back holds the frames, times, lengths and comments written", () => {
  const { frames, unfinished } = read(pcapng(FRAMES));
  assert.deepEqual(frames, FRAMES);
  assert.equal(unfinished, false);
});

test("pcap files of both byte orders and both clocks are read", () => {
  for (const options of [{}, { bigEndian: true }, { nanoseconds: true }, { bigEndian: true, nanoseconds: true }]) {
    const { frames } = read(pcap(FRAMES, options));
    assert.deepEqual(frames, FRAMES.map(withoutComment), JSON.stringify(options));
  }
});

test("files that come byte by byte are read as those that come whole", () => {
  for (const file of [pcapng(FRAMES), pcap(FRAMES)]) assert.deepEqual(read(file, 1), read(file));
});

function withoutComment(frame: CapturedFrame): CapturedFrame {
  const { wallNs, bytes, originalLength, linkType } = frame;
  return { wallNs, bytes, originalLength, linkType };
}

test("a file that ends inside a packet says so", () => {
  assert.equal(read(pcapng(FRAMES).subarray(0, -1)).unfinished, true);
  assert.equal(read(pcap(FRAMES).subarray(0, -1)).unfinished, true);
});

test("a file that is no capture is refused", () => {
  assert.throws(() => read(Buffer.from("%PDF-1.7 and so on")), { code: "WIRE_CAPTURE_UNREADABLE" });
});

test("what a server tapped becomes packets with a handshake, one conversation, and a source that says so", () => {
  const frames = new TappedFrames((port) => port === 11_211);
  const ends = { part: "cache", local: "127.0.0.1:11211", remote: "127.0.0.1:50000", wallMs: 1_700_000_000_000 } as const;
  const made = [
    ...frames.frames({ ...ends, kind: "open" }),
    ...frames.frames({ ...ends, kind: "in", bytes: Buffer.from("get a\r\n") }),
    ...frames.frames({ ...ends, kind: "out", bytes: Buffer.from("END\r\n") }),
    ...frames.frames({ ...ends, kind: "close", reason: "fin" }),
  ];
  const analyzer = new PacketAnalyzer();
  const packets = made.map((each) => analyzer.packet(each));
  assert.deepEqual(
    packets.map(({ tcp, source }) => [source, tcp!.conversation, tcp!.side, tcp!.marks.length, tcp!.messages[0]?.text]),
    [
      ["tapped", 1, "client", 0, undefined],
      ["tapped", 1, "server", 0, undefined],
      ["tapped", 1, "client", 0, undefined],
      ["tapped", 1, "client", 0, "get a"],
      ["tapped", 1, "server", 0, "END (miss)"],
      ["tapped", 1, "client", 0, undefined],
    ],
  );
});

test("tapped IPv6 addresses, unix sockets and long writes become packets too", () => {
  const frames = new TappedFrames(() => true);
  const analyzer = new PacketAnalyzer();
  const all = ["[::1]:11211", "unix:/tmp/cache.sock"].flatMap((local) => {
    const ends = { part: "cache", local, remote: "[fe80::1%eth0]:50000", wallMs: 0 } as const;
    return [
      ...frames.frames({ ...ends, kind: "open" }),
      ...frames.frames({ ...ends, kind: "out", bytes: Buffer.alloc(200_000) }),
    ];
  });
  const packets = all.map((each) => analyzer.packet(each));
  assert.ok(packets.every(({ tcp }) => tcp !== undefined));
  assert.equal(packets.filter(({ tcp }) => tcp!.marks.length > 0).length, 0);
  assert.equal(
    packets.reduce((sum, { tcp }) => sum + tcp!.length, 0),
    400_000,
  );
});
