/** `close()` with `linger: -1` loses nothing: it resolves when the other side's kernel has all of it. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type AddressInfo, type Socket } from "node:net";
import { test, type TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Dealer, Push } from "../../src/zmq/index.ts";
import { nextEvent } from "../support/zmq.ts";
import { frame, greeting, hex, ready } from "./raw-peer.ts";

const MESSAGE_BYTES = 100_000;
/** 2 MB: all of it fits the buffers of both kernels, so that it is "written" long before it is there. */
const MESSAGES = 20;
/** The messages with their headers. */
const LEAST_BYTES = MESSAGES * (MESSAGE_BYTES + 9);

/** A peer that waits before it reads, and talks all the while. */
async function slowPeer(
  t: TestContext,
  words: Buffer,
  waitMs: number,
): Promise<{ endpoint: string; received: Promise<number> }> {
  const server = createServer({ allowHalfOpen: true }).listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  const received = once(server, "connection").then(async ([stream]) => {
    const socket = stream as Socket;
    socket.on("error", () => {});
    socket.write(Buffer.concat([greeting(), ready({ "Socket-Type": "DEALER" })]));
    const talking = setInterval(() => socket.write(words), 2);
    let bytes = 0;
    socket.on("data", (chunk: Buffer) => (bytes += chunk.length));
    await once(socket, "data");
    socket.pause();
    await sleep(waitMs);
    socket.resume();
    await Promise.race([once(socket, "end"), once(socket, "close")]);
    clearInterval(talking);
    socket.end();
    return bytes;
  });
  return { endpoint: `tcp://127.0.0.1:${(server.address() as AddressInfo).port}`, received };
}

test("a slow peer that talks back gets all that was sent before close", async (t) => {
  const { endpoint, received } = await slowPeer(t, frame(0, Buffer.alloc(1000)), 2500);
  const dealer = new Dealer();
  dealer.connect(endpoint);
  for (let count = 0; count < MESSAGES; count += 1) await dealer.send(Buffer.alloc(MESSAGE_BYTES));
  const begin = performance.now();
  await dealer.close();
  assert.ok(performance.now() - begin > 1000, "close waits for the peer");
  assert.ok((await received) >= LEAST_BYTES);
});

test("while the rest goes out a peer's PINGs are answered", async (t) => {
  const pong = hex("04 07 04 504f4e47 6162");
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  const answered = once(server, "connection").then(async ([stream]) => {
    const socket = stream as Socket;
    socket.on("error", () => {});
    socket.write(Buffer.concat([greeting(), ready({ "Socket-Type": "PULL" })]));
    await once(socket, "data");
    socket.pause();
    await sleep(300);
    let last = Buffer.alloc(0);
    const heard = new Promise<boolean>((resolve) => {
      socket.on("data", (chunk: Buffer) => {
        last = Buffer.concat([last.subarray(-pong.length), chunk]);
        if (last.includes(pong)) resolve(true);
      });
      socket.once("close", () => resolve(false));
    });
    socket.resume();
    socket.write(frame(4, Buffer.from("\u0004PING\0\0ab")));
    return heard;
  });
  const push = new Push({ sendHighWaterMark: 0 });
  push.connect(`tcp://127.0.0.1:${(server.address() as AddressInfo).port}`);
  await nextEvent(push, "handshake");
  for (let count = 0; count < 300; count += 1) push.trySend(Buffer.alloc(MESSAGE_BYTES));
  void push.close();
  assert.equal(await answered, true);
});

test("a peer that never closes does not hold close up once it has all", async (t) => {
  const server = createServer({ allowHalfOpen: true }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const connection = once(server, "connection").then(([stream]) => {
    const socket = stream as Socket;
    socket.on("error", () => {});
    socket.write(Buffer.concat([greeting(), ready({ "Socket-Type": "PULL" })]));
    socket.resume();
    t.after(() => socket.destroy());
  });
  t.after(() => server.close());
  const push = new Push();
  push.connect(`tcp://127.0.0.1:${(server.address() as AddressInfo).port}`);
  await push.send("all");
  await connection;
  await push.close();
});
