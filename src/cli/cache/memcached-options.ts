/**
 * ● memcached's command line: the same short and long flags, `-o` suboptions, checks and error messages, so that a script which
 * starts memcached can start this. Parses the arguments into options of a CacheServer; starts nothing.
 */
import type { CacheServerOptions } from "../../cache/server/index.ts";
import { showAddress } from "../../core/address.ts";

const PAGE_BYTES = 1024 * 1024;
const PORT_DEFAULT = 11_211;
/** memcached's variable for a user file where it is built without a SASL database. */
const SASL_FILE_VARIABLE = "MEMCACHED_SASL_PWDB";
const NO_SASL_FILE = `ERROR: SASL needs a user file: set ${SASL_FILE_VARIABLE} to a file with lines 'user:password'.`;

/** By name, without dashes. */
export type OwnFlags = Readonly<Record<string, readonly string[]>>;

/** A command line that memcached refuses, with its message. */
export class FlagError extends Error {}

/** The parsed command line of `holdfast cache`. */
export interface CacheCommand {
  readonly act: "help" | "version" | "licence" | "serve";
  readonly options: CacheServerOptions;
  readonly daemon: boolean;
  readonly pidFile: string | undefined;
  readonly user: string | undefined;
  /** `-r`: core files as large as the system allows. */
  readonly coreFiles: boolean;
  /** Warnings for stderr about flags that are accepted and have no effect. */
  readonly notes: readonly string[];
  /** Holdfast's own: the log and the page. */
  readonly own: OwnFlags;
}

/**
 * Reads the command line of `holdfast cache`.
 *
 * @throws FlagError with memcached's message
 */
export function readCacheCommand(argv: readonly string[]): CacheCommand {
  const state = new FlagState();
  for (const [flag, value] of parseFlags(argv)) {
    flag.set(state, value);
    if (state.act !== "serve") break;
  }
  if (state.act === "serve") finish(state);
  const { act, options, daemon, pidFile, user, notes, coreFiles, own } = state;
  return { act, options, daemon, pidFile, user, notes, coreFiles, own };
}

type Setter = (state: FlagState, value: string) => unknown;

interface Flag {
  readonly long: string;
  readonly short: string;
  readonly valued: boolean;
  readonly set: Setter;
}

const valued = (long: string, short: string, set: Setter): Flag => ({ long, short, valued: true, set });
const bare = (long: string, short: string, set: Setter): Flag => ({ long, short, valued: false, set });

/** memcached's flags with their effect. */
const FLAGS: readonly Flag[] = [
  valued("unix-mask", "a", (state, value) => (state.options.socketMode = Number.parseInt(value, 8))),
  bare("enable-shutdown", "A", (state) => (state.features.shutdown = true)),
  bare("enable-ssl", "Z", (state) => (state.useTls = true)),
  valued("port", "p", (state, value) => (state.port = leadingInteger(value))),
  valued("unix-socket", "s", (state, value) => (state.unixSocket = value)),
  valued("udp-port", "U", (state, value) => (state.udpPort = leadingInteger(value))),
  valued("memory-limit", "m", (state, value) => (state.memoryMegabytes = leadingInteger(value))),
  bare("disable-evictions", "M", (state) => (state.store.evictToFree = false)),
  valued(
    "conn-limit",
    "c",
    (state, value) => (state.options.connections = positive(value, "Maximum connections must be greater than 0")),
  ),
  bare("lock-memory", "k", (state) =>
    state.notes.push("warning: -k invalid, mlockall() not supported on this platform.  proceeding without."),
  ),
  bare("help", "h", (state) => (state.act = "help")),
  bare("license", "i", (state) => (state.act = "licence")),
  bare("version", "V", (state) => (state.act = "version")),
  bare("enable-coredumps", "r", (state) => (state.coreFiles = true)),
  bare("verbose", "v", (state) => (state.verbosity += 1)),
  bare("daemon", "d", (state) => (state.daemon = true)),
  valued("listen", "l", (state, value) => state.hosts.push(...value.split(",").filter((host) => host !== ""))),
  valued("user", "u", (state, value) => (state.user = value)),
  valued("pidfile", "P", (state, value) => (state.pidFile = value)),
  valued("slab-growth-factor", "f", (state, value) => {
    state.store.growthFactor = leadingReal(value);
    if (state.store.growthFactor <= 1) refuse("Factor must be greater than 1");
  }),
  valued(
    "slab-min-size",
    "n",
    (state, value) => (state.store.chunkBytesMin = positive(value, "Chunk size must be greater than 0")),
  ),
  valued("threads", "t", (state, value) => {
    state.options.threads = positive(value, "Number of threads must be greater than 0");
    if (state.options.threads > 64) refuse("Number of threads must be at most 64");
  }),
  bare("enable-largepages", "L", (state) => (state.store.preallocate = true)),
  valued(
    "max-reqs-per-event",
    "R",
    (state, value) => (state.options.requestsPerEvent = positive(value, "Number of requests per event must be greater than 0")),
  ),
  bare("disable-cas", "C", (state) => (state.store.useCas = false)),
  valued("listen-backlog", "b", (state, value) => (state.options.backlog = leadingInteger(value))),
  valued("protocol", "B", (state, value) => {
    if (value !== "auto" && value !== "ascii" && value !== "binary") {
      refuse(`Invalid value for binding protocol: ${value}\n -- should be one of auto, binary, or ascii`);
    }
    state.protocol = value;
  }),
  valued("max-item-size", "I", (state, value) => {
    const unit = { k: 1024, m: 1024 * 1024 }[value.at(-1)?.toLowerCase() ?? ""] ?? 1;
    state.itemBytes = leadingInteger(value) * unit;
  }),
  bare("enable-sasl", "S", (state) => (state.options.saslFile = process.env[SASL_FILE_VARIABLE] ?? refuse(NO_SASL_FILE))),
  bare("disable-flush-all", "F", (state) => (state.features.flush = false)),
  bare("disable-dumping", "X", (state) => (state.features.dump = false)),
  bare("disable-watch", "W", (state) => (state.features.watch = false)),
  valued("auth-file", "Y", (state, value) => (state.options.authFile = value)),
  valued("memory-file", "e", (state, value) => (state.options.memoryFile = value)),
  valued("extended", "o", (state, value) => applySuboptions(state, value)),
  valued("napi-ids", "N", (_state, value) => void positive(value, "Maximum number of NAPI IDs must be greater than 0")),
  valued("delimiter", "D", (state, value) => {
    if (value === "") refuse("No delimiter specified");
    state.store.prefixDelimiter = value[0]!;
    state.tune.detail = 1;
  }),
  valued("cluster", "cluster", (state, value) => (state.options.cluster = value.split(","))),
  ...[
    "log",
    "log-level",
    "dashboard",
    "dashboard-token",
    "dashboard-token-file",
    "api-tokens",
    "api-tokens-file",
    "peers",
    "access",
  ].map((name) => valued(name, name, (state, value) => (state.own[name] = [value]))),
];
const byShort = new Map(FLAGS.map((flag) => [flag.short, flag]));
const byLong = new Map(FLAGS.map((flag) => [flag.long, flag]));

type Writable<T> = { -readonly [K in keyof T]: T[K] };
type Tune = NonNullable<Writable<NonNullable<CacheServerOptions["tune"]>>>;

/** The values of the flags parsed so far. */
class FlagState {
  options: Writable<CacheServerOptions> = {};
  store: Writable<NonNullable<CacheServerOptions["store"]>> = {};
  tune: Tune = {};
  features: Writable<NonNullable<CacheServerOptions["features"]>> = {};
  tls: Writable<NonNullable<CacheServerOptions["tls"]>> = {};
  useTls = false;
  port: number | undefined;
  udpPort = 0;
  unixSocket: string | undefined;
  hosts: string[] = [];
  memoryMegabytes = 64;
  itemBytes = 1024 * 1024;
  chunkBytesMax: number | undefined;
  chunked = true;
  slabSizes: string | undefined;
  protocol: "auto" | "ascii" | "binary" | undefined;
  maintainer = true;
  verbosity = 0;
  daemon = false;
  act: CacheCommand["act"] = "serve";
  pidFile: string | undefined;
  user: string | undefined;
  notes: string[] = [];
  coreFiles = false;
  own: Record<string, readonly string[]> = {};
}

/**
 * Splits a command line into flags with their values, as getopt does: `-vvp11211`, `-p 11211`, `--port=11211`.
 *
 * @throws FlagError
 */
function parseFlags(argv: readonly string[]): [Flag, string][] {
  const parsed: [Flag, string][] = [];
  for (let index = 0; index < argv.length; index += 1) {
    const word = argv[index]!;
    const next = (): string => {
      index += 1;
      if (index >= argv.length) throw new FlagError(`holdfast cache: option requires an argument -- '${word}'`);
      return argv[index]!.trimStart();
    };
    if (word.startsWith("--")) {
      const [name, inline] = splitOnce(word.slice(2), "=");
      const flag = byLong.get(name);
      if (!flag) throw new FlagError(`holdfast cache: unrecognized option '${word}'`);
      parsed.push([flag, flag.valued ? (inline ?? next()) : ""]);
    } else if (word.startsWith("-") && word.length > 1) {
      for (let at = 1; at < word.length; at += 1) {
        const flag = byShort.get(word[at]!);
        if (!flag) throw new FlagError(`holdfast cache: invalid option -- '${word[at]}'\nIllegal argument "?"`);
        const rest = word.slice(at + 1);
        parsed.push([flag, flag.valued ? (rest === "" ? next() : rest.trimStart()) : ""]);
        if (flag.valued) break;
      }
    }
  }
  return parsed;
}

/** Applies one `-o` argument: comma-separated suboptions, some with a value. */
function applySuboptions(state: FlagState, argument: string): void {
  for (const word of argument.split(",")) {
    const [name, value] = splitOnce(word, "=");
    const apply = SUBOPTIONS[name];
    if (!apply) refuse(`Illegal suboption "${word}"`);
    apply(state, value);
  }
}

type Suboption = (state: FlagState, value: string | undefined) => void;

/** A required value. */
function needed(value: string | undefined, message: string): string {
  return value ?? refuse(message);
}

function between(value: number, { low, high }: { low: number; high: number }, message: string): number {
  return value >= low && value <= high ? value : refuse(message);
}

function whole(value: string | undefined, name: string): number {
  const text = needed(value, `Missing ${name} argument`);
  return /^\d+$/.test(text) ? Number(text) : refuse(`could not parse argument to ${name}`);
}

const nothing: Suboption = () => {};

function noModern(state: FlagState): void {
  state.chunked = state.chunkBytesMax !== undefined;
  state.store.slabReassign = false;
  state.tune.automove = 0;
  state.options.connectionsFast = false;
  state.tune.segmented = 0;
  state.tune.crawlerEnabled = 0;
  state.maintainer = false;
}

const SUBOPTIONS: Readonly<Record<string, Suboption>> = {
  maxconns_fast: (state) => (state.options.connectionsFast = true),
  no_maxconns_fast: (state) => (state.options.connectionsFast = false),
  hashpower: (state, value) => {
    const power = leadingInteger(needed(value, "Missing numeric argument for hashpower"));
    if (power < 12) refuse(`Initial hashtable multiplier of ${power} is too low`);
    if (power > 32) {
      refuse(
        `Initial hashtable multiplier of ${power} is too high\nChoose a value based on "STAT hash_power_level" from a running instance`,
      );
    }
    state.store.hashPower = power;
  },
  no_hashexpand: (state) => (state.store.hashExpand = false),
  hash_algorithm: (_state, value) => {
    const name = needed(value, "Missing hash_algorithm argument");
    if (!["jenkins", "murmur3", "xxh3"].includes(name)) refuse("Unknown hash_algorithm option (jenkins, murmur3, xxh3)");
  },
  slab_reassign: (state) => (state.store.slabReassign = true),
  no_slab_reassign: (state) => (state.store.slabReassign = false),
  slab_automove: (state, value) => {
    const level = value === undefined ? 1 : leadingInteger(value);
    state.tune.automove = between(level, { low: 0, high: 2 }, "slab_automove must be between 0 and 2");
  },
  no_slab_automove: (state) => (state.tune.automove = 0),
  slab_automove_ratio: (state, value) => {
    const ratio = leadingReal(needed(value, "Missing slab_automove_ratio argument"));
    if (ratio <= 0 || ratio > 1) refuse("slab_automove_ratio must be > 0 and < 1");
    state.tune.automoveRatio = ratio;
  },
  slab_automove_window: (state, value) => {
    const seconds = leadingInteger(needed(value, "Missing slab_automove_window argument"));
    state.tune.automoveWindow = between(seconds, { low: 3, high: 1800 }, "slab_automove_window must be > 2 and < 1800");
  },
  slab_automove_freeratio: (state, value) => {
    state.tune.automoveFreeRatio = leadingReal(needed(value, "Missing slab_automove_freeratio argument"));
  },
  slab_sizes: (state, value) => (state.slabSizes = needed(value, "Missing slab_sizes argument")),
  slab_chunk_max: (state, value) => {
    const kilobytes = Number(needed(value, "Missing slab_chunk_max argument"));
    if (!Number.isInteger(kilobytes)) refuse("could not parse argument to slab_chunk_max");
    if (kilobytes <= 0) refuse("slab_chunk_max must be >= 0");
    if (kilobytes > 1024) refuse("slab_chunk_max must be specified in kilobytes.");
    state.chunkBytesMax = kilobytes * 1024;
  },
  no_chunked_items: (state) => (state.chunked = false),
  tail_repair_time: (state, value) => {
    const seconds = leadingInteger(needed(value, "Missing numeric argument for tail_repair_time"));
    if (seconds < 10) refuse("Cannot set tail_repair_time to less than 10 seconds");
    state.tune.tailRepairSeconds = seconds;
  },
  lru_crawler: (state) => (state.tune.crawlerEnabled = 1),
  no_lru_crawler: (state) => (state.tune.crawlerEnabled = 0),
  lru_crawler_sleep: (state, value) => {
    const microseconds = leadingInteger(needed(value, "Missing lru_crawler_sleep value"));
    const message = "LRU crawler sleep must be between 0 and 1 second";
    state.tune.crawlerSleepUs = between(microseconds, { low: 0, high: 1_000_000 }, message);
  },
  lru_crawler_tocrawl: (state, value) => {
    const text = needed(value, "Missing lru_crawler_tocrawl value");
    if (!/^\d+$/.test(text)) refuse("lru_crawler_tocrawl takes a numeric 32bit value");
    state.tune.crawlerToCrawl = Number(text);
  },
  lru_maintainer: (state) => {
    state.maintainer = true;
    state.tune.segmented = 1;
  },
  no_lru_maintainer: (state) => {
    state.maintainer = false;
    state.tune.segmented = 0;
  },
  eviction: (state, value) => {
    if (value !== "lru" && value !== "s3fifo") refuse("Unknown eviction option (lru, s3fifo)");
    state.options.eviction = value;
  },
  hot_lru_pct: (state, value) => {
    const percent = leadingInteger(needed(value, "Missing hot_lru_pct argument"));
    state.tune.hotPercent = between(percent, { low: 1, high: 79 }, "hot_lru_pct must be > 1 and < 80");
  },
  warm_lru_pct: (state, value) => {
    const percent = leadingInteger(needed(value, "Missing warm_lru_pct argument"));
    state.tune.warmPercent = between(percent, { low: 1, high: 79 }, "warm_lru_pct must be > 1 and < 80");
  },
  hot_max_factor: (state, value) => {
    const factor = leadingReal(needed(value, "Missing hot_max_factor argument"));
    state.tune.hotMaxFactor = factor > 0 ? factor : refuse("hot_max_factor must be > 0");
  },
  warm_max_factor: (state, value) => {
    const factor = leadingReal(needed(value, "Missing warm_max_factor argument"));
    state.tune.warmMaxFactor = factor > 0 ? factor : refuse("warm_max_factor must be > 0");
  },
  temporary_ttl: (state, value) => {
    state.tune.tempTtl = leadingInteger(needed(value, "Missing temporary_ttl argument"));
    state.tune.tempLru = 1;
  },
  idle_timeout: (state, value) => {
    state.options.idleTimeout = leadingInteger(needed(value, "Missing numeric argument for idle_timeout")) * 1000;
  },
  watcher_logbuf_size: (state, value) => (state.options.watcherBuffer = whole(value, "watcher_logbuf_size") * 1024),
  worker_logbuf_size: (_state, value) => void whole(value, "worker_logbuf_size"),
  read_buf_mem_limit: (state, value) => (state.options.readBufferMemory = whole(value, "read_buf_mem_limit") * 1024 * 1024),
  resp_obj_mem_limit: (state) => state.notes.push("DEPRECATED: resp_obj_mem_limit no longer used. See read_buf_mem_limit,"),
  track_sizes: (state) => (state.options.trackSizes = true),
  no_inline_ascii_resp: nothing,
  inline_ascii_resp: nothing,
  modern: nothing,
  no_modern: noModern,
  drop_privileges: nothing,
  no_drop_privileges: nothing,
  relaxed_privileges: (state) => (state.features.debug = true),
  ssl_chain_cert: (state, value) => (state.tls.chainCert = needed(value, "Missing ssl_chain_cert argument")),
  ssl_key: (state, value) => (state.tls.key = needed(value, "Missing ssl_key argument")),
  ssl_ca_cert: (state, value) => (state.tls.caCert = needed(value, "Missing ssl_ca_cert argument")),
  ssl_ciphers: (state, value) => (state.tls.ciphers = needed(value, "Missing ssl_ciphers argument")),
  ssl_verify_mode: (state, value) => {
    const mode = Number(needed(value, "Missing ssl_verify_mode argument"));
    if (!Number.isInteger(mode)) refuse("could not parse argument to ssl_verify_mode");
    if (mode !== 0 && mode !== 1 && mode !== 2 && mode !== 3) {
      refuse("Invalid ssl_verify_mode. Use help to see valid options.");
    }
    state.tls.verifyMode = mode;
  },
  ssl_keyformat: (_state, value) => void whole(value, "ssl_keyformat"),
  ssl_min_version: (state, value) => {
    const version = Number(needed(value, "Missing ssl_min_version argument"));
    if (!Number.isInteger(version)) refuse("could not parse argument to ssl_min_version");
    if (version < 0 || version > 3) refuse("Invalid ssl_min_version. Use help to see valid options.");
    state.tls.minVersion = version;
  },
  ssl_wbuf_size: (state, value) => (state.tls.writeBufferBytes = whole(value, "ssl_wbuf_size") * 1024),
  ssl_session_cache: (state) => (state.tls.sessionCache = true),
  ssl_kernel_tls: nothing,
};

/** Checks of all flags together, and options made of several flags. */
function finish(state: FlagState): void {
  checkSizes(state);
  checkQueues(state);
  checkProtocol(state);
  const { options, store, tune, features, tls } = state;
  tune.verbosity = Math.min(state.verbosity, 2);
  options.traceToStderr = true;
  options.memory = state.memoryMegabytes * 1024 * 1024;
  options.itemSize = state.itemBytes;
  if (state.useTls) options.tls = tls;
  const pretended = Number(process.env["T_MEMD_INITIAL_MALLOC"] ?? 0);
  if (pretended > 0) store.initialMallocBytes = pretended;
  options.store = store;
  options.tune = tune;
  options.features = features;
  options.listen = addresses(state);
  if (state.udpPort !== 0 && state.unixSocket === undefined) options.udp = udpAddresses(state);
}

function checkSizes(state: FlagState): void {
  const { itemBytes, store } = state;
  if (itemBytes < 1024) refuse("Item max size cannot be less than 1024 bytes.");
  if (itemBytes > (state.memoryMegabytes * 1024 * 1024) / 2)
    refuse("Cannot set item size limit higher than 1/2 of memory max.");
  if (itemBytes > 1024 ** 3) refuse("Cannot set item size limit higher than a gigabyte.");
  let chunk = state.chunkBytesMax ?? (state.chunked ? PAGE_BYTES / 2 : PAGE_BYTES);
  if (itemBytes > PAGE_BYTES && state.chunkBytesMax === undefined) chunk = PAGE_BYTES / 2;
  if (chunk > itemBytes) refuse(`slab_chunk_max (bytes: ${chunk}) cannot be larger than -I (item_size_max ${itemBytes})`);
  if (itemBytes % chunk !== 0) {
    refuse(`-I (item_size_max: ${itemBytes}) must be evenly divisible by slab_chunk_max (bytes: ${chunk})`);
  }
  if (PAGE_BYTES % chunk !== 0) {
    refuse(`slab_chunk_max (bytes: ${chunk}) must divide evenly into ${PAGE_BYTES} (slab_page_size)`);
  }
  store.chunkBytesMax = chunk;
  if (state.slabSizes !== undefined) store.slabSizes = readSlabSizes(state.slabSizes, store.chunkBytesMin ?? 48, chunk);
}

function readSlabSizes(text: string, least: number, most: number): number[] {
  const sizes: number[] = [];
  for (const word of text.split("-")) {
    const size = /^\d+$/.test(word) ? Number(word) : 0;
    const last = sizes.at(-1) ?? 0;
    if (size < least || size > most) refuse(`slab size ${size} is out of valid range`);
    if (last >= size) refuse(`slab size ${size} cannot be lower than or equal to a previous class size`);
    if (size <= last + 8) refuse(`slab size ${size} must be at least 8 bytes larger than previous class`);
    if (sizes.length >= 62) refuse("too many slab classes specified");
    sizes.push(size);
  }
  return sizes;
}

function checkQueues({ tune, maintainer }: FlagState): void {
  if ((tune.hotPercent ?? 20) + (tune.warmPercent ?? 40) > 80) {
    refuse("hot_lru_pct + warm_lru_pct cannot be more than 80% combined");
  }
  if (tune.tempLru === 1 && !maintainer) refuse("temporary_ttl requires lru_maintainer to be enabled");
  tune.maintainer = maintainer ? 1 : 0;
}

function checkProtocol(state: FlagState): void {
  const { options } = state;
  if (options.saslFile !== undefined) {
    if ((state.protocol ?? "binary") !== "binary") refuse("ERROR: You cannot allow the ASCII protocol while using SASL.");
    if (state.udpPort !== 0) refuse("ERROR: Cannot enable UDP while using binary SASL authentication.");
    state.protocol = "binary";
  }
  if (options.authFile !== undefined) {
    if ((state.protocol ?? "ascii") !== "ascii") {
      refuse("ERROR: You cannot allow the BINARY protocol while using ascii authentication tokens.");
    }
    if (state.udpPort !== 0) refuse("Cannot use UDP with ascii authentication enabled (-U 0 to disable)");
    state.protocol = "ascii";
  }
  if (state.protocol) options.protocol = state.protocol;
  if (state.udpPort !== 0 && state.port === undefined) state.port = state.udpPort;
  if ((state.port ?? 0) > 65_535) refuse(`ERROR: Invalid port number ${state.port}.`);
  if (state.useTls && state.port === 0) refuse("ERROR: You cannot enable SSL without a TCP port.");
}

/** Where to listen: the unix socket alone, or every host of `-l`, on its own port or `-p`'s; -1 is any free port, 0 none. */
function addresses(state: FlagState): string[] {
  if (state.unixSocket !== undefined) return [`unix:${state.unixSocket}`];
  const port = state.port ?? PORT_DEFAULT;
  if (port === 0) return [];
  const hosts = state.hosts.length === 0 ? ["127.0.0.1"] : [...new Set(state.hosts)];
  return hosts.map((text) => {
    const { prefix, host, port: own } = readHost(text);
    return `${prefix}${showAddress({ host, port: own ?? Math.max(port, 0) })}`;
  });
}

/** The hosts of `-l` without prefixes and ports, each once: datagrams have one port, and no TLS. */
function udpAddresses(state: FlagState): string[] {
  const hosts = state.hosts.length === 0 ? ["127.0.0.1"] : [...new Set(state.hosts.map((text) => readHost(text).host))];
  return hosts.map((host) => showAddress({ host, port: Math.max(state.udpPort, 0) }));
}

const PREFIXED_HOST = /^((?:(?:notls|mtls|btls|proto\[\w+\]|tag[^:]*):)*)(.*)$/;

/**
 * One host of `-l`: "HOST", "HOST:PORT", "[::1]", "[::1]:PORT" or "::1", which has no port of its own. Prefixes such as `notls:` and
 * `proto[ascii]:` stay in front; the server reads them.
 */
function readHost(text: string): { prefix: string; host: string; port: number | undefined } {
  const [, prefix, bare] = PREFIXED_HOST.exec(text)!;
  const [, inBrackets, name, port] = /^(?:\[(.*)\]|([^:[\]]*))(?::(\d+))?$/.exec(bare!) ?? [];
  const host = inBrackets ?? name ?? bare!;
  return { prefix: prefix!, host: host === "*" ? "0.0.0.0" : host, port: port === undefined ? undefined : Number(port) };
}

function splitOnce(text: string, separator: string): [string, string | undefined] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + separator.length)];
}

/** C's atoi: the leading number, or 0. */
function leadingInteger(text: string): number {
  return Number(/^\s*[+-]?\d+/.exec(text)?.[0] ?? 0);
}

function leadingReal(text: string): number {
  return Number(/^\s*[+-]?(\d+\.?\d*|\.\d+)/.exec(text)?.[0] ?? 0);
}

function refuse(message: string): never {
  throw new FlagError(message);
}

/** A positive whole number, or memcached's message. */
function positive(value: string, message: string): number {
  const number = leadingInteger(value);
  return number > 0 ? number : refuse(message);
}
