/** What every store promises (src/store/store.ts), as tests. Each store's test file calls this with its own maker. */
import { errorFact } from "./errors-as-facts.ts";
import assert from "node:assert/strict";
import { test } from "node:test";
import { errorTexts } from "../../src/store/facts.ts";
import type { Fact, Store, StoredTask, StoreOp } from "../../src/store/store.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

export interface StoreMaker {
  readonly name: string;
  /** Why its tests cannot run here. */
  readonly skip?: string | false;
  /** A store with nothing in it, and a way to make another on the same data when the first is closed. */
  make(): Promise<{ store: Store; again(): Store; dispose(): Promise<void> }>;
}

export function storeConformance({ name, skip = false, make }: StoreMaker): void {
  const fact = (title: string, run: (store: Store, again: () => Store) => Promise<void>): void =>
    void test(`${name}: ${title}`, { skip }, async () => {
      const { store, again, dispose } = await make();
      try {
        await run(store, again);
      } finally {
        await store.close();
        await dispose();
      }
    });

  fact("what was written is there after it is opened again", async (store, again) => {
    await store.open();
    await store.write([add(1, "one"), add(2, "two")]);
    await store.write([{ kind: "state", id: 1, state: bytes("s2") }]);
    await store.close();
    const reopened = again();
    const opening = await reopened.open();
    assert.equal(opening.lastId, 2);
    assert.deepEqual(await all(reopened), [
      { id: 1, head: "h1", state: "s2" },
      { id: 2, head: "h2", state: "s" },
    ]);
    assert.deepEqual(await texts(reopened, [2, 1, 3]), ["two", "one", undefined]);
    await reopened.close();
  });

  fact("each opening has a higher epoch", async (store, again) => {
    const { epoch } = await store.open();
    await store.close();
    const reopened = again();
    assert.ok((await reopened.open()).epoch > epoch);
    await reopened.close();
  });

  fact("a result takes the place of the body", async (store) => {
    await store.open();
    await store.write([add(1, "body")]);
    await store.write([{ kind: "end", id: 1, state: bytes("e"), result: bytes("result") }]);
    assert.deepEqual(await texts(store, [1]), ["result"]);
  });

  fact("bodies and results of a megabyte come back as they were", async (store) => {
    await store.open();
    const [large, larger] = ["x".repeat(1024 ** 2), "y".repeat(2 * 1024 ** 2)];
    await store.write([add(1, large), add(2, "small")]);
    assert.deepEqual(await texts(store, [1]), [large]);
    await store.write([
      { kind: "end", id: 1, state: bytes("e"), result: bytes("now small") },
      { kind: "end", id: 2, state: bytes("e"), result: bytes(larger) },
    ]);
    assert.deepEqual(await texts(store, [1, 2]), ["now small", larger]);
  });

  fact(
    "a result or a body that had to make room is gone, its errors stay, and its state is the new one",
    async (store, again) => {
      await store.open();
      await store.write([add(1, "done"), add(2, "x".repeat(1024 ** 2))]);
      await store.write([
        { kind: "end", id: 1, state: bytes("completed"), result: bytes("r".repeat(1024 ** 2)) },
        { kind: "fact", id: 2, fact: errorFact("no") },
        { kind: "state", id: 2, state: bytes("dead") },
      ]);
      await store.write([1, 2].map((id) => ({ kind: "end", id, state: bytes(`evicted ${id}`), result: bytes("") })));
      await store.close();
      const reopened = again();
      await reopened.open();
      assert.deepEqual(await texts(reopened, [1, 2]), ["", ""]);
      assert.deepEqual(
        (await all(reopened)).map(({ state }) => state),
        ["evicted 1", "evicted 2"],
      );
      assert.deepEqual(errorTexts((await reopened.inspect(2))!.facts), ["no"]);
      await reopened.close();
    },
  );

  fact("a setting's name may be anything", async (store, again) => {
    await store.open();
    const names = ['starts:["q"]', 'starts:["q","group \\"a\\""]', "ä∂ƒ 漢字", "x".repeat(600)];
    await store.write(names.map((name) => ({ kind: "set", name, value: `of ${name}` })));
    await store.close();
    const reopened = again();
    const { settings } = await reopened.open();
    assert.deepEqual(
      names.map((name) => settings.get(name)),
      names.map((name) => `of ${name}`),
    );
    await reopened.close();
  });

  fact("an empty body is a body", async (store) => {
    await store.open();
    await store.write([add(1, "")]);
    assert.deepEqual(await texts(store, [1]), [""]);
  });

  fact("what is removed is gone, and its number is not given again", async (store, again) => {
    await store.open();
    await store.write([add(1, "a"), add(2, "b"), add(3, "c"), add(5, "e")]);
    await store.write([
      { kind: "remove", id: 3 },
      { kind: "remove", id: 2 },
      { kind: "remove", id: 5 },
      { kind: "remove", id: 99 },
    ]);
    await store.close();
    const reopened = again();
    assert.equal((await reopened.open()).lastId, 5);
    assert.deepEqual(
      (await all(reopened)).map(({ id }) => id),
      [1],
    );
    await reopened.close();
  });

  fact("a task that is rewritten has another head, state and body, and its errors", async (store, again) => {
    const rewrite = (id: number, body: string): StoreOp => {
      return { kind: "rewrite", id, head: bytes(`new ${id}`), state: bytes("r"), body: bytes(body) };
    };
    await store.open();
    await store.write([add(1, "a"), add(2, "b".repeat(100_000)), { kind: "fact", id: 1, fact: errorFact("failed once") }]);
    await store.write([
      rewrite(1, "a".repeat(100_000)),
      rewrite(2, "short"),
      rewrite(99, "none"),
      add(3, "c"),
      rewrite(3, "d"),
    ]);
    assert.deepEqual(await texts(store, [1, 2, 3]), ["a".repeat(100_000), "short", "d"]);
    assert.equal(await store.inspect(99), undefined);
    assert.deepEqual(errorTexts((await store.inspect(1))!.facts), ["failed once"]);
    await store.close();
    const reopened = again();
    await reopened.open();
    assert.deepEqual(
      (await all(reopened)).map(({ id, head, state }) => [id, head, state]),
      [1, 2, 3].map((id) => [id, `new ${id}`, "r"]),
    );
    await reopened.close();
  });

  fact("errors are kept in order, the last twenty of them, and go with their task", async (store) => {
    await store.open();
    await store.write([add(1, "a")]);
    const errors = Array.from({ length: 25 }, (_, index) => `error ${index}`);
    for (const error of errors) await store.write([{ kind: "fact", id: 1, fact: errorFact(error) }]);
    const inspected = await store.inspect(1);
    assert.deepEqual(errorTexts(inspected!.facts), errors.slice(-20));
    assert.equal(new TextDecoder().decode(inspected!.head), "h1");
    await store.write([{ kind: "remove", id: 1 }]);
    assert.equal(await store.inspect(1), undefined);
  });

  fact("of facts that have names the newest of each is kept, in the order in which the names came", async (store, again) => {
    const step = (name: string, payload: string): StoreOp => {
      return { kind: "fact", id: 1, fact: { kind: "step", name, payload: bytes(payload) } };
    };
    const large = "x".repeat(300_000);
    await store.open();
    await store.write([add(1, "a"), step("charge", "begun"), { kind: "fact", id: 1, fact: errorFact("failed") }]);
    await store.write([{ kind: "fact", id: 1, fact: { kind: "signal", name: "charge", payload: bytes("") } }]);
    await store.write([step("send ä", large), step("charge", "done")]);
    for (let count = 0; count < 25; count += 1) await store.write([{ kind: "fact", id: 1, fact: errorFact(`later ${count}`) }]);
    await store.close();
    const reopened = again();
    await reopened.open();
    const { facts, lacksFacts } = (await reopened.inspect(1))!;
    assert.equal(lacksFacts ?? false, false);
    assert.deepEqual(
      facts
        .filter(({ kind }) => kind !== "error")
        .map(({ kind, name, payload }) => [kind, name, Buffer.from(payload).toString()]),
      [
        ["step", "charge", "done"],
        ["signal", "charge", ""],
        ["step", "send ä", large],
      ],
    );
    assert.equal(errorTexts(facts).length, 20);
    const copy: StoreOp = { kind: "keep", id: 9, head: bytes("h"), state: bytes("s"), body: bytes("b"), facts };
    await reopened.write([copy]);
    assert.deepEqual((await reopened.inspect(9))!.facts.map(plain), facts.map(plain), "and a copy of the task has them all");
    await reopened.close();
  });

  const events = (last: number, text: string, bounds: { atMs?: number; keepMs?: number; bytesMax?: number } = {}): StoreOp => {
    return { kind: "events", epoch: 7, last, entry: bytes(text), atMs: 0, keepMs: 1000, bytesMax: 1000, ...bounds };
  };
  const ring = async (store: Store, from = 1, bytesMax = 1e6): Promise<unknown[]> =>
    (await store.events(from, bytesMax)).map(({ epoch, last, entry }) => [
      epoch,
      last,
      entry && new TextDecoder().decode(entry),
    ]);

  fact("events are there with their commit, from any of them on, also after it is opened again", async (store, again) => {
    assert.equal((await store.open()).lastEvent, undefined);
    assert.deepEqual(await ring(store), []);
    await store.write([add(1, "a"), events(3, "one to three")]);
    await store.write([{ kind: "state", id: 1, state: bytes("s2") }, events(4, "four")]);
    await store.write([events(90, "five to ninety")]);
    const all = [
      [7, 3, "one to three"],
      [7, 4, "four"],
      [7, 90, "five to ninety"],
    ];
    assert.deepEqual(await ring(store), all);
    assert.deepEqual(await ring(store, 3), all);
    assert.deepEqual(await ring(store, 4), all.slice(1));
    assert.deepEqual(await ring(store, 5), all.slice(2));
    assert.deepEqual(await ring(store, 91), []);
    assert.deepEqual(await ring(store, 1, 13), all.slice(0, 2));
    await store.close();
    const reopened = again();
    assert.deepEqual((await reopened.open()).lastEvent, { epoch: 7, number: 90 });
    for await (const _ of reopened.tasks());
    await reopened.write([events(91, "more")]);
    assert.deepEqual(await ring(reopened, 4), [...all.slice(1), [7, 91, "more"]]);
    await reopened.close();
  });

  fact("events that are too old or too many go, the newest stays", async (store) => {
    await store.open();
    const numbers = Array.from({ length: 10 }, (_, index) => index + 1);
    for (const n of numbers) await store.write([events(n, "0123456789", { bytesMax: 35 })]);
    assert.deepEqual(
      (await store.events(1, 1e6)).map(({ last }) => last),
      [8, 9, 10],
    );
    await store.write([events(11, "x", { atMs: 1000 })]);
    await store.write([events(12, "y", { atMs: 1001 })]);
    assert.deepEqual(
      (await store.events(1, 1e6)).map(({ last }) => last),
      [11, 12],
    );
    await store.write([events(13, "z".repeat(100), { atMs: 1_000_000, keepMs: 0, bytesMax: 1 })]);
    assert.deepEqual(await ring(store), [[7, 13, "z".repeat(100)]]);
  });

  fact("settings are kept until they are taken away", async (store, again) => {
    await store.open();
    await store.write([
      { kind: "set", name: "a", value: "1" },
      { kind: "set", name: "b", value: "2" },
      { kind: "set", name: "a", value: "3" },
    ]);
    await store.write([{ kind: "set", name: "b", value: undefined }]);
    await store.close();
    const reopened = again();
    const { settings } = await reopened.open();
    assert.deepEqual([...settings], [["a", "3"]], "and a store has none of its own among them");
    await reopened.close();
  });

  fact("a task that is kept whole is there with its facts, and one that is there already stays as it is", async (store) => {
    await store.open();
    const keep = (id: number, body: string): StoreOp => {
      const facts = ["first", "second"].map(errorFact);
      return { kind: "keep", id, head: bytes(`h${id}`), state: bytes("k"), body: bytes(body), facts };
    };
    await store.write([add(1, "one")]);
    await store.write([keep(1, "other"), keep(7, "seven"), { kind: "fact", id: 7, fact: errorFact("third") }]);
    assert.deepEqual(await texts(store, [1, 7]), ["one", "seven"]);
    assert.deepEqual(errorTexts((await store.inspect(1))!.facts), []);
    assert.deepEqual(errorTexts((await store.inspect(7))!.facts), ["first", "second", "third"]);
    assert.deepEqual(
      (await all(store)).map(({ id, state }) => [id, state]),
      [
        [1, "s"],
        [7, "k"],
      ],
    );
  });

  fact("what is said of a task that is not there changes nothing", async (store) => {
    await store.open();
    await store.write([
      { kind: "state", id: 1, state: bytes("s") },
      { kind: "end", id: 1, state: bytes("s"), result: bytes("r") },
      { kind: "fact", id: 1, fact: errorFact("n") },
    ]);
    assert.equal(await store.inspect(1), undefined);
    await store.write([add(1, "one")]);
    assert.deepEqual(errorTexts((await store.inspect(1))!.facts), []);
  });

  fact("ten thousand tasks come back in the order of their numbers", async (store, again) => {
    await store.open();
    const ids = Array.from({ length: 10_000 }, (_, index) => index + 1);
    await store.write(ids.map((id) => add(id, `body ${id}`)));
    await store.close();
    const reopened = again();
    await reopened.open();
    assert.deepEqual(
      (await all(reopened)).map(({ id }) => id),
      ids,
    );
    await reopened.close();
  });

  fact("closing twice is fine", async (store) => {
    await store.open();
    await store.close();
    await store.close();
  });
}

function plain({ kind, name, payload }: Fact): string {
  return `${kind} ${name} ${Buffer.from(payload).toString("hex")}`;
}

function add(id: number, body: string): StoreOp {
  return { kind: "add", id, head: bytes(`h${id}`), state: bytes("s"), body: bytes(body) };
}

async function all(store: Store): Promise<{ id: number; head: string; state: string }[]> {
  const tasks: StoredTask[] = [];
  for await (const portion of store.tasks()) tasks.push(...portion);
  const text = (value: Uint8Array): string => new TextDecoder().decode(value);
  return tasks.map(({ id, head, state }) => ({ id, head: text(head), state: text(state) }));
}

async function texts(store: Store, ids: readonly number[]): Promise<(string | undefined)[]> {
  return (await store.read(ids)).map((body) => body && new TextDecoder().decode(body));
}
