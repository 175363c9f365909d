/**
 * How long callers and workers stand still when a broker is killed (kill -9) while many tasks wait: of three brokers on one nats-server
 * the one that leads, beside one broker with its embedded store that is started again at once. From the kill to the end of the first call
 * that was begun after it; and what the brokers have resident meanwhile.
 *
 *   node --conditions=holdfast-source bench/queue-takeover.ts [--tasks 0,1000000] [--rounds 5] [--json]
 *
 * Wanted: 2 s, however many tasks wait.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { connect } from "@nats-io/transport-node";
import { queue, worker } from "../src/queue/index.ts";
import { BROKER_HOSTS } from "../test/queue/support/broker-hosts.ts";
import { NatsServers } from "../test/support/nats.ts";
import { freePort, HOLDFAST, residentBytes, type Running, startServer } from "./support/process.ts";
import { type Finding, finding, report } from "./support/report.ts";

const BODY = "x".repeat(100);
const BATCH = 5000;
/** Until the brokers that stay have read what was written, and the one that was killed has all tasks at hand. */
const SETTLE_MS = 3000;
const SETTLE_MS_A_MILLION = 6000;

/** Brokers that hold one queue. */
interface Farm {
  readonly options: { readonly url: string; readonly lookup?: () => Promise<readonly string[]> };
  /** kill -9 of the one that matters. */
  kill(): Promise<void>;
  /** What is to be done after a takeover was measured. */
  restore(): Promise<void>;
  residentBytes(): { leading: number; following: number };
  stop(): Promise<void>;
}

async function clusterFarm(): Promise<Farm> {
  const [nats, port, folder] = await Promise.all([NatsServers.start(), freePort(), temporaryFolder()]);
  const brokers = new Map<string, Running>();
  const start = async (host: string): Promise<void> => {
    const where = ["--listen", `tcp://${host}:${port}`, "--data", join(folder, host), "--store", nats.url];
    brokers.set(host, await startServer([...HOLDFAST, "queue", "serve", ...where], { host, port }));
  };
  await Promise.all(BROKER_HOSTS.map(start));
  // A leader's beats say where it listens.
  const ear = await connect({ servers: nats.hosts });
  let leading = "";
  ear.subscribe("holdfast.queue.beat", {
    callback: (_, message) => {
      const { kind, address } = message.json<{ kind: string; address: string }>();
      if (kind === "leading") leading = new URL(address).hostname;
    },
  });
  await sleep(SETTLE_MS / 3);
  let killed = leading;
  return {
    options: { url: `tcp://brokers.test:${port}`, lookup: async () => BROKER_HOSTS },
    kill: () => kill(brokers.get((killed = leading))!),
    restore: () => start(killed),
    residentBytes() {
      const followers = BROKER_HOSTS.filter((host) => host !== leading).map((host) => residentBytes(brokers.get(host)!.pid));
      return { leading: residentBytes(brokers.get(leading)!.pid), following: Math.max(...followers) };
    },
    async stop() {
      await ear.close();
      await Promise.all([...brokers.values()].map((broker) => broker.stop()));
      await nats[Symbol.asyncDispose]();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function embeddedFarm(): Promise<Farm> {
  const [port, folder] = await Promise.all([freePort(), temporaryFolder()]);
  const host = "127.0.0.1";
  const start = (): Promise<Running> =>
    startServer([...HOLDFAST, "queue", "serve", "--listen", `tcp://${host}:${port}`, "--data", folder], { host, port });
  let broker = await start();
  return {
    options: { url: `tcp://${host}:${port}` },
    async kill() {
      await kill(broker);
      broker = await start();
    },
    restore: async () => {},
    residentBytes: () => ({ leading: residentBytes(broker.pid), following: 0 }),
    async stop() {
      await broker.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

function temporaryFolder(): Promise<string> {
  return mkdtemp(join(tmpdir(), "bench-queue-takeover-"));
}

async function kill({ pid }: Running): Promise<void> {
  process.kill(pid, "SIGKILL");
}

/** A farm with so many tasks waiting and callers that never stop. */
class Load {
  readonly #farm: Farm;
  readonly #waiting;
  readonly #hot;
  readonly #runner;
  readonly #settleMs: number;
  readonly #stop = new AbortController();
  readonly #calls: Promise<void>[] = [];
  #sinceMs = Infinity;
  #ended = Promise.withResolvers<number>();

  private constructor(farm: Farm, tasks: number) {
    this.#farm = farm;
    this.#settleMs = SETTLE_MS + (SETTLE_MS_A_MILLION * tasks) / 1e6;
    this.#waiting = queue<string, string>("waiting", farm.options);
    this.#hot = queue<number, number>("hot", farm.options);
    this.#runner = worker(this.#hot, (n) => n, { signals: [] });
  }

  static async start(farm: Farm, tasks: number): Promise<Load> {
    const load = new Load(farm, tasks);
    const bodies = new Array<string>(BATCH).fill(BODY);
    for (let left = tasks; left > 0; left -= BATCH) await load.#waiting.addMany(bodies.slice(0, left), { timeout: "60s" });
    for (const n of [1, 2, 3]) load.#calls.push(load.#call(n));
    await sleep(load.#settleMs);
    return load;
  }

  /** @returns ms from the kill to the end of the first call that was begun after it */
  async takeover(): Promise<number> {
    this.#ended = Promise.withResolvers<number>();
    const killedMs = (this.#sinceMs = performance.now());
    await this.#farm.kill();
    const tookMs = (await this.#ended.promise) - killedMs;
    await this.#farm.restore();
    await sleep(this.#settleMs);
    return tookMs;
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await Promise.all(this.#calls);
    for (const each of [this.#runner, this.#hot, this.#waiting]) await each.close();
    await this.#farm.stop();
  }

  async #call(n: number): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      const begunMs = performance.now();
      try {
        await this.#hot.call(n, { timeout: "60s", signal });
        if (begunMs >= this.#sinceMs) this.#ended.resolve(performance.now());
      } catch {
        // Not answered: it is the next one that counts.
      }
      await sleep(5);
    }
  }
}

interface Figures {
  readonly tookMs: readonly number[];
  readonly leadingMiB: number;
  readonly followingMiB: number;
}

/** One farm at a time: a broker that reads a million tasks takes a core for some seconds. */
async function measure(start: () => Promise<Farm>, { tasks, rounds }: { tasks: number; rounds: number }): Promise<Figures> {
  const farm = await start();
  const load = await Load.start(farm, tasks);
  try {
    const { leading, following } = farm.residentBytes();
    const tookMs: number[] = [];
    for (let round = 0; round < rounds; round += 1) tookMs.push(await load.takeover());
    return { tookMs, leadingMiB: leading / 1024 ** 2, followingMiB: following / 1024 ** 2 };
  } finally {
    await load.stop();
  }
}

export async function benchTakeover({ tasks, rounds }: { tasks: readonly number[]; rounds: number }): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const count of tasks) {
    const group = await measure(clusterFarm, { tasks: count, rounds });
    const alone = await measure(embeddedFarm, { tasks: count, rounds });
    const waiting = `${count.toLocaleString("en")} tasks waiting`;
    const took = { "3 brokers": group.tookMs, "embedded store, started again": alone.tookMs };
    findings.push(finding({ name: `takeover, ${waiting}`, unit: "ms", target: { atMost: 2000 } }, "3 brokers", took));
    const resident = { "leading broker": [group.leadingMiB], "following broker": [group.followingMiB] };
    findings.push(finding({ name: `resident, ${waiting}`, unit: "MiB" }, "leading broker", resident));
  }
  return findings;
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      tasks: { type: "string", default: "0,1000000" },
      rounds: { type: "string", default: "5" },
      json: { type: "boolean", default: false },
    },
  });
  const tasks = values.tasks.split(",").map(Number);
  report(await benchTakeover({ tasks, rounds: Number(values.rounds) }), { json: values.json });
  process.exit(0);
}
