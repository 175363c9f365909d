/**
 * `victim-child.ts KIND BYTES`: a socket whose application does not keep up, in a context that may keep so many bytes for its peers. It
 * tells its endpoint, then its resident memory again and again. For bounds.test.ts.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { Context, Pull, Push, Router, XPublisher } from "../../src/zmq/index.ts";

const [kind, bytes] = process.argv.slice(2) as [string, string];
const context = new Context({ highWaterBytes: Number(bytes) });
const unbounded = { context, linger: 0, receiveHighWaterMark: 0 };

// Until the collector's first generation and the compiled code have the size that they get with any traffic
const warm = new Pull();
await warm.bind("tcp://127.0.0.1:*");
const warming = new Push({ linger: 0 });
warming.connect(warm.lastEndpoint!);
for (let count = 0; count < 100_000; count += 100) {
  for (let index = 0; index < 100; index += 1) await warming.send(["x", "y".repeat(100)]);
  for (let index = 0; index < 100; index += 1) await warm.receive();
}

async function open(): Promise<string> {
  if (kind === "XPUB") {
    const publisher = new XPublisher(unbounded);
    await publisher.bind("tcp://127.0.0.1:*");
    return publisher.lastEndpoint!;
  }
  const router = new Router({ ...unbounded, sendHighWaterMark: 0 });
  await router.bind("tcp://127.0.0.1:*");
  if (kind === "echo") {
    void (async () => {
      for await (const [id, body] of router) router.trySend([id!, body!, body!]);
    })();
  } else {
    void (async () => {
      for await (const [, body] of router)
        if (String(body) === "honest") process.send!("honest");
        else await sleep(100);
    })();
  }
  return router.lastEndpoint!;
}

process.send!(await open());
setInterval(() => process.send!({ rss: process.memoryUsage.rss(), kept: context.budget.bytes }), 20);
process.once("disconnect", () => process.exit());
