/**
 * One bad member of each kind, all in this process, until it is ended: `bad-members.ts URL`. A worker that leaves with tasks in its
 * hands, one that takes a task and says nothing more, one that fails each task, one that blocks its thread, a peer that says what is no
 * message, a stranger that speaks no ZeroMQ, a client that leaves before its answer comes, one that fills a queue to its bound.
 * Each acts some ten times a second: a fault, not a load.
 * Says so on stdout when all are there.
 */
import { randomBytes } from "node:crypto";
import { createConnection } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { isMainThread, Worker as Thread, workerData } from "node:worker_threads";
import { queue, worker } from "../../src/queue/index.ts";
import { Dealer } from "../../src/zmq/index.ts";

/** A tenth of a second between two acts of one member. */
const PACE_MS = 100;
/** One second in two: longer than a healthy task may take, shorter than a peer is given up. */
const BLOCK_MS = 500;

const url = isMainThread ? process.argv[2]! : (workerData as string);

const ignore = (): void => undefined;

async function again(act: () => Promise<unknown> | void): Promise<never> {
  for (;;) {
    await Promise.resolve(act()).catch(ignore);
    await sleep(PACE_MS);
  }
}

/** Adds to a queue that only bad workers read. */
function feed(name: string): void {
  const tasks = queue<number>(name, { url });
  void again(() => tasks.add(1, { attempts: 3, backoff: 50, attemptTimeout: "1s", keep: "1s" }));
}

function leaves(): void {
  feed("leaves");
  void again(async () => {
    const peer = new Dealer({ linger: 0 });
    peer.connect(url);
    await peer.send(["", "Ready", "leaves"]);
    await sleep(PACE_MS);
    await peer.close();
  });
  void again(async () => {
    const tasks = queue("leaves", { url });
    const going = worker(tasks, () => sleep(60_000), { concurrency: 10, signals: [], drain: 1 });
    await sleep(PACE_MS);
    await going.close();
    await tasks.close();
  });
}

function saysNothing(): void {
  feed("silent");
  worker(queue("silent", { url }), () => sleep(60_000), { concurrency: 100, signals: [] });
}

function failsAll(): void {
  feed("poison");
  worker(queue("poison", { url }), () => Promise.reject(new Error("poison")), {
    concurrency: 10,
    signals: [],
    onError: ignore,
  });
}

/** Runs in a thread of its own: only this member stands still. */
function blocks(): void {
  feed("blocked");
  const still = new Int32Array(new SharedArrayBuffer(4));
  worker(queue("blocked", { url }), () => void Atomics.wait(still, 0, 0, BLOCK_MS), { concurrency: 4, signals: [] });
}

function babbles(): void {
  const peer = new Dealer({ linger: 0 });
  peer.connect(url);
  void again(() =>
    peer.send(["HQ1", ["DONE", "WORK", "HOLD", "ADDS", "CALL"][Math.floor(Math.random() * 5)]!, randomBytes(40)]),
  );
}

function stranger(): void {
  const { hostname, port } = new URL(url);
  void again(
    () =>
      void createConnection({ host: hostname, port: Number(port) })
        .on("error", ignore)
        .end(randomBytes(500)),
  );
}

function leavesBeforeTheAnswer(): void {
  void again(async () => {
    const tasks = queue<number>("orphans", { url });
    const call = tasks.call(1, { expire: "1s", keep: "1s", timeout: "1s" }).catch(ignore);
    await sleep(5);
    await tasks.close();
    await call;
  });
}

async function fills(): Promise<void> {
  const tasks = queue<string>("full", { url });
  await tasks.configure({ bytesMax: 100_000 });
  void again(() => tasks.addMany(Array.from({ length: 50 }, () => "x".repeat(1000))));
}

if (isMainThread) {
  for (const member of [leaves, saysNothing, failsAll, babbles, stranger, leavesBeforeTheAnswer]) member();
  await fills().catch(ignore);
  const blocked = new Thread(new URL(import.meta.url), { workerData: url, execArgv: process.execArgv });
  blocked.once("online", () => console.log("all here"));
} else blocks();
