/**
 * ● The server of session mode: `SessionServerCore` on real sockets. Messages are handed to `onMessage` once each; what it returns
 * decides when and whether the sender is told that its message is done.
 */
import { EventEmitter } from "node:events";
import type { IncomingMessage, Server as HttpServer } from "node:http";
import type { BlockList, Socket } from "node:net";
import type { Duplex } from "node:stream";
import { utf8 } from "../../../core/bytes.ts";
import type { Clock } from "../../../core/clock.ts";
import type { Random } from "../../../core/random.ts";
import { ProtocolError } from "../../../core/errors.ts";
import type { HoldfastError } from "../../../core/errors.ts";
import { durationMs } from "../../../core/units.ts";
import type { Duration } from "../../../core/units.ts";
import { Leadership } from "../../../store/log/leadership.ts";
import { parseNatsUrl } from "../../../store/nats/nats-url.ts";
import { SqliteStore } from "../../../store/sqlite/sqlite-store.ts";
import type { Store } from "../../../store/store.ts";
import { Acceptor } from "../../bytes/acceptor.ts";
import type { AcceptOptions, LinkServerStats } from "../../bytes/acceptor.ts";
import { ByteLink } from "../../bytes/byte-link.ts";
import type { LinkEnd } from "../../end.ts";
import { gateway } from "./gateway.ts";
import type { Gateway, GatewayOptions } from "./gateway.ts";
import { SessionServerCore } from "./session-server-core.ts";
import type {
  SessionCounts,
  SessionOpening,
  SessionServerCoreOwner,
  SessionServerSettings,
} from "./session-server-settings.ts";
import { noStreams } from "../acknowledgement.ts";
import type { Presence, ServerSession } from "./server-session.ts";
import { readKeepAlive } from "../../keep-alive/keep-alive.ts";
import type { KeepAlive, KeepAliveOptions } from "../../keep-alive/keep-alive.ts";
import { LEAVE_MS_MAX } from "../../limits.ts";
import type { LinkConnection } from "../link-connection.ts";
import type { Environment } from "../environment.ts";
import { nodeEnvironment } from "../node-environment.ts";
import { readSend } from "../send-options.ts";
import type { PublishOptions, SendOptions } from "../send-options.ts";
import { readSessionServer, readTopics } from "./server-options.ts";
import type { SessionServerOptions } from "./server-options.ts";
import { PersistentSessions } from "./persistent-sessions.ts";
import { SocketTransport } from "../socket-transport.ts";
import { answer, forwardedFor, readProxies, unavailable } from "../../web-socket/handshake.ts";
import type { WebSocketOptions } from "../../web-socket/handshake.ts";
import { WebSocketTransport } from "../web-socket-transport.ts";

/** Options of `listen` in session mode. */
export interface SessionListenOptions extends KeepAliveOptions, Omit<AcceptOptions, "port">, GatewayOptions {
  /** Default 12345; 0 takes any free port; false listens nowhere: clients come by WebSocket (`attach`) only. */
  readonly port?: number | false;
  /** Session mode, and how; `{}` for its defaults. */
  readonly session: SessionServerOptions;
  /** For tests: the clock. */
  readonly clock?: Clock;
  /** For tests: chance. */
  readonly random?: Random;
}

/** What a session server emits. */
export interface SessionServerEvents {
  /** A client is there, for the first time or again. */
  session: [session: ServerSession, how: SessionOpening];
  /** Messages of this client will never come: it gave them up. */
  gap: [session: ServerSession, lost: { readonly from: number; readonly to: number }];
  /** A client came, went, or is gone for ever; `end` says why. */
  presence: [session: ServerSession, presence: Presence, end: LinkEnd | undefined];
  /** A client has been away for `willDelay`: what it asked to be announced then. */
  will: [session: ServerSession, will: Uint8Array];
  /** The gateway's cache did not take a value. */
  cacheFailed: [error: unknown];
  /** The store cannot be written, or what it held is damaged; undefined: it can be written again. */
  store: [trouble: HoldfastError | undefined];
  /** Of servers whose store is on NATS: clients can come from now on, or (false) another server leads. */
  leading: [leading: boolean];
  /** A connection ended before it became a session: garbage, a wrong token, silence … */
  stranger: [peer: string, end: LinkEnd];
}

/** A session's numbers. */
export interface SessionStats {
  readonly number: number;
  readonly name: string;
  readonly presence: Presence;
  readonly peer: string | undefined;
  readonly sinceMs: number;
  readonly lastSeenMs: number;
  readonly rttMs: number | undefined;
  /** Messages that arrived from the client, and of those the ones that `onMessage` has not settled. */
  readonly received: number;
  readonly open: number;
  /** Messages to the client that it has not confirmed. */
  readonly unconfirmed: number;
}

/** Numbers of a session server. */
export interface SessionServerStats extends LinkServerStats {
  readonly sessions: readonly SessionStats[];
  /** Bytes of messages held for all sessions. */
  readonly heldBytes: number;
  /** What happened since the server began. */
  readonly counts: Readonly<SessionCounts>;
}

/** Accepts clients in session mode. */
export class SessionServer extends EventEmitter<SessionServerEvents> {
  /** @internal */
  readonly clock: Clock;
  /** The keep-alive values that every connection is set to. */
  readonly keepAlive: KeepAlive;
  readonly #acceptor: Acceptor;
  readonly #settings: SessionServerSettings;
  readonly #owner: SessionServerCoreOwner;
  readonly #environment: Environment;
  readonly #detach: (() => void)[] = [];
  /** On NATS a new one for each term in which this server leads. */
  #core: SessionServerCore;
  #store: PersistentSessions | undefined;
  readonly #leadership: Leadership | undefined;
  #target: { readonly port?: number; readonly host?: string } | undefined;
  #gateway: Gateway | undefined;
  #isLeading: boolean;
  #isStopped = false;
  #closing: Promise<void> | undefined;

  /** @internal Use `listen`. */
  constructor(options: SessionListenOptions) {
    super();
    this.keepAlive = readKeepAlive(options).values;
    this.#environment = nodeEnvironment(options);
    this.clock = this.#environment.clock;
    this.#settings = readSessionServer(options.session);
    this.#owner = this.#ownerOf(options);
    const { store } = options.session;
    const nats = typeof store === "string" && /^(nats|tls):/.test(store) ? store : undefined;
    this.#leadership = nats === undefined ? undefined : this.#leadershipOn(nats);
    this.#isLeading = !this.#leadership;
    if (store !== undefined && !this.#leadership)
      this.#store = this.#persistent(typeof store === "string" ? new SqliteStore({ folder: store, name: "sessions" }) : store);
    this.#core = this.#makeCore(this.#store);
    this.#acceptor = new Acceptor(options, {
      adopt: (socket, id) => this.#adopt(socket, id),
      opened: () => {},
      makeRoom: () => this.#core.makeRoom(),
    });
  }

  /** @internal */
  async start({ port, host }: Pick<SessionListenOptions, "port" | "host">): Promise<void> {
    if (port !== false) this.#target = { ...(port !== undefined && { port }), ...(host !== undefined && { host }) };
    if (!this.#leadership) {
      if (this.#store) await this.#restore(this.#core, this.#store);
      return this.#listen();
    }
    // What is wrong with the address is told now, and not by whoever is to lead.
    await this.#listen();
    if (this.#target) this.#target = { ...this.#target, port: this.#acceptor.port };
    this.#acceptor.pause();
    await this.#leadership.open();
  }

  async #listen(): Promise<void> {
    if (this.#target) await this.#acceptor.start(this.#target);
  }

  #makeCore(store: PersistentSessions | undefined): SessionServerCore {
    return new SessionServerCore(this.#settings, { owner: this.#owner, environment: this.#environment, store });
  }

  #persistent(store: Store): PersistentSessions {
    const sessions: PersistentSessions = new PersistentSessions({
      store,
      clock: this.clock,
      troubled: (trouble) => void (this.#store === sessions && this.emit("store", trouble)),
    });
    return sessions;
  }

  async #restore(core: SessionServerCore, store: PersistentSessions): Promise<void> {
    const { sessions, lost } = await store.open();
    core.restore(sessions);
    const damage = new ProtocolError("QUEUE_STORE_CORRUPT", `${lost} messages to clients were damaged, and are lost`);
    if (lost > 0) setImmediate(() => this.emit("store", damage)); // once somebody listens
  }

  #leadershipOn(url: string): Leadership {
    return new Leadership(
      { url: parseNatsUrl(url, { group: "sessions" }), clock: this.clock, random: this.#environment.random },
      {
        leads: (store) => this.#lead(store),
        lost: () => this.#follow(),
        address: () => this.address,
        trouble: (trouble) => void this.emit("store", trouble),
      },
    );
  }

  /** Sessions live with who leads: only that one takes clients. */
  async #lead(log: Store): Promise<void> {
    if (this.#closing) return;
    const store = this.#persistent(log);
    const core = this.#makeCore(store);
    this.#core = core;
    this.#store = store;
    await this.#restore(core, store);
    if (this.#core !== core || this.#closing) return;
    await this.#listen();
    if (this.#core !== core) return this.#acceptor.pause();
    this.#isLeading = true;
    this.emit("leading", true);
  }

  /** Its sessions are another's: what is left of them here says nothing more. */
  #follow(): void {
    const core = this.#core;
    const wasLeading = this.#isLeading;
    this.#isLeading = false;
    this.#acceptor.pause();
    core.destroy();
    core.forgetAll();
    if (this.#closing) return;
    this.#store = undefined;
    this.#core = this.#makeCore(undefined);
    if (wasLeading) this.emit("leading", false);
  }

  /**
   * Takes clients by WebSocket, at a path of an HTTP or HTTPS server of the application's: Node's own, or what its framework listens with.
   * They count for this server's bounds, and have the same sessions as those that come over TCP. `close` of this server detaches it.
   *
   * @throws UsageError LINK_OPTION_INVALID
   * @example
   * server.attach(httpServer, { path: "/link", allowedOrigins: ["https://app.example.org"] });
   */
  attach(httpServer: HttpServer, { path = "/", ...options }: WebSocketOptions & { readonly path?: string } = {}): void {
    const proxies = readProxies(options.trustedProxies);
    const onUpgrade = (request: IncomingMessage, socket: Duplex, head: Buffer): void => {
      if (pathOf(request) === path) return this.#upgrade(request, socket as Socket, { head, proxies, options });
      // Another listener may know the path.
      if (httpServer.listenerCount("upgrade") === 1) refuse(socket, unavailable(404));
    };
    httpServer.on("upgrade", onUpgrade);
    this.#detach.push(() => httpServer.off("upgrade", onUpgrade));
  }

  /**
   * Takes one client by WebSocket: for applications that choose themselves what becomes of an HTTP server's `upgrade` event.
   *
   * @throws UsageError LINK_OPTION_INVALID
   */
  handleUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer, options: WebSocketOptions = {}): void {
    this.#upgrade(request, socket as Socket, { head, proxies: readProxies(options.trustedProxies), options });
  }

  /** True while clients can come: until it closes, but for a server whose store is on NATS and whose group another one leads. */
  get leading(): boolean {
    return this.#isLeading && !this.#closing;
  }

  /** Where the server listens: "127.0.0.1:12345"; "" where it does not. */
  get address(): string {
    return this.#acceptor.address;
  }

  /** The port it listens on: the one that was free where 0 was asked for. */
  get port(): number {
    return this.#acceptor.port || (this.#target?.port ?? 0);
  }

  /** All sessions, connected or away. */
  get sessions(): Iterable<ServerSession> {
    return this.#core.sessions;
  }

  /** The session of a client by its name; undefined where there is none, or the client speaks version 1 of the protocol. */
  session(name: string): ServerSession | undefined {
    return this.#core.session(name);
  }

  /**
   * Publishes under a topic, to all sessions whose filters match.
   *
   * @returns how many sessions that are; each gets it while it lives, or hears of a gap
   * @throws OperationError LINK_FULL when it cannot be kept, LINK_MESSAGE_TOO_LARGE; UsageError LINK_OPTION_INVALID
   */
  publish(topic: string, message: Uint8Array | string, { keep = false, ...how }: PublishOptions = {}): number {
    const { confirm, expiresMs } = readSend(how);
    return this.#core.publish(topic, typeof message === "string" ? Buffer.from(message) : message, {
      keep,
      confirm,
      expiresMs,
    });
  }

  /**
   * Sends a message to every session there is, as `ServerSession.send` does.
   *
   * @returns resolves when each has it, or failed to: to how many it went, and how many have it
   */
  async broadcast(
    message: Uint8Array | string,
    how?: SendOptions,
  ): Promise<{ readonly sent: number; readonly confirmed: number }> {
    const bytes = typeof message === "string" ? Buffer.from(message) : message;
    const outcomes = await Promise.allSettled(Array.from(this.sessions, (session) => session.send(bytes, how)));
    return { sent: outcomes.length, confirmed: outcomes.filter(({ status }) => status === "fulfilled").length };
  }

  /** A snapshot: totals, connections with their keep-alive, sessions. */
  stats(): SessionServerStats {
    const sessions = Array.from(this.sessions, (session) => ({
      number: session.number,
      name: session.name,
      presence: session.presence,
      peer: session.peer,
      sinceMs: session.sinceMs,
      lastSeenMs: session.lastSeenMs,
      rttMs: session.rttMs,
      received: session.receivedBefore + session.state.inbox.arrived,
      open: session.state.inbox.open,
      unconfirmed: session.state.outbox.length,
    }));
    return { ...this.#acceptor.stats(), sessions, heldBytes: this.#core.heldBytes, counts: { ...this.#core.counts } };
  }

  /**
   * Shuts down gracefully: asks the clients to leave, evenly spread over this time, and accepts no new ones. Each client's last
   * messages are confirmed before its connection ends, so nothing is in doubt. Resolves when all are gone.
   */
  async drain({ over = 0 }: { over?: Duration } = {}): Promise<void> {
    const overMs = durationMs(over, "over");
    this.#closing ??= this.#shut(overMs);
    await this.#closing;
  }

  /** `drain` without spreading. May be called twice. */
  close(): Promise<void> {
    return this.drain();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** @internal */
  received(connection: LinkConnection, bytes: Uint8Array): void {
    this.#core.received(connection, bytes);
  }

  /** @internal */
  gone(link: ByteLink, end: LinkEnd): void {
    this.#acceptor.gone(link, end);
  }

  #adopt(socket: Socket, id: number): ByteLink {
    const transport = new SocketTransport(this);
    transport.link = new ByteLink(socket, { id, owner: transport });
    transport.connection = this.#core.accept(transport, transport.link.certificate);
    return transport.link;
  }

  #upgrade(
    request: IncomingMessage,
    socket: Socket,
    { head, proxies, options }: { head: Buffer; proxies: BlockList; options: WebSocketOptions },
  ): void {
    const said = answer(request, options);
    const transport = new WebSocketTransport(this, { peer: forwardedFor(request, proxies) });
    const link =
      said.status === 101 && this.#isLeading && !this.#isStopped
        ? this.#acceptor.take(socket, (accepted, id) => {
            transport.link = new ByteLink(accepted, { id, owner: transport });
            return transport.link;
          })
        : undefined;
    socket.setTimeout(0);
    if (!link) return refuse(socket, said.status === 101 ? unavailable(503) : said.head);
    link.write([utf8(said.head)]);
    transport.connection = this.#core.accept(transport, link.certificate);
    if (head.length > 0) transport.bytes(link, head);
  }

  #ownerOf(options: SessionListenOptions): SessionServerCoreOwner {
    const { token, onMessage = () => {} } = options.session;
    const through = options.toQueue || options.toCache ? this.#gatewayOf(options) : undefined;
    this.#gateway = through;
    return {
      topics: readTopics(options.session.topics),
      token: (name) => (typeof token === "function" ? token(name) : token),
      opened: (session, how) => void this.emit("session", session, how),
      message: through
        ? async (session, message, number) => {
            await onMessage(session, message, number);
            await through.message(session, message, number);
          }
        : onMessage,
      stream: options.session.onStream ?? noStreams,
      gap: (session, lost) => void this.emit("gap", session, lost),
      presence: (session, presence, end) => {
        through?.presence(session, presence, end);
        this.emit("presence", session, presence, end);
      },
      will: (session, will) => void this.emit("will", session, will),
      endedBeforeSession: (connection, end) => void this.emit("stranger", connection.transport.peer, end),
    };
  }

  #gatewayOf(options: GatewayOptions): Gateway {
    const { clock, random } = this.#environment;
    return gateway(options, { clock, random, cacheFailed: (error) => void this.emit("cacheFailed", error) });
  }

  async #shut(overMs: number): Promise<void> {
    const drained = Promise.withResolvers<void>();
    // While it lasts, newcomers are still accepted: to be told when to come back.
    const cancelStop = this.clock.at(this.clock.now() + overMs, () => drained.resolve());
    this.#core.drain(overMs);
    if (this.#core.connectionCount > 0) await drained.promise;
    cancelStop();
    this.#isStopped = true;
    this.#gateway?.close();
    for (const detach of this.#detach) detach();
    const stopped = this.#acceptor.stop();
    const cancel = this.clock.at(this.clock.now() + LEAVE_MS_MAX, () => this.#core.destroy());
    await stopped;
    cancel();
    this.#core.forgetAll();
    await this.#store?.close(LEAVE_MS_MAX);
    await this.#leadership?.close();
  }
}

/** Answers and closes. Node has taken its own listener away: a client that is gone by now would end the process. */
function refuse(socket: Duplex, reply: string): void {
  socket.on("error", () => {});
  socket.end(reply, () => socket.destroy());
}

function pathOf({ url = "/" }: IncomingMessage): string {
  const query = url.indexOf("?");
  return query < 0 ? url : url.slice(0, query);
}
