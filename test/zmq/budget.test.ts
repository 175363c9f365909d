/** What peers make a context keep is charged, and released. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { codeOf } from "../../src/core/errors.ts";
import { ManualClock } from "../../src/core/manual-clock.ts";
import { Context, Pull, Push } from "../../src/zmq/index.ts";
import { closing, nextEvent, until } from "../support/zmq.ts";
import { frame, greeting, RawPeer, ready } from "./raw-peer.ts";

test("when all is taken, sent and closed the budget is empty", async (t) => {
  const context = new Context();
  const pull = closing(t, new Pull({ context }));
  await pull.bind("tcp://127.0.0.1:*");
  const push = new Push({ context });
  push.connect(pull.lastEndpoint!);
  for (let count = 0; count < 300; count += 1) await push.send([`${count}`, Buffer.alloc(count * 100), ""]);
  for (let count = 0; count < 300; count += 1) await pull.receive();
  await push.close();
  await pull.close();
  assert.equal(context.budget.bytes, 0);
});

test("a message that stalls while memory is used up ends its connection after a minute at most", async (t) => {
  const clock = new ManualClock();
  const context = new Context({ highWaterBytes: 400_000 }, clock);
  const pull = closing(t, new Pull({ context, handshakeInterval: 0 }));
  await pull.bind("tcp://127.0.0.1:*");
  const peer = await RawPeer.connect(pull.lastEndpoint!);
  t.after(() => peer.close());
  const gone = nextEvent(pull, "disconnect");
  peer.send(greeting(), ready({ "Socket-Type": "PUSH" }), frame(0, Buffer.alloc(1_000_000)).subarray(0, 300_000));
  await until(() => context.budget.isFull, "half of the bound to be used");
  clock.advance(30_000);
  clock.advance(30_000);
  assert.equal(codeOf((await gone).reason), "ERR_ZMTP_STALLED");
});

test("a handshake that stops is charged with what it made us keep, and released when it ends", async (t) => {
  const context = new Context();
  const pull = closing(t, new Pull({ context }));
  await pull.bind("tcp://127.0.0.1:*");
  const peer = await RawPeer.connect(pull.lastEndpoint!);
  peer.send(greeting(), frame(4, Buffer.alloc(15_000)).subarray(0, 14_000));
  await until(() => context.budget.bytes > 16 * 1024 + 13_000, "the unfinished command to be charged");
  peer.close();
  await until(() => context.budget.bytes === 0, "all to be released");
});

test("where strangers take an eighth of the bound, an address that has its share of them gets no more in; who is known goes on", async (t) => {
  const context = new Context({ highWaterBytes: 1024 ** 2 });
  const pull = closing(t, new Pull({ context }));
  await pull.bind("tcp://127.0.0.1:*");
  const push = closing(t, new Push({ context }));
  push.connect(pull.lastEndpoint!);
  await push.send("before");
  await pull.receive();
  const turnedAway = nextEvent(pull, "accept:error");
  const strangers = await Promise.all(Array.from({ length: 20 }, () => RawPeer.connect(pull.lastEndpoint!)));
  t.after(() => strangers.forEach((each) => each.close()));
  assert.equal(codeOf((await turnedAway).error), "EAGAIN");
  await push.send("meanwhile");
  assert.equal(String((await pull.receive())[0]), "meanwhile");
  const other = closing(t, new Pull({ context }));
  await other.bind("ipc://*");
  const late = closing(t, new Push());
  late.connect(other.lastEndpoint!);
  await late.send("from another address");
  assert.equal(String((await other.receive())[0]), "from another address");
});
