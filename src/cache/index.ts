/** ● The door `holdfast/cache`. */
export * from "./client/exports.ts";
export { CacheServer } from "./server.ts";
export type { CacheStats } from "./snapshot.ts";
export type { CacheServerOptions } from "./options.ts";
