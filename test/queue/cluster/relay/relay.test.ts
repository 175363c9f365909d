import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { RelayHost, RelayToHall } from "../../../../src/queue/cluster/relay/relay.ts";
import { decodeChunk, type Item, MESSAGE, NOTE } from "../../../../src/queue/cluster/relay/relay-codec.ts";
import { RelayStream } from "../../../../src/queue/cluster/relay/relay-stream.ts";

const CHUNK_BYTES = 200;

function end(sender: string): { stream: RelayStream; out: Buffer[] } {
  const out: Buffer[] = [];
  return {
    stream: new RelayStream({ session: 1, sender, chunkBytesMax: CHUNK_BYTES, send: (chunk) => void out.push(chunk) }),
    out,
  };
}

const item = (key: string, ...frames: Buffer[]): Item => ({ kind: MESSAGE, key, tag: "t", frames });

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
  a.stream.note();
  const note = decodeChunk(a.out[3]!);
  assert.equal(note.kind, NOTE);
  assert.equal(b.stream.take(note), undefined, "two chunks were never seen");
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
    b.stream.note();
    for (const chunk of b.out.splice(0)) a.take(decodeChunk(chunk));
  }
  assert.equal(taken, 40);
  assert.equal(a.waitingBytes, 0);
});

interface Farm {
  readonly state: { nowMs: number; cut: boolean };
  readonly host: RelayHost;
  readonly heard: readonly string[];
  door(session: number): { port: RelayToHall; broken: () => boolean; first: Buffer };
}

/** A hall that writes down who said what, and doors that reach it; `cut` loses what is said from then on. */
function farm(): Farm {
  const state = { nowMs: 0, cut: false };
  const heard: string[] = [];
  let newest: RelayToHall | undefined;
  const nowMs = (): number => state.nowMs;
  const hall = {
    receive: (key: string, frames: readonly Buffer[]) => void heard.push(`${key.split(" ")[1]}: ${frames.join(" ")}`),
    gone: (key: string) => void heard.push(`${key.split(" ")[1]} is gone`),
    flush: () => {},
  };
  const toDoor = (_: string, chunk: Buffer): void => {
    if (!state.cut) newest?.heard(decodeChunk(chunk));
  };
  const host = new RelayHost({
    hall,
    term: 1,
    sender: "f".repeat(16),
    chunkBytesMax: CHUNK_BYTES,
    send: toDoor,
    nowMs,
    log: () => {},
  });
  return {
    state,
    host,
    heard,
    door(session) {
      let isBroken = false;
      const sent: Buffer[] = [];
      const send = (chunk: Buffer): void => {
        sent.push(chunk);
        if (!state.cut) host.heard(decodeChunk(chunk));
      };
      const door = { said: () => {}, closed: () => {}, peerName: () => undefined };
      const port = new RelayToHall(
        { session, sender: "d".repeat(16), chunkBytesMax: CHUNK_BYTES, send, nowMs },
        { port: door, broken: () => void (isBroken = true) },
      );
      newest = port;
      return { port, broken: () => isBroken, first: sent[0]! };
    },
  };
}

test("a session whose other end is silent for 1.5 s is over at both ends, and one that is only quiet is not", () => {
  const { state, host, heard, door } = farm();
  const { port, broken } = door(1);
  port.message("p", [Buffer.from("hello")], "");
  port.flush();
  const beats = (count: number): void => {
    for (let beat = 0; beat < count; beat += 1) {
      state.nowMs += 200;
      port.beat();
      host.beat();
    }
  };
  beats(50);
  assert.ok(!broken());
  state.cut = true;
  beats(7);
  assert.ok(!broken());
  beats(2);
  assert.ok(broken());
  assert.deepEqual(heard, ["p: hello", "p is gone"]);
});

test("a session of the past that comes late does not end the one that is", () => {
  const { host, heard, door } = farm();
  const { first } = door(1);
  const { port, broken } = door(2);
  port.message("p", [Buffer.from("one")], "");
  port.flush();
  host.heard(decodeChunk(first));
  port.message("p", [Buffer.from("two")], "");
  port.flush();
  assert.deepEqual(heard, ["p: one", "p: two"]);
  assert.ok(!broken());
});
