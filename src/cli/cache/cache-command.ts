/** ● From memcached's flags to options of a CacheServer, with memcached's checks of how flags go together. */
import {
  type CacheCommand,
  FlagState,
  type ParsedFlag,
  parseFlags,
  leadingInteger,
  leadingReal,
  positive,
  refuse,
} from "./memcached-flags.ts";
import { applySuboptions } from "./memcached-suboptions.ts";

const PAGE_BYTES = 1024 * 1024;
const PORT_DEFAULT = 11_211;
/** memcached's own variable for a file of users where it is built without a SASL database. */
const SASL_FILE_VARIABLE = "MEMCACHED_SASL_PWDB";
const NO_SASL_FILE = `ERROR: SASL needs a user file: set ${SASL_FILE_VARIABLE} to a file with lines 'user:password'.`;

/**
 * Reads the command line of `holdfast cache`.
 *
 * @throws FlagError with memcached's sentence
 */
export function readCacheCommand(argv: readonly string[]): CacheCommand {
  const state = new FlagState();
  for (const parsed of parseFlags(argv)) {
    apply(state, parsed);
    if (state.act !== "serve") break;
  }
  if (state.act === "serve") finish(state);
  const { act, options, daemon, pidFile, user, notes, coreFiles } = state;
  return { act, options, daemon, pidFile, user, notes, coreFiles };
}

function apply(state: FlagState, [flag, value]: ParsedFlag): void {
  const set = SETTERS[flag];
  if (!set) throw new Error(`flag -${flag} has no setter`);
  set(state, value);
}

const SETTERS: Readonly<Record<string, (state: FlagState, value: string) => void>> = {
  A: (state) => (state.features.shutdown = true),
  Z: (state) => (state.useTls = true),
  a: (state, value) => (state.options.socketMode = Number.parseInt(value, 8)),
  U: (state, value) => (state.udpPort = leadingInteger(value)),
  p: (state, value) => (state.port = leadingInteger(value)),
  s: (state, value) => (state.unixSocket = value),
  m: (state, value) => (state.memoryMegabytes = leadingInteger(value)),
  M: (state) => (state.store.evictToFree = false),
  c: (state, value) => (state.options.connections = positive(value, "Maximum connections must be greater than 0")),
  h: (state) => (state.act = "help"),
  i: (state) => (state.act = "licence"),
  V: (state) => (state.act = "version"),
  k: (state) => state.notes.push("warning: -k invalid, mlockall() not supported on this platform.  proceeding without."),
  v: (state) => (state.verbosity += 1),
  l: (state, value) => state.hosts.push(...value.split(",").filter((host) => host !== "")),
  d: (state) => (state.daemon = true),
  r: (state) => (state.coreFiles = true),
  R: (state, value) =>
    (state.options.requestsPerEvent = positive(value, "Number of requests per event must be greater than 0")),
  u: (state, value) => (state.user = value),
  P: (state, value) => (state.pidFile = value),
  e: (state, value) => (state.options.memoryFile = value),
  f: (state, value) => {
    state.store.growthFactor = leadingReal(value);
    if (state.store.growthFactor <= 1) refuse("Factor must be greater than 1");
  },
  n: (state, value) => (state.store.chunkBytesMin = positive(value, "Chunk size must be greater than 0")),
  t: (state, value) => {
    state.options.threads = positive(value, "Number of threads must be greater than 0");
    if (state.options.threads > 64) refuse("Number of threads must be at most 64");
  },
  D: (state, value) => {
    if (value === "") refuse("No delimiter specified");
    state.store.prefixDelimiter = value[0]!;
    state.tune.detail = 1;
  },
  L: (state) => (state.store.preallocate = true),
  C: (state) => (state.store.useCas = false),
  b: (state, value) => (state.options.backlog = leadingInteger(value)),
  B: (state, value) => {
    if (value !== "auto" && value !== "ascii" && value !== "binary") {
      refuse(`Invalid value for binding protocol: ${value}\n -- should be one of auto, binary, or ascii`);
    }
    state.protocol = value;
  },
  I: (state, value) => {
    const unit = { k: 1024, m: 1024 * 1024 }[value.at(-1)?.toLowerCase() ?? ""] ?? 1;
    state.itemBytes = leadingInteger(value) * unit;
  },
  S: (state) => (state.options.saslFile = process.env[SASL_FILE_VARIABLE] ?? refuse(NO_SASL_FILE)),
  F: (state) => (state.features.flush = false),
  X: (state) => (state.features.dump = false),
  W: (state) => (state.features.watch = false),
  Y: (state, value) => (state.options.authFile = value),
  N: (_state, value) => void positive(value, "Maximum number of NAPI IDs must be greater than 0"),
  o: (state, value) => applySuboptions(state, value),
  cluster: (state, value) => (state.options.cluster = value.split(",")),
};

/** Checks that need all flags, and the options that several flags make together. */
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
  return hosts.map((host) => withPort(host, Math.max(port, 0)));
}

/** The hosts of `-l` without prefixes and ports, each once: datagrams have one port, and no TLS. */
function udpAddresses(state: FlagState): string[] {
  const bare = state.hosts.map((host) => PREFIXED_HOST.exec(host)![2]!.replace(/:\d+$/, ""));
  const hosts = bare.length === 0 ? ["127.0.0.1"] : [...new Set(bare)];
  return hosts.map((host) => withPort(host, Math.max(state.udpPort, 0)));
}

const PREFIXED_HOST = /^((?:(?:notls|mtls|btls|proto\[\w+\]|tag[^:]*):)*)(.*)$/;

/** Prefixes of `-l` such as `notls:` and `proto[ascii]:` stay in front; the server reads them. */
function withPort(host: string, port: number): string {
  const [, prefix, bare] = PREFIXED_HOST.exec(host)!;
  if (/^\[.*\]:\d+$|^[^:[\]]*:\d+$/.test(bare!)) return host;
  const address = bare!.includes(":") && !bare!.startsWith("[") ? `[${bare}]` : bare!;
  return `${prefix}${address === "*" ? "0.0.0.0" : address}:${port}`;
}
