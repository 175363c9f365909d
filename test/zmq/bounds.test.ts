/**
 * Hostile peers of every kind against a socket whose application does not keep up: resident memory grows by at most 1.3 times the
 * context's `highWaterBytes`, and the process lives. `HOSTILE_SECONDS=60` tries each kind for a minute.
 */
import assert from "node:assert/strict";
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { frame, greeting, ready } from "./raw-peer.ts";

const BOUND = 128 * 1024 ** 2;
const SECONDS = Number(process.env["HOSTILE_SECONDS"] ?? 1);
const GROWTH_MAX = 1.3 * BOUND;

/** 1 MiB at a time. */
const CHUNK_BYTES = 1024 ** 2;

interface Attack {
  readonly socketType: string;
  readonly victim?: "XPUB" | "echo";
  readonly peers: number;
  /** What each peer sends, over and over. */
  readonly octets: (peer: number) => Buffer;
  /** Octets after which a peer leaves and another one comes. */
  readonly leavesAfter?: number;
  /** It does not read either. */
  readonly deaf?: boolean;
}

function repeated(octets: Buffer, bytes = CHUNK_BYTES): Buffer {
  return Buffer.concat(Array.from({ length: Math.ceil(bytes / octets.length) }, () => octets));
}

const unknown = frame(4, Buffer.concat([Buffer.from("\u0004JUNK"), Buffer.alloc(3000)]));
const junk = repeated(unknown, 62_000);

const unfinished = frame(0, Buffer.alloc(60_000_000)).subarray(0, 50_000_000);

const unfinishedCommand = frame(4, Buffer.alloc(16_000)).subarray(0, 15_900);

const ATTACKS: Readonly<Record<string, Attack>> = {
  "messages of 65,000 empty parts": {
    socketType: "DEALER",
    peers: 4,
    octets: () => Buffer.concat([repeated(frame(1, ""), 130_000), frame(0, "")]),
  },
  "messages of an octet from 50 peers": { socketType: "DEALER", peers: 50, octets: () => repeated(frame(0, "x")) },
  "messages of 100 KB": { socketType: "DEALER", peers: 50, octets: () => frame(0, Buffer.alloc(100_000)) },
  "an octet worth keeping in every 64 KB": {
    socketType: "DEALER",
    peers: 50,
    octets: () => Buffer.concat([frame(0, "x"), junk]),
  },
  "an octet of one endless message in every 64 KB": {
    socketType: "DEALER",
    peers: 50,
    octets: () => Buffer.concat([frame(1, "x"), junk]),
  },
  "messages of 60 MB that stop before their end": {
    socketType: "DEALER",
    peers: 100,
    octets: () => unfinished,
  },
  "peers that fill their pipe and leave": {
    socketType: "DEALER",
    peers: 20,
    octets: () => repeated(frame(0, Buffer.alloc(1000))),
    leavesAfter: 4 * CHUNK_BYTES,
  },
  "peers that do not read their answers": {
    socketType: "DEALER",
    victim: "echo",
    peers: 50,
    octets: () => frame(0, Buffer.alloc(5000)),
    deaf: true,
  },
  "topics without end": {
    socketType: "SUB",
    victim: "XPUB",
    peers: 20,
    octets: (peer) =>
      Buffer.concat(Array.from({ length: 20_000 }, (_, index) => frame(0, `\u0001${peer} ${index} ${Math.random()}`))),
  },
  "subscribers that leave": {
    socketType: "SUB",
    victim: "XPUB",
    peers: 20,
    octets: (peer) =>
      Buffer.concat(Array.from({ length: 5000 }, (_, index) => frame(0, `\u0001${peer} ${index} ${Math.random()}`))),
    leavesAfter: 100_000,
  },
  "PINGs whose answers nobody reads": {
    socketType: "DEALER",
    peers: 50,
    octets: () => repeated(frame(4, Buffer.concat([Buffer.from("\u0004PING\0\0"), Buffer.alloc(16)]))),
    deaf: true,
  },
  "one message of empty parts without end": { socketType: "DEALER", peers: 20, octets: () => repeated(frame(1, ""), 130_000) },
  "handshakes that stop within a command": {
    socketType: "DEALER",
    peers: 3000,
    octets: () => unfinishedCommand,
  },
  "3,000 connections": { socketType: "DEALER", peers: 3000, octets: () => Buffer.alloc(0) },
};

/** One peer: sends until it is stopped; comes again when its connection ends. */
async function attack(
  port: number,
  { socketType, leavesAfter, deaf, octets: make }: Attack,
  peer: number,
  over: AbortSignal,
): Promise<void> {
  const octets = make(peer);
  while (!over.aborted) {
    const socket = connect(port, "127.0.0.1");
    const closed = once(socket, "close").catch(() => {});
    socket.on("error", () => {});
    over.addEventListener("abort", () => socket.destroy(), { once: true });
    if (!deaf) socket.resume();
    const endless = octets !== unfinished && octets !== unfinishedCommand;
    socket.write(octets === unfinishedCommand ? greeting() : Buffer.concat([greeting(), ready({ "Socket-Type": socketType })]));
    if (!endless) socket.write(octets);
    else if (octets.length > 0) await pour(socket, octets, leavesAfter ?? Infinity, closed);
    if (octets.length === 0 || !endless) await closed;
    if (leavesAfter !== undefined) socket.end();
    await Promise.race([closed, leavesAfter === undefined ? closed : sleep(200)]);
    socket.destroy();
    await sleep(5);
  }
}

async function pour(socket: Socket, octets: Buffer, most: number, closed: Promise<unknown>): Promise<void> {
  for (let sent = 0; sent < most && !socket.destroyed; sent += octets.length) {
    if (!socket.write(octets)) await Promise.race([once(socket, "drain").catch(() => {}), closed]);
    else await new Promise(setImmediate);
  }
}

interface Victim {
  readonly child: ChildProcess;
  readonly port: number;
  readonly idle: number;
  most: number;
  kept: number;
}

async function victim(t: TestContext, kind: string): Promise<Victim> {
  const flags = ["--conditions=holdfast-source", "--disable-warning=ExperimentalWarning", "--max-old-space-size=400"];
  const child = fork(join(import.meta.dirname, "victim-child.ts"), [kind, `${BOUND}`], { execArgv: flags });
  t.after(() => child.kill("SIGKILL"));
  const [endpoint] = (await once(child, "message")) as [string];
  const [{ rss }] = (await once(child, "message")) as [{ rss: number }];
  const made: Victim = { child, port: Number(endpoint.split(":")[2]), idle: rss, most: rss, kept: 0 };
  child.on("message", (told: { rss: number; kept: number } | string) => {
    if (typeof told === "string") return;
    made.most = Math.max(made.most, told.rss);
    made.kept = Math.max(made.kept, told.kept);
  });
  return made;
}

for (const [name, each] of Object.entries(ATTACKS)) {
  test(`${name}: memory stays within 1.3 times its bound`, async (t) => {
    const made = await victim(t, each.victim ?? "slow");
    const over = new AbortController();
    const attacks = Array.from({ length: each.peers }, (_, peer) => attack(made.port, each, peer, over.signal));
    await Promise.race([sleep(SECONDS * 1000), once(made.child, "exit")]);
    over.abort();
    await Promise.all(attacks);
    const mib = (bytes: number): string => `${Math.round(bytes / 1024 ** 2)} MiB`;
    t.diagnostic(`grew by ${mib(made.most - made.idle)}, counted ${mib(made.kept)} of ${mib(BOUND)}`);
    assert.equal(made.child.exitCode, null, "the process lives");
    assert.ok(
      made.most - made.idle <= GROWTH_MAX,
      `resident memory grew by ${mib(made.most - made.idle)}, counted ${mib(made.kept)}`,
    );
  });
}
