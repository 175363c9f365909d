/** The link view's lab on the real kernel: its peer is a real process, its cut cable a real filter on a real socket. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { systemClock } from "../../src/core/clock.ts";
import { LinkLab } from "../../src/dashboard/link-lab/link-lab.ts";
import type { LabState } from "../../src/dashboard/link-lab/lab-state.ts";
import { connect, listen } from "../../src/link/index.ts";
import { CaptureReader, type CapturedFrame } from "../../src/wire/index.ts";
import { segmentOf, type TcpSegment } from "../../src/wire/tcp/tcp-segment.ts";

const linux = { skip: process.platform === "linux" ? false : "the kernel's counters and the filter are Linux's" };
const opened: LinkLab[] = [];
after(() => Promise.all(opened.map((lab) => lab.stop())));

function labOf(link?: Awaited<ReturnType<typeof listen>>): LinkLab {
  const lab = new LinkLab({ link, clock: systemClock, send: () => {} });
  opened.push(lab);
  return lab;
}

async function until(lab: LinkLab, holds: (state: LabState) => boolean, timeoutMs = 9000): Promise<LabState> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const state = lab.state();
    if (state && holds(state)) return state;
    assert.ok(performance.now() < deadline, `never came to it: ${JSON.stringify(state?.events.slice(-8))}`);
    await sleep(50);
  }
}

function framesOf(file: Uint8Array): CapturedFrame[] {
  const reader = new CaptureReader();
  reader.push(file);
  const frames: CapturedFrame[] = [];
  for (let frame = reader.next(); frame; frame = reader.next()) frames.push(frame);
  return frames;
}

const kinds = ({ events }: LabState): string[] => events.map(({ kind }) => kind);

test(
  "a demonstration with 1/1/2: probes are answered, the cable is cut, two go unanswered, the connection ends 3 s after the last sign of life",
  linux,
  async () => {
    const lab = labOf();
    await lab.demonstrate({ idleMs: 1000, intervalMs: 1000, count: 2 });
    await lab.send("server", "hello");
    await lab.send("client", "hello back");
    await until(lab, (state) => kinds(state).includes("answer"));
    lab.act("cut");
    const cut = await until(lab, ({ peerState }) => peerState === "cut");
    assert.equal(cut.cannotCut, undefined);
    await until(lab, ({ connection }) => connection.probesUnanswered === 1);
    const state = await until(lab, ({ ended }) => ended);
    const unanswered = state.events.flatMap((event) => (event.kind === "probe" ? [event.unanswered] : []));
    assert.ok(unanswered.includes(2), "the second unanswered probe is counted");
    const answered = state.events.findLast(({ kind }) => kind === "answer")!;
    const end = state.events.findLast(({ kind }) => kind === "end" || kind === "reset")!;
    const silence = end.wallMs - answered.wallMs;
    assert.ok(silence >= 2800 && silence < 3900, `found after ${silence} ms`);
    assert.ok(state.events.filter(({ kind }) => kind === "bytes").length >= 2);
    const captured = state.packets === "captured";
    const sources = new Set(state.events.filter(({ kind }) => kind === "probe").map(({ source }) => source));
    assert.deepEqual([...sources], [captured ? "captured" : "kernel counters"]);
  },
);

test(
  "without the permission to capture, probes are told from the kernel's counters and bytes from the tap",
  linux,
  async () => {
    const path = process.env["PATH"];
    process.env["PATH"] = "/nonexistent";
    try {
      const lab = labOf();
      await lab.demonstrate({ idleMs: 1000, intervalMs: 1000, count: 2 });
      await lab.send("server", "hello");
      await until(lab, (seen) => kinds(seen).includes("answer"));
      lab.act("cut");
      const state = await until(lab, ({ ended }) => ended);
      assert.equal(state.packets, "tapped");
      assert.match(state.whyNotCaptured ?? "", /tcpdump: not installed; dumpcap: not installed/);
      const sourceOf = (kind: string): string[] => [
        ...new Set(state.events.filter((each) => each.kind === kind).map(({ source }) => source)),
      ];
      assert.deepEqual(
        [sourceOf("probe"), sourceOf("answer"), sourceOf("bytes")],
        [["kernel counters"], ["kernel counters"], ["tapped"]],
      );
      assert.ok(state.events.some(({ kind, unanswered }) => kind === "probe" && unanswered === 2));
    } finally {
      process.env["PATH"] = path;
    }
  },
);

test("a frozen peer answers every probe: its kernel lives", linux, async () => {
  const lab = labOf();
  await lab.demonstrate({ idleMs: 1000, intervalMs: 1000, count: 2 });
  lab.act("freeze");
  const state = await until(lab, (seen) => kinds(seen).filter((kind) => kind === "answer").length >= 3);
  assert.equal(state.peerState, "frozen");
  assert.equal(state.ended, false);
  lab.act("thaw");
  assert.equal(lab.state()!.peerState, "awake");
});

test("a cut cable that is mended in time keeps the connection", linux, async () => {
  const lab = labOf();
  await lab.demonstrate({ idleMs: 1000, intervalMs: 1000, count: 5 });
  lab.act("cut");
  await until(lab, ({ connection }) => (connection.probesUnanswered ?? 0) >= 2);
  lab.act("heal");
  await until(lab, ({ connection, peerState }) => peerState === "awake" && connection.probesUnanswered === 0);
  assert.equal(lab.state()!.ended, false);
});

test("a connection of the link server is opened by its number, and its session is a pcapng file", linux, async () => {
  const link = await listen({ port: 0, idle: "1s", interval: "1s", count: 2 });
  const client = await connect({ host: "127.0.0.1", port: link.port });
  client.on("error", () => {});
  while (link.stats().connections.length === 0) await sleep(10);
  const lab = labOf(link);
  await assert.rejects(lab.watch(99), { code: "DASHBOARD_NOT_THERE" });
  const { id } = link.stats().connections[0]!;
  await lab.watch(id);
  await client.send(Buffer.from("21.5"));
  await until(lab, (state) => kinds(state).includes("bytes") && kinds(state).includes("answer"));
  const said = framesOf(lab.pcapng()!).find(({ comment = "" }) => /4 bytes/.test(comment));
  assert.ok(said, "the packet is in the file, by its name");
  await client.close();
  await until(lab, ({ ended }) => ended);
  await lab.stop();
  assert.equal(lab.state(), undefined);
  await link.close();
});

for (const packets of ["captured", "tapped"] as const) {
  const path = packets === "tapped" ? "/nonexistent" : process.env["PATH"]!;
  const skip = packets === "captured" && process.getuid?.() !== 0 ? "capturing needs root" : linux.skip;

  test(
    `one connection alone is watched and saved, whatever else goes on from before it is known which: ${packets}`,
    { skip },
    async () => {
      const before = process.env["PATH"];
      process.env["PATH"] = path;
      const link = await listen({ port: 0, idle: "1s", interval: "1s", count: 2 });
      const clients = await Promise.all([1, 2, 3].map(() => connect({ host: "127.0.0.1", port: link.port })));
      for (const client of clients) client.on("error", () => {});
      const talking = setInterval(() => {
        for (const client of clients) client.send(Buffer.from("21.5 degrees")).catch(() => {});
      }, 2);
      try {
        while (link.stats().connections.length < 3) await sleep(10);
        const lab = labOf(link);
        for (const start of [
          () => lab.watch(link.stats().connections[1]!.id),
          async () => {
            await lab.demonstrate({ idleMs: 1000, intervalMs: 1000, count: 2 });
            await lab.send("client", "21.5 degrees");
          },
        ]) {
          await start();
          const state = await until(lab, (seen) => kinds(seen).includes("bytes"));
          assert.equal(state.packets, packets);
          const { peer, local } = state.connection;
          const payloads = framesOf(lab.pcapng({ payload: true })!).map((frame) => segmentOf(frame) as TcpSegment);
          assert.deepEqual(new Set(payloads.flatMap(({ from, to }) => [from, to])), new Set([peer, local]));
          assert.ok(
            payloads.some(({ payload }) => Buffer.from(payload).includes("21.5 degrees")),
            "asked for: it is there",
          );
          assert.doesNotMatch(JSON.stringify(state.events), /21\.5/);
          const without = lab.pcapng()!;
          assert.equal(Buffer.from(without).includes("21.5 degrees"), false);
          const lengths = framesOf(without).map((frame) => segmentOf(frame) as TcpSegment);
          assert.ok(
            lengths.some(({ length, payload }) => length === 12 && payload.length === 0),
            "its length is told",
          );
        }
      } finally {
        process.env["PATH"] = before;
        clearInterval(talking);
        await Promise.all(clients.map((client) => client.close()));
        await link.close();
      }
    },
  );
}

test(
  "while the cable is cut no packet arrives, of either side; each is lost, with its SEQ and ACK where it was captured",
  linux,
  async () => {
    const lab = labOf();
    await lab.demonstrate({ idleMs: 1000, intervalMs: 1000, count: 9 });
    await until(lab, (state) => kinds(state).includes("answer"));
    lab.act("cut");
    await until(lab, ({ peerState }) => peerState === "cut");
    const bytesIn = lab.state()!.connection.bytesIn;
    await lab.send("client", "into the void");
    await lab.send("server", "into the void");
    const sides = (state: LabState): Set<string> => new Set(state.events.flatMap(({ lost, from }) => (lost ? [from] : [])));
    const cut = await until(lab, (state) => sides(state).size === (state.packets === "captured" ? 2 : 1));
    assert.equal(cut.connection.bytesIn, bytesIn, "the server hears nothing either");
    const fromMs = cut.events.find(({ kind }) => kind === "cut")!.wallMs;
    for (const { from, wallMs, lost = false, source, tcp } of cut.events) {
      if (from === "none") continue;
      assert.equal(lost, wallMs >= fromMs);
      if (source === "captured") assert.ok(tcp && tcp.sequence >= 0 && tcp.acknowledgment >= 0);
    }
    lab.act("heal");
    const healed = await until(lab, ({ connection }) => connection.bytesIn === bytesIn + "into the void".length);
    assert.equal(healed.ended, false);
  },
);

test("the peer's process ends when the laboratory stops", linux, async () => {
  const lab = labOf();
  await lab.demonstrate({ idleMs: 5000, intervalMs: 10_000, count: 3 });
  await lab.demonstrate({ idleMs: 1000, intervalMs: 1000, count: 2 });
  lab.act("kill");
  await until(lab, ({ peerState, ended }) => peerState === "gone" && ended);
  await lab.stop();
  assert.throws(() => lab.act("cut"), { code: "DASHBOARD_NOT_THERE" });
});
