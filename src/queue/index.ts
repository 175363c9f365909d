/** ● The door `holdfast/queue`: the broker, queues, workers. */
export { Broker, type BrokerOptions, type BrokerSecurity, type BrokerStats } from "./broker.ts";
export { QueueClient, type ClientOptions } from "./client.ts";
export type { ClientSecurity } from "./connection.ts";
export { giveUpMove, type MoveEnd, type Moved, type MoveOptions, moveQueue } from "./move.ts";
export { bytesCodec, type Codec, jsonCodec } from "./payload.ts";
export { type AddOptions, Queue, queue, type QueueOptions, Task, type WaitFor } from "./queue.ts";
export type { SyncMode } from "./sqlite-store.ts";
export type { Store } from "./store.ts";
export { makeStore, type StoreUrlOptions } from "./store-url.ts";
export { withoutPassword } from "./nats/nats-url.ts";
export type { QueueSettings } from "./task-queue.ts";
export { GiveUp, type Handler, type TaskContext, Worker, worker, type WorkerOptions } from "./worker.ts";
