/** A program that gives its event loop no turn for longer than a call's timeout: what was answered in time settles with its answer. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { CacheClient } from "../../../../src/cache/index.ts";
import { ManualClock } from "../../../../src/core/manual-clock.ts";
import { requires } from "../../../support/requires.ts";
import { HOLDFAST_CACHE, MEMCACHED, startCache } from "../../support/servers.ts";
import { CallLimits } from "../../../../src/cache/client/api/call-limits.ts";
import { within } from "../../../../src/cache/client/api/within.ts";
import { fakeServer } from "../support/fake-server.ts";

const HELD_MS = 700;

function hold(): void {
  const began = performance.now();
  while (performance.now() - began < HELD_MS);
}

for (const [name, command, needs] of [
  ["memcached", MEMCACHED, ["memcached"]],
  ["Holdfast", HOLDFAST_CACHE, []],
] as const) {
  test(`answers that lie in the socket when a held loop goes on are not late (${name})`, requires(...needs), async (t) => {
    const server = await startCache(command);
    t.after(() => server.stop());
    const { path } = server.at as { path: string };
    const client = new CacheClient({ servers: [path], timeout: "500ms" });
    t.after(() => client.close());
    let ejections = 0;
    client.on("ejected", () => (ejections += 1));
    const large = "x".repeat(900_000);
    const keys = ["l1", "l2", "l3", "l4", "l5", "l6"];
    for (const key of keys) assert.equal(await client.set(key, large), true);
    for (let round = 0; round < 4; round += 1) {
      const asked = Promise.all([client.get("l1"), client.get("none"), client.set("x", round), client.getMany(keys)]);
      await new Promise(setImmediate); // the requests are written
      hold();
      const [value, none, stored, many] = await asked;
      assert.deepEqual([value, none, stored, many.size], [large, undefined, true, keys.length]);
    }
    assert.equal(ejections, 0);
  });

  test(`a connection that a held loop has kept waiting is not given up (${name})`, requires(...needs), async (t) => {
    const server = await startCache(command);
    t.after(() => server.stop());
    const { path } = server.at as { path: string };
    const client = new CacheClient({ servers: [path], timeout: "2s", connectTimeout: "300ms" });
    t.after(() => client.close());
    const asked = client.set("k", 1);
    await new Promise(process.nextTick);
    hold();
    assert.equal(await asked, true);
    assert.equal(client.servers[0]!.state, "up");
  });
}

test("a call of several requests, of which one was answered late because the loop was held, has 200 ms for the next", () => {
  const clock = new ManualClock();
  const limits = new CallLimits(clock, 500, undefined);
  const [whole, short] = [limits.later(undefined), limits.later({ timeout: 50 })];
  clock.advance(490);
  assert.deepEqual([whole().timeout, short().timeout], [10, 50]);
  clock.advance(300);
  assert.deepEqual([whole().timeout, short().timeout], [200, 50]);
});

test("values that the server refuses eject nobody, and what was sent behind them is not said to be refused", async (t) => {
  const { address } = await fakeServer(t, (line) => {
    if (line.startsWith("get")) return "VALUE k 0 4\r\ntext\r\nEND\r\n";
    return line.startsWith("set") ? "CLIENT_ERROR bad data chunk\r\n" : undefined;
  });
  const client = new CacheClient({ servers: [address] });
  t.after(() => client.close());
  for (let round = 0; round < 5; round += 1) {
    const [refused, deleted, read] = await Promise.allSettled([client.set("k", "x"), client.delete("none"), client.get("k")]);
    assert.equal(refused.status === "rejected" && refused.reason.code, "CACHE_REFUSED");
    assert.equal(deleted.status === "rejected" && deleted.reason.code, "CACHE_UNREACHABLE");
    assert.equal(read.status === "fulfilled" && read.value, "text");
  }
  assert.equal(client.servers[0]!.state, "up");
  assert.equal(await client.get("k"), "text");
});

test("a deadline is looked at once more after the input that has arrived was read", async () => {
  const clock = new ManualClock();
  const answered = Promise.withResolvers<string>();
  const late = Promise.withResolvers<string>();
  const goOn = clock.holdInput();
  const limit = { deadlineMs: 1000, signal: undefined };
  const inTime = within(clock, answered.promise, limit, () => "late");
  const tooLate = within(clock, late.promise, limit, () => "late");
  clock.advance(1300);
  answered.resolve("answer");
  await new Promise(setImmediate);
  goOn();
  assert.deepEqual(await Promise.all([inTime, tooLate]), ["answer", "late"]);
});
