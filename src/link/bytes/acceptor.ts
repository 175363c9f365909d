/**
 * ● Accepts TCP or TLS connections for a server of either mode: bounded in number, each with keep-alive set and read back before
 * its first byte is handed on, all of them counted.
 */
import { once } from "node:events";
import { createServer } from "node:net";
import type { AddressInfo, Server, Socket } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import type { TlsOptions } from "node:tls";
import { showAddress } from "../../core/address.ts";
import { HOST_DEFAULT } from "../../core/limits.ts";
import { PendingHandshakes } from "../../core/pending-handshakes.ts";
import type { ByteLink, LinkStats } from "./byte-link.ts";
import type { EndReason, LinkEnd } from "../end.ts";
import { BACKLOG, CONNECTIONS_MAX, CONNECTIONS_OVER_MAX, HELLO_MS_MAX, PORT_DEFAULT, STATS_ASKED_MAX } from "../limits.ts";
import { kernelTimers } from "../keep-alive/proc-net.ts";
import type { TuneReport } from "../keep-alive/tune.ts";

/** Where and how a server listens. */
export interface AcceptOptions {
  /** Default 12345; 0 takes any free port. */
  readonly port?: number;
  /** Default 127.0.0.1: nothing listens beyond this machine unless told to. */
  readonly host?: string;
  /** Connections at a time; more are closed at once and counted as "too-many". Default 20,000. */
  readonly connectionsMax?: number;
  /**
   * TLS instead of plain TCP: Node's own options (`key`, `cert`, `ca`, …). For client certificates set `requestCert` and `ca`.
   */
  readonly tls?: TlsOptions;
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

/** Makes the link of an accepted socket. */
export type LinkMaker = (socket: Socket, id: number) => ByteLink;

export class Acceptor {
  readonly #server: Server;
  readonly #handshakes: PendingHandshakes | undefined;
  readonly #adopt: LinkMaker;
  readonly #opened: (link: ByteLink, report: TuneReport) => void;
  readonly #makeRoom: () => boolean;
  readonly #connectionsMax: number;
  readonly #links = new Set<ByteLink>();
  /** Ended by the peer, which may wait for an answer. */
  readonly #answering = new Set<ByteLink>();
  readonly #ended: Partial<Record<EndReason, number>> = {};
  #stopping: (() => void) | undefined;
  #accepted = 0;
  #pastBytesIn = 0;
  #pastBytesOut = 0;

  constructor(
    { tls, connectionsMax = CONNECTIONS_MAX }: Pick<AcceptOptions, "tls" | "connectionsMax">,
    {
      adopt,
      opened,
      makeRoom = () => false,
    }: {
      adopt: LinkMaker;
      opened: (link: ByteLink, report: TuneReport) => void;
      /** Ends a connection that is worth less than a new one; false when there is none. */
      makeRoom?: () => boolean;
    },
  ) {
    this.#adopt = adopt;
    this.#opened = opened;
    const accept = (socket: Socket): void => this.#accept(socket);
    this.#server = tls
      ? createTlsServer({ handshakeTimeout: HELLO_MS_MAX, ...tls, noDelay: true, allowHalfOpen: true }, accept)
      : createServer({ noDelay: true, allowHalfOpen: true }, accept);
    this.#handshakes = tls ? new PendingHandshakes(this.#server) : undefined;
    this.#connectionsMax = connectionsMax;
    this.#makeRoom = makeRoom;
    this.#server.maxConnections = connectionsMax + CONNECTIONS_OVER_MAX;
    if (tls) this.#server.on("connection", () => this.#roomForHandshake());
    this.#server.on("drop", () => this.#count("too-many"));
    this.#server.on("tlsClientError", () => this.#count("refused"));
  }

  async start({ port = PORT_DEFAULT, host = HOST_DEFAULT }: AcceptOptions): Promise<void> {
    this.#server.listen({ port, host, backlog: BACKLOG });
    await once(this.#server, "listening");
    // An accept that fails (out of descriptors) costs that one connection, never the server.
    if (this.#server.listenerCount("error") === 0) this.#server.on("error", () => this.#count("failed"));
  }

  /** Listens no more until `start` is called again; connections stay. */
  pause(): void {
    this.#server.close();
  }

  /** "" where it listens nowhere itself. */
  get address(): string {
    if (!this.#server.listening) return "";
    const { address, port } = this.#server.address() as AddressInfo;
    return showAddress({ host: address, port });
  }

  /** 0 where it listens nowhere itself. */
  get port(): number {
    return this.#server.listening ? (this.#server.address() as AddressInfo).port : 0;
  }

  get links(): ReadonlySet<ByteLink> {
    return this.#links;
  }

  /** A link that `adopt` made has ended. */
  gone(link: ByteLink, { reason }: LinkEnd): void {
    this.#pastBytesIn += link.bytesIn;
    this.#pastBytesOut += link.bytesOut;
    this.#links.delete(link);
    this.#count(reason);
    if (this.#links.size === 0) this.#stopping?.();
  }

  /** The peer has closed its side: gone for the owner, and closed once it had its answer, or after `withinMs`. */
  peerEnded(link: ByteLink, withinMs: number): void {
    link.closeAfterAnswer(withinMs);
    if (this.#links.has(link)) return;
    this.#answering.add(link);
    link.whenClosed(() => this.#answering.delete(link));
  }

  /** Accepts no more, and cuts off who has not finished a TLS handshake; resolves when every connection is gone. */
  async stop(): Promise<void> {
    this.#handshakes?.destroy();
    for (const link of this.#answering) link.close();
    await new Promise((resolve) => this.#server.close(resolve));
    // Those that another server accepted.
    if (this.#links.size > 0) await new Promise<void>((resolve) => (this.#stopping = resolve));
  }

  /** Takes a connection that another server has accepted; undefined, and counted, where there is no room. */
  take(socket: Socket, adopt: LinkMaker): ByteLink | undefined {
    if (!this.#hasRoom()) return undefined;
    this.#accepted += 1;
    const link = adopt(socket, this.#accepted);
    this.#links.add(link);
    this.#opened(link, link.tune());
    return link;
  }

  stats(): LinkServerStats {
    const timers = kernelTimers();
    const connections = Array.from(this.#links, (link, index) => link.stats(timers, { askKernel: index < STATS_ASKED_MAX }));
    const sum = (key: "bytesIn" | "bytesOut"): number => connections.reduce((total, row) => total + row[key], 0);
    return {
      accepted: this.#accepted,
      open: this.#links.size,
      bytesIn: this.#pastBytesIn + sum("bytesIn"),
      bytesOut: this.#pastBytesOut + sum("bytesOut"),
      ended: { ...this.#ended },
      connections,
    };
  }

  #accept(socket: Socket): void {
    if (!this.take(socket, this.#adopt)) socket.destroy();
  }

  #hasRoom(): boolean {
    if (this.#links.size < this.#connectionsMax || this.#makeRoom()) return true;
    this.#count("too-many");
    return false;
  }

  /** A handshake is no more than a stranger: the oldest one gives way to a new one. */
  #roomForHandshake(): void {
    if (this.#links.size + this.#handshakes!.size <= this.#connectionsMax) return;
    if (this.#handshakes!.destroyOldest()) this.#count("too-many");
  }

  #count(reason: EndReason): void {
    this.#ended[reason] = (this.#ended[reason] ?? 0) + 1;
  }
}
