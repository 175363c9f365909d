/** Wireshark is the judge of what Holdfast writes and of the names it gives to TCP's segments. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { promisify } from "node:util";
import { between, pick, seeded } from "../../src/core/random.ts";
import type { Random } from "../../src/core/random.ts";
import { CaptureReader } from "../../src/wire/capture/capture-reader.ts";
import type { CapturedFrame } from "../../src/wire/captured-frame.ts";
import { PacketAnalyzer } from "../../src/wire/analysis/packet-analyzer.ts";
import type { Packet } from "../../src/wire/analysis/packet-analyzer.ts";
import { requires } from "../support/requires.ts";
import { CLIENT, SERVER, frame, pcapng } from "./tcp-frames.ts";
import { dissect } from "./tshark.ts";

const folder = mkdtempSync(join(tmpdir(), "holdfast-wire-"));
after(() => rmSync(folder, { recursive: true }));

function packetsOf(bytes: Uint8Array): Packet[] {
  const reader = new CaptureReader();
  reader.push(bytes);
  const analyzer = new PacketAnalyzer();
  const packets: Packet[] = [];
  for (let next = reader.next(); next; next = reader.next()) packets.push(analyzer.packet(next));
  return packets;
}

test("tshark reads a written file without a complaint, with every comment and nanosecond", requires("tshark"), async () => {
  const frames = [
    { ...frame({ flags: 2 }), comment: "SYN, the first of three" },
    { ...frame({ from: SERVER, flags: 0x12, acknowledgment: 1 }), wallNs: 1_700_000_000_123_456_789n },
    { ...frame({ payload: "get a\r\n", sequence: 1, acknowledgment: 1 }), comment: "größe ✓" },
    { ...frame({}), linkType: 228, comment: "another link type in the same file" },
  ];
  const file = join(folder, "written.pcapng");
  writeFileSync(file, pcapng(frames));
  const seen = await dissect(file);
  assert.deepEqual(
    seen.map(({ comment }) => comment),
    ["SYN, the first of three", "", "größe ✓", "another link type in the same file"],
  );
  assert.equal(seen[1]!.epoch, "1700000000.123456789");
});

test(
  "keep-alive probes, answers and retransmissions of real traffic are named as Wireshark names them",
  requires("tshark", "tcpdump", "iproute2", "root"),
  async () => {
    const file = join(folder, "lab.pcap");
    const script = join(import.meta.dirname, "lab-traffic.ts");
    await promisify(execFile)("unshare", ["-n", process.execPath, "--conditions=holdfast-source", script, file], {
      timeout: 30_000,
    });
    const theirs = await dissect(file);
    const ours = packetsOf(readFileSync(file));
    assert.deepEqual(
      ours.map(({ number, tcp }) => [number, [...tcp!.marks].sort()]),
      theirs.map(({ marks }, index) => [index + 1, [...marks].sort()]),
    );
    const count = (mark: string): number => ours.filter(({ tcp }) => tcp!.marks.some((each) => each === mark)).length;
    assert.ok(count("keep-alive") >= 5, "three answered probes and two unanswered ones at least");
    assert.ok(count("keep-alive-ack") >= 3, "the answers to the first probes");
    assert.ok(count("retransmission") >= 4, "0.2, 0.4, 0.8, 1.6 s after the lost segment");
    assert.ok(count("zero-window") >= 1, "the reader that stopped");
  },
);

/** Conversations of which one was named otherwise: a probe of a closed window whose byte was taken is no answered probe. */
const PROBE_TAKEN = 561_233_709;

for (const seed of process.env["SEED"] ? [Number(process.env["SEED"])] : [PROBE_TAKEN, Math.floor(Math.random() * 2 ** 31)]) {
  test(
    `random conversations with loss, repetition and reordering are named as Wireshark names them (seed ${seed})`,
    requires("tshark"),
    async () => {
      const random = seeded(seed);
      const frames = Array.from({ length: 200 }, (_, index) => conversation(random, 10_000 + index)).flat();
      const file = join(folder, "random.pcapng");
      writeFileSync(file, pcapng(frames));
      const theirs = await dissect(file);
      const ours = packetsOf(pcapng(frames));
      // Once an ACK went beyond what was captured, Wireshark's versions differ among themselves: a conversation is compared up to there.
      let compared = 0;
      const left = new Set<number>();
      const different = ours.filter(({ tcp }, index) => {
        const [mine, its] = [tcp!.marks, theirs[index]!.marks];
        if (mine.includes("acked-unseen") || its.includes("acked-unseen")) left.add(tcp!.conversation);
        else compared += left.has(tcp!.conversation) ? 0 : 1;
        return !left.has(tcp!.conversation) && String([...mine].sort()) !== String([...its].sort());
      });
      assert.deepEqual(
        different.slice(0, 3).map(({ number, tcp }) => ({ seed, number, ours: tcp!.marks, theirs: theirs[number - 1]!.marks })),
        [],
      );
      assert.ok(compared > ours.length / 3, `${compared} of ${ours.length} packets were compared (seed ${seed})`);
    },
  );
}

/** A conversation whose segments are dropped, doubled, delayed and cut at random, seen by a capture that misses some. */
function conversation(random: Random, port: number): CapturedFrame[] {
  const client = CLIENT.replace("40000", String(port));
  const sequences = { client: between(random, 0, 2 ** 32 - 1), server: between(random, 0, 2 ** 32 - 1) };
  let atMs = port * 60_000;
  const sent: Parameters<typeof frame>[0][] = [];
  const send = (side: "client" | "server", length: number, flags: number, window: number): void => {
    const [from, to] = side === "client" ? [client, SERVER] : [SERVER, client];
    const back = side === "client" ? "server" : "client";
    const acknowledgment = (flags & 0x10) === 0 ? 0 : sequences[back];
    const scale = (flags & 2) === 0 ? {} : { windowScale: 2 };
    sent.push({
      from,
      to,
      sequence: sequences[side],
      acknowledgment,
      flags,
      window,
      payload: new Uint8Array(length),
      ...scale,
    });
    sequences[side] = (sequences[side] + length + ((flags & 3) === 0 ? 0 : 1)) >>> 0;
  };
  send("client", 0, 2, 1000);
  send("server", 0, 0x12, 1000);
  send("client", 0, 0x10, 1000);
  for (let step = 0; step < 30; step += 1) {
    const side = pick(random, ["client", "server"] as const);
    const window = pick(random, [0, 25, 1000, 1000, 1000]);
    send(side, pick(random, [0, 0, 1, 10, 100]), 0x10, window);
    if (random() < 0.15)
      sent.push({ ...sent.at(-1)!, sequence: sent.at(-1)!.sequence! - 1, payload: new Uint8Array(between(random, 0, 1)) });
    if (random() < 0.2) sent.push({ ...pick(random, sent.slice(3).length > 0 ? sent.slice(3) : sent) });
  }
  if (random() < 0.5) send(pick(random, ["client", "server"] as const), 0, pick(random, [0x11, 0x14]), 1000);
  const seen = sent.filter((_, index) => index < 3 || random() > 0.03);
  for (let index = 3; index + 1 < seen.length; index += 1) {
    if (random() < 0.1) [seen[index], seen[index + 1]] = [seen[index + 1]!, seen[index]!];
  }
  return seen.map((made) => {
    atMs += pick(random, [0.1, 1, 5, 30, 300, 1000]);
    return frame({ ...made, atMs });
  });
}
