/** ● The server's half of the entry point `holdfast/cache`: a process that only serves does without the client's 9 MB of code. */
export { CacheServer } from "./cache-server.ts";
export type { CacheStats } from "./cache-snapshot.ts";
export type { CacheServerOptions } from "./cache-server-options.ts";
