/**
 * ● The cache server: makes the store, serves it in this thread and in further ones, keeps its clock, runs its background work.
 * One object serves embedded use, `holdfast cache` and `holdfast up`.
 */
import { parseAddress } from "../../core/address.ts";
import { type Cancel, type Clock, systemClock } from "../../core/clock.ts";
import { PORT_DEFAULT } from "./limits.ts";
import { parseListenAddress } from "./listen-address.ts";
import { StoreLock } from "../store/store-lock.ts";
import { Memory } from "../store/memory.ts";
import { type CacheServerOptions, storeSettings } from "./cache-server-options.ts";
import type { ThreadBusAddress } from "./thread-bus.ts";
import { loadRestartFile, readRestartMeta, saveRestartFile } from "./restart-file.ts";
import { ThreadServer } from "./thread-server.ts";
import { TUNE } from "../store/settings.ts";
import { type CacheStats, snapshot } from "./cache-snapshot.ts";
import { ServerThread } from "./server-thread.ts";

/** 31 bits by chance: V8 draws from the system's entropy, and nobody is told another number of the row. node:crypto would take 3 MB. */
const unguessed = (): number => Math.floor(Math.random() * 2 ** 31);

/** memcached's clock starts here, so that "60 seconds ago" is never before the start. */
const FIRST_SECOND = 62;

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
  /** As given. */
  readonly options: CacheServerOptions;
  readonly #clock: Clock;
  readonly #memory: Memory;
  readonly #threadServer: ThreadServer;
  readonly #threads: ServerThread[] = [];
  readonly #startedMs: number;
  /** The store's second at the start; larger after a warm restart, since its clock goes on. */
  readonly #firstSecond: number;
  readonly #channel = `holdfast-cache-${unguessed()}`;
  #cancelTick: Cancel = () => {};
  #closing: Promise<void> | undefined;
  #askShutdown: (how: "now" | "graceful") => void = () => {};
  /** Resolves when a client has asked for shutdown, where that is allowed. Closing is then up to the owner. */
  readonly shutdownAsked: Promise<"now" | "graceful"> = new Promise((resolve) => (this.#askShutdown = resolve));

  /**
   * Reserves the memory; listens to nothing yet.
   *
   * @param clock where time comes from; tests pass one that they move by hand
   * @throws UsageError CACHE_MEMORY_INVALID, CACHE_ITEM_SIZE_INVALID, UNIT_INVALID, CACHE_TLS_FILES_INVALID,
   * CACHE_AUTH_FILE_UNREADABLE, CACHE_AUTH_FILE_MALFORMED
   * @throws OperationError CACHE_RESTART_FILE_INVALID when `memoryFile` has metadata that cannot be read
   */
  constructor(options: CacheServerOptions = {}, clock: Clock = systemClock) {
    this.options = options;
    this.#clock = clock;
    this.#startedMs = clock.now();
    const kept = options.memoryFile === undefined ? undefined : readRestartMeta(options.memoryFile);
    const wallSeconds = Math.floor(clock.wallMs() / 1000);
    const startedSeconds = kept?.startedSeconds ?? wallSeconds - FIRST_SECOND;
    this.#firstSecond = wallSeconds - startedSeconds;
    this.#memory = Memory.create(storeSettings(options, startedSeconds, unguessed()));
    const { tune, atomics } = this.#memory;
    for (const [name, value] of Object.entries(options.tune ?? {})) tune[TUNE[name as keyof typeof TUNE]] = value;
    this.#threadServer = new ThreadServer({
      memory: this.#memory,
      options,
      clock,
      thread: 0,
      lock: this.#threadCount > 1 ? new StoreLock(atomics) : undefined,
      busAddress: this.#threadCount > 1 ? this.#busAddress(0) : undefined,
      askShutdown: (how) => this.#askShutdown(how),
    });
    this.#threadServer.store.items.slabs.preallocate();
    this.#tick();
    if (kept) loadRestartFile(options.memoryFile!, kept, this.#threadServer.store.items);
  }

  /**
   * Starts listening. With several threads all listen on each TCP address and the system spreads the connections; a unix socket
   * is the first thread's.
   *
   * @throws OperationError CACHE_LISTEN_FAILED; the cause has the system's error
   */
  async listen(): Promise<void> {
    const wanted = this.options.listen ?? `127.0.0.1:${PORT_DEFAULT}`;
    const shared = this.#threadCount > 1;
    try {
      for (const text of typeof wanted === "string" ? [wanted] : wanted) {
        if (shared) await this.#checkFree(text);
        await this.#threadServer.listenTo(text, shared);
      }
      for (const text of this.options.udp ?? []) {
        if (shared) await this.#checkFreeForDatagrams(text);
        await this.#threadServer.listenToDatagrams(text, shared);
      }
      const { listens: listen, udpAddresses: udp } = this.#threadServer;
      for (let thread = 1; thread < this.#threadCount && listen.length + udp.length > 0; thread += 1) {
        const busAddress = this.#busAddress(thread);
        const { handle } = this.#memory;
        // What has methods goes to no thread.
        const { access, ...options } = this.options;
        const more = { thread, listen, udp, busAddress, access: access?.path };
        const started = await ServerThread.start({ handle, options, ...more });
        started.onRefused = (facts) => access?.tell("cache", facts);
        this.#threads.push(started);
      }
    } catch (error) {
      await this.close();
      throw error;
    }
    for (const thread of this.#threads) thread.onShutdown = (how) => this.#askShutdown(how);
    this.#threadServer.announce();
    this.#threadServer.background.start();
  }

  /** The first address listened to: "127.0.0.1:11211" or "unix:/path". Empty before `listen`. */
  get address(): string {
    return this.addresses[0] ?? "";
  }

  /** All addresses listened to. */
  get addresses(): readonly string[] {
    return this.#threadServer.addresses;
  }

  /** The addresses of datagrams. */
  get udpAddresses(): readonly string[] {
    return this.#threadServer.udpAddresses;
  }

  /**
   * Reads certificates and passwords again; what cannot be read stays as it was.
   *
   * @throws UsageError CACHE_TLS_FILES_INVALID, CACHE_AUTH_FILE_UNREADABLE, CACHE_AUTH_FILE_MALFORMED
   */
  reload(): void {
    this.#threadServer.reload();
    for (const thread of this.#threads) thread.reload();
  }

  /** A snapshot of the numbers that matter. */
  stats(): CacheStats {
    return snapshot(this.#memory, Math.floor((this.#clock.now() - this.#startedMs) / 1000));
  }

  /**
   * Stops listening, lets clients have what was already answered, closes; keeps the items in `memoryFile` where there is one. May
   * be called twice.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  get #threadCount(): number {
    return this.options.threads ?? 1;
  }

  #busAddress(thread: number): ThreadBusAddress {
    return { channel: this.#channel, thread, threads: this.#threadCount };
  }

  async #close(): Promise<void> {
    this.#cancelTick();
    try {
      await Promise.all([this.#threadServer.close(), ...this.#threads.map((thread) => thread.close())]);
    } finally {
      if (this.options.memoryFile !== undefined) saveRestartFile(this.options.memoryFile, this.#threadServer.store.items);
    }
  }

  /** Ports that threads share could be shared with another program, too: refuse one that is taken. */
  async #checkFree(text: string): Promise<void> {
    const where = parseListenAddress(text).address;
    if (where.startsWith("unix:") || parseAddress(where, "listen", { port: PORT_DEFAULT }).port === 0) return;
    await this.#probe((probe) => probe.listenTo(text, false));
  }

  async #checkFreeForDatagrams(text: string): Promise<void> {
    if (parseAddress(text, "udp", { port: PORT_DEFAULT }).port === 0) return;
    await this.#probe((probe) => probe.listenToDatagrams(text, false));
  }

  async #probe(listen: (probe: ThreadServer) => Promise<void>): Promise<void> {
    const probe = new ThreadServer({
      memory: this.#memory,
      options: this.options,
      clock: this.#clock,
      thread: 0,
      lock: undefined,
      busAddress: undefined,
      askShutdown: () => {},
    });
    try {
      await listen(probe);
    } finally {
      await probe.close();
    }
  }

  /** Moves the store's clock on, once a second. */
  #tick(): void {
    const elapsed = Math.floor((this.#clock.now() - this.#startedMs) / 1000);
    this.#threadServer.admin.tick(elapsed + this.#firstSecond);
    this.#threadServer.closeIdle();
    this.#cancelTick = this.#clock.at(this.#startedMs + (elapsed + 1) * 1000, () => this.#tick());
  }
}
