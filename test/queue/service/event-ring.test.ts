/** What listeners are told, from a cursor on: over restarts, damage, and bounds. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { ManualClock } from "../../../src/core/manual-clock.ts";
import {
  QUEUE_EVENTS,
  type CommittedEvent,
  decodeEntry,
  encodeEntry,
  STORED_EVENTS,
} from "../../../src/queue/service/event-entry.ts";
import { type EventPage, type EventPosition, type EventQuestion, EventRing } from "../../../src/queue/service/event-ring.ts";
import { MemoryStore } from "../../../src/store/memory-store.ts";
import type { StoredEvents } from "../../../src/store/store.ts";
import { Rig, settle } from "./task-service-rig.ts";

const ALL = new Set(QUEUE_EVENTS);

const asked = (after: EventQuestion["after"], more: Partial<EventQuestion> = {}): EventQuestion => {
  return { queue: undefined, events: ALL, after, limit: 1000, waitMs: 0, owner: undefined, ...more };
};

/** All that there is after a position: a page is of one epoch. */
async function rest(ring: EventRing, after: EventQuestion["after"]): Promise<EventPage> {
  const first = await ring.read(asked(after));
  const events = [...first.events];
  let { position } = first;
  for (let more = first; more.events.length > 0; position = more.position) {
    more = await ring.read(asked(more.position));
    events.push(...more.events);
  }
  return { events, position, isGap: first.isGap };
}

const words = ({ events }: EventPage): string[] => events.map(({ event, id }) => `${event} ${id}`);

const done = (id: number, queue = "q"): CommittedEvent => {
  return { event: "completed", id, queue, attempt: 0, reason: undefined, error: "" };
};

/** A ring on a store in memory, and its lives one after the other. */
class RingRig {
  readonly clock = new ManualClock();
  readonly store = new MemoryStore();
  #epoch = 0;
  ring!: EventRing;

  async begin({ bytesMax = 1e6, keepMs = 1e6 } = {}): Promise<this> {
    const opening = await this.store.open();
    this.#epoch += 1;
    this.ring = new EventRing({ clock: this.clock, nowMs: () => this.clock.now(), store: this.store, keepMs, bytesMax });
    this.ring.open(opening, this.#epoch);
    return this;
  }

  async write(...events: readonly CommittedEvent[]): Promise<void> {
    const { op, written } = this.ring.record(events);
    if (op) await this.store.write([op]);
    written();
  }
}

test("whoever asks again from where it was told hears all that came since, once", async () => {
  const { ring, write } = bound(await new RingRig().begin());
  const now = await ring.read(asked(undefined));
  assert.deepEqual([words(now), now.isGap], [[], false]);
  await write(done(1), done(2));
  await write(done(3));
  const first = await ring.read(asked(now.position, { limit: 2 }));
  assert.deepEqual(words(first), ["completed 1", "completed 2"]);
  const second = await ring.read(asked(first.position));
  assert.deepEqual(words(second), ["completed 3"]);
  assert.deepEqual(words(await ring.read(asked(second.position))), []);
});

test("a listener that was away while the broker was started anew twice misses nothing", async () => {
  const rig = await new RingRig().begin();
  const { position } = await rig.ring.read(asked(undefined));
  await rig.write(done(1));
  await rig.begin();
  await rig.write(done(2));
  await rig.begin();
  const page = await rest(rig.ring, position);
  assert.deepEqual([words(page), page.isGap], [["completed 1", "completed 2"], false]);
  await rig.write(done(3));
  assert.deepEqual(words(await rig.ring.read(asked(page.position))), ["completed 3"]);
});

test("a cursor of another life of the store, or of a store that was set back, is told of a gap and never goes on falsely", async () => {
  const rig = await new RingRig().begin();
  await rig.write(done(1), done(2));
  await rig.begin();
  await rig.write(done(3));
  const wrong: EventPosition[] = [
    { epoch: 1, number: 3, live: 0 }, // the third of epoch 1 was lost with the store's end
    { epoch: 2, number: 2, live: 0 },
    { epoch: 9, number: 1, live: 0 },
    { epoch: 2, number: 4, live: 0 },
    { epoch: 2, number: 3, live: 7 },
    { epoch: 0, number: Number.MAX_SAFE_INTEGER, live: 0 },
  ];
  for (const position of wrong) {
    const page = await rest(rig.ring, position);
    if (position.live > 0) assert.deepEqual([words(page), page.isGap], [[], false], "live events are told to nobody twice");
    else
      assert.deepEqual(
        [words(page), page.isGap],
        [["completed 1", "completed 2", "completed 3"], true],
        JSON.stringify(position),
      );
  }
  const right = await rig.ring.read(asked({ epoch: 1, number: 2, live: 0 }));
  assert.deepEqual([words(right), right.isGap], [["completed 3"], false]);
});

test("what has left the ring by age or by bytes is a gap, and the rest is told", async () => {
  for (const bounds of [{ keepMs: 1000 }, { bytesMax: 60 }]) {
    const rig = await new RingRig().begin(bounds);
    const { position } = await rig.ring.read(asked(undefined));
    await rig.write(done(1));
    rig.clock.advance(2000);
    await rig.begin(bounds);
    await rig.write(done(2));
    await rig.write(done(3));
    const page = await rig.ring.read(asked(position));
    assert.deepEqual([words(page).at(-1), words(page).includes("completed 1"), page.isGap], ["completed 3", false, true]);
    assert.deepEqual(words(await rig.ring.read(asked("oldest"))), words(page));
  }
});

test("an entry that is damaged is a gap and costs only itself", async () => {
  const rig = await new RingRig().begin();
  const { position } = await rig.ring.read(asked(undefined));
  for (const id of [1, 2, 3]) await rig.write(done(id));
  const { store } = rig;
  const kept = store.events.bind(store);
  store.events = async (from, bytesMax): Promise<readonly StoredEvents[]> => {
    return (await kept(from, bytesMax)).map((row) => (row.last === 2 ? { ...row, entry: undefined } : row));
  };
  await rig.begin();
  const page = await rig.ring.read(asked(position));
  assert.deepEqual([words(page), page.isGap], [["completed 1", "completed 3"], true]);
  const garbage = Uint8Array.of(1, 2, 3);
  store.events = async (from, bytesMax) => (await kept(from, bytesMax)).map((row) => ({ ...row, entry: garbage }));
  assert.equal((await rig.ring.read(asked("oldest"))).events.length, 0);
});

test("those who wait are answered together, and with more of them the rounds are further apart", async () => {
  const rig = await new RingRig().begin();
  const { ring, clock } = rig;
  const { position } = await ring.read(asked(undefined));
  const listen = (count: number, from: EventPosition): Promise<EventPage>[] =>
    Array.from({ length: count }, () => ring.read(asked(from, { waitMs: 60_000 })));
  const pages = listen(100, position);
  await settle();
  await rig.write(done(1));
  clock.advance(0);
  const first = await Promise.all(pages);
  assert.equal(new Set(first).size, 1, "one page for all");
  const again = listen(100, first[0]!.position);
  await settle();
  await rig.write(done(2));
  clock.advance(250);
  await rig.write(done(3));
  clock.advance(249);
  let answered = false;
  void again[0]!.then(() => (answered = true));
  await settle();
  assert.equal(answered, false);
  clock.advance(1);
  assert.deepEqual(words(await again[0]!), ["completed 2", "completed 3"]);
});

test("one who waits in vain is answered with nothing at its time, and one who has left is forgotten", async () => {
  const { ring, clock } = await new RingRig().begin();
  const { position } = await ring.read(asked(undefined));
  const owner = {};
  const page = ring.read(asked(position, { waitMs: 1000 }));
  const left = ring.read(asked(position, { waitMs: 1000, owner }));
  await settle();
  ring.leave(owner);
  clock.advance(1000);
  assert.deepEqual(words(await page), []);
  assert.equal(await Promise.race([left, Promise.resolve("never")]), "never");
});

test("a listener that falls behind what is in memory reads on from the store, in order and without a hole", async () => {
  const rig = await new RingRig().begin({ bytesMax: 1e9 });
  let { position } = await rig.ring.read(asked(undefined));
  for (let batch = 0; batch < 50; batch += 1)
    await rig.write(...Array.from({ length: 1000 }, (_, index) => done(batch * 1000 + index + 1)));
  const heard: number[] = [];
  for (let page = await rig.ring.read(asked(position)); page.events.length > 0; page = await rig.ring.read(asked(position))) {
    assert.equal(page.isGap, false);
    heard.push(...page.events.map(({ id }) => id));
    position = page.position;
  }
  assert.deepEqual(
    heard,
    Array.from({ length: 50_000 }, (_, index) => index + 1),
  );
});

test("a queue without events moves on with the cursor, so that it never costs a gap", async () => {
  const rig = await new RingRig().begin({ bytesMax: 300 });
  let { position } = await rig.ring.read(asked(undefined, { queue: "quiet" }));
  for (let id = 1; id <= 50; id += 1) {
    await rig.write(done(id));
    const page = await rig.ring.read(asked(position, { queue: "quiet" }));
    assert.deepEqual([words(page), page.isGap], [[], false]);
    position = page.position;
  }
  await rig.write(done(51, "quiet"));
  assert.deepEqual(words(await rig.ring.read(asked(position, { queue: "quiet" }))), ["completed 51"]);
});

test("without a ring events are told as they come, and whoever was away is told of a gap", async () => {
  const rig = await new RingRig().begin({ bytesMax: 0 });
  const { position } = await rig.ring.read(asked(undefined));
  await rig.write(done(1));
  assert.deepEqual(words(await rig.ring.read(asked(position))), ["completed 1"]);
  await rig.begin({ bytesMax: 0 });
  assert.equal((await rig.ring.read(asked(position))).isGap, true);
});

test("an entry is read as it was written, and a damaged one is refused", () => {
  const events: CommittedEvent[] = STORED_EVENTS.map((event, index) => ({
    event,
    id: 2 ** 40 + index,
    queue: index % 2 === 0 ? "mails" : "größe 漢字",
    attempt: event === "failed" ? 65_535 : 0,
    reason: event === "dead" ? "parent" : undefined,
    error: event === "failed" || event === "dead" ? "no ∂" : "",
  }));
  const bytes = encodeEntry(events, 1234.5);
  assert.deepEqual(decodeEntry(bytes), { atMs: 1234.5, events });
  for (let length = 0; length < bytes.length; length += 1) {
    try {
      assert.ok(decodeEntry(bytes.subarray(0, length)).events.length < events.length);
    } catch (error) {
      assert.equal((error as { code?: string }).code, "QUEUE_STORE_CORRUPT");
    }
  }
});

test("a task's way is told in the states that it comes into, with attempts, reasons and errors", async () => {
  const rig = await Rig.open();
  const { ring } = rig.service;
  const worker = rig.worker({ slots: 2 });
  const first = await ring.read(asked(undefined));
  const live = await ring.read(asked(first.position)); // somebody listens, also to what is live only
  await rig.add("a", { attempts: 2, backoffMs: 1000 });
  await settle();
  await worker.fail(0, "no\n  at stack");
  await rig.pass(1000);
  await worker.fail(1, "no again");
  const kept = await rig.add("later", { delayMs: 5000 });
  rig.service.adminCommands.cancel(kept, () => {});
  rig.service.flush();
  await settle();
  const page = await ring.read(asked(live.position));
  assert.deepEqual(
    page.events.map(({ event, id, attempt, reason, error }) => [event, id, attempt, reason, error].filter(Boolean).join(" ")),
    [
      "waiting 1",
      "active 1 1",
      "failed 1 1 no",
      "retrying 1",
      "waiting 1",
      "active 1 2",
      "failed 1 2 no again",
      "dead 1 attempts no again",
      "delayed 2",
      "cancelled 2",
    ],
  );
});

/** Methods as functions of their own. */
function bound(rig: RingRig): { ring: EventRing; write: RingRig["write"] } {
  return { ring: rig.ring, write: (...events) => rig.write(...events) };
}
