/**
 * One bad peer at a healthy broker, under one seed: it talks garbage, lies about its work, repeats itself, or goes away at any step, on
 * the same queue as healthy workers and producers. Nothing else goes wrong, so that whatever a healthy member meets is the bad one's
 * doing. What must hold: each healthy call ends with its own result, in time; no healthy task is dead; no error that nobody expected.
 */
import { ManualClock } from "../../src/core/manual-clock.ts";
import { between, pick, type Random, seeded } from "../../src/core/random.ts";
import { ProtocolRouter } from "../../src/queue/broker/protocol-router.ts";
import type { BrokerConnection, BrokerConnectionListener } from "../../src/queue/client/broker-connection.ts";
import { queue, type Queue } from "../../src/queue/client/queue.ts";
import { worker } from "../../src/queue/client/worker.ts";
import { type Frames, IdText, PROTOCOL } from "../../src/queue/protocols/messages.ts";
import { CronTable } from "../../src/queue/service/cron.ts";
import { TaskService } from "../../src/queue/service/task-service.ts";
import { MemoryStore } from "../../src/store/memory-store.ts";
import type { Store } from "../../src/store/store.ts";
import { NONE } from "../../src/queue/tasks/task-columns.ts";
import type { TaskStateMachine, TaskStateMachineOptions } from "../../src/queue/tasks/task-state-machine.ts";
import { mutant } from "./support/hostile.ts";

export interface BadMemberOptions {
  readonly seed: number;
  readonly bad: BadMember;
  readonly makeStateMachine?: (options: TaskStateMachineOptions) => TaskStateMachine;
}

export const BAD_UNTIL_MS = 10_000;
/** 3 s: handlers take 40 ms at most, a bad worker keeps a task for half a second at most, and a task that it lost twice runs alone. */
const IN_TIME_MS = 3000;
/** All calls have ended by then, or never will. */
const SETTLED_BY_MS = 20_000;
const ATTEMPTS = 5;

interface WorldOptions extends Pick<BadMemberOptions, "seed" | "makeStateMachine"> {
  readonly store?: Store;
  readonly bodyCacheBytesMax?: number;
}

/** The broker, healthy clients and workers, and the network between them. */
export class World {
  readonly random: Random;
  readonly clock = new ManualClock();
  readonly service: TaskService;
  readonly router: ProtocolRouter;
  #peers = 0;
  #violation: unknown;

  constructor({ seed, store = new MemoryStore(), bodyCacheBytesMax, makeStateMachine }: WorldOptions) {
    this.random = seeded(seed);
    this.service = new TaskService({
      store,
      ...(bodyCacheBytesMax !== undefined && { bodyCacheBytesMax }),
      clock: this.clock,
      random: this.random,
      wake: () => this.#arm(),
      log: (event, { error, stack }) => {
        if (event === "queue.program-error") this.fail(new Error(`${event}: ${String(stack ?? error)}`));
      },
      ...(makeStateMachine && { makeStateMachine }),
    });
    const cron = new CronTable(this.service, () => undefined);
    this.router = new ProtocolRouter({ service: this.service, ids: new IdText("sim"), cron });
  }

  get isBadTime(): boolean {
    return this.clock.now() < BAD_UNTIL_MS;
  }

  between(low: number, high: number): number {
    return between(this.random, low, high);
  }

  fail(error: unknown): void {
    this.#violation ??= error;
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

  /** A new connection. Messages take 0 to 3 ms and keep their order. */
  peer(heard: (frames: Frames) => void, closed: () => void): Peer {
    this.#peers += 1;
    return new Peer(this, `peer ${this.#peers}`, { heard, closed });
  }

  connectQueue(): Queue<string, string> {
    return queue<string, string>("q", {
      url: "ipc://sim",
      clock: this.clock,
      log: (event, { error }) => {
        if (event === "queue.broker-invalid" || event === "queue.program-error") this.fail(error);
      },
      connect: (_, listener) => new HealthyLink(this, listener),
    });
  }

  async run(untilMs: number): Promise<void> {
    for (let next = this.clock.nextDeadlineMs; next !== undefined && next <= untilMs; next = this.clock.nextDeadlineMs) {
      this.clock.advanceTo(next);
      await new Promise<void>((resolve) => {
        setImmediate(resolve);
      });
      if (this.#violation) throw this.#violation;
    }
    this.clock.advanceTo(untilMs);
    this.service.stateMachine.audit();
  }

  #cancelTimer = (): void => {};

  #arm(): void {
    this.#cancelTimer();
    const atMs = this.service.deadlineMs;
    if (atMs !== undefined) this.#cancelTimer = this.clock.at(Math.max(atMs, this.clock.now()), () => this.service.tick());
  }
}

/** One end of a connection to the broker. */
export class Peer {
  readonly #world: World;
  readonly #key: string;
  readonly #heard: (frames: Frames) => void;
  readonly #closed: () => void;
  #isOpen = true;
  #sentMs = 0;
  #toldMs = 0;

  constructor(world: World, key: string, ends: { heard: (frames: Frames) => void; closed: () => void }) {
    this.#world = world;
    this.#key = key;
    this.#heard = ends.heard;
    this.#closed = ends.closed;
  }

  send(frames: Frames): void {
    this.#sentMs = this.#inOrder(this.#sentMs, () => {
      this.#world.router.receive(this.#key, frames, () => ({
        peer: this.#key,
        send: (said) => (this.#toldMs = this.#inOrder(this.#toldMs, () => this.#heard(said))),
        close: () => {
          this.leave();
          this.#closed();
        },
      }));
      this.#world.service.flush();
    });
  }

  say(verb: string, ...rest: (string | Buffer)[]): void {
    this.send([PROTOCOL, Buffer.from(verb), ...rest.map((frame) => Buffer.from(frame))]);
  }

  /** The process of this end dies: what it has sent still arrives. */
  die(): void {
    this.#world.after(this.#sentMs - this.#world.clock.now(), () => this.leave());
  }

  leave(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#world.after(0, () => {
      this.#world.router.gone(this.#key);
      this.#world.service.flush();
    });
  }

  #inOrder(lastMs: number, act: () => void): number {
    const nowMs = this.#world.clock.now();
    const atMs = Math.max(lastMs, nowMs + this.#world.between(0, 3));
    this.#world.after(atMs - nowMs, () => {
      if (this.#isOpen) act();
    });
    return atMs;
  }
}

class HealthyLink implements BrokerConnection {
  readonly address = "sim";
  readonly #world: World;
  readonly #peer: Peer;

  constructor(world: World, listener: BrokerConnectionListener) {
    this.#world = world;
    this.#peer = world.peer(
      (frames) => listener.heard(frames),
      () => world.fail(new Error("the broker cut off a healthy peer")),
    );
    world.after(0, () => listener.up());
  }

  send(frames: Frames): boolean {
    this.#peer.send(frames);
    return true;
  }

  reset(): void {
    this.#world.fail(new Error("a healthy client found fault with what the broker said"));
  }

  async close(): Promise<void> {
    this.#peer.leave();
  }
}

// ---- the bad ones

const framesOf = (text: string): Frames => text.split("|").map((frame) => Buffer.from(frame, "latin1"));

/** What a client may say, on a queue of its own and of tasks that are none of this broker's: garbled they can mean no harm. */
const FROM_CLIENT = [
  'HQ1|HELLO|h|{"many":1,"begun":1,"process":"bad"}',
  "HQ1|BEAT",
  "HQ1|BYE",
  'HQ1|ADD|1|bad|{"priority":3,"key":"k","attempts":2}|"a"|"b"',
  'HQ1|CALL|2|bad|=key|"c"',
  'HQ1|ADDS|bad|=k|\0\0\0\x05\0\0\0\x02""',
  "HQ1|CALLS|bad||\0\0\0\x06\0\0\0\x02{}",
  "HQ1|WATCH|3|sim-1|sim-2|other-1",
  "HQ1|UNWATCH|3",
  "HQ1|CANCEL|4|other-1",
  "HQ1|SHOW|7|sim-1",
  'HQ1|LIST|8|{"queue":"q","limit":5}',
  "HQ1|STATS|9",
  "HQ1|RETRY|10|other-1",
  'HQ1|SET|11|bad|{"concurrency":5}',
  "HQ1|PURGE|12|bad|done",
  'HQ1|CRON|13|bad|{"expression":"0 8 * * *","queue":"bad"}|body',
  "|HQ1|CALL|14|bad||enveloped",
  "|MDPC01|bad|body",
  "MDPC02|\x01|bad|body",
].map(framesOf);

function garbageClient(world: World): void {
  let peer: Peer | undefined;
  const act = (): void => {
    if (!world.isBadTime) {
      peer?.leave();
      return;
    }
    peer ??= world.peer(
      () => {},
      () => (peer = undefined),
    );
    const frames = pick(world.random, FROM_CLIENT);
    peer.send(world.random() < 0.2 ? frames : mutant(world.random, frames));
    if (world.random() < 0.02) {
      peer.leave();
      peer = undefined;
    }
    world.after(world.between(0, 20), act);
  };
  act();
}

/** Says all that a client may say again, with the same and with other contents, in any order. */
function repeatingClient(world: World): void {
  let peer = world.peer(
    () => {},
    () => {},
  );
  let said: Frames[] = [];
  const act = (): void => {
    if (!world.isBadTime) {
      peer.leave();
      return;
    }
    const number = `${world.between(1, 3)}`;
    const body = `"liar ${world.between(0, 3)}"`;
    const key = `=${pick(world.random, ["a", "b", "~", "cron:bad"])}`;
    const fresh: Frames = pick(world.random, [
      framesOf('HQ1|HELLO|h|{"many":1}'),
      framesOf("HQ1|HELLO|h"),
      framesOf(`HQ1|CALL|${number}|q|${key}|${body}`),
      framesOf(`HQ1|CALL|${number}|q||${body}|${body}`),
      framesOf(`HQ1|ADD|${number}|q|${key}|${body}`),
      framesOf(`HQ1|CALLS|q|${key}|\0\0\0\x01\0\0\0\x02""\0\0\0\x01\0\0\0\x02""`),
      framesOf(`HQ1|WATCH|${number}|sim-1|sim-1|sim-2`),
      framesOf(`HQ1|UNWATCH|${number}`),
      framesOf("HQ1|BYE"),
    ]);
    said.push(fresh);
    for (let times = world.between(1, 5); times > 0; times -= 1) peer.send(pick(world.random, said));
    if (said.length > 20) said = said.slice(-5);
    if (world.random() < 0.05) {
      peer.leave();
      peer = world.peer(
        () => {},
        () => {},
      );
    }
    world.after(world.between(5, 60), act);
  };
  act();
}

/** What a bad worker has been given. */
interface Given {
  readonly lease: string;
  readonly payload: string;
}

/** A worker that speaks the protocol by itself, and does with each task what `work` says. Comes back when it is cut off or has left. */
function badWorker(
  world: World,
  work: (peer: Peer, task: Given, leave: () => void) => void,
  { slots = 2, begun = 0.5 }: { readonly slots?: number; readonly begun?: number } = {},
): void {
  const come = (): void => {
    if (!world.isBadTime) return;
    let isHere = true;
    const gone = (): void => {
      if (!isHere) return;
      isHere = false;
      world.after(world.between(1, 200), come);
    };
    const peer = world.peer((frames) => {
      if (String(frames[1]) !== "TASK" || !isHere) return;
      const task = { lease: String(frames[2]), payload: JSON.parse(String(frames[3])) as string };
      work(peer, task, () => {
        peer.leave();
        gone();
      });
    }, gone);
    // Without it the oldest tasks of a lost worker count as begun.
    if (world.random() < begun) peer.say("HELLO", "h", '{"begun":1,"process":"bad"}');
    peer.say("WORK", "q", `${world.between(1, slots)}`);
    world.after(BAD_UNTIL_MS - world.clock.now(), () => {
      if (isHere) peer.leave();
      isHere = false;
    });
  };
  come();
}

const resultOf = (payload: string): string => JSON.stringify(`did ${payload}`);

/** Its words about a task are garbled, the result never is: what the broker takes is right. Then it mends itself, or leaves. */
function garbageWorker(world: World): void {
  badWorker(world, (peer, { lease, payload }, leave) => {
    for (let times = world.between(1, 4); times > 0; times -= 1) {
      const verb = pick(world.random, ["DONE", "BEGUN", "PROGRESS", "HOLD", "RETURN", "BEAT"]);
      const garbled = mutant(world.random, framesOf(`HQ1|${verb}|${lease}`));
      // FAIL is a word that it may say, and DONE needs its result: neither is made by chance.
      if (String(garbled[1]) !== "DONE") peer.send(garbled);
    }
    world.after(world.between(0, 300), () => {
      if (world.random() < 0.4) leave();
      else peer.say("DONE", lease, resultOf(payload));
    });
  });
}

/**
 * Says what is not so of leases that it has no more, or never had. (Of those that it has it may say what it likes: whoever gives a
 * worker a task must believe its result.) Lies are told from results by what they say.
 */
function lyingWorker(world: World): void {
  const LIE = '"a lie"';
  /** All that it was ever given. */
  const given = new Set<string>();
  /** Of these it has no more. */
  const had: string[] = [];
  badWorker(world, (peer, { lease, payload }, leave) => {
    given.add(lease);
    const lies = (): void => {
      const [id, token] = lease.split(".").map(Number) as [number, number];
      for (let times = world.between(1, 6); times > 0; times -= 1) {
        // A later token than its own might be its next.
        const other = `${Math.max(1, id + world.between(-4, 4))}.${Math.max(1, token - world.between(1, 8))}`;
        const verb = pick(world.random, ["DONE", "FAIL", "RETURN", "PROGRESS", "PARTIAL", "BEGUN", "HOLD"]);
        if (!given.has(other)) peer.say(verb, ...(verb === "HOLD" ? ["q", other] : [other, LIE]));
        else if (verb !== "HOLD" && had.length > 0) peer.say(verb, pick(world.random, had), LIE);
      }
    };
    lies();
    world.after(world.between(0, 200), () => {
      const how = world.random();
      if (how < 0.5) {
        for (let times = world.between(1, 3); times > 0; times -= 1) peer.say("DONE", lease, resultOf(payload));
      } else if (how < 0.8) peer.say("RETURN", lease);
      else leave();
      had.push(lease);
      // It has ended, was given back, or is lost: whatever is said of it now is too late.
      peer.say(pick(world.random, ["DONE", "FAIL", "RETURN"]), lease, LIE);
      lies();
    });
  });
}

/** Goes away at any step, with a word or without. */
function leavingWorker(world: World): void {
  badWorker(world, (peer, { lease, payload }, leave) => {
    const steps = [
      () => peer.say("BEGUN", lease),
      () => peer.say("PROGRESS", lease, "1"),
      () => peer.say("DONE", lease, resultOf(payload)),
      () => peer.say("WORK", "q", "0"),
      () => peer.say("BYE"),
    ];
    const last = world.between(0, steps.length);
    steps.forEach((step, index) => index < last && world.after(world.between(0, 20) + 20 * index, step));
    world.after(20 * last + 20, leave);
  });
}

/** Takes all that it can get, begins nothing, and goes away. */
function hoardingWorker(world: World): void {
  const hoard = (_peer: Peer, _task: Given, leave: () => void): void => world.after(world.between(0, 40), leave);
  badWorker(world, hoard, { slots: 20, begun: 1 });
}

const BAD_MEMBERS = { garbageClient, repeatingClient, garbageWorker, lyingWorker, leavingWorker, hoardingWorker };

/** What is wrong with the bad one. */
export type BadMember = keyof typeof BAD_MEMBERS;

export const ALL_BAD_MEMBERS = Object.keys(BAD_MEMBERS) as BadMember[];

/** The bad one has begun nothing: its going away is no task's fault. */
function mustBeUncharged({ service }: World): void {
  const { stateMachine } = service;
  for (let id = 1; id <= stateMachine.lastId; id += 1) {
    const row = stateMachine.find(id);
    if (row !== NONE && service.view(row).lost > 0)
      throw new Error(`healthy task ${id} was charged for a worker that had not begun it`);
  }
}

// ---- the healthy ones

const HEALTHY_PRODUCERS = 2;
const HEALTHY_WORKERS = 3;

/** Runs one seed to its end. @throws Error on what a healthy member should not have met. @returns healthy calls */
export async function withBadMember(options: BadMemberOptions): Promise<number> {
  const world = new World(options);
  await world.service.open();
  const calls: { readonly payload: string; readonly atMs: number; tookMs: number; outcome: string }[] = [];
  const ask = async (tasks: Queue<string, string>, payload: string): Promise<void> => {
    const call = { payload, atMs: world.clock.now(), tookMs: Infinity, outcome: "nothing" };
    calls.push(call);
    const group = pick(world.random, [undefined, "a", "b"]);
    const asked = { attempts: ATTEMPTS, backoff: 10, timeout: SETTLED_BY_MS, ...(group && { group }) };
    try {
      if (world.random() < 0.5) call.outcome = await tasks.call(payload, asked);
      else call.outcome = await (await tasks.add(payload, asked)).result({ timeout: SETTLED_BY_MS });
    } catch (error) {
      call.outcome = String(error);
    }
    call.tookMs = world.clock.now() - call.atMs;
  };
  for (let index = 0; index < HEALTHY_PRODUCERS; index += 1) {
    const tasks = world.connectQueue();
    const next = (): void => {
      if (!world.isBadTime) return;
      void ask(tasks, `${calls.length}`);
      world.after(world.between(20, 200), next);
    };
    next();
  }
  for (let index = 0; index < HEALTHY_WORKERS; index += 1) {
    const handle = async (payload: string): Promise<string> => {
      await new Promise<void>((resolve) => world.after(world.between(0, 40), resolve));
      return `did ${payload}`;
    };
    worker(world.connectQueue(), handle, { concurrency: world.between(1, 3), signals: [] });
  }
  BAD_MEMBERS[options.bad](world);
  await world.run(SETTLED_BY_MS);
  for (const { payload, outcome, tookMs } of calls) {
    if (outcome !== `did ${payload}`) throw new Error(`healthy task ${payload} ended with ${outcome}`);
    if (tookMs > IN_TIME_MS) throw new Error(`healthy task ${payload} took ${tookMs} ms`);
  }
  if (options.bad === "hoardingWorker") mustBeUncharged(world);
  const dead = world.service.stateMachine.findQueue("q")?.count("dead") ?? 0;
  if (dead > 0) throw new Error(`${dead} tasks of a healthy queue are dead`);
  return calls.length;
}
