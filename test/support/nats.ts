/**
 * Real nats-servers with JetStream, for tests and benches: one, or three in one cluster, on loopback, each with a folder of its own.
 * Each can be killed, stopped, continued and started again on the same ports and folder. They die with the process that started them,
 * however it ends.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { freePort } from "../../bench/support/process.ts";

export interface NatsUser {
  readonly user: string;
  readonly password: string;
  /** What the user may do; without it everything. */
  readonly permissions?: { readonly publish?: NatsSubjects; readonly subscribe?: NatsSubjects };
}

interface NatsSubjects {
  readonly allow?: readonly string[];
  readonly deny?: readonly string[];
}

export interface NatsOptions {
  /** One server or a cluster of three; default 1. */
  readonly nodes?: 1 | 3;
  /** Who may come in; without it everybody. */
  readonly users?: readonly NatsUser[];
  /** Bytes of files that JetStream may hold on each server. */
  readonly maxStoreBytes?: number;
  /** The largest message; nats-server's default is 1 MiB. */
  readonly maxPayloadBytes?: number;
  /** false: servers without JetStream. */
  readonly jetstream?: boolean;
}

/** What `/jsz` says of a server. */
export interface JetStreamReport {
  readonly meta_cluster?: { readonly leader?: string; readonly cluster_size: number; readonly replicas?: readonly NatsPeer[] };
  readonly account_details?: readonly { readonly stream_detail?: readonly NatsStream[] }[];
}

interface NatsPeer {
  readonly name: string;
  readonly current: boolean;
  readonly offline?: boolean;
  /** When it was heard last, in ns ago. */
  readonly active: number;
}

interface NatsStream {
  readonly name: string;
  readonly cluster?: { readonly leader?: string; readonly replicas?: readonly NatsPeer[] };
}

/** 20 s: three servers on a loaded machine agree on a leader in 2 s to 10 s. */
const READY_MS_MAX = 20_000;
const LOOK_MS = 50;
/** A port that was free may be taken before the server binds it. */
const TRIES = 3;

interface NodePorts {
  readonly client: number;
  readonly monitor: number;
  readonly cluster: number;
}

/** One nats-server. */
export class NatsNode {
  readonly name: string;
  readonly port: number;
  readonly monitorPort: number;
  readonly #folder: string;
  #child: ChildProcess | undefined;

  constructor(name: string, ports: NodePorts, folder: string) {
    this.name = name;
    this.port = ports.client;
    this.monitorPort = ports.monitor;
    this.#folder = folder;
  }

  get isRunning(): boolean {
    return this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  get pid(): number {
    if (!this.isRunning) throw new Error(`${this.name} does not run`);
    return this.#child!.pid!;
  }

  /** Starts it, again perhaps, with the configuration and the files that it has. Does not wait until it is ready. */
  start(): void {
    if (this.isRunning) throw new Error(`${this.name} runs already`);
    const server = ["nats-server", "-c", join(this.#folder, "nats.conf"), "-l", join(this.#folder, "log")];
    this.#child = spawn("setpriv", ["--pdeathsig", "KILL", ...server], { stdio: "ignore" });
  }

  /** kill -9. */
  async kill(): Promise<void> {
    if (!this.isRunning) return;
    const exited = once(this.#child!, "exit");
    this.#child!.kill("SIGKILL");
    await exited;
  }

  /** SIGSTOP: connections stay, nothing is answered. Resolves when none of its threads runs any more. */
  async stop(): Promise<void> {
    process.kill(this.pid, "SIGSTOP");
    while (!/\) T /.test(await readFile(`/proc/${this.pid}/stat`, "latin1"))) await sleep(1);
  }

  /** SIGCONT. */
  continue(): void {
    process.kill(this.pid, "SIGCONT");
  }

  /** Its last words. */
  async log(): Promise<string> {
    return (await readFile(join(this.#folder, "log"), "utf8").catch(() => "")).slice(-4096);
  }

  /** Whether it says that it is ready: JetStream included, a leader of the cluster known, its own files caught up. */
  async isReady({ jetstream }: { jetstream: boolean }): Promise<boolean> {
    if (!this.isRunning) throw new Error(`${this.name} ended: ${await this.log()}`);
    const health = await this.#ask<{ status: string }>("healthz");
    return health?.status === "ok" && (!jetstream || (await this.report()) !== undefined);
  }

  /** What it knows of JetStream; undefined when it does not answer. */
  report(): Promise<JetStreamReport | undefined> {
    return this.#ask<JetStreamReport>("jsz?streams=true");
  }

  async #ask<T>(path: string): Promise<T | undefined> {
    try {
      const answer = await fetch(`http://127.0.0.1:${this.monitorPort}/${path}`, { signal: AbortSignal.timeout(2000) });
      return answer.ok ? ((await answer.json()) as T) : undefined;
    } catch {
      return undefined; // Not listening yet, or stopped: the caller asks again.
    }
  }
}

/** The servers of one test. `await using nats = await NatsServers.start({ nodes: 3 });` */
export class NatsServers {
  readonly nodes: readonly NatsNode[];
  readonly #options: NatsOptions;
  readonly #folder: string;

  private constructor(nodes: readonly NatsNode[], options: NatsOptions, folder: string) {
    this.nodes = nodes;
    this.#options = options;
    this.#folder = folder;
  }

  /** Starts them and waits until all are ready. */
  static async start(options: NatsOptions = {}): Promise<NatsServers> {
    for (let tryNumber = 1; ; tryNumber += 1) {
      const servers = await NatsServers.#prepare(options);
      try {
        for (const node of servers.nodes) node.start();
        await servers.ready();
        return servers;
      } catch (error) {
        await servers[Symbol.asyncDispose]();
        if (tryNumber === TRIES || !String(error).includes("address already in use")) throw error;
      }
    }
  }

  static async #prepare(options: NatsOptions): Promise<NatsServers> {
    const folder = await mkdtemp(join(tmpdir(), "holdfast-nats-"));
    const names = Array.from({ length: options.nodes ?? 1 }, (_, index) => `n${index + 1}`);
    const ports: NodePorts[] = [];
    for (const _ of names) {
      ports.push({ client: await freePort(), monitor: await freePort(), cluster: await freePort() });
    }
    const nodes = names.map((name, index) => new NatsNode(name, ports[index]!, join(folder, name)));
    for (const [index, name] of names.entries()) {
      const home = join(folder, name);
      await mkdir(home);
      await writeFile(join(home, "nats.conf"), configuration(name, home, { options, ports, own: ports[index]! }));
    }
    return new NatsServers(nodes, options, folder);
  }

  /** `nats://127.0.0.1:PORT,127.0.0.1:PORT…`, with the first user's name and password when there are users. */
  get url(): string {
    return this.urlFor(this.#options.users?.[0]);
  }

  /** The same for another user, or for nobody. */
  urlFor(user: NatsUser | undefined): string {
    const hosts = this.nodes.map(({ port }) => `127.0.0.1:${port}`).join(",");
    return user ? `nats://${user.user}:${user.password}@${hosts}` : `nats://${hosts}`;
  }

  /** `host:port` of each, as the client library takes them. */
  get hosts(): string[] {
    return this.nodes.map(({ port }) => `127.0.0.1:${port}`);
  }

  /** Waits until those that run are ready, and (of a cluster) see each other current. */
  async ready(): Promise<void> {
    const jetstream = this.#options.jetstream ?? true;
    await this.#until("all servers are ready", async () => {
      const running = this.nodes.filter((node) => node.isRunning);
      if (running.length === 0) throw new Error("no server runs");
      const ready = await Promise.all(running.map((node) => node.isReady({ jetstream })));
      if (ready.includes(false)) return false;
      return !jetstream || this.nodes.length === 1 || this.#agree(running.length);
    });
  }

  /** The node that leads the cluster's own group, which places streams. */
  async metaLeader(): Promise<NatsNode> {
    return this.#leader("the cluster", (report) => report.meta_cluster?.leader);
  }

  /** The node that leads a stream: the one whose loss is felt. */
  async streamLeader(stream: string): Promise<NatsNode> {
    return this.#leader(`stream ${stream}`, (report) => {
      const streams = report.account_details?.flatMap((account) => account.stream_detail ?? []) ?? [];
      return streams.find(({ name }) => name === stream)?.cluster?.leader;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.kill()));
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #agree(running: number): Promise<boolean> {
    for (const node of this.nodes) {
      const meta = node.isRunning ? (await node.report())?.meta_cluster : undefined;
      if (meta?.leader === undefined || meta.leader === "") continue;
      // Only the leader knows how far the others are.
      const peers = meta.replicas ?? [];
      if (peers.filter((peer) => peer.current && !peer.offline).length >= running - 1) return true;
    }
    return false;
  }

  async #leader(of: string, named: (report: JetStreamReport) => string | undefined): Promise<NatsNode> {
    let found: NatsNode | undefined;
    await this.#until(`${of} has a leader`, async () => {
      for (const node of this.nodes) {
        const report = node.isRunning ? await node.report() : undefined;
        const leader = report && named(report);
        // A lone server leads all that it has and names nobody.
        found = this.nodes.find(({ name }) => name === leader) ?? (this.nodes.length === 1 && report ? node : undefined);
        if (found?.isRunning) return true;
      }
      return false;
    });
    return found!;
  }

  async #until(what: string, holds: () => Promise<boolean>): Promise<void> {
    const giveUpMs = performance.now() + READY_MS_MAX;
    while (!(await holds())) {
      if (performance.now() > giveUpMs) {
        const logs = await Promise.all(this.nodes.map(async (node) => `${node.name}:\n${await node.log()}`));
        throw new Error(`Waited ${READY_MS_MAX} ms in vain until ${what}\n${logs.join("\n")}`);
      }
      await sleep(LOOK_MS);
    }
  }
}

/** JSON is what nats-server's own format is a superset of. */
function configuration(
  name: string,
  home: string,
  { options, ports, own }: { options: NatsOptions; ports: readonly NodePorts[]; own: NodePorts },
): string {
  const { users, maxStoreBytes, maxPayloadBytes, jetstream = true } = options;
  const storage = {
    store_dir: join(home, "jetstream"),
    ...(maxStoreBytes === undefined ? {} : { max_file_store: maxStoreBytes }),
  };
  const cluster = {
    name: "holdfast-test",
    listen: `127.0.0.1:${own.cluster}`,
    routes: ports.map((each) => `nats-route://127.0.0.1:${each.cluster}`),
  };
  return JSON.stringify({
    server_name: name,
    listen: `127.0.0.1:${own.client}`,
    http: `127.0.0.1:${own.monitor}`,
    ...(maxPayloadBytes === undefined ? {} : { max_payload: maxPayloadBytes }),
    ...(jetstream ? { jetstream: storage } : {}),
    ...(ports.length > 1 ? { cluster } : {}),
    ...(users ? { authorization: { users } } : {}),
  });
}
