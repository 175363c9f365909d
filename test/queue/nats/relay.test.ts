import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { decodeChunk, type Item, MESSAGE, NOTE } from "../../../src/queue/nats/relay-codec.ts";
import { RelayStream } from "../../../src/queue/nats/relay-stream.ts";

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
  a.stream.beat();
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
    b.stream.beat();
    for (const chunk of b.out.splice(0)) a.take(decodeChunk(chunk));
  }
  assert.equal(taken, 40);
  assert.equal(a.waitingBytes, 0);
});
