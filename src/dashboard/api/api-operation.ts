/** ● What the HTTP API consists of: the queue's operations, and those that only it has, in one form. */
import type { JsonSchema, Schema } from "../../core/schema.ts";
import type { CacheInspector } from "../inspectors/cache-inspector.ts";
import type { QueueInspector } from "../inspectors/queue-inspector.ts";

/** Of a token of the HTTP API: what whoever has it may do. */
export const SCOPES = ["queue:read", "queue:add", "queue:manage", "queue:remove", "cache:read", "cache:write"] as const;

/** What a token of the HTTP API allows. */
export type ApiScope = (typeof SCOPES)[number];

/** A request, checked. */
export interface ApiCall {
  /** Path, query and JSON body together. */
  readonly input: Readonly<Record<string, unknown>>;
  /** The request's body as it is. */
  readonly bytes: Uint8Array;
  readonly headers: Headers;
  /** Who asks, for the broker's log. */
  readonly by: string;
  /** Fires when whoever asks has gone. */
  readonly signal: AbortSignal;
  /** @throws UsageError DASHBOARD_NOT_THERE when it does not run here */
  queue(): QueueInspector;
  cache(): CacheInspector;
}

/** What is answered: JSON, bytes, events, or nothing. */
export interface ApiAnswer {
  readonly status: 200 | 201 | 202 | 204 | 404;
  readonly json?: unknown;
  readonly bytes?: Uint8Array<ArrayBuffer>;
  /** Server-sent events. */
  readonly stream?: ReadableStream<Uint8Array>;
}

export interface ApiOperation {
  readonly name: string;
  readonly does: string;
  readonly scope: ApiScope;
  readonly destroys: boolean;
  readonly method: string;
  readonly paths: readonly string[];
  readonly input: Schema<unknown>;
  /** By status what is answered; undefined: nothing, "bytes": bytes. */
  readonly answers: Readonly<Record<number, JsonSchema | "bytes" | undefined>>;
  /** The request's body is bytes, not JSON. */
  readonly takesBytes?: boolean;
  /** The request may have an `Idempotency-Key`. */
  readonly hasKey?: boolean;
  run(call: ApiCall): Promise<ApiAnswer>;
}
