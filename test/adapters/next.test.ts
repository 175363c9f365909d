/** The caches of Next.js, called as Next.js 16 calls them; a built application is tried by hand (docs/how-to/cache-for-frameworks.md). */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { nextCacheHandler, nextUseCacheHandler, type UseCacheEntry } from "../../src/adapters/next.ts";
import { CacheClient } from "../../src/cache/index.ts";
import { TEST_SERVERS } from "../cache/client/support/test-servers.ts";
import { requires } from "../support/requires.ts";

/** A page as Next stores it. */
function page(html: string, tags = "_N_T_/layout,_N_T_/page"): object {
  const segmentData = new Map([["/_tree", Buffer.from("tree")]]);
  return {
    kind: "APP_PAGE",
    html,
    rscData: Buffer.from([0, 255]),
    headers: { "x-next-cache-tags": tags },
    status: 200,
    segmentData,
  };
}

function entry(text: string, more: Partial<UseCacheEntry> = {}): Promise<UseCacheEntry> {
  const value = new Response(text).body!;
  return Promise.resolve({ value, tags: [], stale: 60, timestamp: Date.now(), expire: 3600, revalidate: 600, ...more });
}

const textOf = async (found: UseCacheEntry | undefined): Promise<string | undefined> =>
  found && new Response(found.value).text();

for (const [peer, { needs, start }] of Object.entries(TEST_SERVERS)) {
  const options = requires(...needs);

  test(`pages come back whole in every process, until a tag or path of theirs is revalidated (${peer})`, options, async (t) => {
    const { address } = await start(t);
    await using cache = new CacheClient({ servers: [address] });
    await using elsewhere = new CacheClient({ servers: [address] });
    const [one, two] = [new (nextCacheHandler({ cache }))(), new (nextCacheHandler({ cache: elsewhere }))()];
    assert.equal(await one.get("/p"), null);
    await one.set("/p", page("first"), { cacheControl: { revalidate: 60, expire: 31_536_000 } });
    const found = (await two.get("/p", { kind: "APP_PAGE" })) as { value: object; lastModified: number; cacheControl: object };
    assert.deepEqual(found.value, page("first"));
    assert.deepEqual(found.cacheControl, { revalidate: 60, expire: 31_536_000 });
    assert.ok(Math.abs(found.lastModified - Date.now()) < 5000);
    await two.revalidateTag("_N_T_/page");
    assert.equal(await one.get("/p", { kind: "APP_PAGE" }), null);
    await one.set("/p", page("second"));
    assert.notEqual(await two.get("/p", { kind: "APP_PAGE" }), null);
    await one.set("/null", null);
    assert.equal(((await two.get("/null")) as { value: unknown }).value, null);
    one.resetRequestCache();
  });

  test(`fetches heed the tags of the call, which their entries may not have (${peer})`, options, async (t) => {
    await using cache = new CacheClient({ servers: [(await start(t)).address] });
    const handler = new (nextCacheHandler({ cache }))();
    const value = { kind: "FETCH", data: { headers: {}, body: "aGk=", status: 200, url: "x" }, revalidate: 60, tags: ["data"] };
    await handler.set("f", value, { tags: ["data"] });
    const get = (softTags: string[]): Promise<unknown> => handler.get("f", { kind: "FETCH", tags: ["data"], softTags });
    assert.notEqual(await get(["_N_T_/page"]), null);
    await sleep(2);
    await handler.revalidateTag("_N_T_/page");
    assert.equal(await get(["_N_T_/page"]), null);
    assert.notEqual(await get(["_N_T_/another"]), null);
    await handler.revalidateTag(["data", "more"]);
    assert.equal(await get([]), null);
  });

  test(`with durations entries are given once more, to be replaced, and end with them (${peer})`, options, async (t) => {
    await using cache = new CacheClient({ servers: [(await start(t)).address] });
    const handler = new (nextCacheHandler({ cache }))();
    await handler.set("/p", page("old", "t"));
    await sleep(2);
    await handler.revalidateTag("t", { expire: 0.3 });
    assert.equal(((await handler.get("/p")) as { lastModified: number }).lastModified, -1);
    await sleep(310);
    assert.equal(await handler.get("/p"), null);
    await handler.set("/p", page("new", "t"));
    assert.ok(((await handler.get("/p")) as { lastModified: number }).lastModified > 0);
  });

  test(`use cache: streams are stored whole, read anew, and heed tags and soft tags (${peer})`, options, async (t) => {
    const { address } = await start(t);
    await using cache = new CacheClient({ servers: [address] });
    await using elsewhere = new CacheClient({ servers: [address] });
    const [one, two] = [nextUseCacheHandler({ cache }), nextUseCacheHandler({ cache: elsewhere })];
    const key = JSON.stringify(["build", "id", [{ a: "x".repeat(300) }]]).slice(0, 200);
    await one.refreshTags();
    assert.equal(await one.getExpiration(["any"]), Infinity);
    assert.equal(await one.get(key, []), undefined);
    await one.set(key, entry("value", { tags: ["used"] }));
    for (let turn = 0; turn < 2; turn += 1) assert.equal(await textOf(await two.get(key, ["_N_T_/page"])), "value");
    await sleep(2);
    await two.updateTags(["used"], { expire: 60 });
    assert.equal((await one.get(key, []))?.revalidate, -1);
    await two.updateTags(["used"]);
    assert.equal(await one.get(key, []), undefined);
    await one.set(key, entry("again", { tags: ["used"] }));
    assert.equal(await textOf(await two.get(key, [])), "again");
    await sleep(2);
    await one.updateTags(["_N_T_/page"]);
    assert.equal(await two.get(key, ["_N_T_/page"]), undefined);
    assert.equal(await textOf(await two.get(key, [])), "again");
  });
}

test("use cache: a read waits for the entry that its process stores, and a stream that breaks is no entry", async (t) => {
  await using cache = new CacheClient({ servers: [(await TEST_SERVERS["Holdfast's server"]!.start(t)).address] });
  const handler = nextUseCacheHandler({ cache });
  const pending = Promise.withResolvers<UseCacheEntry>();
  const stored = handler.set("k", pending.promise);
  const read = handler.get("k", []);
  pending.resolve(await entry("late"));
  assert.equal(await textOf(await read), "late");
  await stored;
  const broken = new ReadableStream<Uint8Array>({ pull: () => Promise.reject(new Error("broken")) });
  await assert.rejects(handler.set("b", entry("", { value: broken })), /broken/);
  assert.equal(await handler.get("b", []), undefined);
});

test("when no server answers, nothing is cached and nothing fails", async () => {
  const pages = new (nextCacheHandler({ cache: { servers: ["127.0.0.1:1"] } }))();
  await pages.set("/p", page("x"));
  assert.equal(await pages.get("/p"), null);
  await pages.revalidateTag("t");
  const used = nextUseCacheHandler({ cache: { servers: ["127.0.0.1:1"] } });
  await used.set("k", entry("x", { tags: ["t"] }));
  assert.equal(await used.get("k", []), undefined);
});
