/** What the kernel says, read from recorded text and bytes. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { endKey, parseProcNetTcp } from "../../../src/link/keep-alive/proc-net-text.ts";
import { ProbeTracker } from "../../../src/link/keep-alive/probe-tracker.ts";
import { parseTcpInfo } from "../../../src/link/keep-alive/tcp-info.ts";
import { TimerReader } from "../../../src/link/keep-alive/timer-reader.ts";
import type { TcpInfo } from "../../../src/link/keep-alive/tcp-info.ts";

const TABLE = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:3039 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 11111 1 0000000000000000 100 0 0 10 0
   1: 0100007F:3039 0200007F:C350 01 00000000:00000000 02:00000106 00000000     0        2 22222 2 0000000000000000 20 4 30 10 -1
   2: 0100007F:3039 0300007F:C351 01 00000005:00000000 01:000012AB 00000003     0        0 33333 2 0000000000000000 20 4 30 10 -1
   3: 0000000000000000FFFF00000100007F:3039 0000000000000000FFFF00000400007F:C352 01 00000000:00000000 04:00000010 00000000     0        1 44444 2 0000000000000000 20 4 30 10 -1
`;

test("a row of /proc/net/tcp tells which timer runs, when it fires and how many probes are unanswered", () => {
  const rows = new Map(parseProcNetTcp(TABLE));
  const row = (remoteAddress: string, remotePort: number): unknown =>
    rows.get(endKey({ localAddress: "127.0.0.1", localPort: 12_345, remoteAddress, remotePort }));
  assert.deepEqual(row("127.0.0.2", 50_000), {
    timer: "keep-alive",
    firesInMs: 2620,
    keepAliveInMs: 2620,
    unanswered: 2,
    established: true,
    unacknowledgedBytes: 0,
  });
  assert.deepEqual(row("127.0.0.3", 50_001), {
    timer: "retransmit",
    firesInMs: 47_790,
    keepAliveInMs: undefined,
    unanswered: 0,
    established: true,
    unacknowledgedBytes: 5,
  });
  assert.equal((row("::ffff:127.0.0.4", 50_002) as { timer: string }).timer, "zero-window", "IPv4-mapped addresses are IPv4");
});

test("IPv6 addresses are keyed as the kernel writes them", () => {
  const ends = { localAddress: "fe80::1%eth0", localPort: 1, remoteAddress: "2001:db8::8:800:200c:417a", remotePort: 65_535 };
  assert.equal(endKey(ends), "000080FE000000000000000001000000:0001 B80D012000000000000808007A410C20:FFFF");
});

test("a shorter tcp_info of an older kernel reads as zeros where it ends", () => {
  const bytes = new Uint8Array(104);
  bytes[0] = 1;
  bytes[3] = 2;
  const info = parseTcpInfo(bytes);
  assert.equal(info.state, 1);
  assert.equal(info.probes, 2);
  assert.equal(info.segmentsOut, 0);
  assert.equal(info.dataSegmentsOut, 0);
});

const IDLE: TcpInfo = {
  state: 1,
  retransmits: 0,
  probes: 0,
  unacked: 0,
  lastDataSentMs: 0,
  lastDataReceivedMs: 0,
  lastAckReceivedMs: 0,
  rttMs: 0.1,
  totalRetransmits: 0,
  bytesAcked: 0,
  segmentsOut: 0,
  segmentsIn: 0,
  notSentBytes: 0,
  dataSegmentsOut: 0,
  dataSegmentsIn: 0,
};

/** Samples every 250 ms of a connection that last heard its peer at the times given. */
function track(
  untilMs: number,
  heardAt: readonly number[],
  more: (nowMs: number) => Partial<TcpInfo> = () => ({}),
): { events: string[]; probes: number } {
  const tracker = new ProbeTracker({ idleMs: 5000, intervalMs: 10_000, count: 3 });
  const events: string[] = [];
  for (let nowMs = 0; nowMs <= untilMs; nowMs += 250) {
    const heardMs = heardAt.findLast((at) => at <= nowMs) ?? 0;
    const silentMs = nowMs - heardMs;
    const info = { ...IDLE, lastAckReceivedMs: silentMs, lastDataReceivedMs: silentMs, ...more(nowMs) };
    for (const event of tracker.sample(info, nowMs)) events.push(`${nowMs} ${event.kind}`);
  }
  return { events, probes: tracker.probes };
}

test("a living, idle connection shows each probe as answered", () => {
  assert.deepEqual(track(40_000, [0, 5160, 15_400, 25_640, 35_880]), {
    events: ["0 armed", "5250 answered", "15500 answered", "25750 answered", "36000 answered"],
    probes: 4,
  });
});

test("a silent peer shows probe after probe, and one answer when it is back", () => {
  const probes = (nowMs: number): Partial<TcpInfo> => ({
    probes: nowMs < 5160 ? 0 : nowMs < 15_400 ? 1 : nowMs < 25_700 ? 2 : 0,
  });
  assert.deepEqual(track(26_000, [0, 25_640], probes), {
    events: ["0 armed", "5250 probe", "15500 probe", "25750 answered"],
    probes: 3,
  });
});

test("data received is no answer to a probe", () => {
  assert.deepEqual(
    track(8000, [0, 4900], (nowMs) => ({ dataSegmentsIn: nowMs >= 4900 ? 1 : 0 })),
    { events: ["0 armed"], probes: 0 },
  );
});

test("data in flight suspends the probes, and its retransmissions are told", () => {
  const inFlight = (nowMs: number): Partial<TcpInfo> =>
    nowMs < 1000 || nowMs >= 3000
      ? {}
      : { unacked: 1, dataSegmentsOut: 1, retransmits: nowMs < 1500 ? 0 : nowMs < 2000 ? 1 : 2 };
  assert.deepEqual(track(4000, [0, 3000], inFlight).events, [
    "0 armed",
    "1000 suspended",
    "1500 retransmitted",
    "2000 retransmitted",
    "3000 armed",
  ]);
});

test("the timer in /proc alone tells probes, answers, data in flight and data received apart", () => {
  const keepAlive = { idleMs: 5000, intervalMs: 10_000, count: 3 };
  const reader = new TimerReader(keepAlive, 250);
  const tracker = new ProbeTracker(keepAlive);
  const events: string[] = [];
  // The kernel's timer: [from, timer, fires at, unanswered]
  const script = [
    [0, "keep-alive", 5000, 0],
    [5000, "keep-alive", 8000, 0], // data came at 3000: the timer fired for nothing and waits for the rest of the idle time
    [8000, "keep-alive", 18_000, 0], // a probe, answered at once
    [18_000, "keep-alive", 28_000, 1], // a probe, unanswered
    [28_000, "keep-alive", 38_000, 2],
    [30_000, "retransmit", 31_000, 0], // data is sent
    [32_000, "keep-alive", 37_000, 0],
  ] as const;
  for (let nowMs = 0; nowMs <= 33_000; nowMs += 250) {
    const [, timer, firesAtMs, unanswered] = script.findLast(([from]) => from <= nowMs)!;
    const firesInMs = firesAtMs - nowMs;
    const row = { timer, firesInMs, keepAliveInMs: firesInMs, unanswered, established: true, unacknowledgedBytes: 0 };
    for (const { kind } of tracker.sample(reader.read(row, nowMs), nowMs)) events.push(`${nowMs} ${kind}`);
  }
  assert.deepEqual(events, ["0 armed", "8000 answered", "18000 probe", "28000 probe", "30000 suspended", "32000 armed"]);
  assert.equal(tracker.probes, 3);
});
