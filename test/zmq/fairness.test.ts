/** However much arrives and is sent, timers fire and other connections are served. */
import assert from "node:assert/strict";
import { fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { Dealer, Pull, Push, Router } from "../../src/zmq/index.ts";
import { closing } from "../support/zmq.ts";

const PEERS = 50;

/** 60 ms of this process's own work: twice what is promised, since the collector's threads are counted too. */
const GAP_MS_MAX = 60;

/** A timer of 5 ms; the longest this process worked between two of its calls, whatever else the machine does. */
function timerGaps(t: TestContext): { fired: number; longestMs: number } {
  const gaps = { fired: 0, longestMs: 0 };
  let last = process.cpuUsage();
  const timer = setInterval(() => {
    const { user, system } = process.cpuUsage(last);
    gaps.fired += 1;
    gaps.longestMs = Math.max(gaps.longestMs, (user + system) / 1000);
    last = process.cpuUsage();
  }, 5);
  t.after(() => clearInterval(timer));
  return gaps;
}

function work(ms: number): void {
  for (const end = performance.now() + ms; performance.now() < end;);
}

async function bound(t: TestContext, address = "tcp://127.0.0.1:*"): Promise<Pull> {
  const pull = closing(t, new Pull());
  await pull.bind(address);
  return pull;
}

test("a loop over a backlog of 50 peers lets a 5 ms timer fire in between", async (t) => {
  const pull = await bound(t, "inproc://backlog");
  for (let peer = 0; peer < PEERS; peer += 1) {
    const push = closing(t, new Push());
    push.connect("inproc://backlog");
    for (let count = 0; count < 100; count += 1) push.trySend("x");
  }
  const gaps = timerGaps(t);
  let taken = 0;
  for await (const _ of pull) {
    work(0.1);
    taken += 1;
    if (taken === PEERS * 100) break;
  }
  assert.ok(gaps.fired >= 10, `the timer fired ${gaps.fired} times`);
  assert.ok(gaps.longestMs < GAP_MS_MAX, `the timer waited ${gaps.longestMs} ms`);
});

test("while 50 peers pour in a 5 ms timer fires, and heartbeats and handshakes go on", async (t) => {
  const pull = await bound(t);
  const router = closing(t, new Router({ heartbeatInterval: 200, heartbeatTimeout: 400 }));
  await router.bind("tcp://127.0.0.1:*");
  const dealer = closing(t, new Dealer({ heartbeatInterval: 200, heartbeatTimeout: 400 }));
  dealer.connect(router.lastEndpoint!);
  let lost = 0;
  for (const socket of [router, dealer]) socket.events.on("disconnect", () => (lost += 1));
  const flags = ["--conditions=holdfast-source", "--disable-warning=ExperimentalWarning"];
  const peers = fork(join(import.meta.dirname, "pouring-child.ts"), [pull.lastEndpoint!, `${PEERS}`], { execArgv: flags });
  t.after(() => peers.kill("SIGKILL"));
  await pull.receive();
  const gaps = timerGaps(t);
  let taken = 0;
  for await (const batch of pull.batches()) {
    taken += batch.length;
    if (taken > 500_000) break;
  }
  assert.ok(gaps.fired >= 10, `the timer fired ${gaps.fired} times`);
  assert.ok(gaps.longestMs < GAP_MS_MAX, `the timer waited ${gaps.longestMs} ms`);
  const late = closing(t, new Dealer({ routingId: "late" }));
  late.connect(router.lastEndpoint!);
  await late.send("comes in");
  const [id] = await router.receive();
  assert.equal(String(id), "late");
  assert.equal(lost, 0);
  peers.kill("SIGKILL");
  await once(peers, "exit");
});

test("a socket whose application is slow does not keep another one's messages waiting", async (t) => {
  const [slow, quick] = [await bound(t, "inproc://slow"), await bound(t)];
  const push = closing(t, new Push());
  push.connect("inproc://slow");
  for (let count = 0; count < 200; count += 1) push.trySend("x");
  const other = closing(t, new Push());
  other.connect(quick.lastEndpoint!);
  await other.send("connected");
  await quick.receive();
  let taken = 0;
  const seen: number[] = [];
  const loop = (async () => {
    for await (const _ of slow) {
      work(2);
      taken += 1;
      if (taken === 200) break;
    }
  })();
  other.trySend("first");
  for (let count = 0; count < 3; count += 1) {
    await quick.receive();
    seen.push(taken);
    other.trySend("next");
  }
  assert.ok(seen[2]! < 150, `three messages came in after ${seen.join(", ")} of the other's 200`);
  await loop;
});
