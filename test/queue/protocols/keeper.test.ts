/** A process's keeper: what its workers have begun lasts while their connections are broken, and no longer than it should. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { ManualClock } from "../../../src/core/manual-clock.ts";
import { seeded } from "../../../src/core/random.ts";
import { ProtocolRouter } from "../../../src/queue/broker/protocol-router.ts";
import { IdText } from "../../../src/queue/protocols/messages.ts";
import { CronTable } from "../../../src/queue/service/cron.ts";
import { TaskService } from "../../../src/queue/service/task-service.ts";
import { MemoryStore } from "../../../src/store/memory-store.ts";

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** A broker without sockets, on a clock moved by hand. Messages are written with | between frames. */
class Rig {
  readonly clock: ManualClock;
  readonly store: MemoryStore;
  readonly service: TaskService;
  readonly router: ProtocolRouter;

  constructor(store = new MemoryStore(), clock = new ManualClock()) {
    this.clock = clock;
    this.store = store;
    this.service = new TaskService({ store, clock, random: seeded(1) });
    this.router = new ProtocolRouter({
      service: this.service,
      ids: new IdText("b"),
      cron: new CronTable(this.service, () => undefined),
    });
  }

  static async open(store?: MemoryStore, clock?: ManualClock): Promise<Rig> {
    const rig = new Rig(store, clock);
    await rig.service.open();
    return rig;
  }

  peer(key: string): Peer {
    return new Peer(this, key);
  }

  /** A worker or keeper that has introduced itself. */
  async introduced(key: string, about: object): Promise<Peer> {
    const peer = this.peer(key);
    await peer.say(`HELLO|h|${JSON.stringify(about)}`);
    peer.news();
    return peer;
  }

  async pass(ms: number): Promise<void> {
    const endMs = this.clock.now() + ms;
    for (let nextMs = this.service.deadlineMs; nextMs !== undefined && nextMs <= endMs; nextMs = this.service.deadlineMs) {
      this.clock.advanceTo(nextMs);
      this.service.tick();
      await settle();
    }
    this.clock.advanceTo(endMs);
    this.service.tick();
    await settle();
  }

  state(): string {
    const states = Object.entries(this.service.queueStats(this.service.stateMachine.queue("q")).states);
    return states
      .filter(([, count]) => count > 0)
      .map(([state, count]) => `${count} ${state}`)
      .join();
  }
}

class Peer {
  readonly #rig: Rig;
  readonly #key: string;
  #said: string[] = [];

  constructor(rig: Rig, key: string) {
    this.#rig = rig;
    this.#key = key;
  }

  async say(...messages: readonly string[]): Promise<void> {
    for (const message of messages) {
      const frames = `HQ1|${message}`.split("|").map((frame) => Buffer.from(frame));
      this.#rig.router.receive(this.#key, frames, () => ({
        peer: this.#key,
        send: (said) => this.#said.push(said.slice(1).join("|")),
        close: () => {},
      }));
    }
    this.#rig.service.flush();
    await settle();
  }

  async gone(): Promise<void> {
    this.#rig.router.gone(this.#key);
    this.#rig.service.flush();
    await settle();
  }

  /** What it was told since it was last asked. */
  news(): string[] {
    const said = this.#said;
    this.#said = [];
    return said;
  }
}

const WORKER = { begun: 1, process: "p" };
const KEEPER = { ...WORKER, keeps: 1 };
/** Number 1, the first token of a store that was opened once. */
const LEASE = `1.${2 ** 32 + 1}`;

/** A worker with a keeper, at work on one task. */
async function atWork(options = "{}"): Promise<{ rig: Rig; worker: Peer; keeper: Peer; producer: Peer }> {
  const rig = await Rig.open();
  const worker = await rig.introduced("worker", WORKER);
  const keeper = await rig.introduced("keeper", KEEPER);
  const producer = rig.peer("producer");
  await worker.say("WORK|q|1");
  await producer.say(`CALL|1|q|${options}|work`);
  assert.deepEqual(worker.news(), [`TASK|${LEASE}|work|q|1|${JSON.parse(options).timeoutMs ?? 0}|b-1`]);
  await worker.say(`BEGUN|${LEASE}`);
  return { rig, worker, keeper, producer };
}

test("what a worker has begun lasts while its keeper is there; it comes back, and its result counts", async () => {
  const { rig, worker, producer, keeper } = await atWork();
  const other = rig.peer("other");
  await other.say("WORK|q|1");
  await worker.gone();
  await rig.pass(60_000);
  assert.deepEqual([rig.state(), other.news()], ["1 active", []]);
  rig.service.stateMachine.audit();
  const again = await rig.introduced("again", WORKER);
  await again.say(`HOLD|q|${LEASE}`, `BEGUN|${LEASE}`, `DONE|${LEASE}|result`, "WORK|q|1");
  assert.deepEqual(again.news(), [`KEPT|${LEASE}`]);
  assert.deepEqual(producer.news(), ["ADDED|1|b-1", "ENDED|1|b-1|done|result"]);
  assert.deepEqual(keeper.news(), []);
  rig.service.stateMachine.audit();
});

test("what a worker has not begun goes to others when its connection breaks, keeper or not", async () => {
  const rig = await Rig.open();
  const worker = await rig.introduced("worker", WORKER);
  await rig.introduced("keeper", KEEPER);
  await worker.say("WORK|q|1|1");
  await rig.peer("producer").say("ADD|1|q||begun|not begun");
  await worker.say(`BEGUN|${LEASE}`);
  await worker.gone();
  const other = rig.peer("other");
  await other.say("WORK|q|2");
  assert.deepEqual(
    other.news().map((task) => task.split("|")[2]),
    ["not begun"],
  );
});

test("when the keeper goes too the process is dead: its tasks go to others at once", async () => {
  const { rig, worker, keeper } = await atWork();
  const other = rig.peer("other");
  await other.say("WORK|q|1");
  await worker.gone();
  await keeper.gone();
  assert.match(other.news().join(), /^TASK\|1\.\d+\|work\|q\|1\|0\|b-1$/);
});

test("a newer connection of the keeper takes over from one that is not found broken yet", async () => {
  const { rig, worker, keeper } = await atWork();
  await worker.gone();
  const next = await rig.introduced("next keeper", KEEPER);
  await keeper.gone();
  assert.equal(rig.state(), "1 active");
  await next.gone();
  assert.equal(rig.state(), "1 waiting");
});

test("a process may have several keepers, one at each door of a group: while one is there, its tasks are its own", async () => {
  const { rig, worker, keeper } = await atWork();
  const other = await rig.introduced("other keeper", KEEPER);
  await worker.gone();
  await keeper.gone();
  assert.equal(rig.state(), "1 active");
  const again = await rig.introduced("keeper again", KEEPER);
  await other.gone();
  assert.equal(rig.state(), "1 active");
  await again.gone();
  assert.equal(rig.state(), "1 waiting");
});

test("attemptTimeout counts from when the attempt began, whoever keeps it; the attempt is told as one that timed out", async () => {
  const { rig, worker, keeper } = await atWork('{"timeoutMs":10000,"attempts":1}');
  await rig.pass(4000);
  await worker.gone();
  await rig.pass(4000);
  const again = await rig.introduced("again", WORKER);
  await again.say(`HOLD|q|${LEASE}`);
  await again.gone();
  await rig.pass(1999);
  assert.equal(rig.state(), "1 active");
  await rig.pass(2);
  assert.deepEqual([rig.state(), keeper.news()], ["1 dead", [`STOP|${LEASE}|timeout`]]);
  const { errors } = (await rig.service.inspect(1))!;
  assert.deepEqual(
    errors.map(({ error }) => error),
    ["no result within 10000 ms"],
  );
});

test("without attemptTimeout a worker that lives and does not answer loses its task after 10 min, one that answers never", async () => {
  const { rig, worker } = await atWork('{"attempts":1}');
  await rig.pass(3_600_000);
  await worker.gone();
  await rig.pass(599_000);
  const again = await rig.introduced("again", WORKER);
  await again.say(`HOLD|q|${LEASE}`);
  await rig.pass(3_600_000);
  assert.equal(rig.state(), "1 active");
  await again.say(`BEGUN|${LEASE}`);
  await again.gone();
  await rig.pass(600_000);
  const { errors } = (await rig.service.inspect(1))!;
  assert.deepEqual(
    [rig.state(), ...errors.map(({ error }) => error)],
    ["1 dead", "its worker has not answered for 600000 ms: something blocks its event loop"],
  );
});

test("a lease is not had by naming it: another process that does is refused, and its worker has it still", async () => {
  const { rig, worker } = await atWork();
  const thief = await rig.introduced("thief", { begun: 1, process: "thief" });
  await thief.say(`HOLD|q|${LEASE}`, `DONE|${LEASE}|stolen`);
  const nameless = rig.peer("nameless");
  await nameless.say(`HOLD|q|${LEASE}`);
  assert.deepEqual([thief.news(), nameless.news()], [[`STOP|${LEASE}|lost`, `LOST|${LEASE}`], [`STOP|${LEASE}|lost`]]);
  await worker.say(`DONE|${LEASE}|right`);
  assert.deepEqual(worker.news(), [`KEPT|${LEASE}`]);
});

test("a worker of before, which gives no name of its process, is known by its lease as it was", async () => {
  const rig = await Rig.open();
  const worker = rig.peer("worker");
  await worker.say("WORK|q|1");
  await rig.peer("producer").say("ADD|1|q||work");
  const again = rig.peer("again");
  await again.say(`HOLD|q|${LEASE}`, `DONE|${LEASE}|result`);
  assert.deepEqual(again.news(), [`KEPT|${LEASE}`]);
});

test("after a restart the keeper names what its process has; a worker that is there already keeps it", async () => {
  const { rig } = await atWork();
  await rig.pass(1000);
  await rig.service.close();
  const next = await Rig.open(rig.store, rig.clock);
  const keeper = await next.introduced("keeper", KEEPER);
  await keeper.say(`HOLD|q|${LEASE}`, `BEGUN|${LEASE}`);
  await next.pass(60_000);
  assert.equal(next.state(), "1 active");
  const worker = await next.introduced("worker", WORKER);
  await worker.say(`HOLD|q|${LEASE}`, `BEGUN|${LEASE}`);
  await keeper.say(`HOLD|q|${LEASE}`);
  await worker.say(`DONE|${LEASE}|result`);
  assert.deepEqual([keeper.news(), worker.news()], [[], [`KEPT|${LEASE}`]]);
});

test("a keeper is given no work, and is no worker to whoever looks", async () => {
  const { rig, worker, keeper } = await atWork();
  await keeper.say("WORK|q|1");
  assert.deepEqual(keeper.news(), ["REFUSED|q|QUEUE_PROTOCOL|Cannot WORK as the keeper of a process"]);
  await worker.gone();
  const { consumers, slots } = rig.service.queueStats(rig.service.stateMachine.queue("q"));
  assert.deepEqual([consumers, slots, rig.service.stats().workers], [0, 0, []]);
});
