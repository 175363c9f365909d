/**
 * ● Finds the list of servers: by a DNS name with many addresses, or from a cluster that describes itself. Asks at the start and
 * then at intervals; after a failure or an empty answer the last good list stays.
 */
import { lookup } from "node:dns/promises";
import type { Cancel, Clock } from "../../../core/clock.ts";
import { OperationError, HoldfastError, messageOf } from "../../../core/errors.ts";
import type { Random } from "../../../core/random.ts";
import { durationMs, type Duration } from "../../../core/units.ts";
import { clusterConfigReply, OLD_CLUSTER_KEY, type ClusterConfig } from "./cluster-config.ts";
import { DISCOVERY_MS_DEFAULT } from "../operations/limits.ts";
import { PoolServer, type PoolServerSettings } from "./pool-server.ts";
import { CommandOperation, UNCOUNTED, type CommandFields } from "../operations/operation.ts";
import { parseServer, type ServerAddress } from "../operations/server-address.ts";

/** All addresses of a host name. */
export type Resolve = (host: string) => Promise<readonly string[]>;

/** Servers behind one DNS name, as headless services and round-robin records give them. */
export interface DnsDiscovery {
  /** "HOST:PORT", or "HOST" for port 11211. */
  readonly dns: string;
  /** How often the name is resolved anew; default 30 s. */
  readonly every?: Duration;
  /** Default: the system's resolver. */
  readonly resolve?: Resolve;
}

/** Servers listed by one of them or by a configuration endpoint: `config get cluster`, or its older form. */
export interface ClusterDiscovery {
  /** "HOST:PORT" of the endpoint to ask. */
  readonly cluster: string;
  /** How often it is asked; default 30 s. */
  readonly every?: Duration;
}

export interface DiscoverySettings {
  readonly clock: Clock;
  readonly random: Random;
  readonly timeoutMs: number;
  readonly poolServer: PoolServerSettings;
  readonly found: (servers: readonly ServerAddress[]) => void;
  readonly failed: (error: HoldfastError) => void;
}

export class Discovery {
  readonly #settings: DiscoverySettings;
  readonly #source: Source;
  readonly #everyMs: number;
  #cancel: Cancel | undefined = undefined;
  #closed = false;

  /** @throws UsageError ADDRESS_INVALID, UNIT_INVALID */
  constructor(where: DnsDiscovery | ClusterDiscovery, settings: DiscoverySettings) {
    this.#settings = settings;
    this.#everyMs = durationMs(where.every ?? DISCOVERY_MS_DEFAULT, "every");
    this.#source = "dns" in where ? new DnsSource(where) : new ClusterSource(where, settings);
  }

  /** Asks now and from then on at intervals. Resolves with the first answer or failure. */
  async start(): Promise<void> {
    const { clock, random, found, failed } = this.#settings;
    try {
      const servers = await this.#source.list();
      if (!this.#closed && servers && servers.length > 0) found(servers);
    } catch (error) {
      const known = error instanceof HoldfastError;
      failed(
        known ? error : new OperationError("CACHE_UNREACHABLE", `Cannot find servers: ${messageOf(error)}`, { cause: error }),
      );
    }
    if (this.#closed) return;
    // Up to a tenth earlier, so that clients started together do not go on asking together.
    this.#cancel = clock.at(clock.now() + this.#everyMs * (1 - random() / 10), () => void this.start());
  }

  close(error: HoldfastError): void {
    this.#closed = true;
    this.#cancel?.();
    this.#source.close(error);
  }
}

interface Source {
  /** undefined: nothing has changed. */
  list(): Promise<readonly ServerAddress[] | undefined>;
  close(error: HoldfastError): void;
}

class DnsSource implements Source {
  readonly #named: ServerAddress;
  readonly #resolve: Resolve;

  constructor({ dns, resolve }: DnsDiscovery) {
    this.#named = parseServer(dns);
    this.#resolve = resolve ?? (async (host) => (await lookup(host, { all: true })).map(({ address }) => address));
  }

  async list(): Promise<readonly ServerAddress[]> {
    const { host, port } = this.#named;
    // Sorted, because resolvers rotate the order and some placements go by index.
    const addresses = [...new Set(await this.#resolve(host))].toSorted();
    return addresses.map((address) => ({
      ...parseServer(address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`),
      tlsName: host,
    }));
  }

  close(): void {}
}

class ClusterSource implements Source {
  readonly #endpoint: PoolServer;
  readonly #settings: DiscoverySettings;
  #version = -1;

  constructor({ cluster }: ClusterDiscovery, settings: DiscoverySettings) {
    this.#settings = settings;
    this.#endpoint = new PoolServer(parseServer(cluster), { ...settings.poolServer, onHealth: () => {} }, false);
  }

  async list(): Promise<readonly ServerAddress[] | undefined> {
    const cluster =
      (await this.#ask("config", { words: "get cluster" })) ?? (await this.#ask("meta", { words: `get ${OLD_CLUSTER_KEY}` }));
    if (!cluster) throw new OperationError("CACHE_REFUSED", `${this.#endpoint.server.name} returned no cluster configuration`);
    if (cluster.version === this.#version) return undefined;
    this.#version = cluster.version;
    return cluster.servers;
  }

  close(error: HoldfastError): void {
    this.#endpoint.close(error);
  }

  /** The endpoint's answer, or undefined when it does not know the command. */
  #ask(verb: "config" | "meta", fields: CommandFields): Promise<ClusterConfig | undefined> {
    const startedMs = this.#settings.clock.now();
    const times = { startedMs, deadlineMs: startedMs + this.#settings.timeoutMs };
    return new Promise<ClusterConfig | undefined>((resolve, reject) => {
      const command = new CommandOperation(
        verb,
        "",
        UNCOUNTED,
        times,
        fields,
        clusterConfigReply(),
        undefined,
        resolve,
        reject,
      );
      this.#endpoint.submit(command);
    }).catch((error: HoldfastError) => {
      if (error.code === "CACHE_REFUSED") return undefined;
      throw error;
    });
  }
}
