import assert from "node:assert/strict";
import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { CacheClient, type CacheClientOptions } from "../../../../src/cache/index.ts";
import { requires } from "../../../support/requires.ts";
import { fakeServer } from "../support/fake-server.ts";
import { freePort, TEST_SERVERS } from "../support/test-servers.ts";

interface Deferred<T> {
  readonly promise: Promise<T>;
  readonly resolve: (value: T) => void;
  readonly reject: (error: unknown) => void;
}

function deferred<T>(): Deferred<T> {
  return Promise.withResolvers<T>();
}

/** What a child says next. @throws Error when it ends instead */
function told(child: ChildProcess): Promise<unknown[]> {
  const ended = once(child, "exit").then(([code]) => {
    throw new Error(`a child ended with ${code}`);
  });
  return Promise.race([once(child, "message"), ended]);
}

async function client(t: TestContext, server: string, options: CacheClientOptions = {}): Promise<CacheClient> {
  const cache = new CacheClient({ servers: [server], ...options });
  t.after(() => cache.close());
  return cache;
}

for (const [peer, { needs: packages, start }] of Object.entries(TEST_SERVERS)) {
  const needs = requires(...packages);

  test(`200 callers in each of 4 processes cost one loader call (${peer})`, needs, async (t) => {
    const { address } = await start(t);
    const cache = await client(t, address);
    await cache.set("loads", 0);
    const children = Array.from({ length: 4 }, () =>
      fork(join(import.meta.dirname, "../support/fetch-child.ts"), [address, "herd", "200"]),
    );
    t.after(() => children.forEach((child) => child.kill("SIGKILL")));
    await Promise.all(children.map(told));
    const answers = children.map(told);
    for (const child of children) child.send("go");
    assert.deepEqual(
      (await Promise.all(answers)).flat().filter((word) => typeof word === "string"),
      Array(4).fill("good"),
    );
    assert.equal(await cache.get("loads"), 1);
  });

  test(
    `closing a client ends a fetch that waits for another's loader, and begins no loader of its own (${peer})`,
    needs,
    async (t) => {
      const { address } = await start(t);
      const [holder, waiter] = [await client(t, address), await client(t, address)];
      const [begun, value] = [deferred<void>(), deferred<string>()];
      const held = holder.fetch("key", () => {
        begun.resolve();
        return value.promise;
      });
      await begun.promise;
      let loads = 0;
      const waiting = waiter.fetch("key", async () => {
        loads += 1;
        return "its own";
      });
      waiting.catch(() => {});
      await delay(200);
      await waiter.close();
      await assert.rejects(waiting, { code: "CLOSED" });
      value.resolve("held");
      assert.equal(await held, "held");
      assert.equal(loads, 0);
    },
  );

  test(`callers of one key in one process share one loader call, and later ones find the value (${peer})`, needs, async (t) => {
    const cache = await client(t, (await start(t)).address);
    let loads = 0;
    const load = async (): Promise<{ n: number }> => {
      await delay(20);
      return { n: ++loads };
    };
    const values = await Promise.all(Array.from({ length: 200 }, () => cache.fetch("k", load, { ttl: "1m" })));
    assert.deepEqual(
      values,
      Array.from({ length: 200 }, () => ({ n: 1 })),
    );
    assert.deepEqual(await cache.fetch("k", load, { ttl: "1m" }), { n: 1 });
    assert.deepEqual(await cache.get("k"), { n: 1 });
  });

  test(`empty strings, zeros and null are values, not misses (${peer})`, needs, async (t) => {
    const cache = await client(t, (await start(t)).address);
    for (const value of ["", 0, null, false]) {
      let loads = 0;
      const load = (): unknown => {
        loads += 1;
        return value;
      };
      await cache.delete("k");
      for (let call = 0; call < 3; call += 1) assert.equal(await cache.fetch("k", load), value);
      assert.equal(loads, 1, String(value));
    }
  });

  test(`while one computes, others get the stale value (${peer})`, needs, async (t) => {
    const { address } = await start(t);
    const [one, two] = [await client(t, address), await client(t, address)];
    await one.set("k", "old", { ttl: "50s" }); // less left than `stale`: out of date
    const computing = deferred<string>();
    const first = one.fetch("k", () => computing.promise, { ttl: "10s", stale: "100s" });
    await one.get("k"); // the lease is taken
    const other = await two.fetch("k", () => assert.fail("a second loader ran"), { ttl: "10s", stale: "100s" });
    assert.equal(other, "old");
    computing.resolve("new");
    assert.equal(await first, "new");
    assert.equal(await two.get("k"), "new");
  });

  test(
    `a value about to end is computed anew in the background, by one caller, and given out meanwhile (${peer})`,
    needs,
    async (t) => {
      const cache = await client(t, (await start(t)).address);
      await cache.set("k", "old", { ttl: "10m" });
      const computing = deferred<string>();
      let loads = 0;
      const load = (): Promise<string> => {
        loads += 1;
        return computing.promise;
      };
      const options = { ttl: "30m", early: "1h" };
      for (let call = 0; call < 5; call += 1) assert.equal(await cache.fetch("k", load, options), "old");
      assert.equal(loads, 1);
      computing.resolve("new");
      for (let look = 0; look < 100 && (await cache.get("k")) !== "new"; look += 1) await new Promise(setImmediate);
      assert.equal(await cache.get("k"), "new");
    },
  );

  test(`invalidate makes the next fetch compute, and gives others the old value meanwhile (${peer})`, needs, async (t) => {
    const { address } = await start(t);
    const [one, two] = [await client(t, address), await client(t, address)];
    await one.fetch("k", () => "old", { ttl: "1h" });
    assert.equal(await one.invalidate("k", { stale: "1m" }), true);
    assert.equal(await one.invalidate("none"), false);
    const computing = deferred<string>();
    const first = one.fetch("k", () => computing.promise, { ttl: "1h" });
    await one.get("k");
    assert.equal(await two.fetch("k", () => assert.fail("a second loader ran"), { ttl: "1h" }), "old");
    computing.resolve("new");
    assert.equal(await first, "new");
    assert.equal(await two.fetch("k", () => assert.fail("the value is fresh"), { ttl: "1h" }), "new");
  });

  test(`a loader that fails rejects all its callers and leaves the lease to the next (${peer})`, needs, async (t) => {
    const cache = await client(t, (await start(t)).address);
    const failing = Array.from({ length: 10 }, () => cache.fetch("k", () => Promise.reject(new Error("no database"))));
    for (const call of failing) await assert.rejects(call, /no database/);
    assert.equal(await cache.get("k"), undefined);
    assert.equal(await cache.fetch("k", () => "second"), "second");
  });

  test(`a loader that throws at once is a loader that fails (${peer})`, needs, async (t) => {
    const cache = await client(t, (await start(t)).address);
    const thrower = (): string => {
      throw new Error("at once");
    };
    await assert.rejects(cache.fetch("k", thrower), /at once/);
  });

  test(
    "a loader that fails while an old value is there gives the old value, and the next caller tries again",
    needs,
    async (t) => {
      const cache = await client(t, (await start(t)).address);
      await cache.set("k", "old", { ttl: "50s" });
      const options = { ttl: "10s", stale: "100s" };
      assert.equal(await cache.fetch("k", () => Promise.reject(new Error("no database")), options), "old");
      assert.equal(await cache.fetch("k", () => "new", options), "new");
    },
  );

  test(`when the winner dies, the others wait for the lease and no longer, then one computes (${peer})`, needs, async (t) => {
    const { address } = await start(t);
    const [dead, alive] = [await client(t, address), await client(t, address)];
    const begun = deferred<true>();
    const dies = (): Promise<string> => {
      begun.resolve(true);
      return new Promise(() => {});
    };
    void dead.fetch("k", dies, { lease: "30s" }).catch(() => {});
    await begun.promise; // the lease is taken
    const started = performance.now();
    assert.equal(await alive.fetch("k", () => "computed", { lease: 300 }), "computed");
    assert.ok(performance.now() - started >= 290, "it waited for the winner");
    assert.equal(await alive.get("k"), "computed");
  });

  test(`what was deleted while a loader ran is not stored from before the deletion (${peer})`, needs, async (t) => {
    const cache = await client(t, (await start(t)).address);
    const computing = deferred<string>();
    const begun = deferred<true>();
    const fetched = cache.fetch("k", () => {
      begun.resolve(true);
      return computing.promise;
    });
    await begun.promise; // the lease is taken
    await cache.delete("k");
    computing.resolve("from before");
    assert.equal(await fetched, "from before");
    assert.equal(await cache.get("k"), undefined);
  });

  test(`who fetches after a delete of this client shares no loader from before it (${peer})`, needs, async (t) => {
    const cache = await client(t, (await start(t)).address);
    for (const change of [() => cache.delete("k"), () => cache.flush(), () => cache.invalidate("k")]) {
      const computing = deferred<string>();
      const begun = deferred<true>();
      const before = cache.fetch("k", () => {
        begun.resolve(true);
        return computing.promise;
      });
      await begun.promise;
      await change();
      assert.equal(await cache.fetch("k", () => "after"), "after");
      computing.resolve("before");
      assert.equal(await before, "before");
      assert.equal(await cache.get("k"), "after");
      await cache.delete("k");
    }
  });

  test(
    `who fetches after a delete by another shares a loader from before it for a second at most (${peer})`,
    needs,
    async (t) => {
      const { address } = await start(t);
      const [cache, other] = [await client(t, address), await client(t, address)];
      const computing = deferred<string>();
      const begun = deferred<true>();
      const before = cache.fetch("k", () => {
        begun.resolve(true);
        return computing.promise;
      });
      await begun.promise;
      await other.delete("k");
      const startedMs = performance.now();
      let value: string | undefined;
      while (value === undefined) {
        value = await cache.fetch("k", () => "after", { timeout: 50 }).catch(() => undefined);
        assert.ok(performance.now() - startedMs < 2000);
      }
      assert.equal(value, "after");
      computing.resolve("before");
      await before;
    },
  );

  test(
    `each caller has its own deadline and signal; the loader is told when nobody waits any more (${peer})`,
    needs,
    async (t) => {
      const cache = await client(t, (await start(t)).address);
      const abort = new AbortController();
      const begun = deferred<AbortSignal>();
      const load = ({ signal }: { signal: AbortSignal }): Promise<string> => {
        begun.resolve(signal);
        return new Promise(() => {});
      };
      const aborted = cache.fetch("k", load, { signal: abort.signal });
      const told = await begun.promise;
      await assert.rejects(cache.fetch("k", load, { timeout: 20 }), { code: "CACHE_TIMEOUT" });
      assert.equal(told.aborted, false);
      abort.abort();
      await assert.rejects(aborted, { code: "ABORTED" });
      assert.equal(told.aborted, true);
      await assert.rejects(cache.fetch("k", load, { signal: AbortSignal.abort() }), { code: "ABORTED" });
    },
  );

  test(`a loader that nobody waits for any more keeps no later caller from its value (${peer})`, needs, async (t) => {
    const cache = await client(t, (await start(t)).address);
    await assert.rejects(
      cache.fetch("k", () => new Promise(() => {}), { timeout: 20, lease: "1s" }),
      { code: "CACHE_TIMEOUT" },
    );
    assert.equal(await cache.fetch("k", () => "value", { lease: 50 }), "value");
  });

  test(`an item that the codec cannot read is computed anew (${peer})`, needs, async (t) => {
    const cache = await client(t, (await start(t)).address);
    await cache.set("k", "{not json");
    const items = cache.define<{ n: number }>("k", {
      encode: (value) => ({ bytes: JSON.stringify(value), flags: 2 }),
      decode: (bytes) => JSON.parse(bytes.toString()) as { n: number },
    });
    assert.deepEqual(await items.fetch({}, () => ({ n: 1 })), { n: 1 });
    assert.deepEqual(await items.get({}), { n: 1 });
  });

  test(`a value that the codec cannot store rejects, and leaves the lease to the next (${peer})`, needs, async (t) => {
    const cache = await client(t, (await start(t)).address);
    await assert.rejects(
      cache.fetch("k", () => () => "a function"),
      { code: "CACHE_VALUE_INVALID" },
    );
    assert.equal(await cache.fetch("k", () => "value"), "value");
  });

  test(`a key in base64 is leased as any other (${peer})`, needs, async (t) => {
    const cache = await client(t, (await start(t)).address, { keys: "base64" });
    let loads = 0;
    const load = (): number => ++loads;
    assert.deepEqual(await Promise.all([cache.fetch("a b\n", load), cache.fetch("a b\n", load)]), [1, 1]);
    assert.equal(await cache.fetch("a b\n", load), 1);
    assert.equal(await cache.invalidate("a b\n"), true);
    assert.equal(await cache.fetch("a b\n", load), 2);
  });
}

test("a cache that is down costs the protection, not the value", async (t) => {
  const down = `127.0.0.1:${await freePort()}`;
  for (const onError of ["throw", "miss"] as const) {
    const cache = await client(t, down, { onError });
    let loads = 0;
    const values = await Promise.all(Array.from({ length: 10 }, () => cache.fetch("k", () => ++loads)));
    assert.deepEqual(values, Array(10).fill(1));
  }
});

test("a server without the meta protocol is used plainly: one loader a process", async (t) => {
  const items = new Map<string, string>();
  const old = await fakeServer(
    t,
    (line) => {
      const [verb, key] = line.split(" ") as [string, string];
      if (verb === "version") return "VERSION 1.4.39\r\n";
      if (verb === "add") {
        items.set(key, "x");
        return "STORED\r\n";
      }
      if (verb !== "get") return "ERROR\r\n";
      return items.has(key) ? `VALUE ${key} 0 5\r\nvalue\r\nEND\r\n` : "END\r\n";
    },
    { greets: false },
  );
  const cache = await client(t, old.address);
  await cache.get("warm");
  let loads = 0;
  const load = (): string => {
    loads += 1;
    return "value";
  };
  assert.deepEqual(await Promise.all([cache.fetch("k", load), cache.fetch("k", load)]), ["value", "value"]);
  assert.equal(await cache.fetch("k", load), "value");
  assert.equal(loads, 1);
  assert.ok(!old.lines.some((line) => /^m[gsd] /.test(line)));
});
