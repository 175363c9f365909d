/**
 * ● Spans of tasks for OpenTelemetry: what a producer sends, how long the task waited at the broker, and each attempt at a worker, all of one trace by
 * the `traceparent` that travels with the task (W3C Trace Context, version 00). Names and attributes follow OpenTelemetry's semantic
 * conventions for messaging.
 */
import type { Context, Span } from "@opentelemetry/api";
import { messageOf } from "../../core/errors.ts";
import { tracingApi, type TracingApi } from "../../core/open-telemetry-tracing.ts";
import { afterMsOf, isRunEnded } from "./handler.ts";
import { isPending, type MaybePromise } from "./payload.ts";

const TRACER = "holdfast/queue";

/** What a task's producer said of its trace, and how long the task waited for a worker before this run. */
export interface TaskTrace {
  readonly traceparent: string;
  readonly waitedMs: number;
}

function attributes(queue: string, type: string): Record<string, string> {
  return { "messaging.system": "holdfast", "messaging.destination.name": queue, "messaging.operation.type": type };
}

/** A submission that is traced. */
export interface SendSpan {
  readonly traceparent: string;
  /** The broker has the tasks, or not; of a call: it has ended. */
  ended(outcome: SendOutcome): void;
}

interface SendOutcome {
  readonly ids?: readonly string[];
  readonly error?: unknown;
}

/** A span that is a child of the caller's; undefined when nothing is traced. @param count how many tasks */
export function startSend(queue: string, count: number): SendSpan | undefined {
  const api = tracingApi();
  if (!api) return undefined;
  const span = api.trace.getTracer(TRACER).startSpan(`send ${queue}`, {
    kind: api.SpanKind.PRODUCER,
    attributes: { ...attributes(queue, "send"), ...(count > 1 && { "messaging.batch.message_count": count }) },
  });
  return {
    traceparent: traceparentOf(span),
    ended: ({ ids, error }) => {
      if (ids?.length === 1) span.setAttribute("messaging.message.id", ids[0]!);
      if (error !== undefined && !isRunEnded(error)) failed(api, span, error);
      span.end();
    },
  };
}

/** A task that a handler calls: its span ends when it is added. */
export async function tracedCall<T>(
  queue: string,
  record: (trace: { readonly traceparent?: string }) => Promise<T>,
): Promise<T> {
  const span = startSend(queue, 1);
  return span ? sent(span, record({ traceparent: span.traceparent })) : record({});
}

/** The span ends when the answer has come. @param outcomeOf what the answer says of it */
export async function sent<T>(
  span: SendSpan,
  asked: Promise<T>,
  outcomeOf: (answer: T) => SendOutcome = () => ({}),
): Promise<T> {
  try {
    const answer = await asked;
    span.ended(outcomeOf(answer));
    return answer;
  } catch (error) {
    span.ended({ error });
    throw error;
  }
}

/** Of the span that the caller is in; undefined when he is in none. */
export function currentTraceparent(): string | undefined {
  const api = tracingApi();
  const span = api?.trace.getSpan(api.context.active());
  return span?.isRecording() ? traceparentOf(span) : undefined;
}

/** One attempt of a task. */
export interface Attempt {
  readonly queue: string;
  readonly id: string;
  readonly attempt: number;
  readonly trace: TaskTrace | undefined;
  readonly wallMs: number;
}

/** Runs an attempt in a span of its own, which is the active one for what the handler does. */
export function traced<R>(attempt: Attempt, run: () => MaybePromise<R>): MaybePromise<R> {
  const api = tracingApi();
  if (!api) return run();
  const { queue, id, trace: from } = attempt;
  const tracer = api.trace.getTracer(TRACER);
  const parent = from ? remoteContext(api, from.traceparent) : api.ROOT_CONTEXT;
  const own = { ...attributes(queue, "process"), "messaging.message.id": id, "holdfast.queue.attempt": attempt.attempt };
  if (from) {
    const startTime = attempt.wallMs - from.waitedMs;
    const wait = {
      kind: api.SpanKind.INTERNAL,
      startTime,
      attributes: { ...attributes(queue, "receive"), "messaging.message.id": id },
    };
    tracer.startSpan(`wait ${queue}`, wait, parent).end(attempt.wallMs);
  }
  const span = tracer.startSpan(`process ${queue}`, { kind: api.SpanKind.CONSUMER, attributes: own }, parent);
  const threw = (error: unknown): never => {
    // A task that is put off, or whose run a sleep or a wait has ended, has not failed.
    if (afterMsOf(error) === undefined && !isRunEnded(error)) failed(api, span, error);
    span.end();
    throw error;
  };
  try {
    const result = api.context.with(api.trace.setSpan(parent, span), run);
    if (!isPending(result)) {
      span.end();
      return result;
    }
    return result.then((value) => {
      span.end();
      return value;
    }, threw);
  } catch (error) {
    return threw(error);
  }
}

/** Does a step in a span of its own, which is the active one for what it does. */
export async function tracedStep<T>(name: string, act: () => Promise<T> | T): Promise<T> {
  const api = tracingApi();
  if (!api) return act();
  const span = api.trace.getTracer(TRACER).startSpan(`step ${name}`, {
    kind: api.SpanKind.INTERNAL,
    attributes: { "messaging.system": "holdfast", "holdfast.queue.step": name },
  });
  try {
    return await api.context.with(api.trace.setSpan(api.context.active(), span), act);
  } catch (error) {
    failed(api, span, error);
    throw error;
  } finally {
    span.end();
  }
}

function failed(api: TracingApi, span: Span, error: unknown): void {
  const code = typeof error === "object" && error !== null && "code" in error ? String(error.code) : undefined;
  span.setAttribute("error.type", code ?? (error instanceof Error ? error.name : "Error"));
  span.setStatus({ code: api.SpanStatusCode.ERROR, message: messageOf(error) });
}

function traceparentOf(span: Span): string {
  const { traceId, spanId, traceFlags } = span.spanContext();
  return `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, "0")}`;
}

/** Whoever sent it is in another process. */
function remoteContext(api: TracingApi, traceparent: string): Context {
  const [, traceId, spanId, flags] = traceparent.split("-") as [string, string, string, string];
  return api.trace.setSpanContext(api.ROOT_CONTEXT, {
    traceId,
    spanId,
    traceFlags: Number.parseInt(flags, 16),
    isRemote: true,
  });
}
