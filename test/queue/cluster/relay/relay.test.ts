import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { RelayServer, RelayClient } from "../../../../src/queue/cluster/relay/relay.ts";
import { decodeChunk, type Item, MESSAGE, ACK } from "../../../../src/queue/cluster/relay/relay-codec.ts";
import { RelayStream } from "../../../../src/queue/cluster/relay/relay-stream.ts";

const CHUNK_BYTES = 200;

function end(sender: string): { stream: RelayStream; out: Buffer[] } {
  const out: Buffer[] = [];
  return {
    stream: new RelayStream({ session: 1, sender, chunkBytesMax: CHUNK_BYTES, send: (chunk) => void out.push(chunk) }),
    out,
  };
}

const item = (key: string, ...frames: Buffer[]): Item => ({ kind: MESSAGE, key, idempotencyKey: "t", frames });

test("whatever is pushed comes out the same, however it was cut into chunks", () => {
  const frames = fc.array(fc.uint8Array({ maxLength: 500 }), { maxLength: 4 });
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.string({ maxLength: 20 }), frames, fc.boolean()), { maxLength: 20 }), (pushed) => {
      const [a, b] = [end("a".repeat(16)), end("b".repeat(16))];
      const items = pushed.map(([key, each]) =>
        item(Buffer.from(key).toString("latin1"), ...each.map((bytes) => Buffer.from(bytes))),
      );
      for (const [index, each] of items.entries()) {
        a.stream.push(each);
        if (pushed[index]![2]) a.stream.flush();
      }
      a.stream.flush();
      const taken: Item[] = [];
      for (const chunk of a.out) {
        assert.ok(chunk.length <= CHUNK_BYTES);
        taken.push(...b.stream.take(decodeChunk(chunk))!);
      }
      assert.deepEqual(taken, items);
    }),
  );
});

test("a chunk that is missing ends the session, also when it was the last", () => {
  const [a, b] = [end("a".repeat(16)), end("b".repeat(16))];
  for (let index = 0; index < 3; index += 1) {
    a.stream.push(item("p", Buffer.from(`${index}`)));
    a.stream.flush();
  }
  assert.equal(b.stream.take(decodeChunk(a.out[0]!))!.length, 1);
  assert.equal(b.stream.take(decodeChunk(a.out[2]!)), undefined);
  a.stream.acknowledge();
  const ack = decodeChunk(a.out[3]!);
  assert.equal(ack.kind, ACK);
  assert.equal(b.stream.take(ack), undefined, "two chunks were never seen");
});

test("no more is under way than the window lets, and it goes on when the other end has taken some", () => {
  const a = new RelayStream({
    session: 1,
    sender: "a".repeat(16),
    chunkBytesMax: 512 * 1024,
    send: (chunk) => void sent.push(chunk),
  });
  const sent: Buffer[] = [];
  const b = end("b".repeat(16));
  const body = Buffer.alloc(1024 ** 2);
  for (let index = 0; index < 40; index += 1) a.push(item("p", body));
  a.flush();
  const bytes = (): number => sent.reduce((sum, chunk) => sum + chunk.length, 0);
  assert.ok(bytes() <= 17 * 1024 ** 2, `${bytes()} bytes under way`);
  assert.ok(a.waitingBytes > 20 * 1024 ** 2);
  let taken = 0;
  for (let at = 0; at < sent.length; at += 1) {
    taken += b.stream.take(decodeChunk(sent[at]!))!.length;
    for (const chunk of b.out.splice(0)) a.take(decodeChunk(chunk));
    b.stream.acknowledge();
    for (const chunk of b.out.splice(0)) a.take(decodeChunk(chunk));
  }
  assert.equal(taken, 40);
  assert.equal(a.waitingBytes, 0);
});

interface Farm {
  readonly state: { nowMs: number; cut: boolean };
  readonly host: RelayServer;
  readonly heard: readonly string[];
  follower(session: number): { channel: RelayClient; broken: () => boolean; first: Buffer };
}

/** A broker core that writes down who said what, and followers that reach it; `cut` loses what is said from then on. */
function farm(): Farm {
  const state = { nowMs: 0, cut: false };
  const heard: string[] = [];
  let newest: RelayClient | undefined;
  const nowMs = (): number => state.nowMs;
  const core = {
    receive: (key: string, frames: readonly Buffer[]) => void heard.push(`${key.split(" ")[1]}: ${frames.join(" ")}`),
    gone: (key: string) => void heard.push(`${key.split(" ")[1]} is gone`),
    flush: () => {},
  };
  const toPeerRelay = (_: string, chunk: Buffer): void => {
    if (!state.cut) newest?.heard(decodeChunk(chunk));
  };
  const host = new RelayServer({
    core,
    term: 1,
    sender: "f".repeat(16),
    chunkBytesMax: CHUNK_BYTES,
    send: toPeerRelay,
    nowMs,
    log: () => {},
  });
  return {
    state,
    host,
    heard,
    follower(session) {
      let isBroken = false;
      const sent: Buffer[] = [];
      const send = (chunk: Buffer): void => {
        sent.push(chunk);
        if (!state.cut) host.heard(decodeChunk(chunk));
      };
      const follower = { said: () => {}, closed: () => {}, peerOf: () => undefined };
      const channel = new RelayClient(
        { session, sender: "d".repeat(16), chunkBytesMax: CHUNK_BYTES, send, nowMs },
        { channel: follower, broken: () => void (isBroken = true) },
      );
      newest = channel;
      return { channel, broken: () => isBroken, first: sent[0]! };
    },
  };
}

test("a session whose other end is silent for 1.5 s is over at both ends, and one that is only quiet is not", () => {
  const { state, host, heard, follower } = farm();
  const { channel, broken } = follower(1);
  channel.message("p", [Buffer.from("hello")], "");
  channel.flush();
  const heartbeats = (count: number): void => {
    for (let heartbeat = 0; heartbeat < count; heartbeat += 1) {
      state.nowMs += 200;
      channel.heartbeat();
      host.heartbeat();
    }
  };
  heartbeats(50);
  assert.ok(!broken());
  state.cut = true;
  heartbeats(7);
  assert.ok(!broken());
  heartbeats(2);
  assert.ok(broken());
  assert.deepEqual(heard, ["p: hello", "p is gone"]);
});

test("a session of the past that comes late does not end the one that is", () => {
  const { host, heard, follower } = farm();
  const { first } = follower(1);
  const { channel, broken } = follower(2);
  channel.message("p", [Buffer.from("one")], "");
  channel.flush();
  host.heard(decodeChunk(first));
  channel.message("p", [Buffer.from("two")], "");
  channel.flush();
  assert.deepEqual(heard, ["p: one", "p: two"]);
  assert.ok(!broken());
});
