import assert from "node:assert/strict";
import { test } from "node:test";
import { CacheClient } from "../../../../src/cache/index.ts";
import { parseClusterConfig } from "../../../../src/cache/client/pool/cluster-config.ts";
import { ManualClock } from "../../../../src/core/manual-clock.ts";
import { fakeServer, type Answer } from "../support/fake-server.ts";
import { holdfast } from "../support/test-servers.ts";

/** Answers each get with its own name as the value. */
function named(name: string): Answer {
  return (line) => {
    const [verb, ...keys] = line.split(" ");
    return verb === "get"
      ? `${keys.map((key) => `VALUE ${key} 0 ${name.length}\r\n${name}\r\n`).join("")}END\r\n`
      : "ERROR\r\n";
  };
}

const KEYS = Array.from({ length: 100 }, (_, index) => `key:${index}`);

async function answering(cache: CacheClient): Promise<string[]> {
  return [...new Set((await cache.getMany<string>(KEYS)).values())].toSorted();
}

async function until(holds: () => boolean): Promise<void> {
  for (let turn = 0; turn < 100_000 && !holds(); turn += 1) await new Promise(setImmediate);
  assert.ok(holds(), "it never came to pass");
}

test("a DNS name's addresses are the servers, and a change of them is applied live", async (t) => {
  const one = await fakeServer(t, named("one"), { host: "127.0.0.1" });
  await fakeServer(t, named("two"), { host: "127.0.0.2", port: one.port });
  await fakeServer(t, named("three"), { host: "127.0.0.3", port: one.port });
  let addresses = ["127.0.0.2", "127.0.0.1"];
  const clock = new ManualClock();
  const asked: string[] = [];
  const resolve = async (host: string): Promise<readonly string[]> => {
    asked.push(host);
    return addresses;
  };
  await using cache = new CacheClient({ servers: { dns: `cache.internal:${one.port}`, every: "30s", resolve }, clock });
  const changes: unknown[] = [];
  cache.on("servers", (change) => changes.push(change));
  assert.deepEqual(await answering(cache), ["one", "two"]);
  addresses = ["127.0.0.3", "127.0.0.1"];
  clock.advance(30_000);
  await until(() => changes.length === 2);
  assert.deepEqual(await answering(cache), ["one", "three"]);
  assert.deepEqual(changes[1], { added: [`127.0.0.3:${one.port}`], removed: [`127.0.0.2:${one.port}`] });
  assert.deepEqual(new Set(asked), new Set(["cache.internal"]));
  assert.equal(one.accepted, 1, "who stays keeps its connection");
});

test("a resolver that fails or finds nothing leaves the last list in use, and is told as an event", async (t) => {
  const server = await fakeServer(t, named("one"));
  let answer: () => Promise<readonly string[]> = async () => ["127.0.0.1"];
  const clock = new ManualClock();
  const dns = `cache.internal:${server.port}`;
  await using cache = new CacheClient({ servers: { dns, resolve: () => answer() }, clock });
  assert.deepEqual(await answering(cache), ["one"]);
  const failures: string[] = [];
  cache.on("failed", ({ error }) => failures.push(error.message));
  answer = () => Promise.reject(new Error("SERVFAIL"));
  clock.advance(30_000);
  await until(() => failures.length === 1);
  assert.match(failures[0]!, /SERVFAIL/);
  answer = async () => [];
  clock.advance(30_000);
  assert.deepEqual(await answering(cache), ["one"]);
});

test("calls made before the servers are known wait for them, by their own deadline at the latest", async () => {
  const clock = new ManualClock();
  const never = { dns: "cache.internal", resolve: () => new Promise<never>(() => {}) };
  await using strict = new CacheClient({ servers: never, clock });
  await using lenient = new CacheClient({ servers: never, clock, onError: "miss" });
  const abort = new AbortController();
  const aborted = strict.get("a", { signal: abort.signal });
  const calls = [strict.get("a"), strict.getMany(["a", "b"]), strict.set("a", 1)];
  const missing = [lenient.get("a"), lenient.getMany(["a"]), lenient.fetch("a", () => "loaded", { timeout: 1000 })];
  abort.abort();
  await assert.rejects(aborted, { code: "ABORTED" });
  clock.advance(1000);
  for (const call of calls) await assert.rejects(call, { code: "CACHE_UNREACHABLE" });
  assert.deepEqual(await Promise.all(missing.slice(0, 2)), [undefined, new Map()]);
  await assert.rejects(missing[2]!, { code: "CACHE_TIMEOUT" });
});

function config(version: number, entries: string): string {
  const body = `${version}\n${entries}\n`;
  return `CONFIG cluster 0 ${body.length}\r\n${body}\r\nEND\r\n`;
}

test("a cluster that describes itself by `config get cluster` is followed as it changes", async (t) => {
  const [one, two] = [await fakeServer(t, named("one")), await fakeServer(t, named("two"))];
  let described = config(1, `127.0.0.1||${one.port}`);
  const endpoint = await fakeServer(t, (line) => (line === "config get cluster" ? described : "ERROR\r\n"));
  const clock = new ManualClock();
  await using cache = new CacheClient({ servers: { cluster: endpoint.address, every: "1m" }, clock });
  assert.deepEqual(await answering(cache), ["one"]);
  described = config(2, `127.0.0.1|127.0.0.1|${one.port} 127.0.0.1|127.0.0.1|${two.port}`);
  let changed = false;
  cache.once("servers", () => (changed = true));
  const tick = (): void => clock.advance(100);
  await until(() => {
    tick();
    return changed;
  });
  assert.deepEqual(await answering(cache), ["one", "two"]);
  await endpoint.stop();
  let failed = false;
  cache.once("failed", () => (failed = true));
  await until(() => {
    tick();
    return failed;
  });
  assert.deepEqual(await answering(cache), ["one", "two"]);
});

test("a cluster of Holdfast's servers describes itself", async (t) => {
  const node = await holdfast(t);
  const port = node.address.split(":")[1]!;
  const endpoint = await holdfast(t, { cluster: [`127.0.0.1|127.0.0.1|${port}`] });
  await using cache = new CacheClient({ servers: { cluster: endpoint.address } });
  assert.equal(await cache.set("k", "v"), true);
  assert.deepEqual(
    cache.servers.map(({ name }) => name),
    [node.address],
  );
});

test("an engine that knows no `config` is asked in the older dialect", async (t) => {
  const one = await fakeServer(t, named("one"));
  const body = `7\n127.0.0.1|127.0.0.1|${one.port}\n`;
  const old = await fakeServer(t, (line) =>
    line === "get AmazonElastiCache:cluster"
      ? `VALUE AmazonElastiCache:cluster 0 ${body.length}\r\n${body}\r\nEND\r\n`
      : "ERROR\r\n",
  );
  await using cache = new CacheClient({ servers: { cluster: old.address } });
  assert.deepEqual(await answering(cache), ["one"]);
  assert.deepEqual(old.lines, ["config get cluster", "get AmazonElastiCache:cluster"]);
});

test("a server that describes no cluster fails its callers with a sentence", async (t) => {
  const plain = await fakeServer(t, (line) => (line.startsWith("get ") ? "END\r\n" : "ERROR\r\n"));
  await using cache = new CacheClient({ servers: { cluster: plain.address } });
  const told: string[] = [];
  cache.on("failed", ({ error }) => told.push(error.message));
  await assert.rejects(cache.get("a"), { code: "CACHE_UNREACHABLE" });
  assert.match(told[0]!, /returned no cluster configuration/);
});

test("cluster descriptions are read as AWS and Google write them", () => {
  const read = (text: string): string[] => parseClusterConfig(text).servers.map(({ name }) => name);
  assert.deepEqual(read("12\nnode1.cache.amazonaws.com|10.0.0.1|11211 node2.cache.amazonaws.com|10.0.0.2|11211\n"), [
    "node1.cache.amazonaws.com:11211",
    "node2.cache.amazonaws.com:11211",
  ]);
  assert.deepEqual(read("1\n0001.digits.first.example|10.0.0.1|11211\n"), ["0001.digits.first.example:11211"]);
  assert.deepEqual(read("3\n10.128.0.5|10.128.0.5|11211\n\n"), ["10.128.0.5:11211"]);
  assert.deepEqual(read("3\n|10.128.0.5|11211\r\n"), ["10.128.0.5:11211"]);
  assert.deepEqual(read("3\nfd00::1|fd00::1|11212\n"), ["[fd00::1]:11212"]);
  for (const text of ["", "x\nh|i|1\n", "1\n\n", "1\nhost\n", "1\nh|i|port\n", "1\n||1\n"]) {
    assert.throws(() => parseClusterConfig(text), { code: "CACHE_REPLY_INVALID" }, JSON.stringify(text));
  }
});
