import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { after, before, test } from "node:test";
import { CacheServer } from "../../../src/cache/index.ts";
import { MemcachedClient } from "../../support/memcached-client.ts";

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

test("stats conns tells the connections of all threads", async () => {
  for (const client of clients.slice(0, 4)) {
    const answer = await client.ask("stats conns\r\nmn\r\n", /MN\r\n$/);
    const ids = new Set([...answer.matchAll(/STAT (\d{4,}):addr tcp:127/g)].map(([, id]) => id));
    assert.equal(ids.size, CLIENTS, "each connection once");
    assert.ok(new Set([...ids].map((id) => id!.slice(0, -9))).size > 1, "of more than one thread");
    assert.match(answer, /STAT 1:state conn_listening\r\n[^]*END\r\nMN\r\n$/);
  }
});

test("stats detail adds up the prefixes of all threads, and stats reset empties all", async () => {
  await clients[0]!.ask("stats detail on\r\n");
  await Promise.all(clients.map((client) => client.ask("get user:1\r\nget user:2\r\n", /END\r\nEND\r\n$/)));
  const dump = (): Promise<string> => clients[1]!.ask("stats detail dump\r\n", /END\r\n$/);
  assert.equal(await dump(), `PREFIX user get ${CLIENTS * 2} hit 0 set 0 del 0\r\nEND\r\n`);
  await clients[2]!.ask("stats reset\r\n", /RESET\r\n$/);
  while ((await dump()) !== "END\r\n"); // the other threads hear of it a turn later
  await clients[0]!.ask("stats detail off\r\n");
});

test("a watcher hears of the commands of all threads' clients, each once, and of none once it is gone", async () => {
  const watcher = await MemcachedClient.connect(server.address);
  assert.equal(await watcher.ask("watch fetchers\r\n", /\r\n$/), "OK\r\n");
  let heard = "";
  for (let round = 0; !clients.every((_, index) => heard.includes(`key=w${index}r`)); round += 1) {
    await Promise.all(clients.map((client, index) => client.ask(`get w${index}r${round}\r\n`, /END\r\n$/)));
    heard += await watcher.ask("", /size=0\n$/); // threads hear of a new watcher a turn later: ask again until all have
  }
  const keys = [...heard.matchAll(/key=(\S+)/g)].map(([, key]) => key);
  assert.equal(new Set(keys).size, keys.length);
  const numbers = [...heard.matchAll(/gid=(\d+)/g)].map(([, gid]) => gid);
  assert.equal(new Set(numbers).size, numbers.length);
  assert.match(await clients[3]!.ask("stats\r\n", /END\r\n$/), /STAT log_watchers 1\r\n/);
  watcher.close();
  while (!(await clients[3]!.ask("stats\r\n", /END\r\n$/)).includes("STAT log_watchers 0\r\n"));
});

test("datagrams are shared among the threads, as connections are", async () => {
  const shared = new CacheServer({ listen: "127.0.0.1:0", udp: ["127.0.0.1:0"], threads: 3 });
  await shared.listen();
  const port = Number(shared.udpAddresses[0]!.split(":")[1]);
  const sockets = Array.from({ length: 12 }, () => createSocket("udp4"));
  try {
    for (const [index, socket] of sockets.entries()) {
      socket.send(Buffer.concat([Buffer.from([0, index, 0, 0, 0, 1, 0, 0]), Buffer.from("version\r\n")]), port, "127.0.0.1");
      const [reply] = (await once(socket, "message")) as [Buffer];
      assert.deepEqual([...reply.subarray(0, 8)], [0, index, 0, 0, 0, 1, 0, 0]);
      assert.match(reply.toString("latin1", 8), /^VERSION/);
    }
    const rival = new CacheServer({ listen: [], udp: [shared.udpAddresses[0]!], threads: 2 });
    await assert.rejects(rival.listen(), { code: "CACHE_LISTEN_FAILED" });
  } finally {
    for (const socket of sockets) socket.close();
    await shared.close();
  }
});

test("shutdown asked of any thread reaches the owner", async () => {
  const client = await MemcachedClient.connect(server.address);
  await client.ask("shutdown\r\n");
  assert.equal(await server.shutdownAsked, "now");
});

test("a watcher is told all that happens after its OK, in whichever thread", { timeout: 20_000 }, async () => {
  for (let round = 0; round < 40; round += 1) {
    const watcher = await MemcachedClient.connect(server.address);
    assert.equal(await watcher.ask("watch mutations\r\n"), "OK\r\n");
    const line = watcher.ask("", new RegExp(`key=round${round} `));
    await clients[round % CLIENTS]!.ask(`set round${round} 0 0 1\r\nx\r\n`);
    await line;
    watcher.close();
  }
});
