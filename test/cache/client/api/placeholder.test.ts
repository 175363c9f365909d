/** While a value is computed there is none, for any verb of our client; the one who computes shows that it lives. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { CacheClient } from "../../../../src/cache/index.ts";
import { requires } from "../../../support/requires.ts";
import { TEST_SERVERS } from "../support/test-servers.ts";

for (const [peer, { needs, start }] of Object.entries(TEST_SERVERS)) {
  for (const keys of ["refuse", "base64"] as const) {
    test(`a placeholder is no item (${peer}, keys: ${keys})`, requires(...needs), async (t) => {
      const { address } = await start(t);
      const key = keys === "refuse" ? "k" : "k with spaces";
      await using holder = new CacheClient({ servers: [address], keys });
      await using other = new CacheClient({ servers: [address], keys });
      const begun = Promise.withResolvers<void>();
      const computed = Promise.withResolvers<string>();
      const fetched = holder.fetch(key, () => (begun.resolve(), computed.promise), { ttl: "1m" });
      await begun.promise;
      const before = other.counts.hits;
      assert.equal(await other.get(key), undefined);
      assert.equal(await other.gets(key), undefined);
      assert.equal((await other.getMany([key])).size, 0);
      assert.equal((await other.getsMany([key])).size, 0);
      assert.equal(await other.replace(key, "mine"), false);
      assert.equal(await other.append(key, "mine"), false);
      assert.equal(await other.prepend(key, "mine"), false);
      assert.equal(other.counts.hits, before);
      assert.equal(await other.add(key, "mine"), true);
      assert.equal(await other.get(key), "mine");
      computed.resolve("computed");
      assert.equal(await fetched, "computed");
      assert.equal(await other.get(key), "mine", "what was stored meanwhile counts");
      await other.set(key, "");
      assert.equal(await other.get(key), "", "an empty text is a value");
    });
  }

  test(
    `a loader of over 3 s runs once; one whose process is gone costs others 2 s (${peer})`,
    requires(...needs),
    async (t) => {
      const { address } = await start(t);
      await using holder = new CacheClient({ servers: [address] });
      await using other = new CacheClient({ servers: [address] });
      let loads = 0;
      const slow = async (): Promise<number> => (await sleep(3300), (loads += 1));
      const first = holder.fetch("slow", slow, { ttl: "1m" });
      await sleep(50);
      assert.deepEqual(await Promise.all([first, other.fetch("slow", slow, { ttl: "1m" })]), [1, 1]);
      const gone = new CacheClient({ servers: [address] });
      const lost = gone.fetch("gone", () => new Promise<string>(() => {}), { timeout: 100 }).catch(() => undefined);
      await lost;
      await gone.close();
      const began = performance.now();
      assert.equal(await other.fetch("gone", () => "mine"), "mine");
      assert.ok(performance.now() - began < 2600);
    },
  );
}
