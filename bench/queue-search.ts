/**
 * How long it takes to find tasks among millions, and for how long at most the broker answers nobody meanwhile.
 *
 *   node --conditions=holdfast-source bench/queue-search.ts [--tasks 10000000] [--json]
 *
 * Wanted, of 10 M tasks: any page of a list of all within 20 ms, a hundred hits by any filter within 200 ms, no pause over 20 ms. The
 * tasks are of a thousand queues, one in a hundred dead, of fifty kinds of errors; the store is made up, so that rows are all there is.
 */
import { setImmediate as turn } from "node:timers/promises";
import { parseArgs } from "node:util";
import { systemClock } from "../src/core/clock.ts";
import { utf8 } from "../src/core/bytes.ts";
import { seeded } from "../src/core/random.ts";
import type { OperationContext } from "../src/queue/operations/operation.ts";
import { errors, getTask, tasks } from "../src/queue/operations/tasks.ts";
import { IdText } from "../src/queue/protocols/messages.ts";
import { encodeAttemptError } from "../src/queue/service/attempt-error.ts";
import { CronTable } from "../src/queue/service/cron.ts";
import { TaskService } from "../src/queue/service/task-service.ts";
import type { Store, StoredTask } from "../src/store/store.ts";
import { errorFingerprint, showFingerprint } from "../src/queue/tasks/error-fingerprint.ts";
import { POLICY_DEFAULT } from "../src/queue/tasks/task-policy.ts";
import { encodeHead, encodeState } from "../src/queue/tasks/task-record.ts";
import { ERROR, FLAG_ERRORS } from "../src/queue/tasks/task-columns.ts";
import { type Finding, finding, report } from "./support/report.ts";

const QUEUES = 1000;
const DEAD_EACH = 100;
const ROUNDS = 5;
const PORTION = 4096;

const isDead = (id: number): boolean => id % DEAD_EACH === 0;
const errorOf = (id: number): string => `Error: kind ${"abcdefghij"[(id / DEAD_EACH) % 10]}${"klmno"[(id / DEAD_EACH) % 5]}`;

/** A store that has these tasks, each made when it is asked for. */
function madeUp(count: number): Store {
  const stored = (id: number): StoredTask => ({
    id,
    head: encodeHead({
      queue: `queue ${id % QUEUES}`,
      group: id % 5000 === 7 ? "rare" : "",
      key: id % 10 === 3 ? `order ${id}` : "",
      priority: 0,
      createdMs: 1_700_000_000_000 + id,
      expiresMs: Infinity,
      after: [],
      policy: POLICY_DEFAULT,
    }),
    state: encodeState({
      state: isDead(id) ? "dead" : "waiting",
      flags: isDead(id) ? FLAG_ERRORS : 0,
      atMs: isDead(id) ? systemClock.wallMs() - 1000 : 0,
      token: isDead(id) ? 1 : 0,
      attempts: isDead(id) ? 5 : 0,
      lost: 0,
      bodyBytes: 100,
      resultBytes: 0,
    }),
  });
  return {
    open: () => Promise.resolve({ epoch: 1, lastId: count, settings: new Map() }),
    async *tasks() {
      for (let first = 1; first <= count; first += PORTION)
        yield Array.from({ length: Math.min(PORTION, count - first + 1) }, (_, index) => stored(first + index));
    },
    write: () => Promise.resolve(),
    read: (ids) =>
      Promise.resolve(ids.map((id) => utf8(JSON.stringify({ customer: { id: id % 7777 }, text: "x".repeat(60) })))),
    async events() {
      return [];
    },
    inspect(id) {
      const error = encodeAttemptError({ error: errorOf(id), atMs: 1_700_000_000_000, attempt: 5 });
      const facts = isDead(id) ? [{ kind: "error" as const, name: "", payload: utf8(error) }] : [];
      return Promise.resolve({ head: stored(id).head, facts });
    },
    close: () => Promise.resolve(),
  };
}

interface Measured {
  readonly ms: number;
  /** The longest time in which no other turn of the event loop came. */
  readonly pauseMs: number;
}

async function measured(run: () => Promise<unknown>): Promise<Measured> {
  const over = new AbortController();
  let pauseMs = 0;
  const watch = (async (): Promise<void> => {
    for (let beforeMs = performance.now(); !over.signal.aborted;) {
      await turn();
      const nowMs = performance.now();
      pauseMs = Math.max(pauseMs, nowMs - beforeMs);
      beforeMs = nowMs;
    }
  })();
  const startMs = performance.now();
  await run();
  const ms = performance.now() - startMs;
  over.abort();
  await watch;
  return { ms, pauseMs };
}

export async function measureSearch(count: number, rounds = ROUNDS): Promise<Finding[]> {
  const service = new TaskService({
    store: madeUp(count),
    clock: systemClock,
    random: seeded(1),
    bytesMax: 2 ** 50,
    deadBytesMax: 2 ** 50,
  });
  await service.open();
  // As the broker knows them that ran the tasks itself; after a restart they are read from the store first.
  const { stateMachine } = service;
  for (let id = DEAD_EACH; id <= count; id += DEAD_EACH)
    stateMachine.table.setU(stateMachine.find(id), ERROR, errorFingerprint(errorOf(id)));
  const ids = new IdText("bench");
  const scope: OperationContext = { service, ids, cron: new CronTable(service, () => undefined) };
  const list = (input: Parameters<typeof tasks.handle>[1]) => async (): Promise<unknown> => {
    const { value } = await tasks.handle(scope, { limit: 100, ...input }, undefined);
    if (value.tasks.length === 0) throw new Error(`nothing found by ${JSON.stringify(input)}`);
    return value;
  };
  const middle = Math.floor(count / 2);
  const error = showFingerprint(errorFingerprint(errorOf(middle - (middle % DEAD_EACH))));
  const key = middle - (middle % 10) + 3;
  const from = 1_700_000_000_000 + count - 1000;
  const questions: readonly (readonly [name: string, atMostMs: number, run: () => Promise<unknown>])[] = [
    ["the first page of all", 20, list({})],
    ["a page from the middle", 20, list({ after: ids.text(middle) })],
    ["the last page", 20, list({ after: ids.text(count - 100) })],
    ["one task", 20, () => getTask.handle(scope, { id: ids.text(middle) }, undefined)],
    ["by a key", 20, list({ queue: `queue ${key % QUEUES}`, key: `order ${key}` })],
    ["a queue's tasks, one in a thousand", 200, list({ queue: "queue 17" })],
    ["dead tasks, one in a hundred", 200, list({ state: "dead" })],
    ["a queue's dead tasks", 200, list({ queue: "queue 100", state: "dead" })],
    ["by an error", 200, list({ error })],
    ["by a rare group", 200, list({ group: "rare" })],
    ["the last thousand by time", 200, list({ fromMs: from })],
    ["errors of a queue, grouped", 200, () => errors.handle(scope, { queue: "queue 100" }, undefined)],
    [
      "by a field of the body: one answer",
      400,
      () => tasks.handle(scope, { where: ["customer.id=17"], queue: "queue 17" }, undefined),
    ],
  ];
  const findings: Finding[] = [];
  for (const [name, atMost, run] of questions) {
    const times: Measured[] = [];
    for (let round = 0; round < rounds; round += 1) times.push(await measured(run));
    const target = { atMost };
    findings.push(
      finding({ name: `${name}, of ${count} tasks`, unit: "ms", target }, "holdfast", { holdfast: times.map(({ ms }) => ms) }),
    );
    findings.push(
      finding({ name: `the longest pause meanwhile`, unit: "ms", target: { atMost: 20 } }, "holdfast", {
        holdfast: times.map(({ pauseMs }) => pauseMs),
      }),
    );
  }
  await service.close();
  return findings;
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: { tasks: { type: "string", default: "10000000" }, json: { type: "boolean", default: false } },
  });
  report(await measureSearch(Number(values.tasks)), { json: values.json });
  process.exit(0);
}
