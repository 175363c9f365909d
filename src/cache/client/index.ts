/** ● The client's half of the entry point `holdfast/cache`. */
export { CacheClient } from "./api/cache-client.ts";
export { TAGS_MAX } from "./operations/tagged.ts";
export { anyValue, bytes, json, memcachedValue, memjsValue, text, type Codec, type Encoded } from "./operations/codec.ts";
export { compressed, memcacheClientValue, type CompressionOptions } from "./operations/compressed.ts";
export type { ClusterDiscovery, DnsDiscovery, Resolve } from "./pool/discovery.ts";
export type { CacheCounts, CacheEvents, CallEvent } from "./api/events.ts";
export type { FetchOptions, LoadContext, Loader } from "./api/fetch.ts";
export type { ManyLoader } from "./api/fetch-many.ts";
export type { Credentials } from "./protocol/handshake.ts";
export type { CasOutcome } from "./api/command-replies.ts";
export type { Key, KeyPolicy } from "./api/key.ts";
export type { KeyParameters, Keyspace } from "./api/keyspace.ts";
export type { ListedItem, Timed } from "./api/reads.ts";
export type { Versioned } from "./operations/get-operation.ts";
export type {
  CacheClientOptions,
  CallOptions,
  CountOptions,
  Gutter,
  NearCacheOptions,
  StoreOptions,
} from "./api/cache-client-options.ts";
export type { PlacementRule } from "./pool/placement.ts";
export type { ServerSpec } from "./operations/server-address.ts";
export type { Ttl } from "./api/ttl.ts";
