/** What peers make a context keep, and who is read on when it becomes much. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { codeOf } from "../../../src/core/errors.ts";
import { ManualClock } from "../../../src/core/manual-clock.ts";
import { Context, Pull, Push } from "../../../src/zmq/index.ts";
import { Ledger, type LedgerPipe } from "../../../src/zmq/patterns/ledger.ts";
import { closing, nextEvent, until } from "../../support/zmq.ts";
import { frame, greeting, RawPeer, ready } from "../raw-peer.ts";

interface Fake extends LedgerPipe {
  incompleteBytes: number;
  changes: number;
  ended: string | undefined;
}

/** A ledger of 800 bytes with so many pipes: half of it is 400, an even share of the next quarter 200 among them. */
function scene(count: number): { ledger: Ledger; pipes: Fake[]; filled: () => number } {
  let filled = 0;
  const ledger = new Ledger(() => (filled += 1));
  const pipes = Array.from({ length: count }, () => {
    const pipe: Fake = {
      incompleteBytes: 0,
      changes: 0,
      ended: undefined,
      ledgerChanged: () => (pipe.changes += 1),
      end: (reason) => (pipe.ended = codeOf(reason)),
    };
    ledger.enter(pipe);
    return pipe;
  });
  ledger.setBound(800);
  return { ledger, pipes, filled: () => filled };
}

function incomplete(ledger: Ledger, pipe: Fake, bytes: number): void {
  const more = bytes - pipe.incompleteBytes;
  pipe.incompleteBytes = bytes;
  ledger.add(more);
  ledger.incompleteChanged(pipe, false);
}

test("below half of the bound any peer may hold anything", () => {
  const { ledger, filled } = scene(2);
  ledger.add(399);
  assert.equal(ledger.mayHold(399), true);
  assert.equal(filled(), 0);
});

test("past half of the bound those that hold less than an even share of a quarter go on, and are told", () => {
  const { ledger, pipes, filled } = scene(2);
  ledger.add(400);
  assert.equal(filled(), 1);
  assert.deepEqual([ledger.mayHold(99), ledger.mayHold(100)], [true, false]);
  ledger.add(-99);
  assert.equal(ledger.isFull, true, "it is full until an eighth of the bound is free again");
  ledger.add(-2);
  assert.equal(ledger.isFull, false);
  assert.deepEqual(
    pipes.map(({ changes }) => changes),
    [2, 2],
  );
});

test("the message of which most has arrived becomes whole, then the next", () => {
  const { ledger, pipes } = scene(3);
  const [small, large, larger] = pipes as [Fake, Fake, Fake];
  incomplete(ledger, small, 10);
  incomplete(ledger, large, 190);
  incomplete(ledger, larger, 200);
  assert.deepEqual(
    pipes.map((pipe) => ledger.isFavourite(pipe)),
    [false, false, true],
  );
  ledger.add(100); // the rest of it
  larger.incompleteBytes = 0;
  ledger.incompleteChanged(larger, true);
  assert.equal(ledger.isFavourite(large), true);
});

test("at the bound nobody may hold more, and whose message would go beyond it is ended", () => {
  const { ledger, pipes } = scene(1);
  const [pipe] = pipes as [Fake];
  incomplete(ledger, pipe, 500);
  assert.equal(ledger.isFavourite(pipe), true);
  ledger.add(300);
  assert.equal(ledger.isExhausted, true);
  assert.equal(ledger.mayHold(0), false);
  assert.equal(pipe.ended, "ERR_ZMTP_STALLED");
});

test("a peer that does not complete its message while memory is used up is ended at the second look", () => {
  const { ledger, pipes } = scene(1);
  const [pipe] = pipes as [Fake];
  incomplete(ledger, pipe, 500);
  const chosen = ledger.endStalled(undefined);
  assert.equal(chosen, pipe);
  assert.equal(pipe.ended, undefined);
  ledger.endStalled(chosen);
  assert.equal(pipe.ended, "ERR_ZMTP_STALLED");
});

test("connections leave less room for what they carry", () => {
  const { ledger } = scene(1);
  ledger.addConnection(400);
  ledger.add(200);
  assert.equal(ledger.isFull, true);
  ledger.addConnection(-400);
  assert.equal(ledger.isFull, false);
});

test("a bound that is raised lets peers go on", () => {
  const { ledger } = scene(1);
  ledger.add(700);
  assert.equal(ledger.isFull, true);
  ledger.setBound(0);
  assert.equal(ledger.isFull, false);
});

test("when all is taken, sent and closed the ledger is empty", async (t) => {
  const context = new Context();
  const pull = closing(t, new Pull({ context }));
  await pull.bind("tcp://127.0.0.1:*");
  const push = new Push({ context });
  push.connect(pull.lastEndpoint!);
  for (let count = 0; count < 300; count += 1) await push.send([`${count}`, Buffer.alloc(count * 100), ""]);
  for (let count = 0; count < 300; count += 1) await pull.receive();
  await push.close();
  await pull.close();
  assert.equal(context.ledger.bytes, 0);
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
  await until(() => context.ledger.isFull, "half of the bound to be used");
  clock.advance(30_000);
  clock.advance(30_000);
  assert.equal(codeOf((await gone).reason), "ERR_ZMTP_STALLED");
});
