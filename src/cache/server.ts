/**
 * ● The cache server: listens, hands connections their sessions, keeps the store's clock and runs its maintenance. One object
 * serves embedded use, `holdfast cache` and `holdfast up`.
 */
import { randomInt } from "node:crypto";
import { chmodSync, rmSync } from "node:fs";
import { type Server, Socket, createServer } from "node:net";
import { parseAddress, showAddress } from "../core/address.ts";
import { type Cancel, type Clock, systemClock } from "../core/clock.ts";
import { OperationError, codeOf } from "../core/errors.ts";
import { DRAIN_MS_MAX } from "../core/limits.ts";
import { ReplyBuffer } from "../memcache/reply-buffer.ts";
import { Connection, type ConnectionOwner } from "./connection.ts";
import { BY_CLASS, COUNT, CounterTotals } from "./counters.ts";
import { READ_BYTES } from "./limits.ts";
import { Maintenance } from "./maintenance.ts";
import { GLOBAL, Memory, QUEUE_STAT, QUEUE_STATS } from "./memory.ts";
import { type CacheServerOptions, FEATURE_DEFAULTS, answersMax, idleTimeoutSeconds, storeSettings } from "./options.ts";
import { ServerHost } from "./server-host.ts";
import type { EndReason, Engine } from "./session.ts";
import { TUNE } from "./settings.ts";
import { Store } from "./store.ts";
import { TextSession } from "./text-session.ts";

/** memcached's clock starts here, so that "60 seconds ago" is never before the start. */
const FIRST_SECOND = 62;

const PORT_DEFAULT = 11_211;

/** Numbers of a running server, read in a few microseconds. */
export interface CacheStats {
  readonly items: number;
  /** What the items count for, as `stats` says it. */
  readonly bytes: number;
  readonly limitBytes: number;
  readonly gets: number;
  readonly hits: number;
  readonly misses: number;
  readonly sets: number;
  readonly deletes: number;
  readonly evictions: number;
  readonly expired: number;
  readonly connections: number;
  readonly connectionsTotal: number;
  readonly bytesRead: number;
  readonly bytesWritten: number;
  readonly uptimeSeconds: number;
}

/**
 * A memcached server in this process.
 *
 * @example
 * const cache = new CacheServer({ listen: "127.0.0.1:0", memory: "64m" });
 * await cache.listen();
 * // any memcached client: cache.address
 * await cache.close();
 */
export class CacheServer {
  readonly options: CacheServerOptions;
  readonly #clock: Clock;
  readonly #store: Store;
  readonly #engine: Engine;
  readonly #host: ServerHost;
  readonly #owner: ConnectionOwner;
  readonly #servers: Server[] = [];
  readonly #addresses: string[] = [];
  readonly #connections = new Map<number, Connection>();
  readonly #readBuffer = Buffer.allocUnsafeSlow(READ_BYTES);
  readonly #connectionsMax: number;
  readonly #idleTimeoutSeconds: number;
  readonly #startedMs: number;
  #timers: Cancel[] = [];
  /** Numbers of connections, as `stats conns` tells them; the first ones are the listening sockets'. */
  #nextId = 1000;
  #closing: Promise<void> | undefined;
  #allClosed: (() => void) | undefined;
  readonly #maintenance: Maintenance;
  #askShutdown: (how: "now" | "graceful") => void = () => {};
  /** Resolves when a client has asked for shutdown, where that is allowed. Closing is then up to the owner. */
  readonly shutdownAsked: Promise<"now" | "graceful"> = new Promise((resolve) => (this.#askShutdown = resolve));

  /**
   * Reserves the memory; listens to nothing yet.
   *
   * @param clock where time comes from; tests pass one that they move by hand
   * @throws UsageError CACHE_MEMORY_INVALID, CACHE_ITEM_SIZE_INVALID, UNIT_INVALID
   */
  constructor(options: CacheServerOptions = {}, clock: Clock = systemClock) {
    this.options = options;
    this.#clock = clock;
    this.#startedMs = clock.now();
    const startedSeconds = Math.floor(clock.wallMs() / 1000) - FIRST_SECOND;
    const memory = Memory.create(storeSettings(options, startedSeconds, randomInt(2 ** 31)));
    for (const [name, value] of Object.entries(options.tune ?? {})) memory.tune[TUNE[name as keyof typeof TUNE]] = value;
    this.#store = new Store(memory);
    this.#store.items.slabs.preallocate();
    if (options.trackSizes) this.#store.items.sizesHistogram = new Map();
    this.#connectionsMax = options.connections ?? 1024;
    this.#idleTimeoutSeconds = idleTimeoutSeconds(options);
    const out = new ReplyBuffer();
    this.#maintenance = new Maintenance(this.#store, clock, undefined);
    this.#host = new ServerHost({
      store: this.#store,
      features: { ...FEATURE_DEFAULTS, ...options.features },
      options,
      clock,
      connections: this.#connections,
      addresses: this.#addresses,
      maintenance: this.#maintenance,
      askShutdown: (how) => this.#askShutdown(how),
    });
    this.#engine = {
      store: this.#store,
      out,
      host: this.#host,
      commandsPerTurn: options.requestsPerEvent ?? Number.POSITIVE_INFINITY,
      answersMax: answersMax(options),
    };
    this.#owner = {
      out,
      counters: this.#store.counters,
      lock: undefined,
      now: () => this.#store.now,
      wallMs: () => clock.wallMs(),
      open: () => new TextSession(this.#engine),
      closed: (connection, reason) => this.#forget(connection, reason),
    };
    this.#tick();
  }

  /**
   * Starts listening.
   *
   * @throws OperationError CACHE_LISTEN_FAILED; the cause tells what the system said
   */
  async listen(): Promise<void> {
    const listen = this.options.listen ?? `127.0.0.1:${PORT_DEFAULT}`;
    try {
      for (const text of typeof listen === "string" ? [listen] : listen) await this.#listenTo(text);
    } catch (error) {
      await this.close();
      throw error;
    }
    this.#maintenance.start();
  }

  /** The first address listened to: "127.0.0.1:11211" or "unix:/path". Empty before `listen`. */
  get address(): string {
    return this.#addresses[0] ?? "";
  }

  /** All addresses listened to. */
  get addresses(): readonly string[] {
    return this.#addresses;
  }

  /** The addresses of datagrams. */
  get udpAddresses(): readonly string[] {
    return [];
  }

  /** Reads certificates and passwords again. */
  reload(): void {
    this.#host.refreshCertificates();
  }

  /** A snapshot of the numbers that matter. */
  stats(): CacheStats {
    const { memory } = this.#store;
    const totals = new CounterTotals(memory);
    let evictions = 0;
    let expired = totals.of(COUNT.getExpired);
    for (let queue = 0; queue < memory.heads.length; queue += 1) {
      evictions += memory.queueStats[queue * QUEUE_STATS + QUEUE_STAT.evicted]!;
      expired += memory.queueStats[queue * QUEUE_STATS + QUEUE_STAT.reclaimed]!;
      expired += memory.queueStats[queue * QUEUE_STATS + QUEUE_STAT.crawlerReclaimed]!;
    }
    return {
      items: memory.globals[GLOBAL.currItems]!,
      bytes: memory.globals[GLOBAL.currBytes]!,
      limitBytes: memory.globals[GLOBAL.memoryLimit]!,
      gets: totals.of(COUNT.getCommands),
      hits: totals.hits(),
      misses: totals.of(COUNT.getMisses),
      sets: totals.ofAllClasses(BY_CLASS.setCommands),
      deletes: totals.ofAllClasses(BY_CLASS.deleteHits),
      evictions,
      expired,
      connections: memory.globals[GLOBAL.connections]!,
      connectionsTotal: memory.globals[GLOBAL.totalConnections]!,
      bytesRead: totals.of(COUNT.bytesRead),
      bytesWritten: totals.of(COUNT.bytesWritten),
      uptimeSeconds: Math.floor((this.#clock.now() - this.#startedMs) / 1000),
    };
  }

  /** Stops listening, lets clients have what was already answered, closes. May be called twice. */
  close(_how: { readonly graceful?: boolean } = {}): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    for (const cancel of this.#timers) cancel();
    this.#timers = [];
    this.#maintenance.stop();
    await Promise.all(this.#servers.map((server) => new Promise<void>((resolve) => server.close(() => resolve()))));
    for (const address of this.#addresses) {
      if (address.startsWith("unix:")) rmSync(address.slice(5), { force: true });
    }
    if (this.#connections.size === 0) return;
    const allClosed = new Promise<void>((resolve) => (this.#allClosed = resolve));
    const cancel = this.#clock.at(this.#clock.now() + DRAIN_MS_MAX, () => {
      for (const connection of this.#connections.values()) connection.socket.destroy();
    });
    for (const connection of this.#connections.values()) connection.end("shutdown");
    await allClosed;
    cancel();
  }

  async #listenTo(text: string): Promise<void> {
    const server = createServer({ noDelay: true, pauseOnConnect: true, allowHalfOpen: true }, (socket) => this.#accept(socket));
    const unixPath = text.startsWith("unix:") ? text.slice(5) : undefined;
    const backlog = this.options.backlog ?? 1024;
    await new Promise<void>((resolve, reject) => {
      const refuse = (error: Error): void => {
        const reason = codeOf(error) ?? error.message;
        reject(new OperationError("CACHE_LISTEN_FAILED", `Cannot listen on ${text}: ${reason}`, { cause: error }));
      };
      server.once("error", refuse);
      const listening = (): void => {
        server.off("error", refuse);
        resolve();
      };
      if (unixPath === undefined)
        server.listen({ ...parseAddress(text, "listen", { port: PORT_DEFAULT }), backlog }, listening);
      else {
        rmSync(unixPath, { force: true });
        server.listen({ path: unixPath, backlog }, listening);
      }
    });
    this.#servers.push(server);
    const bound = server.address();
    if (unixPath !== undefined) {
      chmodSync(unixPath, this.options.socketMode ?? 0o700);
      this.#addresses.push(`unix:${unixPath}`);
    } else if (bound !== null && typeof bound === "object") {
      this.#addresses.push(showAddress({ host: bound.address, port: bound.port }));
    }
  }

  #accept(accepted: Socket): void {
    const { globals } = this.#store.memory;
    if (this.#connections.size >= this.#connectionsMax) {
      globals[GLOBAL.rejectedConnections]! += 1;
      accepted.on("error", () => accepted.destroy());
      accepted.end("ERROR Too many open connections\r\n", () => accepted.destroy());
      return;
    }
    globals[GLOBAL.connections]! += 1;
    globals[GLOBAL.totalConnections]! += 1;
    const id = this.#nextId;
    this.#nextId += 1;
    const unix = accepted.remoteAddress === undefined;
    const local = unix ? this.#unixAddress() : address(accepted.localAddress!, accepted.localPort!);
    const remote = unix ? local : address(accepted.remoteAddress!, accepted.remotePort!);
    let connection: Connection | undefined;
    const socket = withReadBuffer(accepted, this.#readBuffer, (length, bytes) => connection!.received(bytes, length));
    connection = new Connection(this.#owner, socket, { id, remote, local });
    this.#connections.set(id, connection);
  }

  #unixAddress(): string {
    return this.#addresses.find((candidate) => candidate.startsWith("unix:")) ?? "unix:";
  }

  #forget(connection: Connection, _reason: EndReason): void {
    this.#connections.delete(connection.id);
    this.#store.memory.globals[GLOBAL.connections]! -= 1;
    if (this.#connections.size === 0) this.#allClosed?.();
  }

  /** Moves the store's clock on, once a second. */
  #tick(): void {
    const elapsed = Math.floor((this.#clock.now() - this.#startedMs) / 1000);
    this.#host.tick(elapsed + FIRST_SECOND);
    if (this.#idleTimeoutSeconds > 0) this.#closeIdle();
    this.#timers[0] = this.#clock.at(this.#startedMs + (elapsed + 1) * 1000, () => this.#tick());
  }

  #closeIdle(): void {
    const before = this.#store.now - this.#idleTimeoutSeconds;
    for (const connection of this.#connections.values()) {
      if (connection.lastActive > before) continue;
      this.#store.counters.add(COUNT.idleKicks);
      connection.end("idle_timeout");
    }
  }
}

function address(host: string, port: number): string {
  return showAddress({ host, port });
}

/** Node's own parts of an accepted socket that reading into one shared buffer needs. */
interface Accepted {
  _handle: object | null;
  _server?: unknown;
  server?: unknown;
}

/**
 * The same connection as a socket that reads into `buffer`: `net.createServer` has no `onread`, only the constructor of Socket
 * has. A Buffer per chunk would be garbage at every read (measured: 12 % of the CPU at pipeline 1).
 */
function withReadBuffer(accepted: Socket, buffer: Buffer, callback: (length: number, bytes: Buffer) => boolean): Socket {
  const inner = accepted as unknown as Accepted;
  const handle = inner._handle;
  inner._handle = null;
  const onread = { buffer, callback: (length: number, bytes: Uint8Array) => callback(length, bytes as Buffer) };
  const socket = new Socket({ handle, onread, allowHalfOpen: true, readable: true, writable: true } as object);
  const outer = socket as unknown as Accepted;
  outer._server = inner._server;
  outer.server = inner.server;
  socket.resume();
  return socket;
}
