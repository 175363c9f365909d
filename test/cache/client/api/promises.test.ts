/** What the client promises: every call settles once, by its deadline, with its own answer or none. */
import assert from "node:assert/strict";
import { once } from "node:events";
import type { Socket } from "node:net";
import { test, type TestContext } from "node:test";
import { CacheClient, type CacheClientOptions } from "../../../../src/cache/index.ts";
import { ManualClock } from "../../../../src/core/manual-clock.ts";
import { fakeServer, type Answer, type FakeServer } from "../support/fake-server.ts";
import { freePort } from "../support/test-servers.ts";

interface Scene {
  readonly server: FakeServer;
  readonly cache: CacheClient;
  readonly clock: ManualClock;
}

async function scene(t: TestContext, answer: Answer, options: CacheClientOptions & { greets?: boolean } = {}): Promise<Scene> {
  const { greets = true, ...rest } = options;
  const server = await fakeServer(t, answer, { greets });
  const clock = new ManualClock();
  const cache = new CacheClient({ servers: [server.address], clock, random: () => 0.5, ...rest });
  t.after(() => cache.close());
  return { server, cache, clock };
}

/** Answers every `get` with the key as its value. */
const echo: Answer = (line) => {
  const [verb, ...keys] = line.split(" ");
  if (verb === "get") return `${keys.map((key) => `VALUE ${key} 0 ${key.length}\r\n${key}\r\n`).join("")}END\r\n`;
  return verb === "set" ? "STORED\r\n" : "ERROR\r\n";
};

const silent: Answer = () => undefined;

test("a call that is not answered rejects with CACHE_TIMEOUT at its deadline, not before", async (t) => {
  const { server, cache, clock } = await scene(t, silent);
  let settled = "no";
  const call = cache.get("a").then(
    () => (settled = "resolved"),
    (error: { code: string }) => (settled = error.code),
  );
  await server.received(1);
  clock.advance(999);
  await new Promise(setImmediate);
  assert.equal(settled, "no");
  clock.advance(1);
  await call;
  assert.equal(settled, "CACHE_TIMEOUT");
});

test("each call has its own deadline, in any order", async (t) => {
  const { server, cache, clock } = await scene(t, silent);
  const order: string[] = [];
  const ask = (key: string, timeout: string): Promise<unknown> => cache.get(key, { timeout }).catch(() => order.push(key));
  const calls = [ask("long", "900ms"), ask("short", "10ms"), ask("middle", "500ms")];
  await server.received(1);
  for (let ms = 0; ms < 900; ms += 10) {
    clock.advance(10);
    await new Promise(setImmediate);
  }
  await Promise.all(calls);
  assert.deepEqual(order, ["short", "middle", "long"]);
});

test("a reply that comes after the deadline goes to nobody else", async (t) => {
  const held: { line: string; socket: Socket }[] = [];
  const { server, cache, clock } = await scene(t, (line, socket) => void held.push({ line, socket }));
  const late = cache.get("late", { timeout: 10 });
  await server.received(1);
  clock.advance(10);
  await assert.rejects(late, { code: "CACHE_TIMEOUT" });
  const next = cache.get("next");
  await server.received(2);
  for (const { line, socket } of held) socket.write(echo(line, socket)!);
  assert.equal(await next, "next");
  assert.equal(server.accepted, 1);
});

test("a server that accepts and says nothing fails its callers within the connect timeout", async (t) => {
  const { server, cache, clock } = await scene(t, silent, { greets: false, timeout: "10s", connectTimeout: 300 });
  const call = cache.get("a");
  await server.received(1); // our `version`, to which nothing comes
  clock.advance(300);
  await assert.rejects(call, { code: "CACHE_TIMEOUT" });
});

test("a connection that stays silent for the timeout is given up and a new one serves", async (t) => {
  let speaks = false;
  const { server, cache, clock } = await scene(t, (line, socket) => (speaks ? echo(line, socket) : undefined));
  const call = cache.get("a");
  await server.received(1);
  clock.advance(1000);
  await assert.rejects(call, { code: "CACHE_TIMEOUT" });
  speaks = true;
  assert.equal(await cache.get("b"), "b");
  assert.equal(server.accepted, 2);
});

test("nobody listens: the call rejects at once with CACHE_UNREACHABLE", async (t) => {
  const cache = new CacheClient({ servers: [`127.0.0.1:${await freePort()}`] });
  t.after(() => cache.close());
  await assert.rejects(cache.get("a"), { code: "CACHE_UNREACHABLE" });
  await assert.rejects(cache.set("a", 1), { code: "CACHE_UNREACHABLE" });
});

test('with onError: "miss" a failed call gives what a miss gives', async (t) => {
  const cache = new CacheClient({ servers: [`127.0.0.1:${await freePort()}`], onError: "miss" });
  t.after(() => cache.close());
  assert.equal(await cache.get("a"), undefined);
  assert.equal(await cache.gets("a"), undefined);
  assert.deepEqual(await cache.getMany(["a", "b"]), new Map());
  assert.equal(await cache.set("a", 1), false);
  assert.equal(await cache.cas("a", 1, 1n), "missing");
  assert.equal(await cache.delete("a"), false);
  assert.equal(await cache.incr("a"), undefined);
  await assert.rejects(cache.get("a key"), { code: "CACHE_KEY_INVALID" });
  await assert.rejects(cache.get("a", { signal: AbortSignal.abort() }), { code: "ABORTED" });
});

test("an aborted call rejects with ABORTED at once, and its late reply goes nowhere", async (t) => {
  const held: { line: string; socket: Socket }[] = [];
  const { server, cache } = await scene(t, (line, socket) => void held.push({ line, socket }));
  const abort = new AbortController();
  const call = cache.get("a", { signal: abort.signal });
  await server.received(1);
  abort.abort(new Error("enough"));
  await assert.rejects(call, { code: "ABORTED", cause: new Error("enough") });
  const next = cache.get("b");
  await server.received(2);
  for (const { line, socket } of held) socket.write(echo(line, socket)!);
  assert.equal(await next, "b");
});

test("a signal that is already aborted sends nothing", async (t) => {
  const { server, cache } = await scene(t, echo);
  await assert.rejects(cache.set("a", 1, { signal: AbortSignal.abort() }), { code: "ABORTED" });
  await assert.rejects(cache.getMany(["a", "b"], { signal: AbortSignal.abort() }), { code: "ABORTED" });
  assert.equal(await cache.get("c"), "c");
  assert.deepEqual(server.lines, ["get c"]);
});

test("a settled call leaves no listener on its signal", async (t) => {
  const { cache } = await scene(t, echo);
  const abort = new AbortController();
  let listeners = 0;
  const { addEventListener, removeEventListener } = abort.signal;
  abort.signal.addEventListener = (...args: Parameters<typeof addEventListener>) => {
    listeners += 1;
    addEventListener.apply(abort.signal, args);
  };
  abort.signal.removeEventListener = (...args: Parameters<typeof removeEventListener>) => {
    listeners -= 1;
    removeEventListener.apply(abort.signal, args);
  };
  await Promise.all([cache.get("a", { signal: abort.signal }), cache.getMany(["b", "c"], { signal: abort.signal })]);
  assert.equal(listeners, 0);
});

test("a call that timed out before it was sent is never sent", async (t) => {
  const slow: Answer = (line, socket) => (line === "version" ? undefined : echo(line, socket));
  const { server, cache, clock } = await scene(t, slow, { greets: false, connectTimeout: "1h" });
  const call = cache.set("a", 1);
  await server.received(1);
  clock.advance(1000);
  await assert.rejects(call, { code: "CACHE_TIMEOUT" });
  for (const socket of server.sockets) socket.write("VERSION 1.6.45\r\n");
  assert.equal(await cache.get("b"), "b");
  assert.deepEqual(server.lines, ["version", "get b"]);
});

test("a full queue fails fast, in calls and in bytes", async (t) => {
  const { cache, clock } = await scene(t, silent, { queueCalls: 3, queueBytes: 100 });
  const first = [cache.get("a"), cache.get("b"), cache.set("c", "c".repeat(100))];
  await assert.rejects(cache.get("d"), { code: "CACHE_QUEUE_FULL" });
  clock.advance(1000);
  for (const call of await Promise.allSettled(first)) assert.equal(call.status, "rejected");
  const bytes = cache.set("e", "e".repeat(60));
  await assert.rejects(cache.set("f", "f".repeat(60)), { code: "CACHE_QUEUE_FULL" });
  clock.advance(1000);
  await assert.rejects(bytes);
});

test("close settles everything with CLOSED, may be called twice, and later calls are refused", async (t) => {
  const { server, cache } = await scene(t, silent);
  const sent = [cache.get("a"), cache.set("b", 1), cache.getMany(["c", "d"])];
  await server.received(3);
  const unsent = cache.get("e");
  await Promise.all([cache.close(), cache.close()]);
  for (const call of [...sent, unsent, cache.get("f"), cache.stats()]) await assert.rejects(call, { code: "CLOSED" });
});

test("a connection cut in the middle of a reply: the read is asked again, the write is not", async (t) => {
  let cuts = 1;
  const { server, cache } = await scene(t, (line, socket) => {
    if (cuts === 0) return echo(line, socket);
    if (!line.startsWith("set")) return undefined;
    cuts -= 1;
    socket.end("VALUE a 0 100\r\nhalf a val");
    return undefined;
  });
  const [one, many, write] = await Promise.allSettled([cache.get("a"), cache.getMany(["b", "c"]), cache.set("d", "d")]);
  assert.deepEqual(one, { status: "fulfilled", value: "a" });
  assert.deepEqual(many.status === "fulfilled" && [...many.value.keys()], ["b", "c"]);
  assert.equal(write.status === "rejected" && write.reason.code, "CACHE_UNREACHABLE");
  assert.equal(server.lines.filter((line) => line.startsWith("set")).length, 1);
});

test("a getMany that is cut off half answered gives what came, and nothing for the rest, where failures count as misses", async (t) => {
  const answer = "VALUE b 0 1\r\nb\r\nVALUE d 0 1\r\nd\r\n";
  const { cache } = await scene(
    t,
    (_line, socket) => {
      socket.write(answer, () => setImmediate(() => socket.destroy()));
      return undefined;
    },
    { onError: "miss" },
  );
  const found = await cache.getMany<string>(["a", "b", "c", "d", "e"]);
  assert.deepEqual([...found], [["b", "b"], ["d", "d"]]); // prettier-ignore
});

test("a getMany gives the keys in the order they were asked for, each once, misses left out", async (t) => {
  const { server, cache } = await scene(
    t,
    (line) =>
    `${line.split(" ").slice(1).filter((key) => key !== "b").map((key) => `VALUE ${key} 0 1\r\n${key}\r\n`).join("")}END\r\n`, // prettier-ignore
  );
  const [first, second] = await Promise.all([
    cache.getMany<string>(["d", "b", "a", "d", "c"]),
    cache.getMany<string>(["c", "b", "e"]),
  ]);
  assert.deepEqual([...first.keys()], ["d", "a", "c"]);
  assert.deepEqual([...second], [["c", "c"], ["e", "e"]]); // prettier-ignore
  assert.deepEqual(server.lines, ["get d b a c e"], "and what two calls of one tick want is asked for once");
});

test("a key asked for as text and as bytes in one getMany is found under both", async (t) => {
  const { cache } = await scene(
    t,
    (line) =>
    `${line.split(" ").slice(1).map((key) => `VALUE ${key} 0 1\r\n${key}\r\n`).join("")}END\r\n`, // prettier-ignore
  );
  const bytes = Buffer.from("a");
  const found = await cache.getMany<string, string | Buffer>(["a", bytes, "b"]);
  assert.deepEqual([...found], [["a", "a"], [bytes, "a"], ["b", "b"]]); // prettier-ignore
});

test("a read that fails twice rejects: it is not asked a third time", async (t) => {
  const { server, cache } = await scene(t, (_line, socket) => void socket.destroy());
  await assert.rejects(cache.get("a"), { code: "CACHE_UNREACHABLE" });
  assert.equal(server.lines.length, 2);
});

const WRONG: Readonly<Record<string, string>> = {
  "another key's value": "VALUE b 0 1\r\nx\r\nEND\r\n",
  "the same value twice": "VALUE a 0 1\r\nx\r\nVALUE a 0 1\r\ny\r\nEND\r\n",
  "a reply to another command": "STORED\r\n",
  "a value longer than announced": "VALUE a 0 1\r\nxyz\r\nEND\r\n",
  "a value of 9 exabytes": "VALUE a 0 9223372036854775807\r\n",
  "an HTTP page": "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n<html>",
  "binary noise": "\u0081\u0000\r\n\u00ff\n",
};

for (const [what, reply] of Object.entries(WRONG)) {
  test(`${what} is never taken for an answer; the connection is given up and the next serves`, async (t) => {
    let wrong = true;
    const { server, cache } = await scene(t, (line, socket) => (wrong ? reply : echo(line, socket)));
    const outcome = await cache.get("a").then(
      (value) => ({ value }),
      (error: { code: string }) => error.code,
    );
    if (what === "the same value twice") assert.deepEqual(outcome, { value: "x" });
    else assert.equal(outcome, "CACHE_REPLY_INVALID");
    wrong = false;
    assert.equal(await cache.get("z"), "z");
    assert.ok(server.accepted > 1);
  });
}

test("bytes that answer no question end the connection, and nothing is lost by it", async (t) => {
  const { server, cache } = await scene(t, echo);
  assert.equal(await cache.get("a"), "a");
  const [socket] = server.sockets;
  socket!.write("VALUE b 0 1\r\nx\r\nEND\r\n");
  await once(socket!, "close");
  assert.equal(await cache.get("b"), "b");
  assert.equal(server.accepted, 2);
});

test("an ERROR to a storing command ends the connection: its value may have been read as commands", async (t) => {
  const { server, cache } = await scene(t, (line, socket) => (line.startsWith("set bad") ? "ERROR\r\n" : echo(line, socket)));
  await assert.rejects(cache.set("bad", "flush_all"), { code: "CACHE_REFUSED" });
  assert.equal(await cache.get("a"), "a");
  assert.equal(server.accepted, 2);
});

test("everything asked in one tick leaves in one write, gets of one tick in one line", async (t) => {
  const chunks: number[] = [];
  const { server, cache } = await scene(t, echo);
  await cache.get("warm");
  for (const socket of server.sockets) socket.on("data", (chunk) => chunks.push(chunk.length));
  await Promise.all([cache.get("a"), cache.get("b"), cache.get("a"), cache.set("c", 1), cache.get("d")]);
  assert.deepEqual(server.lines.slice(1), ["get a b", "set c 8 0 1", "get d"]);
  assert.equal(chunks.length, 1);
});

test("getMany of 100,000 keys keeps what waits in memory bounded and finds them all", async (t) => {
  const { cache } = await scene(t, echo);
  const keys = Array.from({ length: 100_000 }, (_, index) => `key:${index}`);
  const found = await cache.getMany<string>(keys);
  assert.equal(found.size, keys.length);
  for (const [key, value] of found) assert.equal(value, key);
});
