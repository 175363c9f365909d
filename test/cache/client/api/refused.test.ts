/** What cannot be stored or asked for as it was meant is refused with a code, before anything is sent; and no two keys are sent alike. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { CacheClient, json, type Key, type KeyPolicy, type Ttl } from "../../../../src/cache/index.ts";
import { toWireKey } from "../../../../src/cache/client/api/key.ts";
import { exptimeOf, exptimeOfMs } from "../../../../src/cache/client/api/ttl.ts";
import { HoldfastError } from "../../../../src/core/errors.ts";
import { requires } from "../../../support/requires.ts";
import { TEST_SERVERS } from "../support/test-servers.ts";

const NOW_MS = Date.UTC(2026, 10, 30);
const LAST_S = 2 ** 31 - 1;
const TTL_INVALID = { code: "CACHE_TTL_INVALID" };
// oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- says what a wrong value stands for
const wrong = <T>(value: unknown): T => value as T;

test("the last second that memcached keeps is taken, the next one refused", () => {
  assert.equal(exptimeOf(new Date(LAST_S * 1000), NOW_MS), LAST_S);
  assert.throws(() => exptimeOf(new Date((LAST_S + 1) * 1000), NOW_MS), TTL_INVALID);
  assert.equal(exptimeOfMs(LAST_S * 1000 - NOW_MS, NOW_MS), LAST_S);
  assert.throws(() => exptimeOfMs(LAST_S * 1000 - NOW_MS + 1, NOW_MS), TTL_INVALID);
  const late = Date.UTC(2037, 11, 25);
  assert.equal(exptimeOf("30d", late), 30 * 86_400);
  assert.throws(() => exptimeOf("31d", late), TTL_INVALID);
});

for (const [name, server] of Object.entries(TEST_SERVERS)) {
  test(`times beyond 2038 are refused by every verb, and nothing is sent (${name})`, requires(...server.needs), async (t) => {
    const { address } = await server.start(t);
    const cache = new CacheClient({ servers: [address] });
    t.after(() => cache.close());
    await cache.set("k", "v");
    for (const ttl of ["4500d", "50000d", new Date("2038-01-19T03:14:08Z"), new Date("9999-12-31"), null, true, {}, [], 10n]) {
      const options = { ttl: wrong<Ttl>(ttl) };
      let loads = 0;
      for (const call of [
        () => cache.set("k", 1, options),
        () => cache.add("new", 1, options),
        () => cache.replace("k", 1, options),
        () => cache.cas("k", 1, 1n, options),
        () => cache.touch("k", wrong<Ttl>(ttl)),
        () => cache.fetch("f", () => (loads += 1), options),
      ]) {
        await assert.rejects(call, TTL_INVALID, typeof ttl);
      }
      assert.equal(loads, 0);
    }
    await assert.rejects(cache.touch("k", wrong<Ttl>(undefined)), TTL_INVALID);
    await assert.rejects(
      cache.fetch("f", () => 1, { ttl: "30d", stale: "9000d" }),
      TTL_INVALID,
    );
    for (const name_ of ["lease", "early", "stale"]) {
      await assert.rejects(
        cache.fetch("f", () => 1, { [name_]: "90000d" }),
        { code: "UNIT_INVALID" },
      );
    }
    await assert.rejects(cache.invalidate("k", { stale: "90000d" }), { code: "UNIT_INVALID" });
    assert.equal(await cache.get("k"), "v");
  });
}

test("whatever is given as key, value, ttl or option, an error has a code", async (t) => {
  const { address } = await TEST_SERVERS["Holdfast's server"]!.start(t);
  const cache = new CacheClient({ servers: [address], timeout: "5s" });
  t.after(() => cache.close());
  const family = cache.define("odd:{id}", json());
  const coded = async (call: () => Promise<unknown>): Promise<void> => {
    await call().catch((error: unknown) => assert.ok(error instanceof HoldfastError, String(error)));
  };
  const odd = fc.oneof(fc.anything(), fc.string({ unit: "binary" }), fc.constantFrom(null, undefined, "\ud800", "a", 5, -1));
  await fc.assert(
    fc.asyncProperty(odd, odd, async (one, other) => {
      const key = wrong<Key>(one);
      await Promise.all([
        coded(() => cache.get(key)),
        coded(() => cache.gets(key)),
        coded(() => cache.getMany([key])),
        coded(() => cache.delete(key)),
        coded(() => cache.touch(key, wrong<Ttl>(other))),
        coded(() => cache.set("k", "v", { ttl: wrong<Ttl>(other) })),
        coded(() => cache.append("k", wrong<string>(other))),
        coded(() => cache.prepend(key, wrong<string>(other))),
        coded(() => cache.cas("k", "v", wrong<bigint>(other))),
        coded(() => cache.incr("k", wrong<bigint>(other))),
        coded(() => cache.get("k", { timeout: wrong<number>(other) })),
        coded(() => cache.get("k", { signal: wrong<AbortSignal>(one) })),
        coded(() => family.get(wrong<string>(other))),
        coded(() => family.set({ id: wrong<string>(other) }, "v")),
      ]);
    }),
    { numRuns: 200 },
  );
});

test("half of a surrogate pair, in a key or in text, is refused: it would change on the way", async (t) => {
  const { address } = await TEST_SERVERS["Holdfast's server"]!.start(t);
  const cache = new CacheClient({ servers: [address] });
  t.after(() => cache.close());
  await assert.rejects(cache.get("\ud800"), { code: "CACHE_KEY_INVALID" });
  await assert.rejects(cache.set("k", "a\udc00"), { code: "CACHE_VALUE_INVALID" });
  await assert.rejects(cache.append("k", "a\udc00"), { code: "CACHE_VALUE_INVALID" });
});

for (const policy of ["refuse", "hash", "base64"] satisfies KeyPolicy[]) {
  test(`no two keys give one wire key (keys: ${policy})`, () => {
    const sent = (key: Key): string | undefined => {
      try {
        return toWireKey(key, policy);
      } catch (error) {
        assert.equal((error as HoldfastError).code, "CACHE_KEY_INVALID");
        return undefined;
      }
    };
    const long = "x".repeat(300);
    const keys = fc.oneof(
      fc.string(),
      fc.string({ unit: "binary" }),
      fc.constantFrom(long, "\ud800", "\ud801", "\ufffd", sent(long) ?? ""),
    );
    fc.assert(
      fc.property(keys, keys, (one, other) => {
        const [first, second] = [sent(one), sent(other)];
        assert.ok(one === other || first === undefined || first !== second, JSON.stringify([one, other]));
      }),
      { numRuns: 2000 },
    );
    if (policy === "hash") assert.notEqual(sent(long), sent(sent(long)!));
  });
}

test("options that mean nothing are refused", () => {
  for (const options of [
    { onError: "x" },
    { keys: "x" },
    { whenDown: "x" },
    { whenDown: null },
    { protocol: "x" },
    { queueCalls: Number.NaN },
    { ejectAfterFailures: 0 },
  ]) {
    assert.throws(() => new CacheClient(wrong(options)), { code: "CACHE_OPTION_INVALID" }, JSON.stringify(options));
  }
  assert.throws(() => new CacheClient({ timeout: wrong<string>({}) }), { code: "UNIT_INVALID" });
});
