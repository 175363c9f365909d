/**
 * Three nats-servers, three brokers in processes of their own, ten workers in two processes, five producers: what the fault tests break.
 * Invariant: a task is in the ledger as soon as its submission was acknowledged, and every begun run of it is counted.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { codeOf } from "../../../../src/core/errors.ts";
import { type Queue, queue, type Task } from "../../../../src/queue/index.ts";
import { freePort } from "../../../../bench/support/process.ts";
import { Holdfast } from "../../../support/holdfast.ts";
import { type NatsNode, NatsServers } from "../../../support/nats.ts";
import { BROKER_HOSTS } from "../../support/broker-hosts.ts";
import { leadingEpoch } from "./leading-epoch.ts";

const PRODUCERS = 5;
const WORKERS_EACH = 5;
const STREAM = "HOLDFAST_queue";
/** 60 s: an outage of one nats-server takes up to 10 s, on a loaded machine more. */
const WAIT = "60s";

interface Entry {
  readonly n: number;
  readonly task: Task<string>;
}

/** A call, by when it was begun and when its result was there. */
interface Call {
  readonly begunMs: number;
  readonly endedMs: number;
}

export class FaultRig {
  readonly nats: NatsServers;
  readonly #port: number;
  readonly #folder: string;
  readonly #brokers = new Map<number, Holdfast>();
  readonly #staff: ChildProcess[] = [];
  readonly #queues: Queue<number, string>[] = [];
  /** Task id → when its runs began, wall ms. */
  readonly runs = new Map<string, number[]>();
  readonly ledger: Entry[] = [];
  readonly calls: Call[] = [];
  /** Answers that were refusals, by code: what was not accepted is not owed. */
  readonly refusals = new Map<string, number>();
  readonly wrong: string[] = [];
  #load = new AbortController();
  #producing: Promise<void>[] = [];
  #count = 0;

  private constructor(nats: NatsServers, port: number, folder: string) {
    this.nats = nats;
    this.#port = port;
    this.#folder = folder;
  }

  static async start(): Promise<FaultRig> {
    const [nats, port, folder] = await Promise.all([
      NatsServers.start({ nodes: 3 }),
      freePort(),
      mkdtemp(join(tmpdir(), "holdfast-cluster-")),
    ]);
    const rig = new FaultRig(nats, port, folder);
    try {
      await Promise.all(BROKER_HOSTS.map((_, index) => rig.startBroker(index)));
      for (const _ of [1, 2]) rig.hire();
      rig.#produce();
      await rig.goesOn(performance.now());
    } catch (error) {
      await rig[Symbol.asyncDispose]();
      throw error;
    }
    return rig;
  }

  // ---- brokers

  /** Starts a broker, with what it has of the log, and waits until it listens. */
  async startBroker(index: number): Promise<void> {
    const where = ["--listen", `tcp://${BROKER_HOSTS[index]}:${this.#port}`, "--data", join(this.#folder, `${index}`)];
    const broker = new Holdfast(["queue", "serve", ...where, "--store", this.nats.url, "--replicas", "3"]);
    this.#brokers.set(index, broker);
    await broker.printed(/^queue /m);
  }

  broker(index: number): Holdfast {
    return this.#brokers.get(index)!;
  }

  /** The broker that leads: of those that say so last, the one with the highest epoch. */
  leading(): number {
    let best = { index: -1, epoch: -1 };
    for (const [index, broker] of this.#brokers) {
      const epoch = leadingEpoch(broker);
      if (epoch > best.epoch && broker.child.exitCode === null) best = { index, epoch };
    }
    return best.index;
  }

  /** How often the brokers that are there now have said something. */
  said(pattern: RegExp): number {
    return [...this.#brokers.values()].reduce((count, { stderr }) => count + [...stderr.matchAll(pattern)].length, 0);
  }

  async killBroker(index: number): Promise<void> {
    await this.broker(index).stop("SIGKILL");
  }

  // ---- NATS

  /** The server that leads the log's stream: the one whose loss is felt. */
  natsLeader(): Promise<NatsNode> {
    return this.nats.streamLeader(STREAM);
  }

  // ---- workers

  hire(): void {
    const child = join(import.meta.dirname, "worker-child.ts");
    const node = ["--conditions=holdfast-source", "--disable-warning=ExperimentalWarning", child];
    const args = [...node, `${this.#port}`, `${WORKERS_EACH}`];
    const staff = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
    this.#staff.push(staff);
    createInterface({ input: staff.stdout }).on("line", (line) => {
      const [id, atMs] = line.split(" ") as [string, string];
      this.runs.set(id, [...(this.runs.get(id) ?? []), Number(atMs)]);
    });
  }

  /** kill -9 of five workers at once; five others come. */
  async replaceWorkers(): Promise<void> {
    const staff = this.#staff.shift()!;
    staff.kill("SIGKILL");
    await once(staff, "exit");
    this.hire();
  }

  // ---- load

  #produce(): void {
    this.#load = new AbortController();
    for (let index = 0; index < PRODUCERS; index += 1) {
      const jobs = queue<number, string>("jobs", { url: `tcp://brokers.test:${this.#port}`, lookup: async () => BROKER_HOSTS });
      this.#queues.push(jobs);
      this.#producing.push(this.#producer(jobs));
    }
  }

  async #producer(jobs: Queue<number, string>): Promise<void> {
    while (!this.#load.signal.aborted) {
      const n = (this.#count += 1);
      try {
        if (n % 2 === 0) {
          const begunMs = performance.now();
          const result = await jobs.call(n, { timeout: WAIT });
          if (result !== `did ${n}`) this.wrong.push(`${n}: ${result}`);
          this.calls.push({ begunMs, endedMs: performance.now() });
        } else this.ledger.push({ n, task: await jobs.add(n, { timeout: WAIT, keep: "1h" }) });
      } catch (error) {
        const code = codeOf(error) ?? String(error);
        this.refusals.set(code, (this.refusals.get(code) ?? 0) + 1);
        await sleep(20);
      }
    }
  }

  /** Waits for a call that was begun after a moment and came to its end. @returns how long after that moment it did, in ms */
  async goesOn(sinceMs: number): Promise<number> {
    for (;;) {
      const call = this.calls.find(({ begunMs }) => begunMs >= sinceMs);
      if (call) return call.endedMs - sinceMs;
      if (performance.now() - sinceMs > 60_000) throw new Error(`nothing goes on for a minute\n${await this.#said()}`);
      await sleep(5);
    }
  }

  /** Ends the load and asks for the outcome of every acknowledged task. @returns those that are not as they should be */
  async balance(): Promise<string[]> {
    this.#load.abort();
    await Promise.all(this.#producing);
    const jobs = this.#queues[0]!;
    const outcomes = await Promise.all(
      this.ledger.map(async ({ n, task }) => {
        const result = await jobs
          .task(task.id)
          .result({ timeout: WAIT })
          .catch((error: unknown) => codeOf(error) ?? String(error));
        return result === `did ${n}` ? [] : [`${task.id} (${n}): ${result}`];
      }),
    );
    return [...this.wrong, ...outcomes.flat()];
  }

  /** Tasks that were begun more than once, with the times. */
  repeated(): (readonly number[])[] {
    return [...this.runs.values()].filter((times) => times.length > 1);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#load.abort();
    await Promise.all(this.#queues.map((jobs) => jobs.close()));
    await Promise.all(this.#producing);
    for (const staff of this.#staff) staff.kill("SIGKILL");
    await Promise.all([...this.#brokers.values()].map((broker) => broker.stop("SIGKILL")));
    await this.nats[Symbol.asyncDispose]();
    await rm(this.#folder, { recursive: true, force: true });
  }

  /** What the brokers and the nats-servers said, what the leading broker has in hand, and who leads the log on NATS. */
  async #said(): Promise<string> {
    const said = [...this.#brokers].map(([index, { stderr }]) => `broker ${index}:\n${stderr.slice(-2000)}`);
    const stats = await this.#queues[0]!.client.ask("STATS", [], { timeoutMs: 5000 }).then(String, String);
    const refused = `refused: ${JSON.stringify(Object.fromEntries(this.refusals))}`;
    const servers = this.nats.nodes.map(async (node) => {
      const report = node.isRunning ? JSON.stringify(await node.report()) : "does not run";
      return `${node.name}: ${report}\n${await node.log()}`;
    });
    return [...said, stats, refused, ...(await Promise.all(servers))].join("\n");
  }
}
