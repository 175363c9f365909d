/** ○ The options of a cache client and of its calls, with their defaults. */
import type { ConnectionOptions as TlsOptions } from "node:tls";
import type { Clock } from "../../../core/clock.ts";
import { UsageError } from "../../../core/errors.ts";
import type { Random } from "../../../core/random.ts";
import type { Duration, Size } from "../../../core/units.ts";
import type { Codec } from "../operations/codec.ts";
import type { ClusterDiscovery, DnsDiscovery } from "../pool/discovery.ts";
import type { Credentials } from "../protocol/handshake.ts";
import type { KeyPolicy } from "./key.ts";
import type { PlacementRule } from "../pool/placement.ts";
import type { ServerSpec } from "../operations/server-address.ts";
import type { Ttl } from "./ttl.ts";

/** Spare servers that take the keys of ejected ones, for a short time each. */
export interface Gutter {
  readonly servers: readonly ServerSpec[];
  /** The longest an item lives there; default "10s": stale soon after its server is back. */
  readonly ttl?: Ttl;
}

/** A memory of recently read items in the client itself. */
export interface NearCacheOptions {
  /** What it may take, keys and bookkeeping counted; default "8m". */
  readonly bytes?: Size;
  /** How long an item is given out without asking its server; default "1s". */
  readonly ttl?: Duration;
  /** When that time is over, ask for the item's version rather than for its value; needs memcached >= 1.6.10. */
  readonly validate?: boolean;
  /** Follow the servers' change streams (`watch`), so that changes by others are known at once; default false. */
  readonly watch?: boolean;
  /**
   * As `ttl`, while the server's stream is followed. Holdfast's tells every change; memcached's tells stores and deletes alone, not incr,
   * decr, touch, invalidate and flush_all. Default "1m" of Holdfast's servers, `ttl` of memcached's.
   */
  readonly watchedTtl?: Duration;
}

/** Options of a `CacheClient`. */
export interface CacheClientOptions {
  /** The servers, or how to find them; default one at 127.0.0.1:11211. */
  readonly servers?: readonly ServerSpec[] | DnsDiscovery | ClusterDiscovery;
  /** Which server holds a key; default "ketama". */
  readonly placement?: PlacementRule;
  /** How long a call may take, in ms or as "1s"; default 1 s. */
  readonly timeout?: Duration;
  /** How long opening a connection and logging in may take; default: as `timeout`. */
  readonly connectTimeout?: Duration;
  /** What a failed call does: "throw" rejects (the default), "miss" gives what a miss gives. Wrong usage always rejects. */
  readonly onError?: "throw" | "miss";
  /** What serves the keys of an ejected server: nothing, so that calls miss (the default), the next server, or a gutter. */
  readonly whenDown?: "miss" | "next" | { readonly gutter: Gutter };
  /**
   * Servers that hold each item, so that one that dies loses no hits; default 1. They are in zones of their own, where servers have names
   * of zones. All that is stored needs a `ttl`, and `whenDown` must be "miss": the other copies stand in.
   */
  readonly copies?: number;
  /** The zone that this client is in: of an item's servers those of that zone are read from first, then the fastest. */
  readonly zone?: string;
  /** Failures in a row that eject a server; default 3. */
  readonly ejectAfterFailures?: number;
  /** The wait between attempts to connect grows from the first to the second of these; default 50 ms to 10 s. */
  readonly backoff?: { readonly min?: Duration; readonly max?: Duration };
  /** Calls that may wait for one server; more fail with CACHE_QUEUE_FULL; default 16,384. */
  readonly queueCalls?: number;
  /** Bytes of values that may wait for one server; default "64m". */
  readonly queueBytes?: Size;
  /** The largest value accepted from a server; default "64m". */
  readonly valueBytes?: Size;
  /** What to do with keys that memcached's text protocol cannot carry; default "refuse". */
  readonly keys?: KeyPolicy;
  /** Put before every key, so that several applications share servers; default none. It counts in where a key lies and how long it is. */
  readonly prefix?: string;
  /** How values become bytes; default `anyValue`. */
  readonly codec?: Codec<unknown>;
  /** A memory of recently read items in this process; default none. */
  readonly nearCache?: NearCacheOptions;
  /** TLS as `node:tls` takes it; true for its defaults. Default off. */
  readonly tls?: TlsOptions | true;
  /** The login, for servers that require one. */
  readonly credentials?: Credentials;
  /** "text" (the default), or "binary" for servers that support nothing else; SASL implies it. */
  readonly protocol?: "text" | "binary";
  /** Time, for tests. */
  readonly clock?: Clock;
  /** Chance, for tests. */
  readonly random?: Random;
}

/** Options of one call. */
export interface CallOptions {
  /** How long this call may take; default: the client's. */
  readonly timeout?: Duration;
  /** Aborting it rejects the call with ABORTED. */
  readonly signal?: AbortSignal;
}

/** Options of a call that stores. */
export interface StoreOptions extends CallOptions {
  /** How long the item lives; default: until it is evicted. */
  readonly ttl?: Ttl;
  /** Names under which `invalidateTag` invalidates it with all others; at most 255, default none. Needs memcached >= 1.6.10. */
  readonly tags?: readonly string[];
}

/** Options of a counter's verbs. */
export interface CountOptions extends CallOptions {
  /** Where there is no item one is made with this number, which is then the answer; default: none is made. */
  readonly initial?: bigint | number;
  /** How long an item that is made so lives; one that is there keeps its end. Default: until it is evicted. */
  readonly ttl?: Ttl;
}

/** The words that options take. */
const CHOICES = { onError: ["throw", "miss"], keys: ["refuse", "hash", "base64"], protocol: ["text", "binary"] } as const;

/** @throws UsageError CACHE_OPTION_INVALID for a word that there is not, or a number that is no count */
export function checkOptions(options: CacheClientOptions): void {
  for (const [name, words] of Object.entries(CHOICES)) {
    const word = options[name as keyof typeof CHOICES];
    if (word !== undefined && !words.some((each) => each === word)) throw invalid(name, word, words.join(" or "));
  }
  for (const name of ["copies", "ejectAfterFailures", "queueCalls"] as const) {
    const count = options[name];
    if (count !== undefined && !(Number.isSafeInteger(count) && count > 0))
      throw invalid(name, count, "a whole number above 0");
  }
  const { whenDown, prefix = "", copies = 1, zone } = options;
  if (typeof prefix !== "string" || !prefix.isWellFormed()) throw invalid("prefix", prefix, "text that has bytes in UTF-8");
  const isGutter = typeof whenDown === "object" && Array.isArray((whenDown as { gutter?: Gutter } | null)?.gutter?.servers);
  if (whenDown !== undefined && whenDown !== "miss" && whenDown !== "next" && !isGutter) {
    throw invalid("whenDown", whenDown, "miss, next or { gutter: { servers } }");
  }
  if (copies > 1 && (whenDown ?? "miss") !== "miss")
    throw invalid("whenDown", whenDown, "miss where there are copies, which stand in for each other");
  if (zone !== undefined && (typeof zone !== "string" || zone === "")) throw invalid("zone", zone, "a name");
}

function invalid(name: string, value: unknown, wanted: string): UsageError {
  return new UsageError("CACHE_OPTION_INVALID", `Cannot use ${name} ${String(value)}: it must be ${wanted}`);
}
