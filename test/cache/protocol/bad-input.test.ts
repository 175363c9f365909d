/**
 * What no client should send: each gets memcached's exact answer, the store stays usable, and the server stays up. Where Debian's
 * memcached is there, the same bytes are sent to it and the answers compared.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createConnection, type Socket } from "node:net";
import { setImmediate as turn } from "node:timers/promises";
import { suite, test } from "node:test";
import { CacheServer } from "../../../src/cache/index.ts";
import { seeded, between, pick, type Random } from "../../../src/core/random.ts";
import { DirectCache } from "../../support/direct-cache.ts";
import { requires } from "../../support/requires.ts";
import { randomCommand } from "../support/command-stream.ts";
import { converse, HOLDFAST_CACHE, MEMCACHED, withCaches } from "../support/servers.ts";

const KEY_251 = "k".repeat(251);
const ENDLESS = "x".repeat(2049);
const BAD_FORMAT = "CLIENT_ERROR bad command line format\r\n";

/** What is sent, what is answered, and whether 1.6.18 answers the same (it words short lines and tokens otherwise). */
const CASES: readonly (readonly [name: string, sent: string, answer: string, since?: "1.6.45"])[] = [
  ["a key of 251 bytes", `get ${KEY_251}\r\n`, BAD_FORMAT],
  ["an over-long key among others", `get a ${KEY_251} b\r\n`, BAD_FORMAT],
  ["a key of 251 bytes to store", `set ${KEY_251} 0 0 1\r\nx\r\n`, BAD_FORMAT, "1.6.45"],
  ["a negative size", "set k 0 0 -1\r\n", BAD_FORMAT],
  ["a size that is no number", "set k 0 0 ten\r\n", BAD_FORMAT],
  ["a size over 2^31", "set k 0 0 2147483648\r\n", BAD_FORMAT],
  ["flags over 2^32, of which the lower 32 bits are kept", "set k 4294967296 0 1\r\nx\r\n", "STORED\r\n"],
  ["a value that is longer than said", "set k 0 0 3\r\nabcde\r\n", `CLIENT_ERROR bad data chunk\r\n${BAD_FORMAT}`, "1.6.45"],
  ["a value that ends otherwise", "set k 0 0 3\r\nabcde", "CLIENT_ERROR bad data chunk\r\n"],
  ["a NUL within a key", "get a\0b\r\n", "END\r\n", "1.6.45"],
  ["a command that there is not", "frobnicate\r\n", "ERROR\r\n"],
  ["bytes that are no text", "\xfe\xed\xfa\xce\r\n", "ERROR\r\n"],
  ["a browser", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", ""],
  ["2049 bytes without a line end", ENDLESS, ""],
  [
    "an item over the limit, whose value is passed over",
    `set k 0 0 1048577\r\n${"x".repeat(1048577)}\r\n`,
    "SERVER_ERROR object too large for cache\r\n",
  ],
  [
    "a delta that is no number",
    "set n 0 0 1\r\n5\r\nincr n -1\r\n",
    "STORED\r\nCLIENT_ERROR invalid numeric delta argument\r\n",
  ],
  [
    "numbers with blanks and signs",
    "set n 0 0 4\r\n 599\r\nincr n 1\r\nset n 0 0 4\r\n+599\r\nincr n 1\r\nset n 0 0 4\r\n5\t99\r\nincr n 1\r\n",
    "STORED\r\n600\r\nSTORED\r\n600\r\nSTORED\r\n6\r\n",
  ],
  ["a base64 key that is none", "mg !!!! b v\r\n", "CLIENT_ERROR error decoding key\r\n"],
  ["a meta flag that is no letter", "mg key v !\r\n", BAD_FORMAT],
  ["a meta flag twice", "mg k v v\r\n", "CLIENT_ERROR duplicate flag\r\n"],
];

suite("bad input", () => {
  for (const [name, sent, answer] of CASES) {
    test(`${name} gets memcached's answer`, () => {
      const cache = new DirectCache();
      assert.equal(cache.say(sent), answer);
      if (cache.session.ending === undefined)
        assert.equal(cache.say("set after 0 0 2\r\nok\r\nget after\r\n").slice(-26), "VALUE after 0 2\r\nok\r\nEND\r\n");
    });
  }

  test("the same bad input is answered alike by Debian's memcached, and both still serve", requires("memcached"), async () => {
    await withCaches([HOLDFAST_CACHE, MEMCACHED], [], async (...servers) => {
      for (const [name, sent, , since] of CASES) {
        if (since !== undefined || sent.startsWith("mg")) continue;
        const answers = await Promise.all(
          servers.map(({ at }) => converse(at, [Buffer.from(sent === ENDLESS ? sent : `${sent}quit\r\n`, "latin1")])),
        );
        assert.equal(answers[0]!.toString("latin1"), answers[1]!.toString("latin1"), name);
      }
    });
  });

  /** Changes, drops, doubles or cuts a few bytes. */
  function mutate(random: Random, bytes: Buffer): Buffer {
    let out = Buffer.from(bytes);
    for (let count = between(random, 1, 4); count > 0 && out.length > 0; count -= 1) {
      const at = between(random, 0, out.length - 1);
      switch (pick(random, ["change", "drop", "double", "cut"] as const)) {
        case "change":
          out[at] = between(random, 0, 255);
          break;
        case "drop":
          out = Buffer.concat([out.subarray(0, at), out.subarray(at + between(random, 1, 3))]);
          break;
        case "double":
          out = Buffer.concat([out.subarray(0, at), out.subarray(Math.max(0, at - 20))]);
          break;
        case "cut":
          out = out.subarray(0, at);
      }
    }
    return out;
  }

  test("mutated traffic in random chunks never breaks the store, and is answered as when it comes whole", () => {
    const seed = Math.floor(Math.random() * 1e9);
    const random = seeded(seed);
    const whole = new DirectCache();
    const chunked = new DirectCache();
    for (let round = 0; round < 400; round += 1) {
      const commands = Array.from({ length: between(random, 1, 8) }, () => randomCommand(random).text).join("");
      const bytes = mutate(random, Buffer.from(commands, "latin1"));
      const pieces: Buffer[] = [];
      for (let at = 0; at < bytes.length;) {
        const end = at + between(random, 1, random() < 0.5 ? 1 : 200);
        pieces.push(bytes.subarray(at, end));
        at = end;
      }
      const [answer, answerInPieces] = [whole.feed([bytes]), chunked.feed(pieces)];
      assert.equal(
        answerInPieces,
        answer,
        `seed ${seed} round ${round}: ${JSON.stringify(bytes.toString("latin1").slice(0, 300))}`,
      );
      for (const cache of [whole, chunked]) {
        cache.reconnect();
        assert.equal(
          cache.say("set probe 0 0 2\r\nok\r\nget probe\r\n"),
          "STORED\r\nVALUE probe 0 2\r\nok\r\nEND\r\n",
          `seed ${seed}`,
        );
      }
    }
    assert.equal(whole.items, chunked.items);
  });

  async function withServer(
    options: object,
    body: (server: CacheServer, connect: () => Promise<Socket>) => Promise<void>,
  ): Promise<void> {
    const server = new CacheServer({ listen: "127.0.0.1:0", ...options });
    await server.listen();
    const sockets: Socket[] = [];
    try {
      await body(server, async () => {
        const socket = createConnection({ host: "127.0.0.1", port: Number(server.address.split(":")[1]) });
        socket.on("error", () => undefined);
        sockets.push(socket);
        await once(socket, "connect");
        return socket;
      });
    } finally {
      for (const socket of sockets) socket.destroy();
      await server.close();
    }
  }

  test("a client that never reads its replies stops being read, while others are served", async () => {
    await withServer({}, async (server, connect) => {
      const [deaf, other] = [await connect(), await connect()];
      other.write(`set big 0 0 1000000\r\n${"x".repeat(1_000_000)}\r\n`);
      await once(other, "data");
      deaf.pause();
      const before = process.memoryUsage().rss;
      for (let round = 0; round < 200; round += 1) {
        deaf.write("get big\r\n".repeat(100)); // 20 GB of replies, were they all made
        await turn();
      }
      other.write("mn\r\n");
      assert.equal(String((await once(other, "data"))[0]), "MN\r\n");
      assert.ok(process.memoryUsage().rss - before < 100 * 1024 ** 2, "replies wait where they cost nothing");
      assert.ok(server.stats().gets < 2000, "requests behind unread replies are not executed");
    });
  });

  test("half a command and then silence is closed by the idle timeout", async () => {
    await withServer({ idleTimeout: "1s" }, async (_server, connect) => {
      const [half, value] = [await connect(), await connect()];
      half.write("get hal");
      value.write("set k 0 0 100\r\nhalf a value");
      await Promise.all([once(half.resume(), "close"), once(value.resume(), "close")]);
    });
  });

  test("of 800 connections with a limit of 256, 256 are served and the rest are told why not", async () => {
    await withServer({ connections: 256 }, async (server, connect) => {
      const sockets: Socket[] = [];
      const refused: string[] = [];
      for (let count = 0; count < 800; count += 1) {
        const socket = await connect();
        socket.on("data", (bytes: Buffer) => refused.push(bytes.toString("latin1")));
        sockets.push(socket);
      }
      while (refused.length < 800 - 256) await turn();
      assert.deepEqual([...new Set(refused)], ["ERROR Too many open connections\r\n"]);
      assert.equal(server.stats().connections, 256);
      sockets[0]!.removeAllListeners("data");
      sockets[0]!.write("mn\r\n");
      assert.equal(String((await once(sockets[0]!, "data"))[0]), "MN\r\n");
    });
  });
});
