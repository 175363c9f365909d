/**
 * ● The servers of a client and which of them answers for a key: the one that the placement gives, or, while that one is ejected,
 * what `whenDown` says. A new list of servers keeps those that stay, with their connections. With copies a key has several owners, in an
 * order that all clients agree on: servers of zones that differ, as far as there are any. The first that is not ejected answers for it.
 */
import type { HoldfastError } from "../../../core/errors.ts";
import { OperationError } from "../../../core/errors.ts";
import type { Random } from "../../../core/random.ts";
import { PoolServer, type PoolServerSettings } from "./pool-server.ts";
import { placementOf, type IsUsable, type Placement, type PlacementRule } from "./placement.ts";
import type { ServerAddress } from "../operations/server-address.ts";
import { placementKey } from "../operations/wire-key.ts";

export interface PoolSettings {
  readonly poolServer: PoolServerSettings;
  readonly placement: PlacementRule;
  readonly whenDown: "miss" | "next";
  /** Spare servers that stand in for ejected ones; empty: none. */
  readonly gutter: readonly ServerAddress[];
  /** Owners of each key. */
  readonly copies: number;
  /** The client's own zone. */
  readonly zone: string | undefined;
  readonly random: Random;
}

/** One read in 16 asks another owner than the fastest known, which may have become faster. */
const EXPLORED_SHARE = 1 / 16;

export class Pool {
  readonly #settings: PoolSettings;
  readonly #gutter: readonly PoolServer[];
  readonly #gutterPlacement: Placement | undefined;
  #poolServers: readonly PoolServer[] = [];
  #placement: Placement | undefined = undefined;
  #zones = 0;
  /** Grows whenever keys may have another server than before. */
  routesVersion = 0;
  readonly #isUsable: IsUsable = (index) => this.#poolServers[index]!.usable;

  constructor(settings: PoolSettings) {
    const { poolServer } = settings;
    const onHealth: PoolServerSettings["onHealth"] = (...told) => {
      this.routesVersion += 1;
      poolServer.onHealth(...told);
    };
    this.#settings = { ...settings, poolServer: { ...poolServer, onHealth } };
    this.#gutter = settings.gutter.map((server) => new PoolServer(server, this.#settings.poolServer, true));
    this.#gutterPlacement = settings.gutter.length > 0 ? placementOf(settings.placement, settings.gutter) : undefined;
  }

  /** The servers, without the gutter. */
  get poolServers(): readonly PoolServer[] {
    return this.#poolServers;
  }

  /** A server by its name, the gutter's included. */
  named(name: string): PoolServer | undefined {
    return this.holders.find(({ server }) => server.name === name);
  }

  /** Owners of each key, as far as there are servers. */
  get copies(): number {
    return this.#settings.copies;
  }

  /** All servers that may hold items. */
  get holders(): readonly PoolServer[] {
    return [...this.#poolServers, ...this.#gutter];
  }

  /** Replaces the list of servers. Requests at servers that leave may still be answered. */
  apply(servers: readonly ServerAddress[]): { added: readonly ServerAddress[]; removed: readonly ServerAddress[] } {
    this.routesVersion += 1;
    const old = new Map(this.#poolServers.map((poolServer) => [poolServer.server.name, poolServer]));
    const added = servers.filter(({ name }) => !old.has(name));
    this.#placement = servers.length > 0 ? placementOf(this.#settings.placement, servers) : undefined;
    this.#poolServers = servers.map(
      (server) => old.get(server.name) ?? new PoolServer(server, this.#settings.poolServer, false),
    );
    this.#zones = new Set(this.#poolServers.map(({ zone }) => zone)).size;
    for (const { name } of servers) old.delete(name);
    const removed = [...old.values()];
    for (const poolServer of removed) {
      poolServer.retire(new OperationError("CACHE_UNREACHABLE", `${poolServer.server.name} was removed from the pool`));
    }
    return { added, removed: removed.map(({ server }) => server) };
  }

  /** The servers that hold a key, ejected or not, the first first. */
  owners(wireKey: string): readonly PoolServer[] {
    if (!this.#placement) return [];
    const key = placementKey(wireKey);
    const poolServers = this.#poolServers;
    const owners = [poolServers[this.#placement.pick(key)]!];
    const count = Math.min(this.#settings.copies, poolServers.length);
    while (owners.length < count) {
      // Where an owner is in each zone already, the next is any.
      const inNewZone = owners.length < this.#zones;
      const next = this.#placement.pick(key, (index) => {
        const { zone } = poolServers[index]!;
        return !owners.some((owner) => owner === poolServers[index] || (inNewZone && owner.zone === zone));
      });
      owners.push(poolServers[next]!);
    }
    return owners;
  }

  /** Those of a key's owners that are not ejected, in the order in which a read asks them. */
  readers(wireKey: string): readonly PoolServer[] {
    const usable = this.owners(wireKey).filter((owner) => owner.usable);
    if (usable.length < 2) return usable;
    usable.sort((a, b) => this.#distance(a) - this.#distance(b) || a.latencyMs - b.latencyMs);
    const [first, second, ...others] = usable as [PoolServer, PoolServer, ...PoolServer[]];
    const explores = this.#distance(first) === this.#distance(second) && this.#settings.random() < EXPLORED_SHARE;
    return explores ? [second, first, ...others] : usable;
  }

  #distance({ server }: PoolServer): number {
    return server.zone !== undefined && server.zone === this.#settings.zone ? 0 : 1;
  }

  /** The owners of a key beside the one that answers for it; none where no owner can be asked. */
  copiesOf(wireKey: string): readonly PoolServer[] {
    const owners = this.owners(wireKey);
    const first = owners.find((owner) => owner.usable);
    return first ? owners.filter((owner) => owner !== first) : [];
  }

  /** Whether what this server gives of a key counts. */
  answersFor(wireKey: string, server: string): boolean {
    if (this.#settings.copies === 1) return this.route(wireKey)?.server.name === server;
    return this.owners(wireKey).some((owner) => owner.usable && owner.server.name === server);
  }

  /** The server that answers for a key; undefined: none, so that the call counts as a miss. */
  route(wireKey: string): PoolServer | undefined {
    const poolServers = this.#poolServers;
    if (this.#settings.copies > 1) return this.owners(wireKey).find((owner) => owner.usable);
    if (poolServers.length === 1) {
      const only = poolServers[0]!;
      if (only.usable) return only;
    }
    if (!this.#placement) return undefined;
    const key = placementKey(wireKey);
    const owner = poolServers[this.#placement.pick(key)]!;
    if (owner.usable) return owner;
    if (this.#gutterPlacement) {
      const spare = this.#gutterPlacement.pick(key, (index) => this.#gutter[index]!.usable);
      return spare < 0 ? undefined : this.#gutter[spare];
    }
    if (this.#settings.whenDown === "miss") return undefined;
    const next = this.#placement.pick(key, this.#isUsable);
    return next < 0 ? undefined : poolServers[next];
  }

  close(error: HoldfastError): void {
    for (const poolServer of [...this.#poolServers, ...this.#gutter]) poolServer.close(error);
  }
}
