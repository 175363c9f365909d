/**
 * A bad disk under a broker, under one seed: it is full, slow, refuses for a while, does not read some bodies, or has turned a bit in
 * some column of some tasks. What must hold: each task on a whole place ends with its own result, in time; each damaged one is dead and
 * told as damaged; nothing is told before it is on the disk, and nothing that was told is lost.
 */
import { OperationError } from "../../src/core/errors.ts";
import { pick } from "../../src/core/random.ts";
import type { Queue } from "../../src/queue/client/queue.ts";
import { worker } from "../../src/queue/client/worker.ts";
import { MemoryStore } from "../../src/store/memory-store.ts";
import type { StoredTask, StoreOp } from "../../src/store/store.ts";
import { BAD_UNTIL_MS, World } from "./bad-members.ts";

const SETTLED_BY_MS = 60_000;
const PRODUCERS = 2;
const WORKERS = 2;

/** A store whose writes and reads go wrong as its kind says. */
class BadDisk extends MemoryStore {
  readonly flips = new Map<number, "head" | "state" | "body">();
  /** Set when the world is there. */
  world: World | undefined;
  fails: (ops: readonly StoreOp[]) => string | undefined = () => undefined;
  delayMs: () => number = () => 0;
  unread: (id: number) => boolean = () => false;
  fullSentence: string | undefined;

  get full(): string | undefined {
    return this.fullSentence;
  }

  override async write(ops: readonly StoreOp[]): Promise<void> {
    await this.#wait();
    const why = this.fails(ops);
    if (why !== undefined) throw new OperationError("QUEUE_STORE_UNAVAILABLE", why);
    await super.write(ops);
  }

  override async read(ids: readonly number[]): Promise<readonly (Uint8Array | undefined)[]> {
    await this.#wait();
    if (ids.some((id) => this.unread(id))) throw new OperationError("QUEUE_STORE_UNAVAILABLE", "EIO");
    const bodies = await super.read(ids);
    return bodies.map((body, index) => (this.flips.get(ids[index]!) === "body" ? undefined : body));
  }

  override async *tasks(): AsyncIterable<readonly StoredTask[]> {
    for await (const portion of super.tasks()) yield portion.map((task) => this.#flipped(task));
  }

  #flipped(task: StoredTask): StoredTask {
    const column = this.flips.get(task.id);
    if (column !== "head" && column !== "state") return task;
    const bytes = Uint8Array.from(task[column]);
    const at = this.world!.between(0, bytes.length - 1);
    bytes[at]! ^= 1 << this.world!.between(0, 7);
    return { ...task, [column]: bytes, damaged: { head: column === "head", state: column === "state" } };
  }

  async #wait(): Promise<void> {
    const { world } = this;
    const forMs = this.delayMs();
    if (world && forMs > 0) await new Promise<void>((resolve) => world.after(forMs, resolve));
  }
}

interface BadDiskKind {
  /** What the longest trouble adds to the time that a task takes. */
  readonly inTimeMs: number;
  start(world: World, disk: BadDisk): void;
}

/** Trouble comes and goes while it is a bad time. */
function nowAndThen(world: World, { quietMs, badMs }: { quietMs: number; badMs: number }, set: (isBad: boolean) => void): void {
  const begin = (): void => {
    if (!world.isBadTime) return;
    set(true);
    world.after(world.between(1, badMs), () => {
      set(false);
      world.after(world.between(1, quietMs), begin);
    });
  };
  world.after(world.between(1, quietMs), begin);
}

const KINDS = {
  /** Takes no new tasks, and says so; at first the commit that meets it fails. */
  fullDisk: {
    inTimeMs: 3000,
    start(world, disk) {
      let isFull = false;
      nowAndThen(world, { quietMs: 1500, badMs: 1500 }, (bad) => {
        isFull = bad;
        if (!bad) disk.fullSentence = undefined;
      });
      disk.fails = (ops) => {
        if (!isFull || !ops.some(({ kind }) => kind === "add")) return undefined;
        disk.fullSentence = "the disk is full";
        return "SQLITE_FULL";
      };
    },
  },
  slowDisk: {
    inTimeMs: 6000,
    start(world, disk) {
      let isSlow = false;
      nowAndThen(world, { quietMs: 1000, badMs: 1000 }, (bad) => (isSlow = bad));
      disk.delayMs = () => (isSlow ? world.between(0, 400) : world.between(0, 3));
    },
  },
  refusingDisk: {
    inTimeMs: 6000,
    start(world, disk) {
      let isBad = false;
      nowAndThen(world, { quietMs: 1500, badMs: 700 }, (bad) => (isBad = bad));
      disk.fails = () => (isBad ? "EIO" : undefined);
    },
  },
  /** Does not read anything for a while, and some bodies for all of the bad time. */
  unreadableDisk: {
    // A task whose every try meets trouble (one in 700 runs) waits as long again as it has lasted; all others within 6 s.
    inTimeMs: 2 * BAD_UNTIL_MS,
    start(world, disk) {
      let isBad = false;
      nowAndThen(world, { quietMs: 1500, badMs: 400 }, (bad) => (isBad = bad));
      disk.unread = (id) => world.isBadTime && (isBad || id % 13 === 0);
    },
  },
} satisfies Record<string, BadDiskKind>;

export type BadDiskName = keyof typeof KINDS;

export const ALL_BAD_DISKS = Object.keys(KINDS) as BadDiskName[];

export interface BadDiskOptions {
  readonly seed: number;
  readonly bad: BadDiskName;
}

interface Call {
  readonly id: string;
  readonly payload: string;
  readonly atMs: number;
  tookMs: number;
  outcome: string;
}

/** Adds until the task is taken: a refusal is an answer, and whoever is refused still has the task. */
async function add(world: World, tasks: Queue<string, string>, payload: string): Promise<{ id: string }> {
  for (;;) {
    try {
      return await tasks.add(payload, { timeout: SETTLED_BY_MS });
    } catch (error) {
      if (!/QUEUE_STORE_UNAVAILABLE/.test(String((error as { code?: string }).code))) throw error;
      await new Promise<void>((resolve) => world.after(world.between(50, 300), resolve));
    }
  }
}

async function resultOf(world: World, tasks: Queue<string, string>, call: Call): Promise<void> {
  try {
    call.outcome = await tasks.task(call.id).result({ timeout: SETTLED_BY_MS });
  } catch (error) {
    call.outcome = String((error as { code?: string }).code);
  }
  call.tookMs = world.clock.now() - call.atMs;
}

function work(world: World): void {
  const handle = async (payload: string): Promise<string> => {
    await new Promise<void>((resolve) => world.after(world.between(0, 30), resolve));
    return `did ${payload}`;
  };
  worker(world.connectQueue(), handle, { concurrency: world.between(1, 4), signals: [], log: false });
}

/** Runs one seed to its end. @returns tasks that were accepted */
export async function withBadDisk({ seed, bad }: BadDiskOptions): Promise<number> {
  const disk = new BadDisk();
  const world = new World({ seed, store: disk, bodyCacheBytesMax: 0 });
  disk.world = world;
  await world.service.open();
  const calls: Call[] = [];
  const kind: BadDiskKind = KINDS[bad];
  for (let index = 0; index < PRODUCERS; index += 1) {
    const tasks = world.connectQueue();
    let count = 0;
    const next = (): void => {
      if (!world.isBadTime) return;
      const payload = `${index} ${(count += 1)}`;
      void add(world, tasks, payload).then(({ id }) => {
        const call = { id, payload, atMs: world.clock.now(), tookMs: Infinity, outcome: "nothing" };
        calls.push(call);
        return resultOf(world, tasks, call);
      });
      world.after(world.between(30, 250), next);
    };
    next();
  }
  for (let index = 0; index < WORKERS; index += 1) work(world);
  kind.start(world, disk);
  await world.run(SETTLED_BY_MS);
  for (const { id, payload, outcome, tookMs } of calls) {
    if (outcome !== `did ${payload}`) throw new Error(`healthy task ${id} ended with ${outcome}`);
    const lateMs = disk.unread === undefined || Number(id.split("-").at(-1)) % 13 !== 0 ? kind.inTimeMs : SETTLED_BY_MS;
    if (tookMs > lateMs) throw new Error(`healthy task ${id} took ${tookMs} ms`);
  }
  const dead = world.service.stateMachine.findQueue("q")?.count("dead") ?? 0;
  if (dead > 0) throw new Error(`${dead} tasks are dead, and the disk damaged none`);
  return calls.length;
}

/** A broker fills a store, bits of it turn, and another broker goes on with it. @returns tasks that were damaged */
export async function withTurnedBits(seed: number): Promise<number> {
  const disk = new BadDisk();
  const before = new World({ seed, store: disk });
  disk.world = before;
  await before.service.open();
  const payloads = Array.from({ length: before.between(20, 60) }, (_, index) => `${index}`);
  const tasks = before.connectQueue();
  let ids: readonly string[] = [];
  void tasks.addMany(payloads, { timeout: 10_000 }).then((added) => (ids = added.map(({ id }) => id)));
  await before.run(BAD_UNTIL_MS);
  await before.service.close();

  const world = new World({ seed: seed + 1, store: disk, bodyCacheBytesMax: 0 });
  disk.world = world;
  for (const id of ids) {
    if (world.random() < 0.15) disk.flips.set(Number(id.split("-").at(-1)), pick(world.random, ["head", "state", "body"]));
  }
  await world.service.open();
  for (let index = 0; index < WORKERS; index += 1) work(world);
  const watcher = world.connectQueue();
  const calls = ids.map((id, index): Call => ({ id, payload: payloads[index]!, atMs: 0, tookMs: 0, outcome: "nothing" }));
  for (const call of calls) void resultOf(world, watcher, call);
  await world.run(SETTLED_BY_MS);
  for (const { id, payload, outcome, tookMs } of calls) {
    const isDamaged = disk.flips.has(Number(id.split("-").at(-1)));
    const expected = isDamaged ? "QUEUE_TASK_DAMAGED" : `did ${payload}`;
    if (outcome !== expected) throw new Error(`task ${id}, ${isDamaged ? "damaged" : "whole"}, ended with ${outcome}`);
    if (tookMs > 5000) throw new Error(`task ${id} took ${tookMs} ms`);
  }
  return disk.flips.size;
}
