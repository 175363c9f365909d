/**
 * ● The entry point `holdfast`: cache, queue, link and board under one name, ZeroMQ's sockets as `zmq`. A bundler takes of it what a program
 * uses: nothing here does anything when it is imported.
 */
export * from "./board/index.ts";
export * from "./cache/index.ts";
export * from "./link/index.ts";
export * from "./queue/index.ts";
/** Both cache and queue have codecs: this is the cache's, the queue's is `QueueCodec`. */
export type { Codec } from "./cache/index.ts";
export type { Codec as QueueCodec } from "./queue/index.ts";
export * as zmq from "./zmq/index.ts";
