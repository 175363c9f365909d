/**
 * All faults at once, drawn from a seed: five servers behind rough networks are killed and started again, stopped and continued,
 * cut off in the middle of replies, some of them at the same time, while a checked load runs. `HOLDFAST_LONG=1` makes it ten times
 * the load for three minutes.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { CacheClient } from "../../../../src/cache/index.ts";
import { between, seeded } from "../../../../src/core/random.ts";
import { requires } from "../../../support/requires.ts";
import { CheckedLoad } from "../support/checker.ts";
import { heapBytes } from "../support/heap.ts";
import { memcached, memcachedAt, stop, type ForeignServer } from "../support/test-servers.ts";
import { roughProxy } from "../support/rough-proxy.ts";

const LONG = process.env["HOLDFAST_LONG"] !== undefined;
const STORM_MS = LONG ? 180_000 : 4000;
const TIMEOUT_MS = 300;
/** Timers, a machine that others use, and 400 callers in one thread: a call may settle this much after its deadline. */
const SLACK_MS = LONG ? 1500 : 700;

test(
  "five servers die, stop, and break off, all at random: every call settles, no value is wrong, all serve again",
  requires("memcached"),
  async (t) => {
    const seed = Math.floor(Math.random() * 1e9);
    t.diagnostic(`seed ${seed}`);
    const random = seeded(seed);
    const peers: ForeignServer[] = await Promise.all(Array.from({ length: 5 }, () => memcached(t)));
    const rough = { cut: 0.001, split: 0.2 };
    const servers = await Promise.all(peers.map(({ address }) => roughProxy(t, address, rough, random)));
    const cache = new CacheClient({ servers, timeout: TIMEOUT_MS, backoff: { max: "200ms" } });
    t.after(() => cache.close());
    const load = new CheckedLoad(cache, {
      callers: LONG ? 400 : 40,
      keys: LONG ? 2000 : 200,
      lateMs: TIMEOUT_MS * 2 + SLACK_MS,
      random,
    });
    const faults: Readonly<Record<string, (index: number) => Promise<void>>> = {
      async killed(index) {
        await stop(peers[index]!.process);
        await delay(between(random, 0, 800));
        peers[index] = await memcachedAt(t, peers[index]!.port);
      },
      async stopped(index) {
        peers[index]!.process.kill("SIGSTOP");
        await delay(between(random, 0, 1200));
        peers[index]!.process.kill("SIGCONT");
      },
    };
    const told: Record<string, number> = {};
    const heaps: number[] = [];
    const endMs = performance.now() + STORM_MS;
    while (performance.now() < endMs) {
      const first = between(random, 0, peers.length - 1);
      const victims = random() < 0.3 ? [first, (first + 1) % peers.length] : [first];
      await Promise.all(
        victims.map((index) => {
          const fault = random() < 0.5 ? "killed" : "stopped";
          told[fault] = (told[fault] ?? 0) + 1;
          return faults[fault]!(index);
        }),
      );
      await delay(between(random, 0, 300));
      heaps.push(heapBytes());
    }
    const calm = performance.now() + 10_000;
    while (performance.now() < calm && cache.servers.some(({ state }) => state === "ejected")) await delay(20);
    assert.deepEqual(cache.servers.filter(({ state }) => state === "ejected"), [], "all serve again"); // prettier-ignore
    const before = load.hits;
    while (performance.now() < calm && load.hits < before + 500) await delay(20);
    assert.ok(load.hits >= before + 500, "and are used");
    const { calls, hits, failures, wrong, longestMs } = await load.stop();
    t.diagnostic(`${JSON.stringify(told)}: ${calls} calls, ${hits} hits, longest ${Math.round(longestMs)} ms`);
    t.diagnostic(
      `failures ${JSON.stringify([...failures])}; heap ${Math.round(heaps[0]! / 1e6)} to ${Math.round(heaps.at(-1)! / 1e6)} MB`,
    );
    assert.deepEqual(wrong, []);
    assert.ok(heaps.at(-1)! < heaps[0]! + 24 * 1024 * 1024, "memory stays flat");
  },
);
