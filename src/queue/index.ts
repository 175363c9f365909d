/** ● The entry point `holdfast/queue`: the broker, queues, workers. */
export { Broker, type BrokerOptions, type BrokerSecurity, type BrokerStats } from "./broker.ts";
export { AccessControl } from "../access/access-control.ts";
export type { LogFacts, LogListener, LogOption } from "../core/log.ts";
export type { LogEvent, LogLevel } from "../core/log-events.ts";
export { QueueClient } from "./client/queue-client.ts";
export type { ClientOptions } from "./client/broker-pool.ts";
export type { ClientSecurity } from "./client/broker-connection.ts";
export { checkStore, type QueueCheck, type StoreCheck, type StoreCheckOptions } from "./stores/store-check.ts";
export { giveUpMove, type MoveEnd, type Moved, type MoveOptions, moveQueue } from "./stores/move.ts";
export type { DeadErrorGroup, Schedule, TaskDetails, TaskInfo, WorkerInfo } from "./operations/answers.ts";
export type { TaskFilter, TasksOptions } from "./client/administration.ts";
export type { ScheduleOptions, Schedules } from "./client/schedules.ts";
export type { QueueStats } from "./service/task-service.ts";
export type { StateCounts } from "./tasks/state-words.ts";
export type { TaskState } from "./tasks/life-cycle.ts";
/** @internal For the command and the page. */
export { eachTask, operateAll, wireFilter } from "./client/administration.ts";
/** @internal */
export { type OperationRequest, type OperationName, OPERATIONS, type OperationAnswer } from "./operations/table.ts";
/** @internal */
export { UNDO_TASKS_MAX } from "./limits.ts";
/** @internal */
export { readState, wireCounts } from "./tasks/state-words.ts";
/** @internal */
export { TASK_STATES } from "./tasks/life-cycle.ts";
export { bytesCodec, type Codec, jsonCodec } from "./client/payload.ts";
export {
  type AddManyOptions,
  type AddOptions,
  type EachOptions,
  type EnqueueOptions,
  type KnownTask,
  type OnOptions,
  Queue,
  queue,
  type QueueOptions,
  Task,
  type TaskUpdate,
} from "./client/queue.ts";
export type { EventGap, EventsOptions, EventSubscription, HeardEvent } from "./client/queue-events.ts";
/** @internal */
export { QueueListener } from "./client/queue-events.ts";
export type { QueueEventName } from "./service/event-entry.ts";
export { QUEUE_EVENTS } from "./service/event-entry.ts";
/** @internal */
export type { QueueEvent } from "./client/queue-events.ts";
export type { WaitFor } from "./client/wait-options.ts";
export type { SyncMode } from "../store/sqlite/sqlite-store.ts";
export type { Store } from "../store/store.ts";
export { makeStore, type StoreUrlOptions } from "./store-url.ts";
export { withoutPassword } from "../store/nats/nats-url.ts";
export type { OnParentDead } from "./tasks/task-policy.ts";
export type { GroupSettings, QueueSettings } from "./tasks/queue-settings.ts";
export type { SqlDatabase, Transaction } from "./client/sql-database.ts";
export { type Once, type OnceOptions, onceTable } from "./client/once.ts";
export { type OutboxRelay, outboxRelay, type OutboxRelayOptions, type OutboxRelayStats, outboxTable } from "./client/outbox.ts";
export {
  type CalledTaskOptions,
  GiveUp,
  type Handler,
  type ParentTask,
  RetryAfter,
  RunEnded,
  type TaskContext,
  type SignalOptions,
} from "./client/handler.ts";
export { Flow, flow, type FlowGraph, type FlowNode } from "./client/flow.ts";
export type { RetryPause } from "./client/retry-pause.ts";
export { Worker, worker, type WorkerSnapshot } from "./client/worker.ts";
export type { BatchHandler, BatchOptions, BatchOutcome } from "./client/batches.ts";
export type { BatchWorkerOptions, WorkerOptions } from "./client/worker-options.ts";
