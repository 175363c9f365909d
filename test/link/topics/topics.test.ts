/** Topics, filters, subscriptions and kept values by themselves, against MQTT's rules written down once more, naively. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { KeptValues } from "../../../src/link/topics/kept-values.ts";
import { SubscriptionTree } from "../../../src/link/topics/subscription-tree.ts";
import { checkFilter, checkTopic } from "../../../src/link/topics/topic.ts";

/** MQTT 5, 4.7, as an expression. */
function matches(filter: string, topic: string): boolean {
  if (topic.startsWith("$") && /^[+#]/.test(filter)) return false;
  const source = filter
    .split("/")
    .map((level) => (level === "+" ? "[^/]*" : level === "#" ? ".*" : level.replaceAll("$", String.raw`\$`)))
    .join("/")
    .replace(/^\.\*$/, ".*")
    .replace(/\/\.\*$/, "(/.*)?");
  return new RegExp(`^${source}$`).test(topic);
}

const level = fc.constantFrom("a", "b", "", "$x");
const topics = fc.array(level, { minLength: 1, maxLength: 4 }).map((levels) => levels.join("/"));
const filters = fc
  .tuple(fc.array(fc.oneof(level, fc.constant("+")), { minLength: 1, maxLength: 4 }), fc.boolean())
  .map(([levels, all]) => [...levels, ...(all ? ["#"] : [])].join("/"));

test("a topic's subscribers are those whose filters match it, as MQTT says, each once", () => {
  fc.assert(
    fc.property(fc.array(filters, { maxLength: 12 }), topics, (wanted, topic) => {
      const tree = new SubscriptionTree<number>();
      for (const [index, filter] of wanted.entries()) tree.add(filter, index % 5);
      const expected = new Set(wanted.flatMap((filter, index) => (matches(filter, topic) ? [index % 5] : [])));
      assert.deepEqual([...tree.matching(topic)].toSorted(), [...expected].toSorted());
      for (const [index, filter] of wanted.entries()) tree.delete(filter, index % 5);
      assert.equal(tree.size, 0);
      assert.equal(tree.matching(topic).size, 0);
    }),
  );
});

test("a filter's kept values are those of the topics it matches, the last of each; what it deletes costs nothing more", () => {
  fc.assert(
    fc.property(fc.array(topics, { maxLength: 12 }), fc.oneof(filters, fc.constant("#")), (published, filter) => {
      const kept = new KeptValues(1e6);
      for (const [index, topic] of published.entries()) kept.set({ topic, bytes: Uint8Array.of(index), expiresAtMs: Infinity });
      const last = new Map(published.map((topic, index) => [topic, index]));
      const expected = [...last].filter(([topic]) => matches(filter, topic)).map(([topic, index]) => `${topic} ${index}`);
      const found = kept.matching(filter, 0).map(({ topic, bytes }) => `${topic} ${bytes[0]}`);
      assert.deepEqual(found.toSorted(), expected.toSorted());
      for (const topic of published) kept.delete(topic);
      assert.equal(kept.bytes, 0);
    }),
  );
});

test("kept values have a bound, in which expired ones leave room", () => {
  const kept = new KeptValues(10_000);
  const value = (topic: string, expiresAtMs = Infinity) => ({ topic, bytes: new Uint8Array(1000), expiresAtMs });
  let count = 0;
  for (; kept.bytesWith(value(`a/${count}`), 0) !== undefined; count += 1)
    kept.set(value(`a/${count}`, count < 3 ? 100 : Infinity));
  assert.equal(count, 7);
  assert.ok(kept.bytes <= 10_000);
  assert.equal(kept.bytesWith(value("b"), 99), undefined);
  assert.ok(kept.bytesWith(value("b"), 101)! < 10_000);
  assert.equal(kept.matching("#", 101).length, 4);
  assert.ok(kept.bytesWith(value("a/5"), 101) === kept.bytes, "a new value of a topic takes the old one's place");
});

test("what is no topic or no filter says why", () => {
  for (const topic of ["", "a/+", "#", "a\0b", "x".repeat(1025)])
    assert.throws(() => checkTopic(topic), { code: "LINK_OPTION_INVALID" });
  for (const filter of ["", "a#", "a/#/b", "+a", "a\0", "x".repeat(1025)])
    assert.throws(() => checkFilter(filter), { code: "LINK_OPTION_INVALID" });
  for (const filter of ["#", "+", "a/+/#", "+/+", "/", "$sys/#", "x".repeat(1024)]) checkFilter(filter);
});
