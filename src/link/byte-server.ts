/**
 * ● The server of byte mode: any TCP client may connect. Invariant: at most `connectionsMax` links at a time, each with the
 * server's keep-alive set and read back before its first byte is handed on.
 */
import { EventEmitter } from "node:events";
import { createServer } from "node:net";
import type { AddressInfo, Server, Socket } from "node:net";
import { showAddress } from "../core/address.ts";
import type { Clock } from "../core/clock.ts";
import { systemClock } from "../core/clock.ts";
import { DRAIN_MS_MAX, HOST_DEFAULT } from "../core/limits.ts";
import { sizeBytes } from "../core/units.ts";
import type { Size } from "../core/units.ts";
import { ByteLink } from "./byte-link.ts";
import type { LinkOwner, LinkStats } from "./byte-link.ts";
import type { EndReason, LinkEnd } from "./end.ts";
import { readKeepAlive } from "./keep-alive.ts";
import type { KeepAlive, KeepAliveOptions, TuneWarning } from "./keep-alive.ts";
import { BACKLOG, CONNECTIONS_MAX, PORT_DEFAULT, UNSENT_BYTES_MAX } from "./limits.ts";
import { kernelTimers } from "./proc-net.ts";
import type { TuneReport } from "./tune.ts";

/** Options of `listen`. */
export interface ListenOptions extends KeepAliveOptions {
  /** Default 12345; 0 takes any free port. */
  readonly port?: number;
  /** Default 127.0.0.1: nothing listens beyond this machine unless told to. */
  readonly host?: string;
  /** Connections at a time; more are closed at once with reason "too-many". Default 20,000. */
  readonly connectionsMax?: number;
  /** Bytes that may wait for one peer to read them. Default 1 MiB. */
  readonly unsentMax?: Size;
  /** For tests: the clock. */
  readonly clock?: Clock;
}

/** Numbers of a server at one moment. */
export interface LinkServerStats {
  readonly accepted: number;
  readonly open: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** Connections that ended, by reason. */
  readonly ended: Readonly<Partial<Record<EndReason, number>>>;
  readonly connections: readonly LinkStats[];
}

/** What a byte server emits. */
export interface LinkServerEvents {
  /** A connection was accepted; `report` says what its keep-alive is. */
  open: [link: ByteLink, report: TuneReport];
  bytes: [link: ByteLink, bytes: Buffer];
  end: [link: ByteLink, end: LinkEnd];
}

/** Accepts connections that carry bytes. */
export class LinkServer extends EventEmitter<LinkServerEvents> implements LinkOwner {
  /** @internal */
  readonly clock: Clock;
  /** The values that every connection is set to. */
  readonly keepAlive: KeepAlive;
  /** What of the options was rounded. */
  readonly warnings: readonly TuneWarning[];
  /** @internal */
  readonly unsentBytesMax: number;
  readonly #connectionsMax: number;
  readonly #server: Server;
  readonly #links = new Set<ByteLink>();
  readonly #ended: Partial<Record<EndReason, number>> = {};
  #accepted = 0;
  #pastBytesIn = 0;
  #pastBytesOut = 0;
  #closing: Promise<void> | undefined;

  /** @internal Use `listen`. */
  constructor(options: ListenOptions) {
    super();
    const { values, warnings } = readKeepAlive(options);
    this.keepAlive = values;
    this.warnings = warnings;
    this.clock = options.clock ?? systemClock;
    this.unsentBytesMax = sizeBytes(options.unsentMax ?? UNSENT_BYTES_MAX, "unsentMax");
    this.#connectionsMax = options.connectionsMax ?? CONNECTIONS_MAX;
    this.#server = createServer({ noDelay: true }, (socket) => this.#accept(socket));
  }

  /** @internal */
  async start({ port = PORT_DEFAULT, host = HOST_DEFAULT }: ListenOptions): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen({ port, host, backlog: BACKLOG }, resolve);
    });
    this.#server.removeAllListeners("error");
    // An accept that fails (out of descriptors) costs that one connection, never the server.
    this.#server.on("error", () => this.#count("failed"));
  }

  /** Where the server listens: "127.0.0.1:12345". */
  get address(): string {
    const { address, port } = this.#server.address() as AddressInfo;
    return showAddress({ host: address, port });
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** The connections there are. */
  get links(): Iterable<ByteLink> {
    return this.#links;
  }

  /** A snapshot: totals, and every connection with its keep-alive and its next probe as the kernel has them. */
  stats(): LinkServerStats {
    const timers = kernelTimers();
    const connections = [...this.#links].map((link) => link.stats(timers));
    return {
      accepted: this.#accepted,
      open: this.#links.size,
      bytesIn: this.#pastBytesIn + sum(connections, "bytesIn"),
      bytesOut: this.#pastBytesOut + sum(connections, "bytesOut"),
      ended: { ...this.#ended },
      connections,
    };
  }

  /** Accepts no more, sends what waits, ends every connection with FIN, and after 5 s without. May be called twice. */
  close(): Promise<void> {
    this.#closing ??= this.#shut();
    return this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** @internal */
  bytes(link: ByteLink, bytes: Buffer): void {
    this.emit("bytes", link, bytes);
  }

  /** @internal */
  ended(link: ByteLink, end: LinkEnd): void {
    const { bytesIn, bytesOut } = link.stats();
    this.#pastBytesIn += bytesIn;
    this.#pastBytesOut += bytesOut;
    this.#links.delete(link);
    this.#count(end.reason);
    this.emit("end", link, end);
  }

  #accept(socket: Socket): void {
    this.#accepted += 1;
    const link = new ByteLink(socket, { id: this.#accepted, owner: this });
    this.#links.add(link);
    if (this.#links.size > this.#connectionsMax) return link.destroy("too-many");
    this.emit("open", link, link.tune());
  }

  #count(reason: EndReason): void {
    this.#ended[reason] = (this.#ended[reason] ?? 0) + 1;
  }

  async #shut(): Promise<void> {
    const stopped = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const link of this.#links) link.close("closed");
    const cancel = this.clock.at(this.clock.now() + DRAIN_MS_MAX, () => {
      for (const link of this.#links) link.destroy("closed");
    });
    await stopped;
    cancel();
  }
}

/**
 * Listens for connections in byte mode.
 *
 * @returns the server, listening
 * @throws UsageError LINK_OPTION_INVALID, UNIT_INVALID; the system's error (EADDRINUSE …) when the address cannot be listened on
 * @example
 * const server = await listen({ port: 12345, idle: "5s", interval: "10s", count: 3 });
 * server.on("bytes", (link, bytes) => console.log(link.peer, bytes.toString()));
 */
export async function listen(options: ListenOptions = {}): Promise<LinkServer> {
  const server = new LinkServer(options);
  await server.start(options);
  return server;
}

function sum<K extends "bytesIn" | "bytesOut">(rows: readonly Readonly<Record<K, number>>[], key: K): number {
  return rows.reduce((total, row) => total + row[key], 0);
}
