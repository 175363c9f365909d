/** ○ What a cache client can be told, and what it does when it is told nothing. */
import type { ConnectionOptions as TlsOptions } from "node:tls";
import type { Clock } from "../../../core/clock.ts";
import type { Random } from "../../../core/random.ts";
import type { Duration, Size } from "../../../core/units.ts";
import type { Codec } from "../operations/codec.ts";
import type { ClusterDiscovery, DnsDiscovery } from "../pool/discovery.ts";
import type { Credentials } from "../protocol/handshake.ts";
import type { KeyPolicy } from "./key.ts";
import type { NearCacheOptions } from "./near-reads.ts";
import type { PlacementRule } from "../pool/placement.ts";
import type { ServerSpec } from "../operations/server-address.ts";
import type { Ttl } from "./ttl.ts";

/** Spare servers that take the keys of ejected ones, for a short time each. */
export interface Gutter {
  readonly servers: readonly ServerSpec[];
  /** The longest an item lives there; default "10s": stale soon after its server is back. */
  readonly ttl?: Ttl;
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
  /** Who answers for an ejected server: nobody, so that every call misses (the default), the next server, or a gutter. */
  readonly whenDown?: "miss" | "next" | { readonly gutter: Gutter };
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
  /** What becomes of keys that memcached's text protocol cannot carry; default "refuse". */
  readonly keys?: KeyPolicy;
  /** How values become bytes; default `anyValue`. */
  readonly codec?: Codec<unknown>;
  /** A memory of recently read items in this process; default none. */
  readonly nearCache?: NearCacheOptions;
  /** TLS as `node:tls` takes it; true for its defaults. Default off. */
  readonly tls?: TlsOptions | true;
  /** Who we are, for servers that ask. */
  readonly credentials?: Credentials;
  /** "text" (the default), or "binary" for servers that support nothing else; SASL implies it. */
  readonly protocol?: "text" | "binary";
  /** Time, for tests. */
  readonly clock?: Clock;
  /** Chance, for tests. */
  readonly random?: Random;
}

/** What one call may be told. */
export interface CallOptions {
  /** How long this call may take; default: the client's. */
  readonly timeout?: Duration;
  /** Aborting it rejects the call with ABORTED. */
  readonly signal?: AbortSignal;
}

/** What a storing call may be told. */
export interface StoreOptions extends CallOptions {
  /** How long the item lives; default: until it is evicted. */
  readonly ttl?: Ttl;
}
