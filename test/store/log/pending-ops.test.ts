import { errorFact } from "../errors-as-facts.ts";
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { MemoryStore } from "../../../src/store/memory-store.ts";
import { PendingOps } from "../../../src/store/log/pending-ops.ts";
import type { StoreOp } from "../../../src/store/store.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

/** A store whose removals come last in a batch, as SQLite's do. */
async function state(batches: readonly (readonly StoreOp[])[]): Promise<unknown> {
  const store = new MemoryStore();
  await store.open();
  for (const ops of batches) {
    await store.write([...ops.filter(({ kind }) => kind !== "remove"), ...ops.filter(({ kind }) => kind === "remove")]);
  }
  const { settings } = await store.open();
  return { tasks: await store.whole(0, Infinity), settings: [...settings].sort() };
}

const op: fc.Arbitrary<StoreOp> = fc
  .record({ id: fc.integer({ min: 1, max: 4 }), text: fc.string({ maxLength: 3 }), kind: fc.integer({ min: 0, max: 8 }) })
  .map(({ id, text, kind }): StoreOp => {
    const [head, value] = [bytes(`h${id}`), bytes(text)];
    switch (kind) {
      case 0:
        return { kind: "add", id, head, state: value, body: value };
      case 1:
        return { kind: "keep", id, head, state: value, body: value, facts: [errorFact(text)] };
      case 2:
        return { kind: "state", id, state: value };
      case 3:
        return { kind: "end", id, state: value, result: value };
      case 4:
        return { kind: "fact", id, fact: errorFact(text) };
      case 8:
        return { kind: "fact", id, fact: { kind: "step", name: "step", payload: value } };
      case 5:
        return { kind: "remove", id };
      case 6:
        return { kind: "rewrite", id, head: bytes(`r${text}`), state: value, body: value };
      default:
        return { kind: "set", name: `n${id}`, value: text === "" ? undefined : text };
    }
  });

test("folded changes leave the store as all of them one by one would, also when the beginning of the log is not there", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(op, { maxLength: 30 }), fc.array(op, { maxLength: 10 }), async (pushed, earlier) => {
      // A number is given to one task only, and what is gone does not come back.
      const used = new Set<number>();
      const gone = new Set<number>();
      const fits = (each: StoreOp): boolean => {
        if (each.kind === "set" || each.kind === "events") return true;
        if (each.kind === "add" && used.has(each.id)) return false;
        if (gone.has(each.id)) return false;
        used.add(each.id);
        if (each.kind === "remove") gone.add(each.id);
        return true;
      };
      const [before, after] = [earlier.filter(fits), pushed.filter(fits)];
      const pending = new PendingOps();
      for (const each of after) pending.push(each);
      const expected = await state([...before, ...after].map((each) => [each]));
      assert.deepEqual(await state([...before.map((each) => [each]), pending.take()]), expected);
    }),
    { numRuns: 2000 },
  );
});

test("of a task that came, ran and went one row is written, or none", () => {
  const pending = new PendingOps();
  const [head, body] = [bytes("h"), bytes("b")];
  pending.push({ kind: "add", id: 1, head, state: bytes("ready"), body });
  pending.push({ kind: "state", id: 1, state: bytes("leased") });
  pending.push({ kind: "end", id: 1, state: bytes("done"), result: bytes("r") });
  pending.push({ kind: "add", id: 2, head, state: bytes("ready"), body });
  pending.push({ kind: "remove", id: 2 });
  assert.deepEqual(pending.take(), [{ kind: "add", id: 1, head, state: bytes("done"), body: bytes("r") }]);
  assert.deepEqual(pending.take(), []);
});
