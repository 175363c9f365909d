/** Connections that are cut at any octet, again and again. */
import assert from "node:assert/strict";
import { connect, createServer, type AddressInfo } from "node:net";
import { test } from "node:test";
import { between, seeded, type Random } from "../../src/core/random.ts";
import { Dealer, Pull, Push, Router } from "../../src/zmq/index.ts";
import { closing } from "../support/zmq.ts";

const seed = Number(process.env["SEED"] ?? Math.floor(Math.random() * 2 ** 31));

/** A tcp proxy that cuts each connection after a random number of octets. */
async function cuttingProxy(
  t: Parameters<typeof closing>[0],
  target: string,
  random: Random,
  mostBytes: number,
): Promise<string> {
  const port = Number(target.split(":").at(-1));
  const server = createServer((near) => {
    const far = connect(port, "127.0.0.1");
    let left = between(random, 1, mostBytes);
    const cut = (): void => {
      near.destroy();
      far.destroy();
    };
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      from.on("data", (chunk: Buffer) => {
        to.write(chunk.subarray(0, left));
        left -= chunk.length;
        if (left <= 0) setImmediate(cut);
      });
      from.on("error", cut);
      from.on("close", cut);
    }
  });
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  t.after(() => server.close());
  return `tcp://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

test(`a PUSH over connections cut at random loses whole messages only, repeats none, and keeps order (seed ${seed})`, async (t) => {
  const random = seeded(seed);
  const pull = closing(t, new Pull());
  await pull.bind("tcp://127.0.0.1:*");
  const push = closing(t, new Push({ reconnectInterval: 1, sendHighWaterMark: 20 }));
  push.connect(await cuttingProxy(t, pull.lastEndpoint!, random, 60_000));
  const total = 2000;
  const sending = (async () => {
    for (let count = 0; count < total; count += 1) {
      const body = Buffer.alloc(between(random, 0, 600), count & 0xff);
      await push.send([`${count}`, body, `${body.length}`]);
    }
    // Any message may be one that is lost, the last too
    const last = setInterval(() => void push.trySend("end"), 20);
    t.after(() => clearInterval(last));
  })();
  let previous = -1;
  let received = 0;
  for await (const parts of pull) {
    if (String(parts[0]) === "end") break;
    assert.equal(parts.length, 3);
    const [number, body, length] = parts;
    assert.ok(Number(String(number)) > previous, `${String(number)} after ${previous}`);
    previous = Number(String(number));
    assert.equal(body!.length, Number(String(length)));
    assert.ok(body!.every((octet) => octet === (previous & 0xff)));
    received += 1;
  }
  await sending;
  assert.ok(received > total / 10, `${received} of ${total} came through`);
});

test(`requests over connections cut at random are all answered when they are asked again (seed ${seed})`, async (t) => {
  const random = seeded(seed + 1);
  const router = closing(t, new Router());
  await router.bind("tcp://127.0.0.1:*");
  void (async () => {
    for await (const batch of router.batches()) for (const [id, body] of batch) router.trySend([id!, body!]);
  })();
  const endpoint = await cuttingProxy(t, router.lastEndpoint!, random, 3000);
  const dealers = [0, 1, 2].map(() => closing(t, new Dealer({ reconnectInterval: 1, receiveTimeout: 100 })));
  await Promise.all(
    dealers.map(async (dealer) => {
      dealer.connect(endpoint);
      for (let count = 0; count < 40; count += 1) {
        let answer = "";
        while (answer !== `${count}`) {
          await dealer.send(`${count}`);
          answer = await dealer.receive().then(
            ([body]) => String(body),
            () => "",
          );
        }
      }
    }),
  );
});
