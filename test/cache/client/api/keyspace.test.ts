import assert from "node:assert/strict";
import { test } from "node:test";
import { CacheClient, json, text, type CacheClientOptions } from "../../../../src/cache/index.ts";
import { requires } from "../../../support/requires.ts";
import { memcached } from "../support/test-servers.ts";

interface User {
  readonly name: string;
}

const OFFLINE: CacheClientOptions = { servers: ["127.0.0.1:1"] };

test("a template is filled by its one parameter, or by names", () => {
  const cache = new CacheClient(OFFLINE);
  assert.equal(cache.define("user:{id}", json<User>()).key(42), "user:42");
  assert.equal(cache.define("user:{id}", json<User>()).key({ id: "a" }), "user:a");
  assert.equal(cache.define("{tenant}/user:{id}/x", json<User>()).key({ id: 1n, tenant: "acme" }), "acme/user:1/x");
  assert.equal(cache.define("settings", json<User>()).key({}), "settings");
});

test("no two sets of parameters give one key", () => {
  const pair = new CacheClient(OFFLINE).define("{a}:{b}", text);
  assert.notEqual(pair.key({ a: "1:2", b: "3" }), pair.key({ a: "1", b: "2:3" }));
  assert.equal(pair.key({ a: "1:2", b: "ü " }), "1%3A2:%C3%BC%20");
});

test("parameters that are missing or empty, and templates that do not close, are refused", async () => {
  const cache = new CacheClient(OFFLINE);
  const users = cache.define("user:{id}", json<User>());
  assert.throws(() => users.key(""), { code: "CACHE_KEY_INVALID", message: /no id given/ });
  // @ts-expect-error a parameter is missing
  await assert.rejects(users.get({}), { code: "CACHE_KEY_INVALID" });
  for (const template of ["a{b", "a}b", "{a}{a}", "{a-b}"]) {
    assert.throws(() => cache.define(template, text), { code: "CACHE_OPTION_INVALID" }, template);
  }
});

test("the compiler refuses wrong parameters and wrong values", () => {
  const cache = new CacheClient(OFFLINE);
  const users = cache.define("user:{id}", json<User>());
  const pairs = cache.define("{a}:{b}", json<User>());
  const uncalled = (): void => {
    // @ts-expect-error two parameters are not one
    void pairs.get(1);
    // @ts-expect-error no such name
    void pairs.get({ a: 1, c: 2 });
    // @ts-expect-error a user has a name
    void users.set(1, { nick: "x" });
    // @ts-expect-error what is read is a user or undefined
    const wrong: Promise<string> = users.get(1);
    void wrong;
    const right: Promise<User | undefined> = users.get(1);
    void right;
  };
  assert.equal(typeof uncalled, "function");
});

test("every verb of a keyspace works on its typed values", requires("memcached"), async (t) => {
  await using cache = new CacheClient({ servers: [(await memcached(t)).address] });
  const users = cache.define("user:{id}", json<User>());
  assert.equal(await users.get(1), undefined);
  assert.equal(await users.replace(1, { name: "a" }), false);
  assert.equal(await users.add(1, { name: "a" }, { ttl: "1h" }), true);
  assert.equal(await users.set(2, { name: "b" }), true);
  assert.deepEqual(await users.getMany([1, 2, 3]), new Map([[1, { name: "a" }], [2, { name: "b" }]])); // prettier-ignore
  const read = await users.gets(1);
  assert.equal(await users.cas(1, { name: "c" }, read!.cas), "stored");
  assert.equal(await users.cas(1, { name: "d" }, read!.cas), "exists");
  assert.equal(await users.touch(1, "2h"), true);
  assert.deepEqual(await cache.get("user:1"), { name: "c" });
  assert.equal(await users.delete(1), true);
  assert.deepEqual(await users.fetch(1, () => ({ name: "loaded" }), { ttl: "1h" }), { name: "loaded" });
});
