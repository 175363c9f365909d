/**
 * Many peers at once, every size of message, connections that come and go: each octet that arrives is checked. Guards whatever
 * shares memory between messages or connections (read buffers, slabs, batches written, spare buffers).
 */
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { between, pick, type Random, seeded } from "../../src/core/random.ts";
import { curveKeyPair, Dealer, Publisher, Pull, Push, Router, Subscriber } from "../../src/zmq/index.ts";

/** Around the borders of frames, slabs, reads and batches. */
const SIZES = [
  0, 1, 7, 100, 254, 255, 256, 257, 1000, 4096, 4097, 8192, 16_373, 16_384, 32_768, 65_527, 65_536, 131_072, 300_000,
];

function seedOf(context: TestContext): Random {
  const seed = Number(process.env["FUZZ_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
  context.diagnostic(`seed ${seed}`);
  return seeded(seed);
}

/** Octets that tell whose they are and where in the message they stand: any mix-up shows. */
function body(random: Random, number: number): Buffer {
  const octets = Buffer.alloc(random() < 0.8 ? between(random, 4, 400) : pick(random, SIZES));
  const step = (number % 127) * 2 + 1;
  for (let at = 0; at < octets.length; at += 1) octets[at] = (number + at * step) & 0xff;
  if (octets.length >= 4) octets.writeUInt32LE(number);
  return octets;
}

function assertWhole(octets: Buffer, what: string): void {
  if (octets.length < 4) return;
  const number = octets.readUInt32LE();
  const step = (number % 127) * 2 + 1;
  for (let at = 4; at < octets.length; at += 1) {
    if (octets[at] !== ((number + at * step) & 0xff)) {
      assert.fail(`${what}: message ${number} of ${octets.length} octets differs from octet ${at} on`);
    }
  }
}

for (const mechanism of ["NULL", "CURVE"]) {
  test(`12 dealers ask one router 3,000 questions of all sizes over ${mechanism}: every octet comes back`, async (context) => {
    const random = seedOf(context);
    const keys = curveKeyPair();
    const secure = mechanism === "CURVE";
    const router = new Router({ linger: 0, ...(secure && { curveServer: true, curveSecretKey: keys.secretKey }) });
    await router.bind("tcp://127.0.0.1:*");
    const echo = (async () => {
      for await (const batch of router.batches()) {
        for (const [id, ...frames] of batch) {
          for (const frame of frames) assertWhole(frame, "at the router");
          await router.send([id!, ...frames]);
        }
      }
    })();
    const { publicKey, secretKey } = curveKeyPair();
    const ask = async (dealer: Dealer, first: number): Promise<void> => {
      const kept: Buffer[] = [];
      for (let question = 0; question < 250; question += 10) {
        const asked = Array.from({ length: 10 }, (_, index) =>
          Array.from({ length: between(random, 1, 4) }, () => body(random, first + question + index)),
        );
        for (const frames of asked) await dealer.send(frames);
        for (const frames of asked) {
          const answer = await dealer.receive();
          assert.equal(answer.length, frames.length);
          for (const [index, frame] of answer.entries()) assert.ok(frame.equals(frames[index]!), "an answer is its question");
          kept.push(...answer);
        }
      }
      for (const frame of kept) assertWhole(frame, "kept to the end");
    };
    const dealers = Array.from({ length: 12 }, () => {
      const options = secure ? { curveServerKey: keys.publicKey, curvePublicKey: publicKey, curveSecretKey: secretKey } : {};
      const dealer = new Dealer({ linger: 0, receiveTimeout: 20_000, ...options });
      dealer.connect(router.lastEndpoint!);
      return dealer;
    });
    await Promise.all(dealers.map((dealer, index) => ask(dealer, index * 1_000_000)));
    await Promise.all([...dealers, router].map((socket) => socket.close()));
    await echo;
  });
}

test("what a slow PULL keeps stays as it was while 20,000 more messages pass, and the order holds", async (context) => {
  const random = seedOf(context);
  const pull = new Pull({ receiveHighWaterMark: 50, receiveTimeout: 20_000 });
  await pull.bind("tcp://127.0.0.1:*");
  const push = new Push({ sendHighWaterMark: 50 });
  push.connect(pull.lastEndpoint!);
  const count = 20_000;
  const sending = (async () => {
    for (let number = 0; number < count; number += 1) {
      const octets = body(random, number);
      await push.send(octets.length < 4 ? [octets, body(seeded(number), number)] : octets);
    }
  })();
  const kept: Buffer[] = [];
  let bytes = 0;
  for (let number = 0; number < count; number += 1) {
    const frames = await pull.receive();
    for (const frame of frames) assertWhole(frame, "as it comes");
    if (number % 50 === 0) {
      kept.push(...frames);
      await new Promise((resolve) => setImmediate(resolve));
    }
    const last = frames.at(-1)!;
    if (last.length >= 4) assert.equal(last.readUInt32LE(), number);
    bytes += last.length;
  }
  await sending;
  for (const frame of kept) assertWhole(frame, "kept");
  context.diagnostic(`${Math.round(bytes / 2 ** 20)} MiB passed`);
  await Promise.all([push.close(), pull.close()]);
});

test("dealers that leave in the middle of their sentences leave nothing of them in others' messages", async (context) => {
  const random = seedOf(context);
  const router = new Router({ linger: 0 });
  await router.bind("tcp://127.0.0.1:*");
  let received = 0;
  const listening = (async () => {
    for await (const [, ...frames] of router) {
      received += 1;
      for (const frame of frames) assertWhole(frame, "at the router");
    }
  })();
  for (let round = 0; round < 60; round += 1) {
    const dealers = Array.from({ length: 5 }, () => new Dealer({ linger: 0 }));
    const met = new Promise<unknown>((resolve) => dealers[0]!.events.on("handshake", resolve));
    for (const dealer of dealers) dealer.connect(router.lastEndpoint!);
    for (let number = 0; number < 20; number += 1) {
      for (const dealer of dealers) await dealer.send([body(random, number), body(random, number + 1)]);
    }
    if (round % 2 === 0) await met; // some have begun to write
    await Promise.all(dealers.map((dealer) => dealer.close()));
  }
  await router.close();
  await listening;
  assert.ok(received > 0);
});

test("30 subscribers hear the same octets from one publisher", async (context) => {
  const random = seedOf(context);
  const publisher = new Publisher({ linger: 0, sendHighWaterMark: 0 });
  await publisher.bind("tcp://127.0.0.1:*");
  const subscribers = Array.from({ length: 30 }, () => {
    const subscriber = new Subscriber({ receiveTimeout: 20_000 });
    subscriber.subscribe("");
    subscriber.connect(publisher.lastEndpoint!);
    return subscriber;
  });
  const met = Promise.all(subscribers.map((subscriber) => subscriber.receive()));
  const timer = setInterval(() => void publisher.send("sync"), 2);
  await met;
  clearInterval(timer);
  const messages = Array.from({ length: 300 }, (_, number) => body(random, number)).filter((octets) => octets.length > 4);
  const heard = subscribers.map(async (subscriber) => {
    for (const message of messages) {
      let [frame] = await subscriber.receive();
      while (frame!.equals(Buffer.from("sync"))) [frame] = await subscriber.receive();
      assert.ok(frame!.equals(message));
    }
  });
  for (const message of messages) await publisher.send(message);
  await Promise.all(heard);
  await Promise.all([publisher, ...subscribers].map((socket) => socket.close()));
});

test("a publisher that awaits each send loses nothing to a subscriber that keeps up, whatever the high-water mark", async () => {
  for (const sendHighWaterMark of [1000, 10]) {
    const publisher = new Publisher({ linger: 0, sendHighWaterMark });
    await publisher.bind("tcp://127.0.0.1:*");
    const subscriber = new Subscriber({ receiveTimeout: 20_000 });
    subscriber.subscribe("");
    subscriber.connect(publisher.lastEndpoint!);
    const met = subscriber.receive();
    const timer = setInterval(() => void publisher.send("sync"), 2);
    await met;
    clearInterval(timer);
    const count = 20 * sendHighWaterMark;
    const heard = (async () => {
      for (let number = 0; number < count;) if (String((await subscriber.receive())[0]) === String(number)) number += 1;
    })();
    for (let number = 0; number < count; number += 1) await publisher.send(String(number));
    await heard;
    await Promise.all([publisher.close(), subscriber.close()]);
  }
});
