/**
 * ● The part of the server that each thread has its own of: listening sockets, connections, a read and a reply buffer. All threads
 * serve one store; with more than one thread, each access holds the lock.
 */
import { once } from "node:events";
import { chmodSync, rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import type { PeerCertificate, TLSSocket } from "node:tls";
import type { AccessControl } from "../../access/access-control.ts";
import { parseAddress, showAddress } from "../../core/address.ts";
import type { Clock } from "../../core/clock.ts";
import { AssertionFailed, OperationError, UsageError, codeOf, messageOf } from "../../core/errors.ts";
import { DRAIN_MS_MAX } from "../../core/limits.ts";
import { readInto } from "../../core/socket-handle.ts";
import { ReplyBuffer } from "../../memcached/reply-buffer.ts";
import { CacheConnection, type CacheConnectionOwner } from "./cache-connection.ts";
import { COUNT } from "../store/counters.ts";
import { PORT_DEFAULT, READ_BYTES } from "./limits.ts";
import { ipv4Ports, parseListenAddress } from "./listen-address.ts";
import type { StoreLock } from "../store/store-lock.ts";
import { BackgroundScheduler } from "../background/background-scheduler.ts";
import { GLOBAL, type Memory } from "../store/memory.ts";
import { type ProtocolConfig, openSession } from "./open-session.ts";
import { type CacheServerOptions, answersMax, idleTimeoutSeconds } from "./cache-server-options.ts";
import { type ThreadBusAddress, type ThreadBusHandler, ThreadBus } from "./thread-bus.ts";
import { PROTOCOL_WORDS, ServerAdmin } from "./server-admin.ts";
import type { CloseReason, SessionContext, ThreadStatName, ThreadStats } from "../protocol/cache-session.ts";
import { ItemStore } from "../store/item-store.ts";
import { TlsListeners } from "./tls-listeners.ts";
import { CommandTrace } from "./command-trace.ts";
import type { ThreadContext } from "./thread-context.ts";
import { UdpListener } from "./udp-listener.ts";
import { UserList } from "../protocol/user-list.ts";
import { AuthFile } from "./auth-file.ts";
import { LogWatchers } from "./log-watchers.ts";

export interface ThreadServerOptions {
  readonly memory: Memory;
  readonly options: CacheServerOptions;
  readonly clock: Clock;
  /** 0 for the thread that made the store. */
  readonly thread: number;
  readonly lock: StoreLock | undefined;
  /** Where it meets the other threads; undefined when there are none. */
  readonly busAddress: ThreadBusAddress | undefined;
  /** Called when a client asks for shutdown. */
  readonly askShutdown: (how: "now" | "graceful") => void;
}

export class ThreadServer {
  readonly store: ItemStore;
  readonly background: BackgroundScheduler;
  readonly admin: ServerAdmin;
  readonly addresses: string[] = [];
  /** The TCP addresses again, with the prefixes that say how to listen on them: what other threads are to listen on. */
  readonly listens: string[] = [];
  readonly #thread: ThreadContext;
  readonly #context: SessionContext;
  readonly #tls: TlsListeners | undefined;
  readonly #owner: CacheConnectionOwner;
  readonly #protocolConfig: ProtocolConfig;
  readonly #authFiles: AuthFile[] = [];
  readonly #servers: Server[] = [];
  readonly #udp: UdpListener[] = [];
  readonly #watchers: LogWatchers;
  readonly #connections = new Map<number, CacheConnection>();
  /** Clients beyond the limit that wait instead of being refused. */
  readonly #waiting: [Socket, CacheConnectionOwner][] = [];
  /** Clients beyond the limit that are being told so. */
  readonly #refused = new Set<Socket>();
  readonly #readBuffer = Buffer.allocUnsafeSlow(READ_BYTES);
  readonly #connectionsMax: number;
  readonly #idleTimeoutSeconds: number;
  /** The next connection's number in `stats conns`; the lowest numbers are those of the listening sockets. */
  #nextId: number;
  #allClosed: (() => void) | undefined;

  constructor({ memory, options, clock, thread, lock, busAddress, askShutdown }: ThreadServerOptions) {
    this.store = new ItemStore(memory, thread);
    const trace = new CommandTrace(memory.tune, options.traceToStderr ? printToStderr : undefined);
    const out = new ReplyBuffer();
    this.#thread = { store: this.store, options, clock, lock, out, trace, executingId: 0, bus: undefined };
    this.#connectionsMax = options.connections ?? 1024;
    this.#idleTimeoutSeconds = idleTimeoutSeconds(options);
    this.#nextId = CONNECTION_ID_FIRST + thread * CONNECTION_IDS_PER_THREAD;
    const { access, protocol = "auto" } = options;
    const users = this.#usersOf(options.authFile, access);
    const saslUsers = this.#usersOf(options.saslFile, access);
    this.#protocolConfig = { protocol, users, saslUsers, access };
    this.#tls = options.tls === undefined ? undefined : new TlsListeners(options.tls, clock);
    this.background = new BackgroundScheduler(this.store, clock, lock);
    this.#watchers = new LogWatchers(this.#thread);
    this.admin = new ServerAdmin(this.#thread, {
      connections: this.#connections,
      addresses: this.addresses,
      udpAddresses: () => this.udpAddresses,
      background: this.background,
      watchers: this.#watchers,
      tls: this.#tls,
      askShutdown,
    });
    this.#context = {
      store: this.store,
      out,
      server: this.admin,
      commandsPerTurn: options.requestsPerEvent ?? Number.POSITIVE_INFINITY,
      answersMax: answersMax(options),
    };
    this.#owner = this.#ownerFor(this.#protocolConfig);
    if (busAddress) this.#thread.bus = new ThreadBus(busAddress, clock, this.#busHandler());
  }

  /** Who must log in: users of the file, and those of the access file that have a password. */
  #usersOf(file: string | undefined, access: AccessControl | undefined): UserList | undefined {
    const hasPasswords = access?.table.users.some(({ password }) => password !== undefined) ?? false;
    const users = new UserList((user, password) => access?.table.withPassword(user, password) !== undefined);
    if (file !== undefined) this.#authFiles.push(new AuthFile(file, users));
    return file !== undefined || hasPasswords ? users : undefined;
  }

  #busHandler(): ThreadBusHandler {
    const parts: { readonly [Name in ThreadStatName]: () => ThreadStats[Name] } = {
      connections: () => this.admin.openConnections(),
      prefixes: () => this.store.prefixes.counts(),
    };
    return {
      part: (name) => parts[name](),
      watched: (thread, kinds) => this.#watchers.watchedElsewhere(thread, kinds),
      logged: (lines) => this.#watchers.logged(lines),
      resetPrefixes: () => this.store.prefixes.clear(),
      refreshCertificates: () => this.#refreshCertificates(),
    };
  }

  /** The thread that got the command has just read the same files. An error here is logged, and the certificates in use stay. */
  #refreshCertificates(): void {
    try {
      this.#tls?.refresh();
    } catch (error) {
      if (!(error instanceof UsageError)) throw error;
      process.stderr.write(`${error.message}\n`);
    }
  }

  #ownerFor(protocolConfig: ProtocolConfig): CacheConnectionOwner {
    return {
      thread: this.#thread,
      protocol: protocolConfig.protocol,
      open: (firstByte, socket) =>
        openSession(this.#context, protocolConfig, firstByte, protocolConfig.access && commonNameOf(socket)),
      closed: (connection, reason) => this.#forget(connection, reason),
    };
  }

  /**
   * Listens on one address more.
   *
   * @param shared several threads listen on it
   * @throws OperationError CACHE_LISTEN_FAILED
   */
  async listenTo(text: string, shared: boolean): Promise<void> {
    const { address: where, tls, protocol } = parseListenAddress(text);
    const owner = protocol === undefined ? this.#owner : this.#ownerFor({ ...this.#protocolConfig, protocol });
    const accept = (socket: Socket): void => this.#accept(socket, owner);
    const backlog = this.#thread.options.backlog ?? 1024;
    if (where.startsWith("unix:")) {
      const server = createServer(PLAIN_SOCKETS, accept);
      const path = where.slice("unix:".length);
      rmSync(path, { force: true });
      await listening(server, { path, backlog }, text);
      chmodSync(path, this.#thread.options.socketMode ?? 0o700);
      this.addresses.push(where);
      this.#servers.push(server);
      return;
    }
    const secure = tls === "notls" ? undefined : this.#tls;
    const server = secure ? secure.createServer(tls === "mtls", accept) : createServer(PLAIN_SOCKETS, accept);
    const { host, port } = parseAddress(where, "listen", { port: PORT_DEFAULT });
    const ipv6Only = ipv4Ports(this.#thread.options.listen).has(port);
    await listening(server, { host, port, backlog, reusePort: shared, ipv6Only }, text);
    const bound = server.address();
    if (bound === null || typeof bound === "string") throw new AssertionFailed("a TCP server has an address");
    this.addresses.push(showAddress({ host: bound.address, port: bound.port }));
    this.listens.push(text.slice(0, text.length - where.length) + this.addresses.at(-1)!);
    this.#servers.push(server);
  }

  /**
   * @param shared several threads listen on it
   * @throws OperationError CACHE_LISTEN_FAILED
   */
  async listenToDatagrams(text: string, shared: boolean): Promise<void> {
    const id = this.addresses.length + this.#udp.length + 1;
    this.#udp.push(
      await UdpListener.open(text, shared, {
        thread: this.#thread,
        open: (byte) => openSession(this.#context, this.#protocolConfig, byte),
        id,
      }),
    );
  }

  /** Prints slab classes and addresses where `-vv` asks for it. */
  announce(): void {
    const protocolWord = PROTOCOL_WORDS[this.#protocolConfig.protocol];
    const listening = [...this.addresses.map(() => protocolWord), ...this.#udp.map(() => "udp")];
    this.#thread.trace.started(this.store.memory, this.store.items.slabs.largest, listening);
  }

  get udpAddresses(): readonly string[] {
    return this.#udp.map(({ address }) => address);
  }

  /**
   * Reads certificates and passwords again; what cannot be read stays as it was.
   *
   * @throws UsageError CACHE_TLS_FILES_INVALID, CACHE_AUTH_FILE_UNREADABLE, CACHE_AUTH_FILE_MALFORMED
   */
  reload(): void {
    this.#tls?.refresh();
    for (const file of this.#authFiles) file.load();
  }

  /** Ends connections that have been silent for too long; called about once a second. */
  closeIdle(): void {
    if (this.#idleTimeoutSeconds === 0) return;
    const before = this.store.now - this.#idleTimeoutSeconds;
    for (const connection of this.#connections.values()) {
      if (connection.lastActive > before) continue;
      this.store.counters.add(COUNT.idleKicks);
      connection.end("idle_timeout");
    }
  }

  /** Stops listening and ends all connections, once they have what was already answered. */
  async close(): Promise<void> {
    this.background.stop();
    const closed = this.#servers.map((server) => new Promise<void>((resolve) => server.close(() => resolve())));
    for (const address of this.addresses) if (address.startsWith("unix:")) removeSocket(address.slice("unix:".length));
    for (const [socket] of this.#waiting) socket.destroy();
    for (const socket of this.#refused) socket.destroy();
    this.#tls?.endHandshakes();
    if (this.#connections.size > 0) {
      const allClosed = new Promise<void>((resolve) => (this.#allClosed = resolve));
      const cancel = this.#thread.clock.at(this.#thread.clock.now() + DRAIN_MS_MAX, () => {
        for (const connection of this.#connections.values()) connection.socket.destroy();
      });
      for (const connection of this.#connections.values()) connection.end("shutdown");
      await allClosed;
      cancel();
    }
    await Promise.all([...closed, ...this.#udp.map((listener) => listener.close())]);
    this.#thread.bus?.close();
  }

  #accept(accepted: Socket, owner: CacheConnectionOwner): void {
    const { globals } = this.store.memory;
    this.#thread.lock?.acquire();
    const full = globals[GLOBAL.connections]! >= this.#connectionsMax;
    if (!full) {
      globals[GLOBAL.connections]! += 1;
      globals[GLOBAL.totalConnections]! += 1;
    } else if (this.#thread.options.connectionsFast === false) {
      if (globals[GLOBAL.accepting] !== 0) globals[GLOBAL.listenDisabled]! += 1;
      globals[GLOBAL.accepting] = 0;
    } else {
      globals[GLOBAL.rejectedConnections]! += 1;
    }
    this.#thread.lock?.release();
    if (!full) this.#serve(accepted, owner);
    else this.#refuse(accepted, owner);
  }

  #serve(accepted: Socket, owner: CacheConnectionOwner): void {
    const id = this.#nextId;
    this.#nextId += 1;
    const unix = accepted.remoteAddress === undefined;
    const local = unix ? this.#unixAddress() : address(accepted.localAddress!, accepted.localPort!);
    const remote = unix ? local : address(accepted.remoteAddress!, accepted.remotePort!);
    let connection: CacheConnection | undefined;
    const callback = (length: number, bytes: Uint8Array): boolean => connection!.received(bytes as Buffer, length);
    const socket = readInto(accepted, { buffer: this.#readBuffer, callback })?.resume() ?? withChunks(accepted, callback);
    connection = new CacheConnection(owner, socket, { id, remote, local });
    this.#connections.set(id, connection);
    this.#watchers.opened(connection);
  }

  /** Answers that there are too many connections, or lets the client wait as if it were not accepted yet. */
  #refuse(accepted: Socket, owner: CacheConnectionOwner): void {
    accepted.on("error", () => accepted.destroy());
    if (this.#thread.options.connectionsFast === false && this.#waiting.length < (this.#thread.options.backlog ?? 1024)) {
      this.#waiting.push([accepted, owner]);
    } else {
      this.#refused.add(accepted);
      accepted.once("close", () => this.#refused.delete(accepted));
      accepted.end("ERROR Too many open connections\r\n", () => accepted.destroy());
    }
  }

  #unixAddress(): string {
    return this.addresses.find((candidate) => candidate.startsWith("unix:")) ?? "unix:";
  }

  #forget(connection: CacheConnection, reason: CloseReason): void {
    const { globals } = this.store.memory;
    this.#watchers.closed(connection, reason);
    this.#connections.delete(connection.id);
    this.#thread.lock?.acquire();
    globals[GLOBAL.connections]! -= 1;
    this.#thread.lock?.release();
    if (this.#connections.size === 0) this.#allClosed?.();
    const next = this.#waiting.shift();
    if (this.#waiting.length === 0) globals[GLOBAL.accepting] = 1;
    if (next && !next[0].destroyed) this.#accept(...next);
  }
}

/** Connections' numbers start here in the first thread, and so many further on in each other. */
const CONNECTION_ID_FIRST = 1000;
const CONNECTION_IDS_PER_THREAD = 1_000_000_000;

function printToStderr(text: string): void {
  process.stderr.write(text, "latin1");
}

async function listening(server: Server, where: object, text: string): Promise<void> {
  server.listen(where);
  try {
    await once(server, "listening");
  } catch (error) {
    throw new OperationError("CACHE_LISTEN_FAILED", `Cannot listen on ${text}: ${codeOf(error) ?? messageOf(error)}`, {
      cause: error,
    });
  }
}

/** The user that `-u` names may not remove what root has made: the file stays then, and the next start replaces it. */
function removeSocket(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch (error) {
    if (codeOf(error) !== "EACCES" && codeOf(error) !== "EPERM") throw error;
  }
}

/** Of a certificate that was checked: the listener asks for one of its own CA. */
function commonNameOf(socket: Socket): string | undefined {
  if (!("getPeerCertificate" in socket) || !("authorized" in socket) || socket.authorized !== true) return undefined;
  const { subject } = (socket as TLSSocket).getPeerCertificate() as Partial<PeerCertificate>;
  return typeof subject?.CN === "string" ? subject.CN : undefined;
}

function address(host: string, port: number): string {
  return showAddress({ host, port });
}

const PLAIN_SOCKETS = { noDelay: true, pauseOnConnect: true, allowHalfOpen: true } as const;

/** TLS sockets deliver decrypted bytes in buffers of their own; so do all sockets where a handle cannot be adopted. */
function withChunks(socket: Socket, callback: (length: number, bytes: Buffer) => boolean): Socket {
  socket.on("data", (chunk: Buffer) => {
    if (!callback(chunk.length, chunk)) socket.pause();
  });
  return socket.resume();
}
