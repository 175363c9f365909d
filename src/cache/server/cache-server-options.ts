/** ○ The options of a CacheServer with their defaults, and how they become settings of the store. */
import type { AccessControl } from "../../access/access-control.ts";
import { UsageError } from "../../core/errors.ts";
import { type Duration, type Size, durationMs, sizeBytes } from "../../core/units.ts";
import { ANSWER_BYTES } from "../protocol/limits.ts";
import { MEMORY_BYTES_MAX, PAGE_BYTES } from "../store/limits.ts";
import type { Features } from "../protocol/cache-session.ts";
import { type EvictionPolicy, STORE_DEFAULTS, type StoreSettings, type TUNE } from "../store/settings.ts";

/** Options of a `CacheServer`; each has memcached's default. */
export interface CacheServerOptions {
  /**
   * Where to listen: "HOST:PORT" (port 0: any free one), "PORT", or "unix:/path". In front may stand memcached's `notls:`, `btls:`,
   * `mtls:` and `proto[ascii]:`. Default "127.0.0.1:11211".
   */
  readonly listen?: string | readonly string[];
  /** Memory for items, a real limit. Default "64m". */
  readonly memory?: Size;
  /** The largest item, key and header included. Default "1m". */
  readonly itemSize?: Size;
  /** What goes when there is no room: memcached's segmented LRU ("lru"), or S3-FIFO, which is asked in vain less often. Default "lru". */
  readonly eviction?: EvictionPolicy;
  /** Clients at once; more are told so and closed. Default 1024. */
  readonly connections?: number;
  /** Closes a connection after so long without a command. Default 0: never. */
  readonly idleTimeout?: Duration;
  /** Threads that share the store and the port. Default 1. */
  readonly threads?: number;
  /** Connections that the system queues before they are accepted. Default 1024. */
  readonly backlog?: number;
  /** Tell clients beyond `connections` so; false: let them wait unaccepted. Default true. */
  readonly connectionsFast?: boolean;
  /** Requests of one client before others get their turn. Default 20. */
  readonly requestsPerEvent?: number;
  /** The protocols that connections may use. Default "auto": the first byte tells. */
  readonly protocol?: "auto" | "ascii" | "binary";
  /** Where to listen for datagrams, as "HOST:PORT". Default none. */
  readonly udp?: readonly string[];
  /** TLS on every TCP address, with certificates from files. Default none. */
  readonly tls?: TlsFiles;
  /** File of "user:password" lines that text clients must know one of. Default none. */
  readonly authFile?: string;
  /** File of "user:password" lines that binary clients must know one of (SASL PLAIN). Default none. */
  readonly saslFile?: string;
  /**
   * Who may read and write which keys: an access file (docs/how-to/rights.md). Once one of its users has a password, clients must log in, unless
   * their certificate says who they are. Default: whoever is in may everything.
   */
  readonly access?: AccessControl | undefined;
  /** File that keeps the items over a restart. Default none. */
  readonly memoryFile?: string;
  /** Bytes of log that wait for one slow watcher. Default 256 KiB. */
  readonly watcherBuffer?: Size;
  /** Bound on the bytes that all connections hold of incomplete commands. Default 0: each connection's own bound only. */
  readonly readBufferMemory?: Size;
  /** Mode of the unix socket. Default 0o700. */
  readonly socketMode?: number;
  /** The answer to `config get cluster`: the nodes as "host|ip|port". Default none. */
  readonly cluster?: readonly string[];
  /** What the text protocol may do. Default: all but `shutdown` and debugging. */
  readonly features?: Partial<Features>;
  /** Finer settings of the store. */
  readonly store?: Partial<StoreSettings>;
  /** Starting values of what commands may change, such as `lru tune`. */
  readonly tune?: Partial<Readonly<Record<keyof typeof TUNE, number>>>;
  /** Print connections and commands to standard error while `verbosity` is 2, as memcached does. Default false. */
  readonly traceToStderr?: boolean;
  /** Count item sizes for `stats sizes`. Default false. */
  readonly trackSizes?: boolean;
}

/** Files and rules of TLS, as memcached's `-o ssl_…`. */
export interface TlsFiles {
  /** Certificate with its chain, PEM. */
  readonly chainCert?: string;
  /** Private key, PEM. */
  readonly key?: string;
  /** Certificates that clients' are checked against, PEM. */
  readonly caCert?: string;
  readonly ciphers?: string;
  /** 0 none, 1 ask, 2 require, 3 once: as memcached numbers them. */
  readonly verifyMode?: 0 | 1 | 2 | 3;
  /** 0 TLS 1.0 … 3 TLS 1.3. Default 2. */
  readonly minVersion?: number;
  readonly sessionCache?: boolean;
  /** Told by `stats settings`; Node cuts records itself. Default 16 KiB. */
  readonly writeBufferBytes?: number;
}

export const FEATURE_DEFAULTS: Features = { flush: true, dump: true, watch: true, shutdown: false, debug: false };

/** 256 KiB: memcached's own default; some two thousand lines. */
const WATCHER_BUFFER_BYTES = 256 * 1024;

/** memcached's smallest `-I`. */
const ITEM_BYTES_MIN = 1024;

/** The settings of the store that the options ask for. */
export function storeSettings(options: CacheServerOptions, startedSeconds: number, hashSeed: number): StoreSettings {
  const memoryBytes = sizeBytes(options.memory ?? STORE_DEFAULTS.memoryBytes, "memory");
  const itemBytesMax = sizeBytes(options.itemSize ?? STORE_DEFAULTS.itemBytesMax, "itemSize");
  if (memoryBytes > MEMORY_BYTES_MAX) {
    throw new UsageError(
      "CACHE_MEMORY_INVALID",
      `Cannot use memory: ${memoryBytes} bytes, at most ${MEMORY_BYTES_MAX} allowed`,
    );
  }
  if (itemBytesMax < ITEM_BYTES_MIN || itemBytesMax > memoryBytes / 2) {
    throw new UsageError(
      "CACHE_ITEM_SIZE_INVALID",
      `Cannot use itemSize: ${itemBytesMax} bytes, at least ${ITEM_BYTES_MIN} and at most half of memory allowed`,
    );
  }
  const chunkBytesMax = itemBytesMax > PAGE_BYTES / 2 ? PAGE_BYTES / 2 : itemBytesMax;
  return {
    ...STORE_DEFAULTS,
    chunkBytesMax,
    startedSeconds,
    hashSeed,
    trackSizes: options.trackSizes ?? false,
    eviction: options.eviction ?? STORE_DEFAULTS.eviction,
    ...options.store,
    memoryBytes,
    itemBytesMax,
  };
}

/** How many answers one connection may have waiting, by `readBufferMemory` shared among the threads. */
export function answersMax({ readBufferMemory, threads }: CacheServerOptions): number {
  const bytes = sizeBytes(readBufferMemory ?? 0, "readBufferMemory");
  return bytes === 0 ? Number.POSITIVE_INFINITY : Math.max(1, Math.floor(bytes / (threads ?? 1) / ANSWER_BYTES));
}

export function watcherBufferBytes(options: CacheServerOptions): number {
  return sizeBytes(options.watcherBuffer ?? WATCHER_BUFFER_BYTES, "watcherBuffer");
}

export function idleTimeoutSeconds(options: CacheServerOptions): number {
  return Math.ceil(durationMs(options.idleTimeout ?? 0, "idleTimeout") / 1000);
}
