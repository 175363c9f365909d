import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { CacheServer } from "../../src/cache/index.ts";
import { MemcachedClient } from "../support/memcached-client.ts";

const CLIENTS = 12;
const ROUNDS = 300;

let server: CacheServer;
let clients: MemcachedClient[];

before(async () => {
  server = new CacheServer({ listen: "127.0.0.1:0", threads: 4, features: { shutdown: true } });
  await server.listen();
  clients = await Promise.all(Array.from({ length: CLIENTS }, () => MemcachedClient.connect(server.address)));
});

after(async () => {
  for (const client of clients) client.close();
  await server.close();
});

test("no increment is lost among four threads", async () => {
  await clients[0]!.ask("set n 0 0 1\r\n0\r\n");
  await Promise.all(
    clients.map(async (client) => {
      for (let round = 0; round < ROUNDS; round += 1) await client.ask("incr n 1\r\n".repeat(10), /(\d+\r\n){10}$/);
    }),
  );
  assert.equal(await clients[0]!.ask("get n\r\n", /END\r\n$/), `VALUE n 0 5\r\n${CLIENTS * ROUNDS * 10}\r\nEND\r\n`);
});

test("counting by gets and cas loses nothing among four threads", async () => {
  await clients[0]!.ask("set c 0 0 1\r\n0\r\n");
  const increments = 50;
  await Promise.all(
    clients.map(async (client) => {
      for (let done = 0; done < increments;) {
        const [, unique, value] = /VALUE c 0 \d+ (\d+)\r\n(\d+)/.exec(await client.ask("gets c\r\n", /END\r\n$/))!;
        const next = String(Number(value) + 1);
        if ((await client.ask(`cas c 0 0 ${next.length} ${unique}\r\n${next}\r\n`)) === "STORED\r\n") done += 1;
      }
    }),
  );
  assert.match(await clients[0]!.ask("get c\r\n", /END\r\n$/), new RegExp(`\r\n${CLIENTS * increments}\r\n`));
});

test("no appended byte is lost among four threads", async () => {
  await clients[0]!.ask("set a 0 0 0\r\n\r\n");
  await Promise.all(
    clients.map(async (client, index) => {
      const letter = String.fromCharCode(97 + index);
      for (let round = 0; round < 100; round += 1)
        assert.equal(await client.ask(`append a 0 0 1\r\n${letter}\r\n`), "STORED\r\n");
    }),
  );
  const value = (await clients[0]!.ask("get a\r\n", /END\r\n$/)).split("\r\n")[1]!;
  assert.equal(value.length, CLIENTS * 100);
  for (let index = 0; index < CLIENTS; index += 1) {
    assert.equal(value.split(String.fromCharCode(97 + index)).length - 1, 100);
  }
});

test("statistics count what all threads did", async () => {
  const before = server.stats();
  await Promise.all(clients.map((client) => client.ask("get nothing\r\n")));
  assert.equal(server.stats().misses - before.misses, CLIENTS);
  assert.equal(server.stats().connections, CLIENTS);
});

test("shutdown asked of any thread reaches the owner", async () => {
  const client = await MemcachedClient.connect(server.address);
  await client.ask("shutdown\r\n");
  assert.equal(await server.shutdownAsked, "now");
});
