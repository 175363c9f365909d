/**
 * Three machines of a farm, each a network of its own with a nats-server and a broker, on one switch that the test is connected to as
 * well. A cable can be pulled: from then on the machine runs on and reaches nobody, and nobody it. Needs root.
 */
import { execFileSync, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Holdfast } from "../../../support/holdfast.ts";
import { Namespace } from "../../../support/namespace.ts";
import type { JetStreamReport } from "../../../support/nats.ts";
import { leadingEpoch } from "./leading-epoch.ts";

const [CLIENT_PORT, CLUSTER_PORT, MONITOR_PORT] = [4222, 6222, 8222];
const BROKER_PORT = 5555;
/** 60 s: TCP's retransmissions after a cable was out for ten seconds come up to ten apart. */
const READY_MS_MAX = 60_000;
/** 1.5 s: replicas say something each second. */
const ACTIVE_NS_MAX = 1_500_000_000;

function ip(...words: string[]): void {
  execFileSync("ip", words);
}

export class Machine {
  readonly address: string;
  readonly #space = new Namespace();
  readonly #cable: string;
  #nats: ChildProcess | undefined;
  broker: Holdfast | undefined;

  constructor(farm: { bridge: string; net: string }, number: number) {
    this.address = `${farm.net}.${number}`;
    this.#cable = `${farm.bridge}c${number}`;
    ip("link", "add", this.#cable, "type", "veth", "peer", "name", "e0", "netns", this.#space.name);
    ip("link", "set", this.#cable, "master", farm.bridge, "up");
    ip("-n", this.#space.name, "addr", "add", `${this.address}/24`, "dev", "e0");
    ip("-n", this.#space.name, "link", "set", "e0", "up");
  }

  startNats(all: readonly string[], folder: string): void {
    const routes = all.map((address) => `nats://${address}:${CLUSTER_PORT}`).join();
    const client = ["--server_name", this.address, "--addr", this.address, "--port", `${CLIENT_PORT}`];
    const cluster = ["--cluster_name", "farm", "--cluster", `nats://${this.address}:${CLUSTER_PORT}`, "--routes", routes];
    const store = ["--jetstream", "--store_dir", join(folder, this.address), "--http_port", `${MONITOR_PORT}`];
    const server = ["--pdeathsig", "KILL", "nats-server", ...client, ...cluster, ...store];
    this.#nats = this.#space.spawn("setpriv", server, { stdio: "ignore" });
  }

  async startBroker(all: readonly string[], folder: string): Promise<void> {
    const own = [this.address, ...all.filter((address) => address !== this.address)];
    const where = ["--listen", `tcp://${this.address}:${BROKER_PORT}`, "--data", join(folder, `broker-${this.address}`)];
    const store = ["--store", `nats://${own.join()}`, "--replicas", "3"];
    this.broker = new Holdfast(["queue", "serve", ...where, ...store], { namespace: this.#space });
    await this.broker.printed(/^queue /m);
  }

  /** What its nats-server says of the streams; undefined when it does not answer. */
  async #report(): Promise<JetStreamReport | undefined> {
    try {
      const url = `http://${this.address}:${MONITOR_PORT}/jsz?streams=true`;
      return (await (await fetch(url, { signal: AbortSignal.timeout(500) })).json()) as JetStreamReport;
    } catch {
      return undefined;
    }
  }

  async isReady(): Promise<boolean> {
    return Boolean((await this.#report())?.meta_cluster?.leader);
  }

  /** Which machine's nats-server leads the only stream, as this one knows. */
  async streamLeader(): Promise<string | undefined> {
    return (await this.#report())?.account_details?.[0]?.stream_detail?.[0]?.cluster?.leader;
  }

  /** Whether its nats-server leads the only stream, and hears both others, who have all of it. */
  async hearsReplicas(): Promise<boolean> {
    const cluster = (await this.#report())?.account_details?.[0]?.stream_detail?.[0]?.cluster;
    if (cluster?.leader !== this.address || cluster.replicas?.length !== 2) return false;
    return cluster.replicas.every(({ current, active }) => current && active < ACTIVE_NS_MAX);
  }

  get epoch(): number {
    return leadingEpoch(this.broker!);
  }

  pull(): void {
    ip("link", "set", this.#cable, "down");
  }

  plug(): void {
    ip("link", "set", this.#cable, "up");
  }

  async stop(): Promise<void> {
    await this.broker?.stop("SIGKILL");
    if (this.#nats && this.#nats.exitCode === null) {
      const exited = once(this.#nats, "exit");
      this.#nats.kill("SIGKILL");
      await exited;
    }
    this.#space[Symbol.dispose]();
  }
}

export class Machines {
  readonly all: readonly Machine[];
  readonly #bridge: string;
  readonly #folder = mkdtempSync(join(tmpdir(), "holdfast-machines-"));

  private constructor() {
    this.#bridge = `hf${process.pid}`;
    const net = `10.77.${process.pid % 250}`;
    ip("link", "add", this.#bridge, "type", "bridge");
    ip("addr", "add", `${net}.254/24`, "dev", this.#bridge);
    ip("link", "set", this.#bridge, "up");
    this.all = [1, 2, 3].map((number) => new Machine({ bridge: this.#bridge, net }, number));
  }

  static async start(): Promise<Machines> {
    const machines = new Machines();
    try {
      const { addresses } = machines;
      for (const machine of machines.all) machine.startNats(addresses, machines.#folder);
      await machines.until("NATS is ready", async () => {
        const ready = await Promise.all(machines.all.map((machine) => machine.isReady()));
        return !ready.includes(false);
      });
      await Promise.all(machines.all.map((machine) => machine.startBroker(addresses, machines.#folder)));
      return machines;
    } catch (error) {
      await machines[Symbol.asyncDispose]();
      throw error;
    }
  }

  get addresses(): string[] {
    return this.all.map(({ address }) => address);
  }

  /** Where clients go: one name, all machines. */
  get options(): { url: string; lookup: () => Promise<readonly string[]> } {
    return { url: `tcp://farm.test:${BROKER_PORT}`, lookup: async () => this.addresses };
  }

  /** The one whose broker leads. */
  get leading(): Machine {
    return this.all.reduce((best, machine) => (machine.epoch > best.epoch ? machine : best));
  }

  /** Waits until NATS could lose any one machine. */
  async whole(): Promise<void> {
    await this.until("the log's replicas are current", async () => {
      const heard = await Promise.all(this.all.map((machine) => machine.hearsReplicas()));
      return heard.includes(true);
    });
  }

  async until(what: string, holds: () => Promise<boolean>): Promise<void> {
    for (const giveUpMs = performance.now() + READY_MS_MAX; !(await holds()); await sleep(50)) {
      if (performance.now() > giveUpMs) throw new Error(`waited ${READY_MS_MAX} ms in vain until ${what}`);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.all.map((machine) => machine.stop()));
    ip("link", "del", this.#bridge);
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
