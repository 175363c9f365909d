import assert from "node:assert/strict";
import { test } from "node:test";
import { between, pick, type Random, seeded } from "../../../src/core/random.ts";
import { TaskStateMachine } from "../../../src/queue/tasks/task-state-machine.ts";
import type { TaskStateMachineListener } from "../../../src/queue/tasks/task-state-machine-listener.ts";
import { STORED_STATES } from "../../../src/queue/tasks/state-words.ts";
import { POLICY_DEFAULT } from "../../../src/queue/tasks/task-policy.ts";
import { decodeHead, decodeState, encodeHead, encodeState } from "../../../src/queue/tasks/task-record.ts";
import { FollowerState } from "../../../src/queue/stores/follower-state.ts";
import type { StoredTask, StoreOp } from "../../../src/store/store.ts";
import {
  DEADLINE,
  EXPIRES,
  FLAG_AFTER,
  FLAG_KEY,
  FLAG_LEASE_WRITTEN,
  FLAG_REDRIVEN,
  ID,
  NONE,
} from "../../../src/queue/tasks/task-columns.ts";

const NOW_MS = 1_000_000;
const TERM = { firstToken: 7 * 2 ** 32, firstId: 5000 };
const EMPTY = new Uint8Array(0);

function head(random: Random, id: number, key: string): Uint8Array {
  const after = random() < 0.2 && id > 1 ? [between(random, 1, id - 1), between(random, 1, id - 1)] : [];
  return encodeHead({
    queue: pick(random, ["a", "b"]),
    group: pick(random, ["", "g", "h"]),
    key,
    priority: between(random, 0, 2),
    createdMs: id,
    expiresMs: random() < 0.3 ? NOW_MS + between(random, 1, 1000) : Infinity,
    after: [...new Set(after)],
    policy: random() < 0.5 ? POLICY_DEFAULT : { ...POLICY_DEFAULT, keepMs: 5000, timeoutMs: 30 },
  });
}

function state(random: Random, headBytes: Uint8Array, before?: Uint8Array): Uint8Array {
  const { key, after } = decodeHead(headBytes);
  const was = before ? decodeState(before) : { state: "delayed", flags: 0 };
  // What was waiting once is not delayed again, and what was redriven has been so for ever.
  const next = pick(random, was.state === "delayed" ? STORED_STATES : STORED_STATES.filter((each) => each !== "delayed"));
  const flags =
    (key === "" ? 0 : FLAG_KEY) |
    (after.length > 0 ? FLAG_AFTER : 0) |
    (random() < 0.5 ? FLAG_LEASE_WRITTEN : 0) |
    (random() < 0.1 ? FLAG_REDRIVEN : was.flags & FLAG_REDRIVEN);
  const atMs = NOW_MS + between(random, -1000, 1000);
  const [token, attempts, lost] = [between(random, 1, 1000), between(random, 0, 4), between(random, 0, 2)];
  return encodeState({ state: next, flags, atMs, token, attempts, lost, bodyBytes: between(random, 0, 99), resultBytes: 3 });
}

/** A store that many things happen to, and each thing as it happened. */
class Simulation {
  readonly kept = new Map<number, StoredTask>();
  readonly #random: Random;
  #lastId = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  ops(count: number): StoreOp[] {
    return Array.from({ length: count }, () => this.#op());
  }

  inOrder(): StoredTask[] {
    return [...this.kept.values()].sort((a, b) => a.id - b.id);
  }

  #op(): StoreOp {
    const random = this.#random;
    const known = [...this.kept.values()];
    const chance = random();
    if (known.length === 0 || chance < 0.4) {
      const id = (this.#lastId += 1);
      const headBytes = head(random, id, random() < 0.3 ? `key ${id}` : "");
      const task = { id, head: headBytes, state: state(random, headBytes) };
      this.kept.set(id, task);
      return chance < 0.3 ? { kind: "add", ...task, body: EMPTY } : { kind: "keep", ...task, body: EMPTY, facts: [] };
    }
    const task = pick(random, known);
    if (chance < 0.5) {
      this.kept.delete(task.id);
      return { kind: "remove", id: task.id };
    }
    if (chance < 0.55) return { kind: "fact", id: task.id, fact: { kind: "step", name: "s", payload: EMPTY } };
    if (chance < 0.6) return { kind: "set", name: "time", value: "1" };
    if (chance < 0.65) return { kind: "keep", ...task, body: EMPTY, facts: [] };
    if (chance < 0.7) return { kind: "state", id: this.#lastId + 1000, state: task.state };
    const next = state(random, task.head, task.state);
    this.kept.set(task.id, { ...task, state: next });
    return chance < 0.85
      ? { kind: "state", id: task.id, state: next }
      : { kind: "end", id: task.id, state: next, result: EMPTY };
  }
}

/** Remembers what the state machine told. */
function listening(): { listener: TaskStateMachineListener; told: string[] } {
  const told: string[] = [];
  const listener: TaskStateMachineListener = {
    changed: () => told.push("changed"),
    ended: (_row, ended) => told.push(`ended ${ended}`),
    evicted: () => told.push("evicted"),
    revoked: () => told.push("revoked"),
    removed: () => told.push("removed"),
    errorRecorded: (_row, error) => told.push(error),
    ready: (queue) => told.push(`ready ${queue.name}`),
    startsForgotten: (group) => told.push(`forgotten ${group.key}`),
    due: () => 0,
    broken: (_row, error) => told.push(String(error)),
  };
  return { listener, told };
}

/** All that the next leader could notice of a state machine, and what it told when it was woken. */
function everything(stateMachine: TaskStateMachine, ids: readonly number[], told: readonly string[]): unknown {
  stateMachine.audit();
  const rows = ids.map((id) => {
    const row = stateMachine.find(id);
    if (row === NONE) return [id];
    const { table } = stateMachine;
    const place = [
      stateMachine.queueOf(row).name,
      stateMachine.group(row),
      stateMachine.priority(row),
      stateMachine.state(row),
    ];
    return [id, ...place, table.f(row, EXPIRES), table.f(row, DEADLINE), stateMachine.record(row)];
  });
  const queues = [...stateMachine.queues()].map((queue) => ({
    name: queue.name,
    counts: queue.counts(),
    bytes: queue.bytes,
    running: queue.limiter.running,
    ready: [...queue.ready.groups()]
      .flatMap((group) =>
        group.groupQueues.map((groupQueue) => ({
          group: group.key,
          level: groupQueue.level,
          rows: groupQueue.ready.rows(),
        })),
      )
      .map(({ rows: each, ...groupQueue }) => ({ ...groupQueue, ids: [...each].map((row) => stateMachine.table.f(row, ID)) }))
      .sort((a, b) => a.group.localeCompare(b.group) || a.level - b.level),
  }));
  const ended = (["dead", "completed"] as const).map((which) =>
    [...stateMachine.endedRows(which)].map((row) => stateMachine.table.f(row, ID)).sort((a, b) => a - b),
  );
  const { tableBytes: _, ...sums } = stateMachine.stats();
  return {
    rows,
    queues: queues
      .filter(({ bytes, counts }) => bytes > 0 || Object.values(counts).some((count) => count > 0))
      .sort((a, b) => a.name.localeCompare(b.name)),
    ended,
    sums,
    told: [...told].sort(),
  };
}

function readAnew(simulation: Simulation): { stateMachine: TaskStateMachine; told: string[] } {
  const { listener, told } = listening();
  const stateMachine = new TaskStateMachine({ ...TERM, listener, random: seeded(1) });
  for (const { id, head: headBytes, state: stateBytes } of simulation.inOrder()) {
    stateMachine.restore(id, decodeHead(headBytes), decodeState(stateBytes));
  }
  stateMachine.wake(NOW_MS);
  return { stateMachine, told };
}

function takenOver(standby: FollowerState): { stateMachine: TaskStateMachine; told: string[] } {
  const { listener, told } = listening();
  const stateMachine = standby.begin({ ...TERM, listener });
  stateMachine.wake(NOW_MS);
  return { stateMachine, told };
}

test("a follower state equals what reading the whole store gives, whatever happened meanwhile", () => {
  for (let seed = 1; seed <= 300; seed += 1) {
    const random = seeded(seed);
    const simulation = new Simulation(random);
    simulation.ops(between(random, 0, 60));
    const standby = new FollowerState({ random: seeded(1) });
    // The store is read in portions, each as the store is at that moment, while it goes on changing.
    for (let readTo = 0; ;) {
      const portion = simulation
        .inOrder()
        .filter(({ id }) => id > readTo)
        .slice(0, 7);
      const changed = simulation.ops(between(random, 0, 4));
      if (random() < 0.5) {
        standby.take(portion);
        standby.apply(changed);
      } else {
        standby.apply(changed);
        standby.take(portion);
      }
      if (portion.length === 0) break;
      readTo = portion.at(-1)!.id;
    }
    standby.complete();
    for (let batch = 0; batch < 20; batch += 1) standby.apply(simulation.ops(between(random, 0, 8)));
    const ids = Array.from({ length: 400 }, (_, index) => index + 1);
    const [own, read] = [takenOver(standby), readAnew(simulation)];
    for (const laterMs of [0, 100, 1000, 20_000]) {
      for (const { stateMachine } of [own, read]) stateMachine.tick(NOW_MS + laterMs);
      const [is, isToBe] = [own, read].map(({ stateMachine, told }) => everything(stateMachine, ids, told));
      assert.deepEqual(is, isToBe, `seed ${seed}, ${laterMs} ms later`);
    }
  }
});

test("ids and fencing tokens of a new term are greater than all before", () => {
  const random = seeded(1);
  const standby = new FollowerState({ random });
  standby.complete();
  const bytes = head(random, 9000, "");
  const waiting = encodeState({ ...decodeState(state(random, bytes)), state: "waiting" });
  standby.apply([{ kind: "add", id: 9000, head: bytes, state: waiting, body: EMPTY }]);
  const { stateMachine } = takenOver(standby);
  assert.equal(stateMachine.lastId, 9000);
  const row = stateMachine.take(stateMachine.queueOf(stateMachine.find(9000)), stateMachine.addLeaseOwner(), NOW_MS);
  assert.equal(stateMachine.findLease(9000, TERM.firstToken + 1), row);
});
