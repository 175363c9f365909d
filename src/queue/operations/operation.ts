/**
 * ○ What an operation is: something that people and programs ask of a broker about its tasks. From a row of the table (table.ts) come
 * its message (HQ1's OPERATE), its call in TypeScript, its HTTP route with its part of the OpenAPI document, the check of rights and
 * the line in the log.
 */
import type { Buffer } from "node:buffer";
import type { AskedRights } from "../../access/access-table.ts";
import type { Schema } from "../../core/schema.ts";
import type { IdText } from "../protocols/messages.ts";
import type { CronTable } from "../service/cron.ts";
import type { TaskService } from "../service/task-service.ts";

/** What somebody must be allowed: to look, to submit, to change what happens to tasks, to destroy them. */
export type Right = "queue:read" | "queue:add" | "queue:manage" | "queue:remove";

/** Of one broker. */
export interface OperationContext {
  readonly service: TaskService;
  readonly ids: IdText;
  readonly cron: CronTable;
  /** Names who asks, for what is kept until they leave. */
  readonly owner?: unknown;
  /** What who asks may do; undefined: everything. */
  readonly rights?: AskedRights | undefined;
}

/** What an operation gives back: JSON, and bytes beside it where it has any. */
export interface Answer<Out> {
  readonly value: Out;
  readonly body?: Uint8Array | undefined;
  /** The value as JSON, where it was made already. */
  readonly json?: Buffer | undefined;
}

export type HttpMethod = "GET" | "POST" | "PUT" | "PATCH" | "DELETE";

export interface Operation<In, Out> {
  /** A sentence without its full stop. */
  readonly does: string;
  readonly right: Right;
  /** What it does cannot be taken back. */
  readonly destroys: boolean;
  /** Where it is in the HTTP API, at one path or at several; `{name}` is a field of the input. */
  readonly http: readonly [method: HttpMethod, ...paths: string[]];
  readonly input: Schema<In>;
  readonly output: Schema<Out>;
  /** Who works on the task's queue may ask this too. */
  readonly isForWorkers?: boolean;
  /** Bytes go with the question, or come with the answer: a task's body, or its result. */
  readonly body?: "asked" | "answered";
  /** Throws, or rejects with, a HoldfastError. What it changes is on disk when it resolves. */
  handle(scope: OperationContext, input: In, body: Uint8Array | undefined): Promise<Answer<Out>>;
}

/** For the types of a row. */
export function operation<In, Out>(row: Operation<In, Out>): Operation<In, Out> {
  return row;
}
