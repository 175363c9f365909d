/**
 * A farm in a box: one broker with its disk, producers and workers, and the network between them, under one seed. The broker
 * crashes and starts again, connections break with messages in flight, the disk refuses, stalls and loses what it had not
 * confirmed, clocks jump, workers die and return. Everything of the real thing runs but sockets, files and timers.
 */
import { HoldfastError } from "../../src/core/errors.ts";
import { ManualClock } from "../../src/core/manual-clock.ts";
import { between, pick, type Random, seeded } from "../../src/core/random.ts";
import type { BrokerConnection, BrokerConnectionListener } from "../../src/queue/client/broker-connection.ts";
import { CronTable } from "../../src/queue/service/cron.ts";
import { TaskService } from "../../src/queue/service/task-service.ts";
import type { LeaseRef } from "../../src/queue/service/dispatcher.ts";
import type { TaskStateMachine, TaskStateMachineOptions } from "../../src/queue/tasks/task-state-machine.ts";
import { flow } from "../../src/queue/client/flow.ts";
import { type AddOptions, type Queue, queue, type Task } from "../../src/queue/client/queue.ts";
import type { OnParentDead } from "../../src/queue/tasks/task-policy.ts";
import { RecordBatchReader } from "../../src/queue/protocols/record-batch.ts";
import { type Frames, IdText, readLease, readObject } from "../../src/queue/protocols/messages.ts";
import type { Inspection, Store, StoredEvents, StoredTask, StoreOp, StoreOpening } from "../../src/store/store.ts";
import { decodeState } from "../../src/queue/tasks/task-record.ts";
import { MemoryStore } from "../../src/store/memory-store.ts";
import { ProtocolRouter } from "../../src/queue/broker/protocol-router.ts";
import { GiveUp, RetryAfter, type TaskContext } from "../../src/queue/client/handler.ts";
import { type Worker, worker } from "../../src/queue/client/worker.ts";

export interface SimulationOptions {
  readonly seed: number;
  readonly makeStateMachine?: (options: TaskStateMachineOptions) => TaskStateMachine;
}

/** What an invariant found broken. */
export class Violation extends Error {}

const FAULTS_UNTIL_MS = 20_000;
/** Backoffs, resumed leases and deadlines have run out by then. */
const SETTLED_BY_MS = 200_000;
const PRODUCERS = 3;
const WORKERS = 3;
const GROUPS = [undefined, "a", "b"];
/** A queue with a rate. */
const RATED = "rated";
const RATE = { count: 4, perMs: 1000 };

interface Workflow {
  readonly payload: string;
  /** Whether its handler may wait for ever. */
  readonly isPatient: boolean;
  /** Step → what a run was told. */
  readonly told: Map<string, string>;
  /** How often steps were done. */
  done: number;
  /** The task that it called. */
  called?: string;
  outcome?: string | undefined;
}

interface Asked {
  readonly payload: string;
  /** What must be done before, and whether another end of that will do. */
  after?: readonly Asked[];
  onParentDead?: OnParentDead;
  /** Not before the wall clock says so; once it has, it may. */
  runAtMs?: number;
  task?: Task<string>;
  outcome?: string;
}

/** Several payloads under a key. */
interface Import {
  readonly key: string;
  readonly payloads: readonly string[];
  ids?: readonly string[];
}

/** What outlives the broker. */
interface Platter {
  readonly kept: MemoryStore;
  /** Tasks that have ended, and how. */
  readonly endings: Map<number, string>;
  brokenUntilMs: number;
}

/**
 * One broker's disk: what is confirmed survives a crash; of what is being written, all or nothing does, by chance. After a crash
 * nothing is answered any more: the broker that asked is gone.
 */
class Disk implements Store {
  readonly #simulation: Simulation;
  readonly #platter: Platter;
  #writing: readonly StoreOp[] | undefined;
  #gone = false;

  constructor(simulation: Simulation, platter: Platter) {
    this.#simulation = simulation;
    this.#platter = platter;
  }

  /** The power goes. */
  async crash(): Promise<void> {
    this.#gone = true;
    if (this.#writing && this.#simulation.random() < 0.5) await this.#keep(this.#writing);
  }

  open(): Promise<StoreOpening> {
    return this.#platter.kept.open();
  }

  tasks(): AsyncIterable<readonly StoredTask[]> {
    return this.#platter.kept.tasks();
  }

  async write(ops: readonly StoreOp[]): Promise<void> {
    this.#writing = ops;
    await this.#wait(this.#simulation.chance(0.02) ? 500 : 5);
    // The crash came in the very moment that the disk was done: it has decided already what became of the batch.
    if (this.#gone) await new Promise(() => {});
    this.#writing = undefined;
    if (this.#simulation.clock.now() < this.#platter.brokenUntilMs) throw new Error("no space left on device");
    await this.#keep(ops);
  }

  async read(ids: readonly number[]): Promise<readonly (Uint8Array | undefined)[]> {
    const read = await this.#platter.kept.read(ids);
    await this.#wait(5);
    return read;
  }

  async inspect(id: number): Promise<Inspection | undefined> {
    await this.#wait(5);
    return this.#platter.kept.inspect(id);
  }

  async events(from: number, bytesMax: number): Promise<readonly StoredEvents[]> {
    const read = await this.#platter.kept.events(from, bytesMax);
    await this.#wait(5);
    return read;
  }

  async close(): Promise<void> {}

  async #keep(ops: readonly StoreOp[]): Promise<void> {
    const { endings, kept } = this.#platter;
    for (const op of ops) {
      if (op.kind !== "end") continue;
      const { state } = decodeState(op.state);
      const before = endings.get(op.id);
      if (before !== undefined) this.#simulation.fail(new Violation(`task ${op.id} ended as ${before} and again as ${state}`));
      endings.set(op.id, state);
    }
    await kept.write(ops);
  }

  async #wait(msMax: number): Promise<void> {
    await new Promise<void>((resolve) => {
      if (this.#gone) return;
      this.#simulation.after(this.#simulation.between(0, msMax), () => {
        if (!this.#gone) resolve();
      });
    });
  }
}

/** The broker: the real task service and protocol router, on the simulation's disk and clock. */
class BrokerBox {
  readonly #simulation: Simulation;
  readonly #makeEngine: ((options: TaskStateMachineOptions) => TaskStateMachine) | undefined;
  service: TaskService | undefined;
  router: ProtocolRouter | undefined;
  #disk: Disk | undefined;
  #cancelTimer = (): void => {};

  constructor(simulation: Simulation, makeStateMachine: ((options: TaskStateMachineOptions) => TaskStateMachine) | undefined) {
    this.#simulation = simulation;
    this.#makeEngine = makeStateMachine;
  }

  async start(): Promise<void> {
    const simulation = this.#simulation;
    this.#disk = new Disk(simulation, simulation.platter);
    const service: TaskService = new TaskService({
      store: this.#disk,
      clock: simulation.clock,
      random: simulation.random,
      bodyCacheBytesMax: 2000,
      wake: () => this.#arm(service),
      log: (event, { error, stack }) => {
        if (event === "queue.program-error") simulation.fail(new Violation(`${event}: ${String(stack ?? error)}`));
      },
      ...(this.#makeEngine && { makeStateMachine: this.#makeEngine }),
    });
    await service.open();
    const cron = new CronTable(service, () => undefined);
    this.router = new ProtocolRouter({ service, ids: new IdText("sim"), cron });
    this.service = service;
    this.#arm(service);
  }

  async crash(): Promise<void> {
    this.#cancelTimer();
    this.service = undefined;
    this.router = undefined;
    await this.#disk!.crash();
  }

  #arm(service: TaskService): void {
    if (this.service !== service) return;
    this.#cancelTimer();
    const atMs = service.deadlineMs;
    if (atMs === undefined) return;
    this.#cancelTimer = this.#simulation.clock.at(Math.max(atMs, this.#simulation.clock.now()), () => service.tick());
  }
}

/** One connection of a client: it breaks, is made again, delays messages, keeps their order. */
class NetworkLink implements BrokerConnection {
  readonly address = "sim";
  readonly #simulation: Simulation;
  readonly #listener: BrokerConnectionListener;
  /** Names this connection at the broker; undefined while it is broken. */
  key: string | undefined;
  /** As of a peer that has never heard of many messages in one. */
  readonly #isOld: boolean;
  #closed = false;
  #lastToBrokerMs = 0;
  #lastToClientMs = 0;

  constructor(simulation: Simulation, listener: BrokerConnectionListener, fresh: boolean) {
    this.#simulation = simulation;
    this.#listener = listener;
    this.#isOld = !fresh && simulation.random() < 0.3;
    simulation.lines.add(this);
    this.connect();
  }

  connect(): void {
    this.#simulation.after(this.#simulation.between(1, 300), () => {
      if (this.#closed || this.key !== undefined) return;
      if (!this.#simulation.broker.router) {
        this.connect();
        return;
      }
      this.key = this.#simulation.newKey();
      this.#listener.up();
    });
  }

  send(said: Frames): boolean {
    const { key } = this;
    const frames = this.#isOld && said[1]?.toString() === "HELLO" ? said.slice(0, 3) : said;
    if (key === undefined) return false;
    this.#lastToBrokerMs = this.#simulation.inOrder(this.#lastToBrokerMs, () => {
      const { router, service } = this.#simulation.broker;
      if (this.key !== key || !router) return;
      this.#simulation.hears(frames);
      router.receive(key, frames, () => ({ send: (back) => this.#toClient(key, back), close: () => this.break() }));
      service!.flush();
    });
    return true;
  }

  /** Both ends find out, each in its own time; what is in flight is lost. */
  break(): void {
    const { key } = this;
    if (key === undefined) return;
    this.key = undefined;
    this.#simulation.after(this.#simulation.between(0, 50), () => this.#listener.down());
    this.#simulation.after(this.#simulation.between(0, 2000), () => {
      this.#simulation.broker.router?.gone(key);
      this.#simulation.broker.service?.flush();
    });
    this.#simulation.after(60, () => this.connect());
  }

  reset(): void {
    this.#simulation.fail(new Violation("a client found fault with what the broker said"));
    this.break();
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.break();
  }

  #toClient(key: string, said: Frames): void {
    const frames = this.#isOld && said[1]?.toString() === "WELCOME" ? withoutBatches(said) : said;
    this.#simulation.saw(frames);
    this.#lastToClientMs = this.#simulation.inOrder(this.#lastToClientMs, () => {
      if (this.key === key) this.#listener.heard(frames);
    });
  }
}

function withoutBatches(welcome: Frames): Frames {
  const { many: _, ...about } = readObject(welcome[3]);
  return [...welcome.slice(0, 3), Buffer.from(JSON.stringify(about))];
}

/** The leases that a message names, if it says this of them; of many or of one. */
function leasesOf(verb: "TASK" | "DONE" | "FAIL" | "KEPT", frames: Frames): readonly LeaseRef[] {
  const said = frames[1]?.toString();
  if (said === verb) return frames.slice(2, verb === "KEPT" ? undefined : 3).map((frame) => readLease(frame)!);
  if (said !== `${verb}S`) return [];
  const records = new RecordBatchReader(frames[verb === "TASK" ? 3 : 2]);
  const leases: LeaseRef[] = [];
  while (records.more) {
    leases.push({ id: records.u64(), token: records.u64() });
    if (verb === "TASK") {
      records.u32();
      records.u64();
    }
    if (verb !== "KEPT") records.body();
  }
  return leases;
}

class Simulation {
  readonly random: Random;
  readonly clock = new ManualClock();
  readonly platter: Platter = { kept: new MemoryStore(), endings: new Map(), brokenUntilMs: 0 };
  readonly broker: BrokerBox;
  readonly lines = new Set<NetworkLink>();
  readonly asked: Asked[] = [];
  readonly imports: Import[] = [];
  /** Handlers with steps: what they were told that each step came to, and what was promised to whom added them. */
  readonly workflows: Workflow[] = [];
  /** Payloads whose handlers have come to a good end. */
  readonly did = new Set<string>();
  /** When tasks of the queue with a rate were given out, by the queue's own time; those of one life of the broker. */
  #ratedMs: number[] = [];
  readonly #wallMs = this.clock.wallMs();
  /** Task → the newest token that was given out for it. */
  readonly #tokens = new Map<number, number>();
  /** The same since the broker last started. */
  readonly #tokensOfLife = new Map<number, number>();
  /** Leases whose outcome came while they were the newest: it may be said again, and kept late. */
  readonly #fresh = new Set<string>();
  /** Leases whose outcome came when there was a newer one. */
  readonly #stale = new Set<string>();
  #keys = 0;
  #violation: unknown;

  constructor({ seed, makeStateMachine }: SimulationOptions) {
    this.random = seeded(seed);
    this.broker = new BrokerBox(this, makeStateMachine && ((options) => makeStateMachine(options)));
  }

  get faulty(): boolean {
    return this.clock.now() < FAULTS_UNTIL_MS;
  }

  between(low: number, high: number): number {
    return between(this.random, low, high);
  }

  chance(probability: number): boolean {
    return this.faulty && this.random() < probability;
  }

  after(ms: number, act: () => void): void {
    this.clock.at(this.clock.now() + ms, () => {
      try {
        act();
      } catch (error) {
        this.fail(error);
      }
    });
  }

  /** Delivers after a delay, but never before what was sent earlier on the same way. @returns when */
  inOrder(lastMs: number, act: () => void): number {
    const atMs = Math.max(lastMs, this.clock.now() + this.between(0, this.chance(0.05) ? 400 : 5));
    this.after(atMs - this.clock.now(), act);
    return atMs;
  }

  newKey(): string {
    this.#keys += 1;
    return `peer ${this.#keys}`;
  }

  fail(error: unknown): void {
    this.#violation ??= error;
  }

  /** The wall clock goes on from what it says and this, or is right again. */
  setClock(byMs?: number): void {
    const wallMs = this.clock.wallMs();
    for (const asked of this.asked) if (asked.runAtMs !== undefined && asked.runAtMs <= wallMs) asked.runAtMs = -Infinity;
    this.clock.jumpWall(byMs ?? this.rightWallMs - wallMs);
  }

  get rightWallMs(): number {
    return this.#wallMs + this.clock.now();
  }

  /** The clock may have been set over a restart: queue time has gone on by as much. */
  startedAnew(): void {
    this.#ratedMs = [];
  }

  #mayGiveOut({ id }: LeaseRef): void {
    const { stateMachine, nowMs, wallMs } = this.broker.service!;
    // A broker that died before it had written the rate has none.
    if (stateMachine.queueOf(stateMachine.find(id)).bounds.rate) {
      this.#ratedMs.push(nowMs);
      const inWindow = this.#ratedMs.filter((each) => each > nowMs - RATE.perMs).length;
      if (inWindow > RATE.count) this.fail(new Violation(`${inWindow} tasks were given out under a rate of ${RATE.count}`));
    }
    const asked = this.asked.find(({ task }) => task?.id === `sim-${id}`);
    if (!asked || this.#tokens.has(id)) return;
    if (asked.runAtMs !== undefined && wallMs < asked.runAtMs)
      this.fail(new Violation(`task ${id} was given out before its time`));
    const missing = asked.onParentDead === "continue" ? undefined : asked.after?.find(({ payload }) => !this.did.has(payload));
    if (missing) this.fail(new Violation(`task ${id} was given out before task ${missing.task?.id}, which it waits for`));
  }

  /** Watches what the broker says: tokens only grow, and no outcome under a lost lease is kept. */
  saw(frames: Frames): void {
    for (const lease of leasesOf("TASK", frames)) this.#mayGiveOut(lease);
    for (const { id, token } of leasesOf("TASK", frames)) {
      if (token <= (this.#tokens.get(id) ?? 0)) this.fail(new Violation(`task ${id} was leased again under token ${token}`));
      this.#tokens.set(id, token);
      this.#tokensOfLife.set(id, token);
    }
    for (const { id, token } of leasesOf("KEPT", frames)) {
      const lease = `${id}.${token}`;
      if (this.#stale.has(lease)) this.fail(new Violation(`the outcome under the lost lease ${lease} was kept`));
    }
  }

  /** Watches what the broker hears: an outcome under a lease that is not the newest must not be kept. */
  hears(frames: Frames): void {
    for (const { id, token } of [...leasesOf("DONE", frames), ...leasesOf("FAIL", frames)]) {
      // A lease from before a crash may be the newest that was written down: then its worker may take it up again.
      const newest = this.#tokensOfLife.get(id);
      const lease = `${id}.${token}`;
      if (newest === undefined || token === newest) this.#fresh.add(lease);
      else if (!this.#fresh.has(lease)) this.#stale.add(lease);
    }
  }

  /** Moves time on, event by event, each settled before the next. */
  async run(untilMs: number): Promise<void> {
    let steps = 0;
    for (let next = this.clock.nextDeadlineMs; next !== undefined && next <= untilMs; next = this.clock.nextDeadlineMs) {
      this.clock.advanceTo(next);
      await new Promise<void>((resolve) => {
        setImmediate(resolve);
      });
      if (this.#violation) throw this.#violation;
      steps += 1;
      if (steps % 16 === 0) this.broker.service?.stateMachine.audit();
    }
    this.clock.advanceTo(untilMs);
  }

  /** Crashes, broken lines, full disks and jumping clocks, until faults end. */
  mischief(): void {
    this.after(this.between(50, 1500), () => {
      if (!this.faulty) return;
      const kind = this.between(0, 9);
      if (kind <= 1) void this.crash().catch((error: unknown) => this.fail(error));
      else if (kind <= 5) pick(this.random, [...this.lines]).break();
      else if (kind === 6) this.platter.brokenUntilMs = this.clock.now() + this.between(1, 2000);
      else if (kind === 7) this.setClock(this.between(-3_600_000, 3_600_000));
      this.mischief();
    });
  }

  async crash(): Promise<void> {
    if (!this.broker.service) return;
    for (const line of this.lines) line.break();
    await this.broker.crash();
    // What was given out since and not written down is forgotten with the broker: an older lease may be the newest again.
    this.#tokensOfLife.clear();
    this.#stale.clear();
    await new Promise<void>((resolve) => this.after(this.between(1, 3000), resolve));
    await this.broker.start();
    this.startedAnew();
  }

  /** @param fresh of this version, always */
  connectQueue(name = "q", fresh = false): Queue<string, string> {
    return queue<string, string>(name, {
      url: "ipc://sim",
      clock: this.clock,
      log: () => {},
      connect: (_endpoint, listener) => new NetworkLink(this, listener, fresh),
    });
  }
}

/** Runs one seed to its end. @throws Violation (or what else went wrong) */
export async function simulate(
  options: SimulationOptions,
): Promise<{ tasks: number; done: number; dead: number; cancelled: number }> {
  const simulation = new Simulation(options);
  await simulation.broker.start();
  for (let index = 0; index < PRODUCERS; index += 1) produce(simulation);
  for (let index = 0; index < WORKERS; index += 1) staff(simulation);
  simulation.broker.service!.configure(RATED, { rate: RATE }, () => {});
  simulation.broker.service!.flush();
  submitToRated(simulation);
  importAgain(simulation);
  submitBursts(simulation);
  lastLong(simulation);
  addFlows(simulation);
  simulation.mischief();
  await simulation.run(FAULTS_UNTIL_MS);
  simulation.platter.brokenUntilMs = 0;
  simulation.setClock();
  await simulation.run(SETTLED_BY_MS);
  return judge(simulation);
}

/** A producer: adds, calls and cancels until faults end; writes down what it was told. */
function produce(simulation: Simulation): void {
  const tasks = simulation.connectQueue();
  const next = (): void => {
    simulation.after(simulation.between(0, 2000), () => {
      if (!simulation.faulty) return;
      // Now and then several in one moment: they travel together.
      for (let more = simulation.random() < 0.2 ? 3 : 0; more >= 0; more -= 1) {
        const asked: Asked = { payload: `${simulation.asked.length}` };
        simulation.asked.push(asked);
        void ask(simulation, tasks, asked).catch((error: unknown) => simulation.fail(error));
      }
      next();
    });
  };
  next();
}

async function ask(simulation: Simulation, tasks: Queue<string, string>, asked: Asked): Promise<void> {
  const { random } = simulation;
  const group = pick(random, GROUPS);
  const options = {
    priority: simulation.between(0, 2),
    attempts: simulation.between(1, 4),
    // Short ones often: the next attempt begins while words about the last are still on their way.
    backoff: simulation.between(0, random() < 0.5 ? 10 : 500),
    // Longer than all jumps of the clock together.
    keep: "7d",
    ...(group && { group }),
    ...(random() < 0.2 && { delay: simulation.between(1, 2000) }),
    ...(random() < 0.2 && { attemptTimeout: simulation.between(10, 200) }),
    ...timesAndParents(simulation, asked),
    timeout: 100_000,
  };
  try {
    if (random() < 0.5) asked.outcome = await tasks.call(asked.payload, options);
    else {
      asked.task = await tasks.add(asked.payload, options);
      if (random() < 0.2) await change(simulation, tasks, asked, asked.task.id);
      if (random() < 0.1) await asked.task.cancel({ timeout: 100_000 });
      asked.outcome = await asked.task.result({ timeout: 150_000 });
    }
  } catch (error) {
    if (!(error instanceof HoldfastError) || error.code === "ASSERTION_FAILED") throw error;
    asked.outcome = error.code;
    // Too late to be cancelled: then it must have an outcome of its own.
    if (error.code === "QUEUE_TASK_STATE") {
      asked.outcome = await asked.task!.result({ timeout: 100_000 }).catch((later: HoldfastError) => later.code);
    }
  }
}

/** What an operator does to a task: it is written anew, or is due at another time, unless it must not be before its own. */
async function change(
  simulation: Simulation,
  tasks: Queue<string, string>,
  { payload, runAtMs }: Asked,
  id: string,
): Promise<void> {
  const wait = { timeout: 100_000 };
  const isFree = runAtMs === undefined;
  if (isFree && simulation.random() < 0.3) await tasks.promote(id, wait);
  else {
    const delay = isFree && simulation.random() < 0.5 ? simulation.between(0, 500) : undefined;
    await tasks.update(id, { priority: simulation.between(0, 2), body: payload, delay }, wait);
  }
}

/** Now and then not before a time, or not before others. */
function timesAndParents(simulation: Simulation, asked: Asked): AddOptions {
  const { random } = simulation;
  if (random() < 0.1) {
    asked.runAtMs = simulation.rightWallMs + simulation.between(1, 3000);
    return { runAt: new Date(asked.runAtMs) };
  }
  const known = simulation.asked.filter(({ task }) => task !== undefined);
  if (random() > 0.2 || known.length === 0) return {};
  asked.after = [...new Set([pick(random, known), pick(random, known)])];
  asked.onParentDead = pick(random, ["fail", "continue"] as const);
  return { after: asked.after.map(({ task }) => task!), onParentDead: asked.onParentDead };
}

/** A queue with a rate gets more than it may, while faults last. */
function submitToRated(simulation: Simulation): void {
  const tasks = simulation.connectQueue(RATED);
  worker(tasks, () => "", { concurrency: 10, prefetch: 3, signals: [] });
  const next = (): void => {
    if (!simulation.faulty) return;
    void tasks.add("rated", { timeout: 100_000, attempts: 100, backoff: 10 }).catch((error: unknown) => {
      if (!(error instanceof HoldfastError)) simulation.fail(error);
    });
    simulation.after(simulation.between(50, 600), next);
  };
  next();
}

/** The same payloads under the same key, again and again, and sometimes others. */
function importAgain(simulation: Simulation): void {
  const tasks = simulation.connectQueue("imports");
  worker(tasks, (payload) => `did ${payload}`, { concurrency: 2, signals: [] });
  const next = (): void => {
    if (!simulation.faulty) return;
    let again =
      simulation.imports.length > 0 && simulation.random() < 0.6 ? pick(simulation.random, simulation.imports) : undefined;
    if (!again) {
      const key = `import ${simulation.imports.length}`;
      again = { key, payloads: Array.from({ length: simulation.between(2, 4) }, (_, at) => `${key}/${at}`) };
      simulation.imports.push(again);
    }
    void submitAgain(simulation, tasks, again).catch((error: unknown) => simulation.fail(error));
    simulation.after(simulation.between(200, 2500), next);
  };
  next();
}

async function submitAgain(simulation: Simulation, tasks: Queue<string, string>, again: Import): Promise<void> {
  const { key, payloads } = again;
  const known = again.ids;
  const grown = known !== undefined && simulation.random() < 0.3;
  try {
    const added = await tasks.addMany(grown ? [...payloads, "more"] : payloads, { key, keep: "7d", timeout: 100_000 });
    const ids = added.map(({ id }) => id);
    if (grown) throw new Violation(`other payloads were taken under '${key}'`);
    if ((again.ids ?? ids).join() !== ids.join())
      throw new Violation(`'${key}' was ${again.ids!.join()} and then ${ids.join()}`);
    again.ids = ids;
    const results = await Promise.all(added.map((task) => task.result({ timeout: 150_000 })));
    if (results.some((result, at) => result !== `did ${payloads[at]}`))
      throw new Violation(`'${key}' came to ${results.join()}`);
  } catch (error) {
    if (!(error instanceof HoldfastError) || error.code === "ASSERTION_FAILED") throw error;
    const allowed = grown ? [...REFUSED, "QUEUE_KEY_CONFLICT"] : [...REFUSED];
    if (!allowed.includes(error.code)) throw new Violation(`'${key}' ended with ${error.code}: ${error.message}`);
  }
}

/** One payload after the other under a key, the last of which wins until its task has begun. */
function submitBursts(simulation: Simulation): void {
  const tasks = simulation.connectQueue("bursts");
  worker(tasks, (payload) => payload, { concurrency: 2, signals: [] });
  const burst = async (key: string): Promise<void> => {
    // Of each task the last payload that was taken for it; what was sent since may have been taken too.
    const taken = new Map<string, number>();
    let sent = 0;
    for (; simulation.faulty && sent < 200; sent += 1) {
      try {
        const debounce = { key, wait: simulation.between(0, 3000) };
        const { id } = await tasks.add(`${sent}`, { debounce, attempts: 1000, keep: "7d", timeout: 100_000 });
        taken.set(id, sent);
      } catch (error) {
        if (!(error instanceof HoldfastError) || !REFUSED.has(error.code)) throw error;
      }
      await new Promise<void>((resolve) => simulation.after(simulation.between(0, 2000), resolve));
    }
    const all = [...taken];
    for (const [index, [id, last]] of all.entries()) {
      const [, next = sent] = all[index + 1] ?? [];
      const result = Number(await tasks.task(id).result({ timeout: 150_000 }));
      if (result < last || result > next) throw new Violation(`burst ${key} of ${last} to ${next} came to ${result}`);
    }
  };
  burst("one").catch((error: unknown) => simulation.fail(error));
}

/** Tasks whose handlers sleep, wait for a signal and call another queue. */
function lastLong(simulation: Simulation): void {
  const tasks = simulation.connectQueue("workflows", true);
  const hire = (): void => {
    const running = worker(tasks, (payload, task) => lasting(simulation, payload, task), {
      concurrency: 3,
      signals: [],
      drain: 0,
    });
    if (!simulation.faulty) return;
    simulation.after(simulation.between(500, 4000), () => {
      void running.close().then(hire, (error: unknown) => simulation.fail(error));
    });
  };
  hire();
  const answer = (payload: string, { id }: TaskContext): string => {
    const workflow = simulation.workflows[Number(payload)]!;
    if ((workflow.called ??= id) !== id)
      simulation.fail(new Violation(`workflow ${payload} called task ${workflow.called}, and then ${id}`));
    return `did ${payload}`;
  };
  worker(simulation.connectQueue("called"), answer, { concurrency: 2, signals: [] });
  const next = (): void => {
    if (!simulation.faulty) return;
    const { length } = simulation.workflows;
    const workflow: Workflow = { payload: `${length}`, isPatient: simulation.random() < 0.5, told: new Map(), done: 0 };
    simulation.workflows.push(workflow);
    void begin(simulation, tasks, workflow).catch((error: unknown) => simulation.fail(error));
    simulation.after(simulation.between(300, 3000), next);
  };
  next();
}

async function begin(simulation: Simulation, tasks: Queue<string, string>, workflow: Workflow): Promise<void> {
  const { payload, isPatient } = workflow;
  try {
    const task = await tasks.add(payload, { attempts: 1000, backoff: 10, backoffMax: 100, keep: "7d", timeout: 100_000 });
    simulation.after(simulation.between(0, 4000), () => {
      void tasks.signal(task.id, "go", `go ${payload}`, { timeout: 150_000 }).catch((error: HoldfastError) => {
        // One that does not wait for ever may have ended, and one that does when only the answer was lost.
        const came = workflow.told.get("go") === `go ${payload}`;
        if (error.code !== "QUEUE_TASK_STATE" || (isPatient && !came)) simulation.fail(error);
      });
    });
    workflow.outcome = await task.result({ timeout: 190_000 });
  } catch (error) {
    if (!(error instanceof HoldfastError) || error.code === "ASSERTION_FAILED") throw error;
    if (!REFUSED.has(error.code)) throw new Violation(`workflow ${payload} ended with ${error.code}: ${error.message}`);
    workflow.outcome = error.code;
  }
}

async function lasting(simulation: Simulation, payload: string, task: TaskContext): Promise<string> {
  const workflow = simulation.workflows[Number(payload)]!;
  const same = (step: string, came: string): string => {
    const before = workflow.told.get(step) ?? came;
    if (before !== came)
      simulation.fail(new Violation(`step ${step} of workflow ${payload} came to ${before} and then to ${came}`));
    workflow.told.set(step, came);
    return came;
  };
  const part = (name: string): Promise<string> =>
    task.step(name, async () => {
      await new Promise<void>((resolve) => simulation.after(simulation.between(0, 30), resolve));
      if (simulation.chance(0.1)) throw new Error("failed");
      return `${name} ${(workflow.done += 1)}`;
    });
  const first = same("first", await part("first"));
  await task.sleep(simulation.between(0, 500));
  const both = same("both", (await Promise.all([part("left"), part("right")])).join());
  const go = same("go", String(await task.waitFor("go", workflow.isPatient ? {} : { timeout: 1500 })));
  const called = same("called", (await task.call("called", payload)) as string);
  if (simulation.chance(0.2)) throw new Error("failed late");
  return [first, both, go, called].join();
}

/** A diamond. */
const FLOW = { a: [], b: ["a"], c: ["a"], d: ["b", "c"] } as const;

/** Flows whose tasks read what those before them came to; of some a task gives up, and all of it is retried, others are cancelled. */
function addFlows(simulation: Simulation): void {
  const tasks = simulation.connectQueue("flows", true);
  /** Payload → its one task. */
  const ids = new Map<string, string>();
  const handler = async (payload: string, task: TaskContext): Promise<string> => {
    const known = ids.get(payload) ?? task.id;
    if (known !== task.id) simulation.fail(new Violation(`task ${payload} of a flow was ${known}, and then ${task.id}`));
    ids.set(payload, known);
    const [number, name] = payload.split("/") as [string, keyof typeof FLOW];
    const came = (await task.parents()).map(({ result }) => String(result)).join();
    const due = FLOW[name].map((parent) => `did ${number}/${parent}`).join();
    await new Promise<void>((resolve) => simulation.after(simulation.between(0, 40), resolve));
    if (simulation.chance(0.1)) throw new GiveUp("hopeless");
    if (simulation.chance(0.2)) throw new Error("failed");
    // A run whose lease was lost, with the end of what it waits for, may see anything: it must not count.
    return came === due ? `did ${payload}` : `did ${payload} after '${came}'`;
  };
  const hire = (): void => {
    const running = worker(tasks, handler, { concurrency: 3, signals: [], drain: 0 });
    if (!simulation.faulty) return;
    simulation.after(simulation.between(500, 4000), () => {
      void running.close().then(hire, (error: unknown) => simulation.fail(error));
    });
  };
  hire();
  let count = 0;
  const next = (): void => {
    if (!simulation.faulty) return;
    void followFlow(simulation, tasks, (count += 1)).catch((error: unknown) => simulation.fail(error));
    simulation.after(simulation.between(300, 3000), next);
  };
  next();
}

async function followFlow(simulation: Simulation, tasks: Queue<string, string>, number: number): Promise<void> {
  const options = { queue: tasks, attempts: 1000, backoff: 10, backoffMax: 100, keep: "7d" } as const;
  const node = (name: keyof typeof FLOW) => ({ ...options, body: `${number}/${name}`, after: FLOW[name] });
  const wait = { timeout: 100_000 };
  try {
    const added = await flow({ d: node("d"), b: node("b"), c: node("c"), a: node("a") }, wait);
    if (simulation.random() < 0.2) {
      simulation.after(simulation.between(0, 300), () => {
        void (async () => {
          await added.cancel(wait);
          const { count, states } = await added.get(wait);
          const { completed = 0, dead = 0, cancelled = 0 } = states as Record<string, number>;
          if (count !== 4 || completed + dead + cancelled !== 4)
            throw new Violation(`flow ${number} was cancelled and is ${JSON.stringify(states)}`);
        })().catch((error: unknown) => simulation.fail(error));
      });
      const came = await added.tasks.d.result({ timeout: 150_000 }).catch((error: HoldfastError) => error.code);
      if (came !== `did ${number}/d` && !ENDED.has(String(came)))
        throw new Violation(`flow ${number} ended with ${String(came)}`);
      return;
    }
    for (let tried = 0; ; tried += 1) {
      const came = await added.tasks.d.result({ timeout: 150_000 }).catch((error: HoldfastError) => error.code);
      if (came === `did ${number}/d`) return;
      // Of those that gave up, or died of one that did, none is given up for lost once faults are over.
      if (came !== "QUEUE_TASK_DEAD" || tried > 100) throw new Violation(`flow ${number} ended with ${String(came)}`);
      await added.retry(wait);
    }
  } catch (error) {
    if (!(error instanceof HoldfastError) || error.code === "ASSERTION_FAILED") throw error;
    if (!REFUSED.has(error.code)) throw new Violation(`flow ${number} ended with ${error.code}: ${error.message}`);
  }
}

/** A worker that is replaced now and then, in good order or dead on the spot. */
function staff(simulation: Simulation): void {
  const tasks = simulation.connectQueue();
  const hire = (): void => {
    const running: Worker<string, string> = worker(tasks, (payload) => handle(simulation, payload), {
      concurrency: simulation.between(1, 3),
      prefetch: simulation.between(0, 2),
      signals: [],
      drain: 0,
      backoff: () => (simulation.chance(0.3) ? simulation.between(0, 2000) : undefined),
    });
    if (!simulation.faulty) return;
    simulation.after(simulation.between(500, 6000), () => {
      void running.close().then(hire, (error: unknown) => simulation.fail(error));
    });
  };
  hire();
}

async function handle(simulation: Simulation, payload: string): Promise<string> {
  await new Promise<void>((resolve) =>
    simulation.after(simulation.chance(0.1) ? simulation.between(100, 3000) : simulation.between(0, 40), resolve),
  );
  if (simulation.chance(0.1)) throw new RetryAfter(simulation.between(0, 2000));
  if (simulation.chance(0.15)) throw simulation.random() < 0.2 ? new GiveUp("hopeless") : new Error("failed");
  simulation.did.add(payload);
  return `did ${payload}`;
}

const ENDED = new Set(["QUEUE_TASK_DEAD", "QUEUE_TASK_CANCELLED"]);
/** Refused, so nothing was promised. */
const REFUSED = new Set(["QUEUE_STORE_UNAVAILABLE", "QUEUE_FULL"]);

async function judge(simulation: Simulation): Promise<{ tasks: number; done: number; dead: number; cancelled: number }> {
  const { stateMachine } = simulation.broker.service!;
  stateMachine.audit();
  const counts = { tasks: simulation.asked.length, done: 0, dead: 0, cancelled: 0 };
  for (const { payload, outcome, task } of simulation.asked) {
    const which = `task ${task?.id ?? "unknown"} with payload ${payload}`;
    if (outcome === undefined) throw new Violation(`${which} was never answered`);
    if (outcome === `did ${payload}`) counts.done += 1;
    else if (outcome === "QUEUE_TASK_DEAD") counts.dead += 1;
    else if (outcome === "QUEUE_TASK_CANCELLED") counts.cancelled += 1;
    if (outcome !== `did ${payload}` && !ENDED.has(outcome) && !(REFUSED.has(outcome) && !task)) {
      throw new Violation(`${which} ended with ${outcome}`);
    }
  }
  for (const { payload, told, isPatient, outcome } of simulation.workflows) {
    if (outcome === undefined) throw new Violation(`workflow ${payload} was never answered`);
    if (REFUSED.has(outcome)) continue;
    if (outcome !== ["first", "both", "go", "called"].map((step) => told.get(step)).join())
      throw new Violation(`workflow ${payload} came to ${outcome}`);
    if (told.get("called") !== `did ${payload}`)
      throw new Violation(`workflow ${payload} was told ${told.get("called")} by its call`);
    if (isPatient && told.get("go") !== `go ${payload}`) throw new Violation(`workflow ${payload} got no signal`);
  }
  for (const state of ["waiting", "delayed", "blocked", "active", "retrying"] as const) {
    const left = ["q", "imports", "bursts", "workflows", "called"].reduce(
      (sum, name) => sum + (stateMachine.findQueue(name)?.count(state) ?? 0),
      0,
    );
    if (left > 0) throw new Violation(`${left} tasks are still ${state} when all is settled`);
  }
  return counts;
}
