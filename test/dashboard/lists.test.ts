/** The lists of the page: what is looked for, in the order wanted, a part at a time; and the axes of its charts. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { pageOf } from "../../src/dashboard/snapshot/list-page.ts";
import { queuePage, type QueueRow } from "../../src/dashboard/snapshot/queue-rows.ts";
import { ticksTo } from "../../src/dashboard/web/src/ticks.ts";

const STATES = { waiting: 0, delayed: 0, blocked: 0, active: 0, retrying: 0, completed: 0, dead: 0, cancelled: 0 };

function row(name: string, states: Partial<QueueRow["states"]>, more: Partial<QueueRow> = {}): QueueRow {
  return {
    name,
    states: { ...STATES, ...states },
    workers: 0,
    slots: 0,
    paused: false,
    waitingSinceMs: undefined,
    addedPerSecond: 0,
    finishedPerSecond: 0,
    failuresPerSecond: 0,
    ...more,
  };
}

const ROWS = [
  row("orders", { waiting: 3, active: 1 }, { workers: 2, waitingSinceMs: 50 }),
  row("Mail.eu", { waiting: 9 }, { waitingSinceMs: 10 }),
  row("mail.us", { waiting: 1 }, { paused: true, waitingSinceMs: 90 }),
  row("reports", { dead: 4 }),
  row("idle", {}),
];
const names = (request: Parameters<typeof queuePage>[1]): string[] => queuePage(ROWS, request).rows.map(({ name }) => name);

test("queues are found by a part of their name in any case, and ordered by any column either way", () => {
  assert.deepEqual(names({ search: "MAIL" }), ["Mail.eu", "mail.us"]);
  assert.deepEqual(names({ name: "mail.us" }), ["mail.us"]);
  assert.deepEqual(names({}), ["Mail.eu", "orders", "reports", "mail.us", "idle"], "the fullest first");
  assert.deepEqual(names({ sort: "oldest" }).slice(0, 3), ["Mail.eu", "orders", "mail.us"]);
  assert.deepEqual(names({ sort: "dead", order: "desc" })[0], "reports");
  assert.deepEqual(names({ sort: "waiting", order: "asc" }).at(-1), "Mail.eu");
  assert.deepEqual(names({ sort: "constructor" }), names({}), "an unknown column is the first one");
});

test("queues in trouble are listed by what is wrong with them", () => {
  assert.deepEqual(names({ only: "no-worker" }), ["Mail.eu"]);
  assert.deepEqual(names({ only: "paused" }), ["mail.us"]);
  assert.deepEqual(names({ only: "stalled" }), ["orders"]);
  assert.deepEqual(names({ only: "dead" }), ["reports"]);
});

test("the parts of a list join up to the whole, whatever is asked for", () => {
  const all = Array.from({ length: 250 }, (_, index) => `row ${index}`);
  const list = { orders: { name: { by: (each: string) => each, descending: false } }, nameOf: (each: string) => each };
  const whole: string[] = [];
  for (let offset = 0; offset < all.length; offset += 60) whole.push(...pageOf(all, list, { offset, limit: 60 }).rows);
  assert.deepEqual(whole, all.toSorted());
  fc.assert(
    fc.property(fc.double(), fc.double(), (offset, limit) => {
      const page = pageOf(all, list, { offset, limit });
      assert.ok(page.rows.length <= 100 && page.offset >= 0 && page.offset <= 250);
    }),
  );
});

test("an axis has ticks of 1, 2 or 5 times a power of ten, or of 1024 for bytes, and ends at one", () => {
  assert.deepEqual(ticksTo(0), [0, 1]);
  assert.deepEqual(ticksTo(7), [0, 2, 4, 6, 8]);
  assert.deepEqual(ticksTo(0.3), [0, 0.1, 0.2, 0.3]);
  assert.deepEqual(ticksTo(1, { whole: true }), [0, 1]);
  assert.deepEqual(
    ticksTo(210 * 1024 ** 2, { binary: true }).map((bytes) => bytes / 1024 ** 2),
    [0, 100, 200, 300],
  );
  fc.assert(
    fc.property(fc.double({ min: 0, max: 1e15, noNaN: true }), fc.boolean(), (high, binary) => {
      const ticks = ticksTo(high, { binary });
      const step = ticks[1]!;
      const unit = binary ? 1024 ** Math.floor(Math.log2(step) / 10) : 1;
      const digits = Number((step / unit).toExponential().split("e")[0]);
      assert.ok([1, 2, 5].includes(Math.round(digits * 1e6) / 1e6), `a step of ${step}`);
      assert.ok(ticks.at(-1)! >= high * (1 - 1e-9) && ticks.length <= 6);
    }),
  );
});
