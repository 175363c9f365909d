import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { decodeOps, encodeOps } from "../../../src/store/op-codec.ts";
import { packFrames, unpackFrames } from "../../../src/queue/protocols/multipart-body.ts";
import { readLease, writeLease } from "../../../src/queue/protocols/messages.ts";
import { POLICY_DEFAULT } from "../../../src/queue/tasks/task-policy.ts";
import { decodeHead, decodeState, encodeHead, encodeState, type TaskHead } from "../../../src/queue/tasks/task-record.ts";
import { hashNumber, RowIndex } from "../../../src/queue/tasks/row-index.ts";
import { DeadlineHeap } from "../../../src/queue/tasks/deadline-heap.ts";
import type { StoreOp } from "../../../src/store/store.ts";
import { ID, TaskColumns } from "../../../src/queue/tasks/task-columns.ts";
import { STORED_STATES } from "../../../src/queue/tasks/state-words.ts";

const natural = fc.integer({ min: 0, max: 2 ** 40 });
const hex = (digits: number): fc.Arbitrary<string> =>
  fc
    .array(fc.integer({ min: 0, max: 15 }), { minLength: digits, maxLength: digits })
    .map((all) => all.map((digit) => digit.toString(16)).join(""));
const bytes = fc.uint8Array({ maxLength: 300 });
const name = fc.string({ maxLength: 60 });

test("the schedule gives rows out by deadline, whatever was moved or dropped before", () => {
  const act = fc.record({
    row: fc.integer({ min: 1, max: 40 }),
    deadlineMs: fc.oneof(fc.integer({ min: 0, max: 50 }), fc.constant(Infinity)),
  });
  fc.assert(
    fc.property(fc.array(act, { maxLength: 200 }), (acts) => {
      const table = new TaskColumns();
      for (let id = 1; id <= 40; id += 1) table.setF(table.allocate(), ID, id);
      const deadlines = new DeadlineHeap(table);
      const model = new Map<number, number>();
      for (const { row, deadlineMs } of acts) {
        deadlines.set(row, deadlineMs);
        if (deadlineMs === Infinity) model.delete(row);
        else model.set(row, deadlineMs);
      }
      const expected = [...model].sort(([a, x], [b, y]) => x - y || a - b).map(([row]) => row);
      const found: number[] = [];
      for (let row = deadlines.due(1000); row !== 0; row = deadlines.due(1000)) {
        found.push(row);
        deadlines.drop(row);
      }
      assert.deepEqual(found, expected);
    }),
  );
});

test("the index finds what was inserted and not removed, and nothing else", () => {
  const act = fc.record({ id: fc.integer({ min: 1, max: 300 }), insert: fc.boolean() });
  fc.assert(
    fc.property(fc.array(act, { maxLength: 600 }), (acts) => {
      // Few hashes, so that runs of full slots form and gaps are closed within them.
      const index = new RowIndex((row) => hashNumber(row % 7));
      const model = new Set<number>();
      for (const { id, insert } of acts) {
        if (insert && !model.has(id)) index.insert(id);
        else if (!insert && model.has(id)) index.remove(id);
        if (insert) model.add(id);
        else model.delete(id);
      }
      for (let id = 1; id <= 300; id += 1) {
        assert.equal(
          index.find(hashNumber(id % 7), (row) => row === id),
          model.has(id) ? id : 0,
        );
      }
    }),
  );
});

test("heads and states come back from disk as they were", () => {
  const policy = fc.oneof(
    fc.constant(POLICY_DEFAULT),
    fc.record(
      {
        attempts: natural,
        backoffMs: natural,
        backoffMaxMs: natural,
        timeoutMs: natural,
        keepMs: natural,
        unique: fc.oneof(fc.constantFrom(0 as const, "waiting" as const, "active" as const), fc.integer({ min: 1, max: 1e12 })),
        pausesMs: fc.array(natural, { maxLength: 64 }),
      },
      { noNullPrototype: true },
    ),
  );
  const head = fc.record(
    {
      queue: name,
      group: name,
      key: name,
      priority: fc.integer({ min: 0, max: 255 }),
      createdMs: natural,
      expiresMs: fc.oneof(natural, fc.constant(Infinity)),
      after: fc.array(natural, { maxLength: 200 }),
      policy,
      traceparent: fc
        .tuple(hex(32), hex(16), hex(2))
        .map(([trace, parent, traceFlags]) => `00-${trace}-${parent}-${traceFlags}`),
      flow: fc.record({ first: natural, count: natural }, { noNullPrototype: true }),
    },
    {
      noNullPrototype: true,
      requiredKeys: ["queue", "group", "key", "priority", "createdMs", "expiresMs", "after", "policy"],
    },
  );
  fc.assert(fc.property(head, (value: TaskHead) => assert.deepEqual(decodeHead(encodeHead(value)), value)));
  const state = fc.record(
    {
      state: fc.constantFrom(...STORED_STATES),
      flags: fc.integer({ min: 0, max: 2 ** 24 - 1 }),
      atMs: fc.oneof(natural, fc.constant(Infinity)),
      token: natural,
      attempts: fc.integer({ min: 0, max: 65_535 }),
      lost: fc.integer({ min: 0, max: 255 }),
      bodyBytes: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
      resultBytes: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
    },
    { noNullPrototype: true },
  );
  fc.assert(fc.property(state, (value) => assert.deepEqual(decodeState(encodeState(value)), value)));
  const ran = fc.record({
    started: fc.integer({ min: 1, max: 2 ** 32 - 1 }),
    worker: fc.uint8Array({ min: 1, maxLength: 255 }),
  });
  fc.assert(
    fc.property(state, ran, (value, more) =>
      assert.deepEqual(decodeState(encodeState({ ...value, ...more })), { ...value, ...more }),
    ),
  );
});

test("a head without a trace has no byte of it, and one with a trace 26", () => {
  const head: TaskHead = {
    queue: "q",
    group: "",
    key: "",
    priority: 0,
    createdMs: 1,
    expiresMs: Infinity,
    after: [],
    policy: POLICY_DEFAULT,
  };
  // As 0.1.0 wrote it.
  const plain = "01 00 00 3ff0000000000000 7ff0000000000000 01 71 00 00".replaceAll(" ", "");
  assert.equal(Buffer.from(encodeHead(head)).toString("hex"), plain);
  const traced = encodeHead({ ...head, traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01" });
  assert.equal(traced.length - plain.length / 2, 26);
});

test("bytes that are no head or state are reported as damage, never read as something else's", () => {
  fc.assert(
    fc.property(bytes, (value) => {
      for (const decode of [decodeHead, decodeState]) {
        try {
          decode(value);
        } catch (error) {
          assert.equal((error as { code: string }).code, "QUEUE_STORE_CORRUPT");
        }
      }
    }),
  );
});

test("a batch of changes reaches the store's thread as it was", () => {
  const error = fc.record({ kind: fc.constant("error" as const), name: fc.constant(""), payload: bytes });
  const fact = fc.oneof(error, fc.record({ kind: fc.constantFrom("step" as const, "signal" as const), name, payload: bytes }));
  const task = { id: natural, head: bytes, state: bytes, body: bytes };
  const op = fc.oneof(
    fc.record({ kind: fc.constant("keep" as const), ...task, facts: fc.array(fact) }),
    fc.record({ kind: fc.constant("add" as const), id: natural, head: bytes, state: bytes, body: bytes }),
    fc.record({ kind: fc.constant("state" as const), id: natural, state: bytes }),
    fc.record({ kind: fc.constant("end" as const), id: natural, state: bytes, result: bytes }),
    fc.record({ kind: fc.constant("remove" as const), id: natural }),
    fc.record({ kind: fc.constant("fact" as const), id: natural, fact }),
    fc.record({ kind: fc.constant("set" as const), name, value: fc.option(name, { nil: undefined }) }),
  );
  fc.assert(
    fc.property(fc.array(op), (ops: StoreOp[]) => {
      const decoded = [...decodeOps(encodeOps(ops))];
      assert.deepEqual(
        decoded.map((each) => JSON.stringify(each)),
        ops.map((each) => JSON.stringify(each)),
      );
    }),
  );
});

test("a body of several frames comes out as the same frames, one frame as itself", () => {
  const frame = fc.oneof(bytes, fc.constant(new TextEncoder().encode("\0HQF")));
  fc.assert(
    fc.property(fc.array(frame, { minLength: 1, maxLength: 5 }), (frames) => {
      const buffers = frames.map((each) => Buffer.from(each));
      assert.deepEqual(unpackFrames(packFrames(buffers)), buffers);
    }),
  );
});

test("a lease is read as it was written; anything else is none", () => {
  fc.assert(fc.property(natural, natural, (id, token) => assert.deepEqual(readLease(writeLease(id, token)), { id, token })));
  for (const wrong of ["", ".", "1", "1.", ".1", "1.2.3", "-1.2", "1.x", "99999999999999999.1"]) {
    assert.equal(readLease(Buffer.from(wrong)), undefined, wrong);
  }
});
