/** What is asked of one server at once is bounded, and what waits meanwhile is asked once, however many calls want it. */
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { CacheClient } from "../../../../src/cache/index.ts";
import { InFlightWindow } from "../../../../src/cache/client/protocol/in-flight-window.ts";
import { ManualClock } from "../../../../src/core/manual-clock.ts";
import { fakeServer, type FakeServer } from "../support/fake-server.ts";

const TURN = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("a window shuts at 16 MiB of answers to come, opens when half has come, and always when nothing is outstanding", () => {
  const window = new InFlightWindow();
  window.asked(1);
  window.answered(1, 1024 * 1024);
  assert.equal(window.keyBytes, 1024 * 1024, "the first answer is believed");
  window.asked(16);
  assert.equal(window.open, true);
  window.asked(1);
  assert.equal(window.open, false);
  window.answered(8, 8 * 1024 * 1024);
  assert.equal(window.open, false, "9 of 16 MiB are still to come");
  window.answered(1, 1024 * 1024);
  assert.equal(window.open, true);
  window.asked(1_000_000);
  assert.equal(window.open, false);
  window.answered(1_000_008, 0);
  assert.equal(window.open, true);
});

test("an average follows the answers, and misses make it smaller", () => {
  const window = new InFlightWindow();
  window.answered(10, 100_000);
  for (let batch = 0; batch < 40; batch += 1) window.answered(10, 0);
  assert.ok(window.keyBytes < 100, `${window.keyBytes} bytes a key`);
});

interface Held {
  readonly server: FakeServer;
  readonly cache: CacheClient;
  readonly clock: ManualClock;
  /** Keys asked for so far, over all `get` lines. */
  asked(): string[];
  /** Answers what was held back, and from now on at once. */
  release(): void;
}

/** A server that keeps its answers back until it is told; every key but "none" is there. */
async function held(t: TestContext): Promise<Held> {
  let holding = true;
  const kept: (() => void)[] = [];
  const values = new Map<string, string>();
  const answer = (line: string): string => {
    const [verb, ...words] = line.split(" ") as [string, ...string[]];
    if (verb === "set") {
      values.set(words[0]!, "set");
      return "STORED\r\n";
    }
    const items = words
      .filter((key) => key !== "none")
      .map((key) => {
        const value = JSON.stringify({ key, by: values.get(key) ?? "x".repeat(2000) });
        return `VALUE ${key} 2 ${value.length}\r\n${value}\r\n`;
      });
    return `${items.join("")}END\r\n`;
  };
  const server = await fakeServer(t, (line, socket) => {
    if (!holding) return answer(line);
    kept.push(() => socket.write(answer(line), "latin1"));
    return undefined;
  });
  const clock = new ManualClock();
  const cache = new CacheClient({ servers: [server.address], clock });
  t.after(() => cache.close());
  return {
    server,
    cache,
    clock,
    asked: () => server.lines.filter((line) => line.startsWith("get ")).flatMap((line) => line.split(" ").slice(1)),
    release() {
      holding = false;
      for (const tell of kept.splice(0)) tell();
    },
  };
}

interface Item {
  readonly key: string;
  by: string;
}

/** Fills the window: before the first answer a key counts 16 KiB. */
const MANY = Array.from({ length: 3000 }, (_, index) => `many:${index}`);

test("while 16 MiB are outstanding the rest waits in the client, and all are found in the end", async (t) => {
  const { cache, server, asked, release } = await held(t);
  const call = cache.getMany<Item>(MANY);
  await server.received(10);
  await TURN();
  assert.ok(asked().length >= 1024 && asked().length < 1200, `${asked().length} keys were asked for`);
  release();
  const found = await call;
  assert.equal(found.size, MANY.length);
  for (const [key, item] of found) assert.equal(item.key, key);
});

test("keys that several calls wait for are asked once, and each call gets its own copy of them", async (t) => {
  const { cache, server, asked, release } = await held(t);
  await Promise.all([cache.getMany(MANY.slice(0, 200)), server.received(2).then(release)]); // values are known to be large
  const wanted = Array.from({ length: 250 }, (_, index) => `hot:${index}`);
  const calls = Array.from({ length: 8 }, (_, index) => cache.getMany<Item>([...wanted.slice(index * 10), "none"]));
  const one = cache.get<Item>("hot:100");
  const answers = await Promise.all(calls);
  assert.deepEqual(asked().filter((key) => !key.startsWith("many")).toSorted(), [...wanted, "none"].toSorted()); // prettier-ignore
  answers.forEach((found, index) => assert.deepEqual([...found.keys()], wanted.slice(index * 10)));
  answers[0]!.get("hot:100")!.by = "mine";
  assert.notEqual(answers[1]!.get("hot:100")!.by, "mine");
  assert.notEqual((await one)!.by, "mine");
  assert.equal(asked().filter((key) => key === "hot:100").length, 1);
});

test("a get behind a set is not answered by a get before it", async (t) => {
  const { cache, server, asked, release } = await held(t);
  await Promise.all([cache.getMany(MANY.slice(0, 200)), server.received(2).then(release)]);
  const [before, , after] = await Promise.all([cache.get<Item>("a"), cache.set("a", 1), cache.get<Item>("a")]);
  assert.notEqual(before!.by, "set");
  assert.equal(after!.by, "set");
  assert.deepEqual(server.lines.slice(2), ["get a", "set a 8 0 1", "get a"]);
  assert.equal(asked().filter((key) => key === "a").length, 2);
});

test("who shares a key with a call that timed out or was aborted still gets it", async (t) => {
  const { cache, server, clock, release } = await held(t);
  const first = cache.get<Item>("a", { timeout: "10ms" });
  const abort = new AbortController();
  const second = cache.getMany<Item>(["a", "b"], { signal: abort.signal });
  const third = cache.getMany<Item>(["b", "a"]);
  await server.received(1);
  clock.advance(11);
  abort.abort();
  await assert.rejects(first, { code: "CACHE_TIMEOUT" });
  await assert.rejects(second, { code: "ABORTED" });
  release();
  assert.deepEqual([...(await third).keys()], ["b", "a"]);
});

test("calls that share keys all get them from the next connection when theirs breaks", async (t) => {
  let cuts = 1;
  const server = await fakeServer(t, (line, socket) => {
    if (cuts > 0) {
      cuts -= 1;
      socket.destroy();
      return undefined;
    }
    const keys = line.split(" ").slice(1);
    return `${keys.map((key) => `VALUE ${key} 0 2000\r\n${key.padEnd(2000)}\r\n`).join("")}END\r\n`;
  });
  const cache = new CacheClient({ servers: [server.address] });
  t.after(() => cache.close());
  const calls = ["x y", "y z", "z x"].map((keys) => cache.getMany<string>(keys.split(" ")));
  for (const found of await Promise.all(calls)) assert.equal(found.size, 2);
  assert.deepEqual(server.lines, ["get x y z", "get x y z"]);
});

test("calls that only share what others asked for count in the queue's bound", async (t) => {
  const { server, clock } = await held(t);
  const cache = new CacheClient({ servers: [server.address], clock, queueCalls: 10 });
  t.after(() => cache.close());
  const calls = Array.from({ length: 11 }, () => cache.get("a"));
  await assert.rejects(calls[10]!, { code: "CACHE_QUEUE_FULL" });
  await server.received(1);
  await assert.rejects(cache.get("a"), { code: "CACHE_QUEUE_FULL" });
  clock.advance(1001);
  for (const call of calls.slice(0, 10)) await assert.rejects(call, { code: "CACHE_TIMEOUT" });
});
