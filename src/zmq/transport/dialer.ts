/**
 * ● One `connect(endpoint)`: a connection to each address of its name. libzmq takes the first address only; here a name such as a
 * Kubernetes headless service reaches every instance. The name is looked up again every `RESOLVE_INTERVAL_MS` and before each new
 * attempt: new addresses are connected to, one that has vanished is given up once its connection breaks. Invariant: no two connections
 * have the same address; until the first look-up one connection has none, and holds what is sent meanwhile.
 */
import type { Buffer } from "node:buffer";
import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import type { Cancel } from "../../core/clock.ts";
import { ADDRESSES_MAX, RESOLVE_INTERVAL_MS } from "../limits.ts";
import { after, SOCKET, type SocketState } from "../socket-core/life-cycle.ts";
import { DialedConnection, type Target } from "./dialed-connection.ts";
import { interfaceAddress } from "./interface-address.ts";
import { socketPath, type Endpoint, type SourceAddress } from "./endpoint.ts";
import type { EndpointContext } from "./zmq-connection.ts";

/** A name's addresses of one family. Rejects when it has none. */
export type ResolveHost = (host: string, family: 4 | 6) => Promise<readonly string[]>;

export const systemResolve: ResolveHost = async (host, family) => {
  const found = await lookup(host, { all: true, family });
  return found.map(({ address }) => address);
};

export interface DialerOptions {
  readonly endpoint: Exclude<Endpoint, { transport: "inproc" }>;
  readonly address: string;
  readonly routingId: Buffer | undefined;
  readonly resolve: ResolveHost;
  readonly onEnded: () => void;
}

export class Dialer {
  readonly #context: EndpointContext;
  readonly #options: DialerOptions;
  /** Each connection and the address it has, if any. */
  readonly #connections = new Map<DialedConnection, string | undefined>();
  #cancelResolve: Cancel | undefined;
  #state: SocketState = "open";

  constructor(context: EndpointContext, options: DialerOptions) {
    this.#context = context;
    this.#options = options;
    const { endpoint } = options;
    if (endpoint.transport === "ipc") {
      const target = { path: socketPath(endpoint.path) };
      this.#open(undefined, () => Promise.resolve(target));
      return;
    }
    const { host, port, source } = endpoint;
    if (isIP(host) !== 0) {
      this.#open(undefined, async () => ({ host, port, source: await this.#locate(source) }));
      return;
    }
    this.#openByName(host, undefined);
    if (this.#fansOut) this.#scheduleResolve(host);
  }

  close(lingerMs: number): void {
    this.#state = after(SOCKET, this.#state, "close");
    this.#cancelResolve?.();
    for (const connection of this.#connections.keys()) connection.close(lingerMs);
    this.#endIfEmpty();
  }

  #endIfEmpty(): void {
    if (this.#state !== "closing" || this.#connections.size > 0) return;
    this.#state = after(SOCKET, this.#state, "gone");
    this.#options.onEnded();
  }

  /** PAIR has one peer; without `connectToAll` the first address is taken, as in libzmq. */
  get #fansOut(): boolean {
    return this.#context.settings.connectToAll && this.#context.type !== "PAIR";
  }

  #openByName(host: string, address: string | undefined): void {
    const connection = this.#open(address, async () => {
      const addresses = await this.#resolve(host);
      const assigned = this.#assign(connection, addresses);
      if (this.#fansOut) this.#spread(host, addresses);
      if (assigned === undefined) return undefined;
      const { port, source } = this.#options.endpoint as Extract<Endpoint, { transport: "tcp" }>;
      return { host: assigned, port, source: await this.#locate(source) } satisfies Target;
    });
  }

  /** Where to connect from may be an interface or a name. Rejects when it has no address now. */
  async #locate(source: SourceAddress | undefined): Promise<SourceAddress | undefined> {
    if (source === undefined) return undefined;
    const host = interfaceAddress(source.host, this.#context.settings.ipv6);
    return { host: isIP(host) === 0 ? (await this.#resolve(host))[0]! : host, port: source.port };
  }

  /** IPv6 addresses where IPv6 is on and there are any, else IPv4: a machine with both is one peer, not two. */
  async #resolve(host: string): Promise<readonly string[]> {
    const { resolve } = this.#options;
    const found = this.#context.settings.ipv6 ? await resolve(host, 6).catch(() => resolve(host, 4)) : await resolve(host, 4);
    return [...new Set(found)].slice(0, ADDRESSES_MAX);
  }

  /** The address that a connection keeps or gets; undefined when others have them all. */
  #assign(connection: DialedConnection, addresses: readonly string[]): string | undefined {
    if (!this.#fansOut) return addresses[0];
    const own = this.#connections.get(connection);
    if (own !== undefined && addresses.includes(own)) return own;
    const taken = new Set(this.#connections.values());
    const free = addresses.find((address) => !taken.has(address));
    if (free !== undefined) this.#connections.set(connection, free);
    // The last one stays whatever happens, so that the name is tried for ever
    return free ?? (this.#connections.size === 1 ? addresses[0] : undefined);
  }

  /** Connects to the addresses that nobody has yet. */
  #spread(host: string, addresses: readonly string[]): void {
    if (this.#state !== "open") return;
    const taken = new Set(this.#connections.values());
    for (const address of addresses) if (!taken.has(address)) this.#openByName(host, address);
  }

  #scheduleResolve(host: string): void {
    const { clock } = this.#context.core;
    this.#cancelResolve = clock.at(clock.now() + RESOLVE_INTERVAL_MS, () => {
      void this.#resolve(host)
        .then((addresses) => this.#spread(host, addresses))
        .catch(() => {}) // what is connected stays; the next look-up may succeed
        .then(() => this.#state !== "open" || this.#scheduleResolve(host));
    });
  }

  #open(address: string | undefined, target: () => Promise<Target | undefined>): DialedConnection {
    const connection: DialedConnection = new DialedConnection(this.#context, {
      target,
      address: this.#options.address,
      routingId: this.#options.routingId,
      onEnded: () => {
        this.#connections.delete(connection);
        this.#endIfEmpty();
      },
    });
    this.#connections.set(connection, address);
    return connection;
  }
}
