import { errorTexts } from "../../../src/store/facts.ts";
import { errorFact } from "../errors-as-facts.ts";
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { crc32 } from "node:zlib";
import { seeded } from "../../../src/core/random.ts";
import { ClusterConnection } from "../../../src/store/nats/cluster-connection.ts";
import { JetstreamStore } from "../../../src/queue/cluster/jetstream-store.ts";
import { BATCH, encodeEntry, type EntryHead } from "../../../src/store/log/log-codec.ts";
import { GroupLog } from "../../../src/store/log/log.ts";
import { LogFollower } from "../../../src/store/log/log-follower.ts";
import { LogReader } from "../../../src/store/log/log-reader.ts";
import { type NatsUrl, parseNatsUrl } from "../../../src/store/nats/nats-url.ts";
import { encodeOps } from "../../../src/store/op-codec.ts";
import type { Store, StoreOp } from "../../../src/store/store.ts";
import { NatsServers } from "../../support/nats.ts";
import { requires } from "../../support/requires.ts";

const peers = requires("nats-server");
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
let servers: NatsServers | undefined;
let groups = 0;
before(async () => {
  if (peers.skip === false) servers = await NatsServers.start({ maxPayloadBytes: 64 * 1024 });
});
after(() => servers?.[Symbol.asyncDispose]());

function newGroup(): NatsUrl {
  groups += 1;
  return parseNatsUrl(servers!.url, { group: `log${groups}` });
}

function add(id: number, body: string): StoreOp {
  return { kind: "add", id, head: bytes(`h${id}`), state: bytes("s"), body: bytes(body) };
}

async function texts(store: Store, ids: readonly number[]): Promise<(string | undefined)[]> {
  return (await store.read(ids)).map((body) => body && new TextDecoder().decode(body));
}

async function idsOf(store: Store): Promise<number[]> {
  const ids: number[] = [];
  for await (const portion of store.tasks()) ids.push(...portion.map(({ id }) => id));
  return ids;
}

test("of two stores on one log the second to open writes, and the first is refused from then on", peers, async () => {
  const url = newGroup();
  const first = new JetstreamStore({ url });
  await first.open();
  await first.write([add(1, "one")]);
  const second = new JetstreamStore({ url });
  await second.open();
  const late = { code: "QUEUE_STORE_LOCKED", message: /Another broker took over/ };
  await assert.rejects(first.write([add(2, "two, from a leader of the past")]), late);
  await assert.rejects(first.write([add(3, "three")]), late);
  await second.write([add(2, "two")]);
  assert.deepEqual(await texts(second, [1, 2]), ["one", "two"]);
  await first.close();
  await second.close();
});

test(
  "an entry longer than NATS takes in one message is cut, and one that was cut off in the middle never happened",
  peers,
  async () => {
    const url = newGroup();
    const store = new JetstreamStore({ url });
    await store.open();
    const long = "long ".repeat(60_000);
    await store.write([add(1, long), add(2, "short")]);
    await store.close();

    // A writer that dies after two of its three parts.
    const connection = await ClusterConnection.open(url, "test");
    const log = new GroupLog(connection, url.group);
    const { lastSequence } = await log.open(1);
    const head: EntryHead = { kind: BATCH, epoch: 1, serial: 1, writer: "00".repeat(8), lastId: 9 };
    const parts = encodeEntry(head, encodeOps([add(9, long.slice(0, 150_000))]), { messageBytesMax: 60_000, checkSum: crc32 });
    assert.equal(parts.length, 3);
    for (const part of parts.slice(0, 2)) connection.nats.publish(log.subject, part);
    await connection.nats.flush();
    assert.equal((await log.info()).lastSequence, lastSequence + 2);
    await connection.close();

    const again = new JetstreamStore({ url });
    assert.equal((await again.open()).lastId, 2);
    assert.deepEqual(await idsOf(again), [1, 2]);
    assert.deepEqual(await texts(again, [1, 2, 9]), [long, "short", undefined]);
    await again.write([add(3, "three")]);
    await again.close();
  },
);

test("an append whose answer was lost is found in the log and not written twice", peers, async () => {
  const url = newGroup();
  const connection = await ClusterConnection.open(url, "test");
  const log = new GroupLog(connection, url.group);
  const { lastSequence } = await log.open(1);
  const head: EntryHead = { kind: BATCH, epoch: 1, serial: 7, writer: "ab".repeat(8), lastId: 0 };
  const payload = new Uint8Array(200_000);
  const once = await log.append(head, payload, lastSequence);
  const again = await log.append(head, payload, lastSequence);
  assert.deepEqual(again, once);
  assert.equal((await log.info()).lastSequence, lastSequence + 4);
  assert.deepEqual(await log.append({ ...head, serial: 8 }, payload, lastSequence), { kind: "fenced" });
  await connection.close();
});

test(
  "the log stays within three times what is alive, and whoever starts from what is left of it finds everything",
  peers,
  async () => {
    const url = newGroup();
    const floor = 100_000;
    const store = new JetstreamStore({ url, compactionFloorBytes: floor });
    await store.open();
    const random = seeded(9);
    const kept = new Map<number, string>();
    await store.write([{ kind: "set", name: "queue:q", value: "paused" }]);
    let most = 0;
    const connection = await ClusterConnection.open(url, "test");
    const log = new GroupLog(connection, url.group);
    for (let id = 1; id <= 3000; id += 1) {
      const body = `${id} `.repeat(40);
      const ops: StoreOp[] = [add(id, body)];
      kept.set(id, body);
      if (id % 10 === 0) ops.push({ kind: "fact", id, fact: errorFact(`note of ${id}`) });
      if (kept.size > 200) {
        const [oldest] = kept.keys();
        const gone = random() < 0.5 ? oldest! : id;
        if (random() < 0.3) {
          ops.push({ kind: "end", id: gone, state: bytes("e"), result: bytes("r") });
          kept.set(gone, "r");
        } else {
          ops.push({ kind: "remove", id: gone });
          kept.delete(gone);
        }
      }
      await store.write(ops);
      if (id % 100 === 0) most = Math.max(most, (await log.info()).bytes);
    }
    const { firstSequence, bytes: left } = await log.info();
    assert.ok(firstSequence > 300, `the log begins at ${firstSequence}`);
    assert.ok(most < 3 * left + 3 * floor, `it had up to ${most} bytes, and ${left} in the end`);
    await store.close();
    await connection.close();

    const again = new JetstreamStore({ url });
    const { lastId, settings } = await again.open();
    assert.equal(lastId, 3000);
    assert.equal(settings.get("queue:q"), "paused");
    assert.deepEqual(
      await idsOf(again),
      [...kept.keys()].sort((a, b) => a - b),
    );
    const ids = [...kept.keys()];
    assert.deepEqual(await texts(again, ids), [...kept.values()]);
    for (const id of ids.filter((each) => each % 10 === 0)) {
      assert.deepEqual(errorTexts((await again.inspect(id))!.facts), [`note of ${id}`]);
    }
    await again.close();
  },
);

test("a follower that was away while the log was compacted starts anew from what is left", peers, async () => {
  const url = newGroup();
  const store = new JetstreamStore({ url, compactionFloorBytes: 20_000 });
  await store.open();
  await store.write([add(1, "kept"), add(2, "removed")]);
  let caughtUp = Promise.withResolvers<void>();
  const follower = await LogFollower.open({ url }, { caughtUp: () => caughtUp.resolve() });
  await follower.follow();
  await caughtUp.promise;
  assert.equal(follower.replica.lastId, 2);
  await follower.rest();
  await store.write([{ kind: "remove", id: 2 }]);
  for (let id = 3; id < 300; id += 1) {
    await store.write([add(id, "x".repeat(500))]);
    await store.write([{ kind: "remove", id }]);
  }
  await store.write([add(300, "new")]);
  assert.ok((await follower.log.info()).firstSequence > follower.seen + 1);
  caughtUp = Promise.withResolvers<void>();
  await follower.follow();
  await caughtUp.promise;
  const ids: number[] = [];
  for await (const portion of follower.replica.tasks()) ids.push(...portion.map(({ id }) => id));
  assert.deepEqual(ids, [1, 300]);
  await follower.close();
  await store.close();
});

test("a follower whose own disk fails for a while has everything when it is over", peers, async () => {
  const url = newGroup();
  const store = new JetstreamStore({ url });
  await store.open();
  await store.write([add(1, "before")]);
  const told: string[] = [];
  const follower = await LogFollower.open({ url, log: (message) => told.push(message) }, {});
  const room = follower.replica.room.bind(follower.replica);
  let failures = 3;
  follower.replica.room = async () => {
    // In the middle of what there is to read.
    if (follower.seen < 10 || failures === 0) return room();
    failures -= 1;
    throw new Error("no space left on device");
  };
  await follower.follow();
  for (let id = 2; id <= 20; id += 1) await store.write([add(id, `body ${id}`)]);
  const { lastSequence } = await follower.log.info();
  while (follower.replica.applied < lastSequence) await sleep(20);
  assert.match(told.join(), /no space left/);
  const ids: number[] = [];
  for await (const portion of follower.replica.tasks()) ids.push(...portion.map(({ id }) => id));
  assert.deepEqual(
    ids,
    Array.from({ length: 20 }, (_, index) => index + 1),
  );
  await follower.close();
  await store.close();
});

test(
  "following begun twice, and leading before it has begun: the log is read once, and by a leader not at all",
  peers,
  async () => {
    const url = newGroup();
    const follower = await LogFollower.open({ url }, {});
    const [, , term] = await Promise.all([follower.follow(), follower.follow(), follower.lead({}, () => {})]);
    for (let id = 1; id <= 5; id += 1) await term!.write([add(id, `body ${id}`)]);
    // A tail that was left over would hand in by now what the leader has in its copy.
    await sleep(300);
    await follower.replica.write();
    const ids: number[] = [];
    for await (const portion of follower.replica.tasks()) ids.push(...portion.map(({ id }) => id));
    assert.deepEqual(ids, [1, 2, 3, 4, 5]);
    await follower.close();
  },
);

test("how long an append has no outcome is known, for a leader that cannot write is to be silent", peers, async () => {
  const follower = await LogFollower.open({ url: newGroup() }, {});
  await follower.follow();
  const term = (await follower.lead({}, () => {}))!;
  await term.write([add(1, "one")]);
  assert.equal(term.unansweredMs, Infinity);
  const [node] = servers!.nodes;
  await node!.stop();
  const fromMs = performance.now();
  const writing = term.write([add(2, "two")]);
  await sleep(50);
  assert.ok(term.unansweredMs >= fromMs && term.unansweredMs <= performance.now(), `${term.unansweredMs}`);
  node!.continue();
  await writing;
  assert.equal(term.unansweredMs, Infinity);
  await follower.close();
});

test("a reader whose consumer sends heartbeats and delivers nothing makes another", peers, async (t) => {
  const url = newGroup();
  const connection = await ClusterConnection.open(url, "test");
  t.after(() => connection.close());
  const log = new GroupLog(connection, url.group);
  await log.open(1);
  const head: EntryHead = { kind: BATCH, epoch: 1, serial: 1, writer: "0011223344556677", lastId: 0 };
  await log.append(head, encodeOps([add(1, "one")]), 0);
  // The first consumer begins where the log will never be: it has nothing to hand on, and its server says so twice a second.
  let consumers = 0;
  const addConsumer: typeof connection.manager.consumers.add = (stream, config) => {
    consumers += 1;
    const from = consumers === 1 ? 1000 : config.opt_start_seq!;
    return connection.manager.consumers.add(stream, { ...config, opt_start_seq: from });
  };
  const manager = { consumers: { add: addConsumer, delete: async () => true } };
  const stuck = new Proxy(connection, {
    get: (target, name) => (name === "manager" ? manager : Reflect.get(target, name, target)),
  });
  const read = Promise.withResolvers<number>();
  const begunMs = performance.now();
  const tail = new LogReader(stuck, log, 1, {
    message: (sequence) => read.resolve(sequence),
    caughtUp: () => {},
    trouble: (error) => read.reject(error),
  });
  const beats = setInterval(() => tail.reaches(1), 200);
  assert.equal(await read.promise, 1);
  clearInterval(beats);
  t.diagnostic(`read after ${(performance.now() - begunMs).toFixed(0)} ms`);
  assert.equal(consumers, 2);
  await tail.close();
});
