/** ASCII authentication: what a text client may do before it has said who it is. */
import assert from "node:assert/strict";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { UserList } from "../../../src/cache/protocol/user-list.ts";
import { CacheServer } from "../../../src/cache/index.ts";
import { LoginSession } from "../../../src/cache/protocol/text/login-session.ts";
import { DirectCache } from "../../support/direct-cache.ts";
import { MemcachedClient } from "../../support/memcached-client.ts";

function lockedCache(users = "anna:secret\r\nbert:a b:c\n"): DirectCache {
  const credentials = new UserList();
  credentials.load(Buffer.from(users));
  const cache = new DirectCache();
  cache.session = new LoginSession(cache.context, credentials);
  return cache;
}

const login = (text: string): string => `set x 0 0 ${text.length}\r\n${text}\r\n`;

test("nothing is executed before the password is right, and everything after", () => {
  const cache = lockedCache();
  assert.equal(cache.say("get k\r\nmn\r\nset k 0 0\r\n"), "CLIENT_ERROR unauthenticated\r\n".repeat(3));
  assert.equal(cache.say(login("anna wrong")), "CLIENT_ERROR authentication failure\r\n");
  assert.equal(
    cache.say(`${login("anna secret")}set k 0 0 1\r\nv\r\nget k\r\n`),
    "STORED\r\nSTORED\r\nVALUE k 0 1\r\nv\r\nEND\r\n",
  );
});

test("a password may hold blanks and colons", () => {
  assert.equal(lockedCache().say(login("bert a b:c")), "STORED\r\n");
});

test("each way to get it wrong has memcached's sentence", () => {
  const cache = lockedCache();
  assert.equal(cache.say(login("annasecret")), "CLIENT_ERROR bad authentication token format\r\n");
  assert.equal(cache.say("set x 0 0 11\r\nanna secret!\r"), "CLIENT_ERROR bad command line termination\r\n");
  assert.equal(cache.say("set x 0 0 16385\r\n"), "CLIENT_ERROR auth token too long\r\n");
  assert.equal(cache.session.ending, undefined);
});

test("a line of two bytes, or of more than 2048 without an end, ends the connection", () => {
  const short = lockedCache();
  assert.equal(short.say("a\n"), "");
  assert.equal(short.session.ending, "error");
  const long = lockedCache();
  assert.equal(long.say("x".repeat(2049)), "");
  assert.equal(long.session.ending, "error");
});

test("the password may arrive byte by byte", () => {
  const bytes = Buffer.from(`${login("anna secret")}get k\r\n`);
  assert.equal(lockedCache().feed(Array.from(bytes, (byte) => Buffer.of(byte))), "STORED\r\nEND\r\n");
});

test("the first eight users of a file count, and a line without a colon is refused", () => {
  const credentials = new UserList();
  credentials.load(Buffer.from(Array.from({ length: 9 }, (_, index) => `user${index}:p\n`).join("")));
  const check = (user: string): boolean => credentials.check(Buffer.from(user), Buffer.from("p"));
  assert.deepEqual(["user0", "user7", "user8"].map(check), [true, true, false]);
  assert.throws(() => credentials.load(Buffer.from("anna secret\n")), { code: "CACHE_AUTH_FILE_MALFORMED" });
  assert.equal(check("user0"), true, "the users stay as they were");
});

test("reload reads the file of users again; one that cannot be read changes nothing", () => {
  const file = join(mkdtempSync(join(tmpdir(), "holdfast-users-")), "users");
  writeFileSync(file, "anna:secret\n", { mode: 0o600 });
  const server = new CacheServer({ authFile: file, memory: "2m" });
  writeFileSync(file, "nonsense\n");
  assert.throws(() => server.reload(), { code: "CACHE_AUTH_FILE_MALFORMED" });
  assert.throws(() => new CacheServer({ authFile: `${file}.missing` }), { code: "CACHE_AUTH_FILE_UNREADABLE" });
});

test("who has authenticated may watch and dump keys", async () => {
  const authFile = join(mkdtempSync(join(tmpdir(), "holdfast-")), "users");
  writeFileSync(authFile, "anna:secret\n", { mode: 0o600 });
  const server = new CacheServer({ listen: "127.0.0.1:0", authFile });
  await server.listen();
  const client = await MemcachedClient.connect(server.address);
  try {
    assert.equal(
      await client.ask(`${login("anna secret")}set k 0 0 1\r\nv\r\n`, /STORED\r\nSTORED\r\n$/),
      "STORED\r\n".repeat(2),
    );
    assert.match(await client.ask("lru_crawler mgdump all\r\n", /(EN|error.*)\r\n$/), /^OK\r\nmg k\r\nEN\r\n$/);
    assert.equal(await client.ask("watch\r\n"), "OK\r\n");
  } finally {
    client.close();
    await server.close();
  }
});
