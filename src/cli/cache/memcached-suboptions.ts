/** ● memcached's `-o` suboptions: comma-separated words, some with a value. */
import { type FlagState, leadingInteger, leadingReal, refuse, splitOnce } from "./memcached-flags.ts";

/** Applies one `-o` argument; unknown words are refused as memcached refuses them. */
export function applySuboptions(state: FlagState, argument: string): void {
  for (const word of argument.split(",")) {
    const [name, value] = splitOnce(word, "=");
    const apply = SUBOPTIONS[name];
    if (!apply) refuse(`Illegal suboption "${word}"`);
    apply(state, value);
  }
}

type Suboption = (state: FlagState, value: string | undefined) => void;

/** A value that must be there. */
function needed(value: string | undefined, sentence: string): string {
  return value ?? refuse(sentence);
}

function between(value: number, { low, high }: { low: number; high: number }, sentence: string): number {
  return value >= low && value <= high ? value : refuse(sentence);
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
    const sentence = "LRU crawler sleep must be between 0 and 1 second";
    state.tune.crawlerSleepUs = between(microseconds, { low: 0, high: 1_000_000 }, sentence);
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
