/** ● The server's half of the door `holdfast/cache`: a process that only serves does without the client's 9 MB of code. */
export { CacheServer } from "../server.ts";
export type { CacheStats } from "../snapshot.ts";
export type { CacheServerOptions } from "../options.ts";
