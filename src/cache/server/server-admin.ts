/** ● Executes the administration commands that concern the server: its statistics, clock, dumps, page moves, certificates. */
import { UsageError } from "../../core/errors.ts";
import type { CacheConnection } from "./cache-connection.ts";
import { COUNT, CounterTotals } from "../store/counters.ts";
import type { BackgroundScheduler } from "../background/background-scheduler.ts";
import { ATOMIC, GLOBAL } from "../store/memory.ts";
import { FEATURE_DEFAULTS, watcherBufferBytes } from "./cache-server-options.ts";
import type { ThreadContext } from "./thread-context.ts";
import type { CrawlKind } from "../background/lru-crawler.ts";
import type { Features, ServerControl, ThreadStatName, ThreadStats, StatLine } from "../protocol/cache-session.ts";
import { TUNE } from "../store/settings.ts";
import { commandStats, tableStats } from "../protocol/stats.ts";
import { type TlsListeners, tlsSettings } from "./tls-listeners.ts";
import type { LogWatchers } from "./log-watchers.ts";

/** The version of memcached whose behaviour this is; clients derive from it what a server can do. */
const VERSION = "1.6.45";

/** memcached's words for the protocols that connections may use. */
export const PROTOCOL_WORDS = { auto: "auto-negotiate", ascii: "ascii", binary: "binary" } as const;

/** A session of a datagram has no connection that a dump or a log could go to. */
const NO_CONNECTION = "ERROR an unknown error happened";

/** The thread's parts that the commands read or change. */
export interface ServerAdminParts {
  readonly connections: ReadonlyMap<number, CacheConnection>;
  readonly addresses: readonly string[];
  readonly udpAddresses: () => readonly string[];
  readonly background: BackgroundScheduler;
  readonly watchers: LogWatchers;
  readonly tls: TlsListeners | undefined;
  readonly askShutdown: (how: "now" | "graceful") => void;
}

export class ServerAdmin implements ServerControl {
  readonly version = VERSION;
  readonly features: Features;
  readonly #thread: ThreadContext;
  readonly #parts: ServerAdminParts;

  constructor(thread: ThreadContext, parts: ServerAdminParts) {
    this.#thread = thread;
    this.#parts = parts;
    this.features = { ...FEATURE_DEFAULTS, ...thread.options.features };
  }

  /** Sets the store's clock, as moved by `debugtime`. */
  tick(second: number): void {
    const { store } = this.#thread;
    const { globals } = store.memory;
    if (globals[GLOBAL.clockPaused] === 0) store.now = second + globals[GLOBAL.debugTimeDelta]!;
  }

  serverStats(): readonly StatLine[] {
    const { store, options, clock } = this.#thread;
    const { memory } = store;
    const totals = new CounterTotals(memory);
    const global = (place: number): number => memory.globals[place]!;
    const { userCPUTime, systemCPUTime } = process.resourceUsage();
    const seconds = (microseconds: number): string => (microseconds / 1e6).toFixed(6);
    return [
      ["pid", process.pid],
      ["uptime", store.now - 60],
      ["time", Math.floor(clock.wallMs() / 1000)],
      ["version", VERSION],
      ["libevent", `libuv-${process.versions.uv}`],
      ["pointer_size", 64],
      ["rusage_user", seconds(userCPUTime)],
      ["rusage_system", seconds(systemCPUTime)],
      ["max_connections", options.connections ?? 1024],
      ["curr_connections", global(GLOBAL.connections)],
      ["total_connections", global(GLOBAL.totalConnections)],
      ["rejected_connections", global(GLOBAL.rejectedConnections)],
      ["connection_structures", this.#parts.connections.size],
      ["response_obj_oom", totals.of(COUNT.responseOom)],
      ["response_obj_count", 1],
      ["response_obj_bytes", 65_536],
      ["read_buf_count", 1],
      ["read_buf_bytes", 65_536],
      ["read_buf_bytes_free", 65_536],
      ["read_buf_oom", totals.of(COUNT.readBufferOom)],
      ["reserved_fds", 0],
      ...commandStats(memory),
      ...(options.idleTimeout ? [["idle_kicks", totals.of(COUNT.idleKicks)] as const] : []),
      ["bytes_read", totals.of(COUNT.bytesRead)],
      ["bytes_written", totals.of(COUNT.bytesWritten)],
      ["limit_maxbytes", global(GLOBAL.memoryLimit)],
      ["accepting_conns", global(GLOBAL.accepting)],
      ["listen_disabled_num", global(GLOBAL.listenDisabled)],
      ["time_in_listen_disabled_us", 0],
      ["threads", options.threads ?? 1],
      ["conn_yields", totals.of(COUNT.connYields)],
      ...tableStats(store),
      ["log_worker_dropped", 0],
      ["log_worker_written", totals.of(COUNT.logWritten)],
      ["log_watcher_skipped", totals.of(COUNT.logSkipped)],
      ["log_watcher_sent", totals.of(COUNT.logSent)],
      ["log_watchers", memory.atomics[ATOMIC.watchers]!],
      ...(this.#parts.tls?.stats() ?? []),
      ["unexpected_napi_ids", 0],
      ["round_robin_fallback", 0],
    ];
  }

  settingsStats(): readonly StatLine[] {
    const { features } = this;
    const { store, options } = this.#thread;
    const { settings, tune } = store.memory;
    const yes = (on: boolean): string => (on ? "yes" : "no");
    const tuned = (place: number): number => tune[place]!;
    return [
      ["maxbytes", store.memory.globals[GLOBAL.memoryLimit]!],
      ["maxconns", options.connections ?? 1024],
      ["tcpport", this.#tcpPort()],
      ["udpport", portOf(this.#parts.udpAddresses()[0])],
      ["inter", "NULL"],
      ["verbosity", tuned(TUNE.verbosity)],
      ["oldest", store.memory.globals[GLOBAL.oldestLive]!],
      ["evictions", settings.evictToFree ? "on" : "off"],
      ["domain_socket", this.#parts.addresses.find((a) => a.startsWith("unix:"))?.slice(5) ?? "NULL"],
      ["umask", (options.socketMode ?? 0o700).toString(8)],
      ["shutdown_command", yes(features.shutdown)],
      ["growth_factor", settings.growthFactor.toFixed(2)],
      ["chunk_size", settings.chunkBytesMin],
      ["num_threads", options.threads ?? 1],
      ["num_threads_per_udp", options.threads ?? 1],
      ["stat_key_prefix", settings.prefixDelimiter],
      ["detail_enabled", yes(tuned(TUNE.detail) !== 0)],
      ["reqs_per_event", options.requestsPerEvent ?? 20],
      ["cas_enabled", yes(settings.useCas)],
      ["tcp_backlog", options.backlog ?? 1024],
      ["binding_protocol", PROTOCOL_WORDS[options.protocol ?? "auto"]],
      ["auth_enabled_sasl", yes(options.saslFile !== undefined)],
      ["auth_enabled_ascii", options.authFile ?? "no"],
      ["item_size_max", settings.itemBytesMax],
      ["maxconns_fast", "yes"],
      ["hashpower_init", settings.hashPower],
      ["slab_reassign", yes(settings.slabReassign)],
      ["slab_automove", tuned(TUNE.automove)],
      ["slab_automove_ratio", tuned(TUNE.automoveRatio).toFixed(2)],
      ["slab_automove_window", tuned(TUNE.automoveWindow)],
      ["slab_chunk_max", settings.chunkBytesMax],
      ["lru_crawler", yes(tuned(TUNE.crawlerEnabled) !== 0)],
      ["lru_crawler_sleep", tuned(TUNE.crawlerSleepUs)],
      ["lru_crawler_tocrawl", tuned(TUNE.crawlerToCrawl)],
      ["tail_repair_time", tuned(TUNE.tailRepairSeconds)],
      ["flush_enabled", yes(features.flush)],
      ["dump_enabled", yes(features.dump)],
      ["hash_algorithm", "murmur3"],
      ["lru_maintainer_thread", yes(tuned(TUNE.maintainer) !== 0)],
      ["lru_segmented", yes(tuned(TUNE.segmented) !== 0)],
      ["eviction", settings.eviction],
      ["hot_lru_pct", tuned(TUNE.hotPercent)],
      ["warm_lru_pct", tuned(TUNE.warmPercent)],
      ["hot_max_factor", tuned(TUNE.hotMaxFactor).toFixed(2)],
      ["warm_max_factor", tuned(TUNE.warmMaxFactor).toFixed(2)],
      ["temp_lru", yes(tuned(TUNE.tempLru) !== 0)],
      ["temporary_ttl", tuned(TUNE.tempTtl)],
      ["idle_timeout", options.idleTimeout ?? 0],
      ["watcher_logbuf_size", watcherBufferBytes(options)],
      ["worker_logbuf_size", 65_536],
      ["read_buf_mem_limit", 0],
      ["track_sizes", yes(settings.trackSizes)],
      ["inline_ascii_response", "no"],
      ["drop_privileges", "no"],
      ...tlsSettings(options.tls),
      ["num_napi_ids", 0],
      ["memory_file", options.memoryFile ?? "(null)"],
      ["client_flags_size", 4],
    ];
  }

  connectionStats(): readonly StatLine[] {
    const lines: StatLine[] = [];
    const { store } = this.#thread;
    const { addresses, udpAddresses } = this.#parts;
    const listening = [...addresses.map(withScheme), ...udpAddresses().map((address) => `udp:${address}`)];
    for (const [index, address] of listening.entries()) {
      lines.push(
        [`${index + 1}:addr`, address],
        [`${index + 1}:state`, "conn_listening"],
        [`${index + 1}:secs_since_last_cmd`, store.now - 60],
      );
    }
    return [...lines, ...this.openConnections()];
  }

  /** The clients of this thread. */
  openConnections(): readonly StatLine[] {
    const { store } = this.#thread;
    const lines: StatLine[] = [];
    for (const { id, remote, local, state, lastActive } of this.#parts.connections.values()) {
      lines.push(
        [`${id}:addr`, withScheme(remote)],
        [`${id}:listen_addr`, withScheme(this.#listening(local))],
        [`${id}:state`, state],
        [`${id}:secs_since_last_cmd`, store.now - lastActive],
      );
    }
    return lines;
  }

  resetStats(): void {
    const { globals } = this.#thread.store.memory;
    globals[GLOBAL.totalItems] = 0;
    globals[GLOBAL.totalItemsAtFlush] = -1;
    globals[GLOBAL.totalConnections] = 0;
    globals[GLOBAL.rejectedConnections] = 0;
    this.#thread.bus?.resetPrefixes();
  }

  shutdown(graceful: boolean): boolean {
    if (!this.features.shutdown) return false;
    this.#parts.askShutdown(graceful ? "graceful" : "now");
    return true;
  }

  watch(kinds: readonly string[]): string | undefined {
    const connection = this.#executing();
    return connection ? this.#parts.watchers.add(connection, kinds) : NO_CONNECTION;
  }

  askOthers<Name extends ThreadStatName>(name: Name, answer: (parts: readonly ThreadStats[Name][]) => void): boolean {
    const { out, bus } = this.#thread;
    const connection = this.#executing();
    if (!bus || !connection) return false;
    connection.hold();
    void bus.ask(name).then((parts) => {
      if (connection.closed) return;
      answer(parts);
      connection.send(out.take());
      connection.release();
    });
    return true;
  }

  crawl(kind: CrawlKind, classes: string): string | undefined {
    const connection = this.#executing();
    return connection ? this.#parts.background.crawl(kind, classes, connection) : NO_CONNECTION;
  }

  reassign(source: number, target: number): string {
    return this.#parts.background.reassign(source, target);
  }

  refreshCertificates(): string | undefined {
    const { tls } = this.#parts;
    if (!tls) return "ERROR";
    try {
      tls.refresh();
      this.#thread.bus?.refreshCertificates();
      return undefined;
    } catch (error) {
      if (!(error instanceof UsageError)) throw error;
      return `SERVER_ERROR ${error.message.replaceAll(/\s+/g, " ")}`;
    }
  }

  clusterConfig(): string | undefined {
    const { cluster } = this.#thread.options;
    return cluster ? `1\n${cluster.join(" ")}\n` : undefined;
  }

  debugTime(change: number | "pause" | "resume"): void {
    const { store } = this.#thread;
    const { globals } = store.memory;
    if (typeof change === "string") {
      globals[GLOBAL.clockPaused] = change === "pause" ? 1 : 0;
    } else {
      globals[GLOBAL.debugTimeDelta]! += change;
      store.now += globals[GLOBAL.debugTimeDelta]!;
    }
  }

  /** The address listened on that a connection came to: "0.0.0.0:11211" for one to 127.0.0.1. */
  #listening(local: string): string {
    if (local.startsWith("unix:")) return local;
    const port = local.slice(local.lastIndexOf(":"));
    return this.#parts.addresses.find((address) => address.endsWith(port)) ?? local;
  }

  /** The connection whose command is being executed; undefined for a datagram. */
  #executing(): CacheConnection | undefined {
    return this.#parts.connections.get(this.#thread.executingId);
  }

  #tcpPort(): number {
    return portOf(this.#parts.addresses.find((address) => !address.startsWith("unix:")));
  }
}

function portOf(address: string | undefined): number {
  return address === undefined ? 0 : Number(address.slice(address.lastIndexOf(":") + 1));
}

function withScheme(address: string): string {
  if (address.startsWith("unix:")) return address;
  return `${address.startsWith("[") ? "tcp6" : "tcp"}:${address}`;
}
