/** What the overview calls a problem, and when. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { ProblemList } from "../../src/dashboard/snapshot/problem-list.ts";
import type { BrokerNumbers, CacheNumbers, LinkNumbers, QueueNumbers } from "../../src/dashboard/snapshot/monitored-parts.ts";
import type { Sample } from "../../src/dashboard/snapshot/monitored-parts.ts";

const STATES = { waiting: 0, delayed: 0, blocked: 0, active: 0, retrying: 0, completed: 0, dead: 0, cancelled: 0 };
const QUEUE: QueueNumbers = {
  name: "emails",
  states: STATES,
  bytes: 0,
  consumers: 0,
  slots: 0,
  added: 0,
  finished: 0,
  failures: 0,
  settings: {},
};

interface Given {
  readonly queue?: Partial<QueueNumbers>;
  readonly broker?: Partial<BrokerNumbers>;
  readonly cache?: Partial<CacheNumbers>;
  readonly link?: LinkNumbers;
}

function sample(seconds: number, { queue, broker, cache, link }: Given): Sample {
  const nowMs = seconds * 1000;
  return {
    nowMs,
    wallMs: 1_700_000_000_000 + nowMs,
    memory: { residentBytes: 0, heapBytes: 0 },
    cpuMs: 0,
    link,
    workers: undefined,
    cache: cache && ({ limitBytes: 64 * 1024 ** 2, evictions: 0, ...cache } as CacheNumbers),
    queue:
      queue || broker
        ? {
            tasks: 0,
            bytes: 0,
            bytesMax: 1000,
            peers: 0,
            storeTrouble: undefined,
            queues: queue ? [{ ...QUEUE, ...queue }] : [],
            workers: [],
            workersLeft: [],
            ...broker,
          }
        : undefined,
  };
}

/** What is told after the given numbers have stood for so many seconds, looked at once a second. */
function toldAfter(seconds: number, given: Given | ((second: number) => Given)): string[] {
  const list = new ProblemList();
  let before: Sample | undefined;
  let told: string[] = [];
  for (let second = 0; second <= seconds; second += 1) {
    const now = sample(second, typeof given === "function" ? given(second) : given);
    told = list.update(now, before).map(({ text }) => text);
    before = now;
  }
  return told;
}

test("a paused queue with idle workers is told after a minute, with how long", () => {
  const queue = { states: { ...STATES, waiting: 7 }, consumers: 3, settings: { paused: true } };
  assert.deepEqual(toldAfter(59, { queue }), []);
  assert.deepEqual(toldAfter(300, { queue }), ["3 workers connected but idle for 5 min: queue emails is paused"]);
});

test("tasks that wait without any worker are told", () => {
  assert.deepEqual(toldAfter(120, { queue: { states: { ...STATES, waiting: 2 } } }), [
    "2 tasks have waited 2 min in emails: no worker is connected",
  ]);
});

test("workers that finish nothing while tasks wait are told; those that finish are not", () => {
  const stuck = { states: { ...STATES, waiting: 5, active: 1 }, consumers: 1 };
  assert.deepEqual(toldAfter(61, { queue: stuck }), ["emails has finished nothing for 1 min: 1 worker busy, 5 tasks wait"]);
  assert.deepEqual(
    toldAfter(61, (second) => ({ queue: { ...stuck, finished: second } })),
    [],
  );
});

test("the same trouble of many queues is one problem, with how many, how much and the worst by name", () => {
  const broker = (count: number, each: Partial<QueueNumbers>): Partial<BrokerNumbers> => ({
    queues: Array.from({ length: count }, (_, index) => ({
      ...QUEUE,
      ...each,
      name: `q${index}`,
      states: { ...STATES, ...each.states, ...(index === 7 && { waiting: 100 }) },
    })),
  });
  const alone = { states: { ...STATES, waiting: 2 } };
  assert.deepEqual(toldAfter(180, { broker: broker(312, alone) }), [
    "312 queues have no worker: 722 tasks wait, for up to 3 min (q7, q0 and 310 more)",
  ]);
  assert.deepEqual(toldAfter(180, { broker: broker(8, { ...alone, settings: { paused: true } }) }), [
    "8 queues are paused: 114 tasks wait, for up to 3 min (q7, q0 and 6 more)",
  ]);
  const both = { states: { ...STATES, dead: 1 } };
  assert.deepEqual(toldAfter(0, { broker: broker(2, both) }), [
    "2 queues have 2 dead tasks: read the errors, then retry or purge (q0 and q1)",
  ]);
});

test("a store that takes no writes comes first and at once", () => {
  const told = toldAfter(0, { broker: { storeTrouble: "the disk is full" }, queue: { states: { ...STATES, dead: 1 } } });
  assert.deepEqual(told, [
    "New tasks are refused: the disk is full",
    "emails has 1 dead task: read the errors, then retry or purge",
  ]);
});

test("a queue nine tenths full is told before producers are refused", () => {
  assert.match(toldAfter(0, { broker: { bytes: 950 } })[0]!, /^The queue holds 950 B of at most 1000 B/);
  assert.deepEqual(toldAfter(0, { broker: { bytes: 850 } }), []);
});

test("evictions are told once they go on for ten seconds, and no longer than they do", () => {
  const evicting = (second: number): Given => ({ cache: { evictions: second * 100 } });
  assert.deepEqual(toldAfter(9, evicting), []);
  assert.match(toldAfter(20, evicting)[0]!, /memory limit of 64 MiB is too small/);
  assert.deepEqual(
    toldAfter(20, (second) => evicting(Math.min(second, 15))),
    [],
  );
});

test("a peer that leaves probes unanswered is told by name with its count", () => {
  const connection = { id: 1, peer: "10.0.0.2:40000", local: "", sinceMs: 0, bytesIn: 0, bytesOut: 0, nextProbeInMs: 1000 };
  const keepAlive = { on: true, idleMs: 5000, intervalMs: 10_000, count: 3 };
  const link = {
    accepted: 1,
    open: 1,
    bytesIn: 0,
    bytesOut: 0,
    ended: {},
    connections: [{ ...connection, keepAlive, probesUnanswered: 2 }],
  };
  assert.deepEqual(toldAfter(0, { link }), ["10.0.0.2:40000 does not answer: 2 of 3 probes unanswered"]);
});
