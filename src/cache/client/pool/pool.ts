/**
 * ● The servers of a client and which of them answers for a key: the ring's choice, or, while that one is ejected, what the
 * client was told to do. Applying a new list keeps the members that stay, with their connections.
 */
import type { HoldfastError } from "../../../core/errors.ts";
import { OperationError } from "../../../core/errors.ts";
import { Member, type MemberSettings } from "./pool-server.ts";
import { placementOf, type IsUsable, type Placement, type PlacementRule } from "./placement.ts";
import type { Server } from "../operations/server-address.ts";
import { placementKey } from "../operations/wire-key.ts";

export interface PoolSettings {
  readonly member: MemberSettings;
  readonly placement: PlacementRule;
  readonly whenDown: "miss" | "next";
  /** Spare servers that stand in for ejected ones; empty: none. */
  readonly gutter: readonly Server[];
}

export class Pool {
  readonly #settings: PoolSettings;
  readonly #gutter: readonly Member[];
  readonly #gutterPlacement: Placement | undefined;
  #members: readonly Member[] = [];
  #placement: Placement | undefined = undefined;
  readonly #isUsable: IsUsable = (index) => this.#members[index]!.usable;

  constructor(settings: PoolSettings) {
    this.#settings = settings;
    this.#gutter = settings.gutter.map((server) => new Member(server, settings.member, true));
    this.#gutterPlacement = settings.gutter.length > 0 ? placementOf(settings.placement, settings.gutter) : undefined;
  }

  /** The servers of the ring, without the gutter. */
  get members(): readonly Member[] {
    return this.#members;
  }

  /** Replaces the list of servers. Those that leave answer what they still owe. */
  apply(servers: readonly Server[]): { added: readonly Server[]; removed: readonly Server[] } {
    const old = new Map(this.#members.map((member) => [member.server.name, member]));
    const added = servers.filter(({ name }) => !old.has(name));
    this.#placement = servers.length > 0 ? placementOf(this.#settings.placement, servers) : undefined;
    this.#members = servers.map((server) => old.get(server.name) ?? new Member(server, this.#settings.member, false));
    for (const { name } of servers) old.delete(name);
    const removed = [...old.values()];
    for (const member of removed) {
      member.retire(new OperationError("CACHE_UNREACHABLE", `${member.server.name} is no longer among the servers`));
    }
    return { added, removed: removed.map(({ server }) => server) };
  }

  /** The member that answers for a key; undefined: nobody, so that the call counts as a miss. */
  route(wireKey: string): Member | undefined {
    const members = this.#members;
    if (members.length === 1) {
      const only = members[0]!;
      if (only.usable) return only;
    }
    if (!this.#placement) return undefined;
    const key = placementKey(wireKey);
    const owner = members[this.#placement.pick(key)]!;
    if (owner.usable) return owner;
    if (this.#gutterPlacement) {
      const spare = this.#gutterPlacement.pick(key, (index) => this.#gutter[index]!.usable);
      return spare < 0 ? undefined : this.#gutter[spare];
    }
    if (this.#settings.whenDown === "miss") return undefined;
    const next = this.#placement.pick(key, this.#isUsable);
    return next < 0 ? undefined : members[next];
  }

  close(error: HoldfastError): void {
    for (const member of [...this.#members, ...this.#gutter]) member.close(error);
  }
}
