/**
 * ○ Connections that have no session yet, by the network they come from. A network from which wrong tokens, garbage or silence came is
 * slowed down: its newcomers are challenged later and later. When there is no room for one more connection, the network with most
 * strangers loses its oldest. Nobody is locked out: a client with the right token behind the same address waits at most
 * STRANGER_DELAY_MS_MAX.
 */
import {
  STRANGER_DELAY_MS,
  STRANGER_DELAY_MS_MAX,
  STRANGER_FAILURES_FREE,
  STRANGER_FORGET_MS,
  STRANGER_NETWORKS_MAX,
} from "../../limits.ts";

interface Failures {
  count: number;
  /** When the count was last halved. */
  atMs: number;
}

export class StrangerGuard<Connection> {
  /** In the order in which they came. */
  readonly #waiting = new Map<string, Set<Connection>>();
  /** In the order of their last failure. */
  readonly #failures = new Map<string, Failures>();

  /** How long a newcomer of that network waits for its challenge. */
  delayMs(network: string, nowMs: number): number {
    const count = (this.#decayed(network, nowMs)?.count ?? 0) - STRANGER_FAILURES_FREE;
    return count < 0 ? 0 : Math.min(STRANGER_DELAY_MS_MAX, STRANGER_DELAY_MS * 2 ** Math.min(count, 16));
  }

  /** Strangers of that network. */
  count(network: string): number {
    return this.#waiting.get(network)?.size ?? 0;
  }

  arrived(connection: Connection, network: string): void {
    const waiting = this.#waiting.get(network);
    if (waiting) waiting.add(connection);
    else this.#waiting.set(network, new Set([connection]));
  }

  /** It has a session, or has ended. */
  left(connection: Connection, network: string): void {
    const waiting = this.#waiting.get(network);
    if (waiting?.delete(connection) && waiting.size === 0) this.#waiting.delete(network);
  }

  /** A connection of that network had a wrong token, said nothing or garbage. */
  failed(network: string, nowMs: number): void {
    const failures = this.#decayed(network, nowMs) ?? { count: 0, atMs: nowMs };
    failures.count += 1;
    this.#failures.delete(network);
    this.#failures.set(network, failures);
    if (this.#failures.size <= STRANGER_NETWORKS_MAX) return;
    for (const oldest of this.#failures.keys()) {
      this.#failures.delete(oldest);
      return;
    }
  }

  /** A client of that network came in: one failure less, so that a fleet on a bad line is not slowed for handshakes that were cut off. */
  succeeded(network: string): void {
    const failures = this.#failures.get(network);
    if (failures && failures.count > 0) failures.count -= 1;
  }

  /** The oldest connection of the network that has most of them. */
  oldestOfMost(): Connection | undefined {
    let most: Set<Connection> | undefined;
    for (const waiting of this.#waiting.values()) if (waiting.size > (most?.size ?? 0)) most = waiting;
    return most?.values().next().value;
  }

  /** The failures of a network, halved once for each time that has passed. */
  #decayed(network: string, nowMs: number): Failures | undefined {
    const failures = this.#failures.get(network);
    if (!failures) return undefined;
    const times = Math.floor((nowMs - failures.atMs) / STRANGER_FORGET_MS);
    failures.count = Math.floor(failures.count / 2 ** times);
    failures.atMs += times * STRANGER_FORGET_MS;
    if (failures.count > 0) return failures;
    this.#failures.delete(network);
    return undefined;
  }
}
