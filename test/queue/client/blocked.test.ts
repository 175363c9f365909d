/** Handlers that hold their event loop, in processes of their own. The broker finds a silent peer gone within 0.6 s, instead of 15. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { test, type TestContext } from "node:test";
import { Broker, type BrokerOptions, queue, worker } from "../../../src/queue/index.ts";

/** Computes without ever giving the event loop back. */
const WORKER = `
  import { queue, worker } from ${JSON.stringify(join(import.meta.dirname, "../../../src/queue/index.ts"))};
  const onError = (error) => console.log("error " + error.message);
  const lookup = async () => ["127.0.0.1", "127.0.0.2"];
  const url = process.argv[1];
  worker(queue("q", url.includes(".test:") ? { url, lookup } : { url }), (ms) => {
    console.log("began");
    const endMs = Date.now() + ms;
    while (Date.now() < endMs);
    console.log("ended");
    return "computed for " + ms;
  }, { onError });
`;

async function open(t: TestContext, options: BrokerOptions = {}): Promise<Broker> {
  const broker = new Broker({ listen: "tcp://127.0.0.1:0", data: false, heartbeatMs: 200, ...options });
  await broker.listen();
  t.after(() => broker.close());
  return broker;
}

/** Resolves when the connections of a program are there: its client's, its worker's, its keeper's. */
async function connected(broker: Broker): Promise<void> {
  while (broker.stats().peers < 3) await new Promise((resolve) => setTimeout(resolve, 10));
}

interface Program {
  readonly child: ChildProcess;
  readonly lines: string[];
  /** Waits until it has said that. */
  said(line: string): Promise<void>;
}

function start(t: TestContext, url: string): Program {
  const args = ["--conditions=holdfast-source", "--input-type=module", "--eval", WORKER, url];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  t.after(() => child.kill("SIGKILL"));
  const lines: string[] = [];
  const reader = createInterface(child.stdout);
  reader.on("line", (line) => lines.push(line));
  return {
    child,
    lines,
    async said(line) {
      while (!lines.includes(line)) await once(reader, "line", { signal: AbortSignal.timeout(20_000) });
    },
  };
}

/** Takes whatever the blocked one loses. */
function other(t: TestContext, url: string): string[] {
  const taken: string[] = [];
  const q = queue<number, string>("q", { url });
  const running = worker(q, () => (taken.push("taken"), "done by another"), { signals: [] });
  t.after(() => Promise.all([running.close(), q.close()]));
  return taken;
}

function client(t: TestContext, url: string) {
  const q = queue<number, string>("q", { url });
  t.after(() => q.close());
  return q;
}

test("a handler that blocks its event loop for far longer than heartbeats wait runs once, and its result counts", async (t) => {
  const broker = await open(t);
  const blocked = start(t, broker.address);
  await connected(broker);
  const result = client(t, broker.address).call(3000);
  await blocked.said("began");
  const taken = other(t, broker.address);
  assert.equal(await result, "computed for 3000");
  assert.deepEqual([blocked.lines, taken], [["began", "ended"], []]);
  assert.equal(broker.stats().queues[0]!.failures, 0);
});

test("a handler that blocks for ever loses its task at attemptTimeout; what it says later is told as too late", async (t) => {
  const broker = await open(t);
  const blocked = start(t, broker.address);
  await connected(broker);
  const task = await client(t, broker.address).add(3000, { attemptTimeout: "1s", backoff: 1 });
  await blocked.said("began");
  other(t, broker.address);
  assert.equal(await task.result(), "done by another");
  await blocked.said("error the result came too late: the lease was lost");
});

test("a broker that restarts while a handler blocks gives its task to nobody else, and takes its result", async (t) => {
  const data = await mkdtemp(join(tmpdir(), "holdfast-blocked-"));
  t.after(() => rm(data, { recursive: true, force: true }));
  const first = await open(t, { data });
  const blocked = start(t, first.address);
  await connected(first);
  const q = client(t, first.address);
  const task = await q.add(7500);
  await blocked.said("began");
  await new Promise((resolve) => setTimeout(resolve, 300));
  await first.close();
  const second = await open(t, { data, listen: first.address });
  const taken = other(t, second.address);
  // Leases of before a restart that nobody has resumed after 5 s are given to others.
  assert.equal(await task.result({ timeout: "20s" }), "computed for 7500");
  assert.deepEqual([blocked.lines, taken], [["began", "ended"], []]);
});

test("a handler that blocks before its second address has answered is kept there, when its broker comes back behind that", async (t) => {
  const data = await mkdtemp(join(tmpdir(), "holdfast-blocked-"));
  t.after(() => rm(data, { recursive: true, force: true }));
  const first = await open(t, { data });
  const port = Number(new URL(first.address).port);
  let behind: number | undefined;
  const waiting = new Set<Socket>();
  const late = createServer((socket) => {
    socket.on("error", () => socket.destroy());
    if (behind !== undefined) pass(socket, behind);
    else waiting.add(socket);
  });
  late.listen(port, "127.0.0.2");
  await once(late, "listening");
  t.after(() => late.close());
  const task = await client(t, first.address).add(7000);
  const blocked = start(t, `tcp://two-addresses.test:${port}`);
  await blocked.said("began");
  while (waiting.size < 2) await new Promise((resolve) => setTimeout(resolve, 10));
  // Until the lease is written down.
  await new Promise((resolve) => setTimeout(resolve, 300));
  await first.close();
  const second = await open(t, { data });
  behind = Number(new URL(second.address).port);
  for (const socket of waiting) pass(socket, behind);
  const taken = other(t, second.address);
  assert.equal(await client(t, second.address).task(task.id).result({ timeout: "20s" }), "computed for 7000");
  assert.deepEqual([blocked.lines, taken], [["began", "ended"], []]);
});

function pass(socket: Socket, port: number): void {
  const on = connect(port, "127.0.0.1");
  on.on("error", () => socket.destroy());
  socket.pipe(on).pipe(socket);
}

test("a process that dies while its handler blocks loses its task at once", async (t) => {
  const broker = await open(t, { heartbeatMs: 5000 });
  const blocked = start(t, broker.address);
  await connected(broker);
  const result = client(t, broker.address).call(60_000);
  await blocked.said("began");
  other(t, broker.address);
  const fromMs = performance.now();
  blocked.child.kill("SIGKILL");
  assert.equal(await result, "done by another");
  // Heartbeats would find it gone after 15 s.
  assert.ok(performance.now() - fromMs < 10_000);
});

test("a process that stands still, keeper and all, loses its task when heartbeats find it gone", async (t) => {
  const broker = await open(t);
  const stopped = start(t, broker.address);
  await connected(broker);
  const result = client(t, broker.address).call(60_000);
  await stopped.said("began");
  other(t, broker.address);
  stopped.child.kill("SIGSTOP");
  assert.equal(await result, "done by another");
});

test("a keeper whose connection is cut while the handler blocks connects again, and the handler still runs once", async (t) => {
  const broker = await open(t, { heartbeatMs: 5000 });
  const sockets: Socket[] = [];
  const { port: target } = new URL(broker.address.replace("tcp:", "http:"));
  const proxy = createServer((socket) => {
    const upstream = connect(Number(target), "127.0.0.1");
    for (const each of [socket, upstream]) each.on("error", () => {});
    socket.pipe(upstream).pipe(socket);
    sockets.push(socket);
  });
  proxy.listen(0, "127.0.0.1");
  await once(proxy, "listening");
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    proxy.close();
  });
  const { port } = proxy.address() as { port: number };
  const blocked = start(t, `tcp://127.0.0.1:${port}`);
  await connected(broker);
  const result = client(t, broker.address).call(3000);
  await blocked.said("began");
  const taken = other(t, broker.address);
  // The keeper's is the last that the process made: it does not begin before the broker has welcomed the worker.
  sockets.at(-1)!.destroy();
  assert.equal(await result, "computed for 3000");
  assert.deepEqual([blocked.lines, taken], [["began", "ended"], []]);
});

test("workers and their keeper keep no process alive when they are closed, and share one thread", async (t) => {
  const broker = await open(t, { heartbeatMs: 5000 });
  const source = `
    import { readdirSync } from "node:fs";
    import { queue, worker } from ${JSON.stringify(join(import.meta.dirname, "../../../src/queue/index.ts"))};
    const threads = () => readdirSync("/proc/self/task").length;
    const q = queue("q", { url: process.argv[1] });
    const before = threads();
    const running = [];
    for (let round = 0; round < 2; round += 1) {
      for (let count = 0; count < 5; count += 1) running.push(worker(q, (x) => x, { signals: [] }));
      await Promise.all(Array.from({ length: 50 }, (_, at) => q.call(at)));
      console.log(threads() - before);
      await Promise.all(running.splice(0).map((each) => each.close()));
    }
    await q.close();
    console.log("closed");`;
  const child = spawn(
    process.execPath,
    ["--conditions=holdfast-source", "--input-type=module", "--eval", source, broker.address],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  t.after(() => child.kill("SIGKILL"));
  const lines: string[] = [];
  createInterface(child.stdout).on("line", (line) => lines.push(line));
  assert.deepEqual(await once(child, "close"), [0, null]);
  // libuv starts up to four threads of its own on demand.
  assert.ok(Number(lines[0]) <= 5 && lines[2] === "closed", lines.join());
  while (broker.stats().peers > 0) await new Promise((resolve) => setTimeout(resolve, 10));
});
