/**
 * One bad thing in the engine of a healthy broker, under one seed: a task that kills its worker's process, a process that dies before it
 * begins anything or freezes, a clock that is set to and fro, dead parents, a flood of a higher priority, a group that wants too
 * much, keys used again with other contents. Workers are processes that die as a whole and are started again. What must hold: each
 * healthy call ends with its own result, in time and in its order; nothing is charged for what had not begun.
 */
import { pick } from "../../src/core/random.ts";
import { HoldfastError } from "../../src/core/errors.ts";
import type { BrokerConnection, BrokerConnectionListener } from "../../src/queue/client/broker-connection.ts";
import type { TaskContext } from "../../src/queue/client/handler.ts";
import { type AddOptions, queue, type Queue } from "../../src/queue/client/queue.ts";
import { worker } from "../../src/queue/client/worker.ts";
import { type Frames, readObject } from "../../src/queue/protocols/messages.ts";
import type { QueueSettings } from "../../src/queue/tasks/queue-settings.ts";
import { NONE } from "../../src/queue/tasks/task-columns.ts";
import type { TaskStateMachine, TaskStateMachineOptions } from "../../src/queue/tasks/task-state-machine.ts";
import { BAD_UNTIL_MS, type Peer, World } from "./bad-members.ts";

/** 8 s: a task that killed two processes runs alone, behind others that did, and each process takes up to 300 ms to be back. */
const IN_TIME_MS = 8000;
const SETTLED_BY_MS = 40_000;
const PROCESSES = 3;

/** What goes wrong, and what the farm is like beside it. */
interface Bad {
  /** Makes trouble until BAD_UNTIL_MS. */
  act?(farm: Farm): void;
  /** A process was given a task, or its handler begins. @returns what becomes of the process */
  meets?(farm: Farm, when: "given" | "begins", payload: string): "dies" | "freezes" | undefined;
  readonly settings?: QueueSettings;
  /** Of healthy calls. */
  options?(farm: Farm): AddOptions;
  /** Default PROCESSES. */
  readonly processes?: number;
  /** In which they end; default IN_TIME_MS. */
  readonly inTimeMs?: number;
  /** What else must hold at the end. @throws Error */
  judge?(farm: Farm): void;
}

interface Call {
  readonly payload: string;
  readonly atMs: number;
  readonly options: AddOptions;
  id: string | undefined;
  /** The latest time that the wall clock has said meanwhile. */
  wallMs: number;
  tookMs: number;
  outcome: string;
}

/** The broker, processes with workers, and a producer of healthy calls. */
class Farm {
  readonly world: World;
  readonly bad: Bad;
  readonly tasks: Queue<string, string>;
  readonly calls: Call[] = [];
  /** Payloads in the order in which their handlers began, with the time. */
  readonly begun: { readonly payload: string; readonly atMs: number }[] = [];
  /** Payloads whose handlers came to their end. */
  readonly did = new Set<string>();
  /** Tasks that are to be bad, and so may be cancelled and retried. */
  readonly badIds: number[] = [];
  /** Task → how many processes died or froze while it had begun there. */
  readonly #losses = new Map<string, number>();
  #processes = 0;
  readonly #wallMs: number;

  constructor(world: World, bad: Bad) {
    this.#wallMs = world.clock.wallMs() - world.clock.now();
    this.world = world;
    this.bad = bad;
    this.tasks = world.connectQueue();
  }

  get isBadTime(): boolean {
    return this.world.isBadTime;
  }

  lossesOf(id: string): number {
    return this.#losses.get(id) ?? 0;
  }

  /** Does it again and again, until the bad time is over. */
  often(lowMs: number, highMs: number, act: () => void): void {
    const next = (): void => {
      if (!this.isBadTime) return;
      act();
      this.world.after(this.world.between(lowMs, highMs), next);
    };
    next();
  }

  /** A process with a worker. It is started again when it has died. */
  start(): void {
    this.#processes += 1;
    const links = new Set<ProcessLink>();
    /** Tasks whose handlers run. */
    const running = new Set<string>();
    let overMs = Infinity;
    const charge = (id: string): void => void this.#losses.set(id, this.lossesOf(id) + 1);
    const end = (how: "dies" | "freezes"): void => {
      if (overMs < Infinity) return;
      overMs = this.world.clock.now();
      running.forEach(charge);
      for (const link of links) link.end(how);
      this.world.after(this.world.between(20, 300), () => this.start());
    };
    const meets = (when: "given" | "begins", payload: string): void => {
      const fate = overMs < Infinity ? undefined : this.bad.meets?.(this, when, payload);
      if (fate) end(fate);
    };
    const name = `process ${this.#processes}`;
    const tasks = queue<string, string>("q", {
      url: "ipc://sim",
      clock: this.world.clock,
      log: () => {},
      connect: (_, listener) => new ProcessLink(this.world, { name, links, given: () => meets("given", "") }, listener),
    });
    const handle = async (payload: string, context: TaskContext): Promise<string> => {
      if (overMs < Infinity) {
        // Said to have begun together with the one that ended the process.
        if (overMs === this.world.clock.now()) charge(context.id);
        return "";
      }
      running.add(context.id);
      this.begun.push({ payload, atMs: this.world.clock.now() });
      this.#mayBegin(payload);
      meets("begins", payload);
      await new Promise<void>((resolve) => this.world.after(this.world.between(0, 40), resolve));
      running.delete(context.id);
      if (payload.startsWith("fails")) throw new Error("as it always does");
      if (overMs === Infinity) this.did.add(payload);
      return `did ${payload}`;
    };
    worker(tasks, handle, { concurrency: this.world.between(1, 4), prefetch: this.world.between(0, 2), signals: [] });
  }

  #mayBegin(payload: string): void {
    const call = this.calls.find((each) => each.payload === payload);
    if (!call) return;
    const { runAt, after = [] } = call.options;
    if (runAt instanceof Date && Math.max(this.world.clock.wallMs(), call.wallMs) < runAt.getTime())
      this.world.fail(new Error(`${payload} began before the wall clock said so`));
    for (const { id, payload: parent } of this.calls)
      if (id !== undefined && after.includes(id) && !this.did.has(parent))
        this.world.fail(new Error(`${payload} began before ${parent}`));
  }

  async call(payload: string, options: AddOptions): Promise<void> {
    const call: Call = {
      payload,
      atMs: this.world.clock.now(),
      options,
      id: undefined,
      wallMs: 0,
      tookMs: Infinity,
      outcome: "nothing",
    };
    this.calls.push(call);
    try {
      const task = await this.tasks.add(payload, { backoff: 10, timeout: SETTLED_BY_MS, ...options });
      call.id = task.id;
      call.outcome = await task.result({ timeout: SETTLED_BY_MS });
    } catch (error) {
      call.outcome = String(error);
    }
    call.tookMs = this.world.clock.now() - call.atMs;
  }

  /** Something bad: what becomes of it does not matter. */
  ask(payload: string, options: AddOptions): void {
    const added = this.tasks.add(payload, { timeout: SETTLED_BY_MS, ...options });
    added.then(
      ({ id }) => this.badIds.push(Number(id.split("-")[1])),
      (error: unknown) => error instanceof HoldfastError || this.world.fail(error),
    );
  }

  /** What the wall clock says when it is right. */
  get rightWallMs(): number {
    return this.#wallMs + this.world.clock.now();
  }

  /** Sets the wall clock so that it is wrong by this. */
  setClock(wrongMs: number): void {
    for (const call of this.calls) call.wallMs = Math.max(call.wallMs, this.world.clock.wallMs());
    this.world.clock.jumpWall(this.rightWallMs + wrongMs - this.world.clock.wallMs());
  }
}

/** A connection of a process, which ends with it. */
class ProcessLink implements BrokerConnection {
  readonly address = "sim";
  readonly #name: string;
  readonly #peer: Peer;
  #isOver = false;

  constructor(
    world: World,
    process: { readonly name: string; readonly links: Set<ProcessLink>; given(): void },
    listener: BrokerConnectionListener,
  ) {
    this.#name = process.name;
    process.links.add(this);
    this.#peer = world.peer(
      (frames) => {
        if (String(frames[1]).startsWith("TASK")) process.given();
        if (!this.#isOver) listener.heard(frames);
      },
      () => {},
    );
    world.after(0, () => listener.up());
  }

  send(frames: Frames): boolean {
    if (!this.#isOver) this.#peer.send(String(frames[1]) === "HELLO" ? ofProcess(frames, this.#name) : frames);
    return !this.#isOver;
  }

  /** Nobody at this end says or hears anything any more; only of a dead one the other end learns it. */
  end(how: "dies" | "freezes"): void {
    this.#isOver = true;
    if (how === "dies") this.#peer.die();
  }

  reset(): void {}

  async close(): Promise<void> {
    this.end("dies");
  }
}

function ofProcess([protocol, verb, request, about]: Frames, name: string): Frames {
  return [protocol!, verb!, request!, Buffer.from(JSON.stringify({ ...readObject(about), process: name }))];
}

const BAD_TASKS = {
  /** Tasks that kill whatever process begins them. */
  poison: {
    processes: 1,
    act: (farm) => farm.often(1500, 4000, () => farm.ask("poison", {})),
    meets: (_farm, when, payload) => (when === "begins" && payload === "poison" ? "dies" : undefined),
  },
  /** Processes that die when they are given something, before they begin anything. */
  crashLoop: {
    meets: (farm, when) => (farm.isBadTime && when === "given" && farm.world.random() < 0.1 ? "dies" : undefined),
  },
  /** Processes that die at any time. */
  crashes: {
    meets: (farm) => (farm.isBadTime && farm.world.random() < 0.01 ? "dies" : undefined),
  },
  /** Processes that do and say nothing any more, with their connections up. Only an attempt's time finds that out. */
  freezes: {
    options: () => ({ attemptTimeout: 500, attempts: 20 }),
    meets: (farm) => (farm.isBadTime && farm.world.random() < 0.01 ? "freezes" : undefined),
  },
  /** The wall clock is set to and fro, and is right in the end. */
  steppingClock: {
    inTimeMs: 20_000,
    options: ({ world, rightWallMs }) =>
      pick(world.random, [{ runAt: new Date(rightWallMs + world.between(0, 500)) }, { delay: 100 }, { expire: "1m" }, {}]),
    act: (farm) => {
      farm.often(50, 1000, () => farm.setClock(farm.world.between(-3_600_000, 3_600_000)));
      farm.world.after(BAD_UNTIL_MS, () => farm.setClock(0));
    },
  },
  /** Tasks that die, are cancelled and retried, and wait for each other and for healthy ones, beside healthy chains. */
  badParents: {
    options: ({ calls }) => ({ after: [calls.at(-1)?.id, calls.at(-3)?.id].filter((id) => id !== undefined) }),
    act: (farm) => {
      const { world, badIds, calls } = farm;
      const { random } = world;
      farm.often(20, 300, () => {
        const { adminCommands } = world.service;
        const parents = [...badIds.map((id) => `sim-${id}`), ...calls.flatMap(({ id }) => id ?? [])];
        const after = parents.length > 0 ? [pick(random, parents)] : [];
        const onParentDead = pick(random, ["fail", "continue", "wait"] as const);
        farm.ask("fails", { attempts: 1, keep: pick(random, [0, 100, 60_000]), after, onParentDead });
        for (let times = world.between(0, 3); times > 0 && badIds.length > 0; times -= 1) {
          if (random() < 0.2) adminCommands.cancel(pick(random, badIds), () => {});
          else adminCommands.redrive(pick(random, badIds), () => {});
        }
        if (random() < 0.1)
          void adminCommands.purge({ queue: "q", states: [pick(random, ["dead", "cancelled"])] }, { most: 10 });
        world.service.flush();
      });
    },
  },
  /** More of a higher priority than the workers can do. */
  flood: {
    settings: { agingMs: 200, concurrency: 2 },
    act: (farm) => farm.often(4, 12, () => farm.ask("flood", { priority: 5 })),
  },
  /** A group that wants more than it may. */
  hog: {
    settings: { groupRate: { count: 3, perMs: 500 } },
    options: (farm) => ({ group: `healthy ${farm.calls.length}` }),
    act: (farm) => farm.often(5, 100, () => farm.ask("hog", { group: "hog", keep: 0 })),
    judge: (farm) => {
      const times = farm.begun.filter(({ payload }) => payload === "hog").map(({ atMs }) => atMs);
      for (const [at, ms] of times.entries()) {
        // Messages take 3 ms at most.
        const inWindow = times.slice(0, at + 1).filter((each) => each > ms - 500 + 3).length;
        if (inWindow > 3) throw new Error(`${inWindow} starts of a group in the 500 ms until ${ms}, 3 allowed`);
      }
    },
  },
  /** Keys of healthy calls are used again, for one payload or several. */
  keyThief: {
    options: (farm) => ({ key: `key ${farm.calls.length}`, keep: "1h" }),
    act: (farm) =>
      farm.often(5, 60, () => {
        const settled = farm.calls.filter(({ outcome, options }) => options.key !== undefined && outcome.startsWith("did"));
        if (settled.length === 0) return;
        const { options } = pick(farm.world.random, settled);
        if (farm.world.random() < 0.5) farm.ask("stolen", { key: options.key! });
        else
          void farm.tasks.addMany(["stolen", "stolen too"], { key: options.key!, timeout: SETTLED_BY_MS }).then(
            () => farm.world.fail(new Error("several payloads were taken under the key of one")),
            (error: HoldfastError) => error.code === "QUEUE_KEY_CONFLICT" || farm.world.fail(error),
          );
      }),
    judge: (farm) => {
      const stolen = farm.begun.filter(({ payload }) => payload.startsWith("stolen")).length;
      if (stolen > 0) throw new Error(`${stolen} payloads ran under keys of others`);
    },
  },
} satisfies Record<string, Bad>;

/** What is wrong. */
export type BadTask = keyof typeof BAD_TASKS;

export const ALL_BAD_TASKS = Object.keys(BAD_TASKS) as BadTask[];

export interface BadTaskOptions {
  readonly seed: number;
  readonly bad: BadTask;
  readonly makeStateMachine?: (options: TaskStateMachineOptions) => TaskStateMachine;
}

/** Runs one seed to its end. @throws Error on what a healthy call should not have met. @returns healthy calls */
export async function withBadTask(options: BadTaskOptions): Promise<number> {
  const world = new World(options);
  await world.service.open();
  const bad: Bad = BAD_TASKS[options.bad];
  if (bad.settings) world.service.configure("q", bad.settings, () => {});
  const farm = new Farm(world, bad);
  for (let process = 0; process < (bad.processes ?? PROCESSES); process += 1) farm.start();
  farm.often(20, 200, () => void farm.call(`healthy ${farm.calls.length}`, bad.options?.(farm) ?? {}));
  bad.act?.(farm);
  await world.run(SETTLED_BY_MS);
  for (const { payload, outcome, tookMs } of farm.calls) {
    if (outcome !== `did ${payload}`) throw new Error(`${payload} ended with ${outcome}`);
    if (tookMs > (bad.inTimeMs ?? IN_TIME_MS)) throw new Error(`${payload} took ${tookMs} ms`);
  }
  mustBeCharged(farm);
  bad.judge?.(farm);
  return farm.calls.length;
}

/** No task is charged with more losses than processes were lost while it had begun. */
function mustBeCharged(farm: Farm): void {
  const { service } = farm.world;
  for (let id = 1; id <= service.stateMachine.lastId; id += 1) {
    const row = service.stateMachine.find(id);
    if (row === NONE) continue;
    const { lost } = service.view(row);
    if (lost > farm.lossesOf(`sim-${id}`))
      throw new Error(`task ${id} was charged with ${lost} losses, of ${farm.lossesOf(`sim-${id}`)}`);
  }
}
