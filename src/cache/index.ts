/** ● The door `holdfast/cache`. */
export { CacheClient } from "./client/client.ts";
export { anyValue, bytes, json, memcachedValue, memjsValue, text, type Codec, type Encoded } from "./client/codec.ts";
export { compressed, memcacheClientValue, type CompressionOptions } from "./client/compressed.ts";
export type { CacheCounts, CacheEvents, CallEvent } from "./client/events.ts";
export type { FetchOptions, LoadContext, Loader } from "./client/fetch.ts";
export type { Credentials } from "./client/handshake.ts";
export type { CasOutcome } from "./client/interpret.ts";
export type { Key, KeyPolicy } from "./client/key.ts";
export type { KeyParameters, Keyspace } from "./client/keyspace.ts";
export type { Versioned } from "./client/operation.ts";
export type { CacheClientOptions, CallOptions, Gutter, StoreOptions } from "./client/options.ts";
export type { PlacementRule } from "./client/placement.ts";
export type { ServerSpec } from "./client/server.ts";
export type { Ttl } from "./client/ttl.ts";
export { CacheServer, type CacheStats } from "./server.ts";
export type { CacheServerOptions } from "./options.ts";
