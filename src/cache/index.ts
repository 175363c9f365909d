/** ● The door `holdfast/cache`. */
export * from "./client/exports.ts";
export { CacheServer, type CacheStats } from "./server.ts";
export type { CacheServerOptions } from "./options.ts";
