/** UDP: memcached's framing of requests and replies. */
import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { test } from "node:test";
import { replyDatagrams, requestStart } from "../../../src/cache/server/udp-framing.ts";
import { CacheServer } from "../../../src/cache/index.ts";

const request = (id: number, text: string, parts = 1): Buffer =>
  Buffer.concat([Buffer.from([id >> 8, id & 0xff, 0, 0, 0, parts, 0, 0]), Buffer.from(text, "latin1")]);

test("a reply is cut into datagrams of at most 1400 bytes that say their place", () => {
  const datagrams = replyDatagrams(request(0x1234, "x"), new Uint8Array(3000).fill(7));
  assert.deepEqual(
    datagrams.map((datagram) => [datagram.length, [...datagram.subarray(0, 8)]]),
    [
      [1400, [0x12, 0x34, 0, 0, 0, 3, 0, 0]],
      [1400, [0x12, 0x34, 0, 1, 0, 3, 0, 0]],
      [224, [0x12, 0x34, 0, 2, 0, 3, 0, 0]],
    ],
  );
  assert.deepEqual(replyDatagrams(request(1, "x"), new Uint8Array(0)), []);
});

test("a datagram without a command, or one of several, is no request", () => {
  assert.equal(requestStart(request(1, "get a\r\n")), 8);
  assert.equal(requestStart(request(1, "")), undefined);
  assert.equal(requestStart(request(1, "get a\r\n", 2)), undefined);
  assert.equal(requestStart(new Uint8Array(3)), undefined);
});

test("text and binary requests are answered over UDP, one datagram after the other", async () => {
  const server = new CacheServer({ listen: "127.0.0.1:0", udp: ["127.0.0.1:0"] });
  await server.listen();
  const client = createSocket("udp4");
  const ask = async (datagram: Buffer): Promise<Buffer> => {
    client.send(datagram, Number(server.udpAddresses[0]!.split(":")[1]), "127.0.0.1");
    return (await once(client, "message"))[0] as Buffer;
  };
  try {
    assert.equal((await ask(request(7, "set k 0 0 2\r\nhi\r\n"))).toString("latin1"), "\0\x07\0\0\0\x01\0\0STORED\r\n");
    client.send(request(8, "get k\r\n", 2), Number(server.udpAddresses[0]!.split(":")[1]), "127.0.0.1"); // never answered
    client.send(request(9, "set k 0 0 9\r\nhalf"), Number(server.udpAddresses[0]!.split(":")[1]), "127.0.0.1"); // half a value
    assert.equal((await ask(request(10, "get k\r\n"))).toString("latin1"), "\0\x0a\0\0\0\x01\0\0VALUE k 0 2\r\nhi\r\nEND\r\n");
    const noop = Buffer.alloc(24);
    noop.set([0x80, 0x0a]);
    assert.equal((await ask(request(11, noop.toString("latin1"))))[8], 0x81);
    assert.match((await ask(request(12, "watch\r\n"))).toString("latin1"), /ERROR/);
  } finally {
    client.close();
    await server.close();
  }
});
