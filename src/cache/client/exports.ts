/** ● What the door `holdfast/cache` shows of the client. */
export { CacheClient } from "./client.ts";
export { anyValue, bytes, json, memcachedValue, memjsValue, text, type Codec, type Encoded } from "./codec.ts";
export { compressed, memcacheClientValue, type CompressionOptions } from "./compressed.ts";
export type { ClusterDiscovery, DnsDiscovery, Resolve } from "./discovery.ts";
export type { CacheCounts, CacheEvents, CallEvent } from "./events.ts";
export type { FetchOptions, LoadContext, Loader } from "./fetch.ts";
export type { Credentials } from "./handshake.ts";
export type { CasOutcome } from "./interpret.ts";
export type { Key, KeyPolicy } from "./key.ts";
export type { KeyParameters, Keyspace } from "./keyspace.ts";
export type { NearCacheOptions } from "./near-reads.ts";
export type { Versioned } from "./lookup.ts";
export type { CacheClientOptions, CallOptions, Gutter, StoreOptions } from "./options.ts";
export type { PlacementRule } from "./placement.ts";
export type { ServerSpec } from "./server.ts";
export type { Ttl } from "./ttl.ts";
