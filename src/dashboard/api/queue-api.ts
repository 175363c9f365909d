/** ● The queue in the HTTP API: its table of operations as it is, and to add a task, to wait for its result, and its body as bytes. */
import { isUtf8 } from "node:buffer";
import { OperationError } from "../../core/errors.ts";
import { anything, described, object, oneOf, oneOrMany, optional, text, whole, type Schema } from "../../core/schema.ts";
import { type EventsOptions, type OperationName, OPERATIONS } from "../../queue/index.ts";
import { CALL_WAIT_MS_DEFAULT, CALL_WAIT_MS_MAX } from "../limits.ts";
import { eventStream } from "./event-stream.ts";
import type { ApiAnswer, ApiCall, ApiOperation } from "./api-operation.ts";

const name = text({ min: 1, max: 255 });
const ms = whole(0, 9_000_000_000_000);

/** A body: any JSON, or bytes. */
const BODY = {
  body: optional(described(anything, "Any JSON; a worker in TypeScript gets it as its payload")),
  bodyBase64: optional(described(text(), "Instead of `body`: any bytes")),
} as const;

const OPTIONS = {
  priority: optional(described(whole(0, 255), "Higher goes first; default 0")),
  delayMs: optional(described(ms, "Not to be started before this time has passed")),
  runAtMs: optional(described(ms, "Not to be started before this time, in ms since 1970")),
  attempts: optional(described(whole(1, 65_535), "Attempts before the task is dead; default 5")),
  backoffMs: optional(
    described(
      oneOrMany(ms),
      "Pause before the second attempt, doubled each time; default 1000. A list: the pauses as they are, the last one again and again",
    ),
  ),
  backoffMaxMs: optional(described(ms, "The longest pause; default 300,000")),
  timeoutMs: optional(described(ms, "How long one attempt may run")),
  expireMs: optional(described(ms, "Dead if no worker took it within this time")),
  keepMs: optional(described(ms, "How long the outcome can be read after the end; default 600,000")),
  key: optional(
    described(
      name,
      "While a task is known under it, that task is the answer, whatever its body; the header Idempotency-Key wants the same body",
    ),
  ),
  uniqueWhile: optional(
    described(
      oneOf(["waiting", "active"]),
      "The key is the task's until that has begun (waiting) or has ended (active); default: as long as it is known",
    ),
  ),
  throttleMs: optional(described(ms, "The key is the task's for so long from when it was added: the first wins")),
  debounceMs: optional(
    described(
      ms,
      "Due so long from now; another under its key, before it has begun, replaces its body and when it is due: the last wins",
    ),
  ),
  group: optional(name),
} as const;

const waitMs = optional(
  described(whole(0, CALL_WAIT_MS_MAX), `How long to wait for the result; default ${CALL_WAIT_MS_DEFAULT}`),
);

const OUTCOME = object(
  {
    id: text(),
    state: described(oneOf(["pending", "completed", "dead", "cancelled"]), "pending: it has not ended yet"),
    result: optional(described(anything, "Of a completed task, where it is JSON")),
    resultBase64: optional(described(text(), "Of a completed task, where it is not JSON")),
    error: optional(described(text(), "Of a dead task: its last error")),
  },
  { open: true },
);

/** Where a body that an operation takes comes from, and where one that it answers goes. */
const BODY_FIELDS = object({ body: BODY.body, bodyBase64: BODY.bodyBase64 });

/** Where the table's own name is a word that many languages keep for themselves. */
const OPERATION_IDS: Partial<Record<OperationName, string>> = { get: "getTask", set: "setQueue" };

export const QUEUE_API: readonly ApiOperation[] = [
  ...(Object.keys(OPERATIONS) as OperationName[]).map(ofTable),
  {
    name: "add",
    does: "Adds a task; answered when it is on disk",
    scope: "queue:add",
    destroys: false,
    method: "POST",
    paths: ["/queues/{queue}/tasks"],
    input: object({ queue: name, ...BODY, ...OPTIONS }),
    answers: { 201: object({ id: text() }).json },
    hasKey: true,
    async run(call) {
      return { status: 201, json: { id: await add(call) } };
    },
  },
  {
    name: "call",
    does: "Adds a task and waits for its result; with 202 it has not ended yet, and `result` waits on",
    scope: "queue:add",
    destroys: false,
    method: "POST",
    paths: ["/queues/{queue}/call"],
    input: object({ queue: name, ...BODY, ...OPTIONS, waitMs }),
    answers: { 200: OUTCOME.json, 202: OUTCOME.json },
    hasKey: true,
    async run(call) {
      return outcomeOf(call, await add(call));
    },
  },
  {
    name: "result",
    does: "Waits for the result of a task; with 202 it has not ended yet: ask again",
    scope: "queue:read",
    destroys: false,
    method: "GET",
    paths: ["/tasks/{id}/result"],
    input: object({ id: text(), waitMs }),
    answers: { 200: OUTCOME.json, 202: OUTCOME.json },
    run: (call) => outcomeOf(call, call.input["id"] as string),
  },
  {
    name: "getTaskBody",
    does: "Gives the body of a task, or its result when it is completed, as it is",
    scope: "queue:read",
    destroys: false,
    method: "GET",
    paths: ["/tasks/{id}/body"],
    input: object({ id: text(), first: optional(described(whole(), "Only so many bytes of it")) }),
    answers: { 200: "bytes" },
    async run({ queue, input }) {
      const { body } = await queue().operate("get", { id: input["id"] as string });
      return {
        status: 200,
        bytes: new Uint8Array((body ?? new Uint8Array()).subarray(0, input["first"] as number | undefined)),
      };
    },
  },
];

/** A row of the queue's table. */
function ofTable(operation: OperationName): ApiOperation {
  const { does, right, destroys, http, input, output, ...row } = OPERATIONS[operation];
  const [method, ...paths] = http;
  const body: "asked" | "answered" | undefined = "body" in row ? row.body : undefined;
  const fields = { ...input.fields, ...(body === "asked" && BODY_FIELDS.fields) };
  return {
    name: OPERATION_IDS[operation] ?? operation,
    does,
    scope: right,
    destroys,
    method,
    paths,
    input: object(fields) as Schema<unknown>,
    answers: { 200: body === "answered" ? withBody(output.json) : output.json },
    async run({ queue, input: asked, by, headers, signal }) {
      if (operation === "events" && headers.get("accept")?.includes("text/event-stream"))
        return {
          status: 200,
          stream: eventStream(queue(), asked["queue"] as string | undefined, eventsAsked(asked, headers, signal)),
        };
      const { body: json, bodyBase64, ...rest } = asked;
      const takes = body === "asked";
      const options = { by, body: takes ? bodyIn({ body: json, bodyBase64 }) : undefined };
      const { value, body: bytes } = await queue().operate(operation, (takes ? rest : asked) as never, options);
      return { status: 200, json: bytes === undefined ? value : { ...value, ...bytesOut("body", bytes) } };
    },
  };
}

/** A browser that connects again says which event it had last. */
function eventsAsked({ events, after }: ApiCall["input"], headers: Headers, signal: AbortSignal): EventsOptions {
  const from = headers.get("last-event-id") ?? after;
  return { signal, ...(events !== undefined && { events }), ...(from !== undefined && { after: from }) } as EventsOptions;
}

function withBody(json: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const properties = json["properties"] as object;
  const fields = Object.entries(BODY_FIELDS.fields ?? {}).map(([field, { json: schema }]) => [field, schema] as const);
  return { ...json, properties: { ...properties, ...Object.fromEntries(fields) } };
}

async function add({ queue, input, headers, signal }: ApiCall): Promise<string> {
  const { queue: into, body, bodyBase64 } = input;
  const key = headers.get("idempotency-key");
  const options = Object.fromEntries(
    Object.keys(OPTIONS).flatMap((option) => (input[option] === undefined ? [] : [[option, input[option]]])),
  );
  const [id] = await queue().add({
    queue: into as string,
    // Another request under the key is a mistake of whoever sent it: draft-ietf-httpapi-idempotency-key-header-07, section 2.7.
    options: { ...options, ...(key !== null && { key, sameBody: true }) },
    body: bodyIn({ body, bodyBase64 }) ?? new Uint8Array(),
    signal,
  });
  return id!;
}

async function outcomeOf({ queue, input, signal }: ApiCall, id: string): Promise<ApiAnswer> {
  const outcome = await queue().outcome(id, (input["waitMs"] as number | undefined) ?? CALL_WAIT_MS_DEFAULT, signal);
  if (!outcome) return { status: 202, json: { id, state: "pending" } };
  const { state, bytes, code } = outcome;
  if (state === "unknown")
    throw new OperationError("QUEUE_TASK_UNKNOWN", `No task ${id} is known, or its result is no longer kept`);
  if (state === "evicted" || code !== undefined)
    throw new OperationError(
      code ?? "QUEUE_RESULT_EVICTED",
      Buffer.from(bytes).toString() || `The result of ${id} is no longer kept`,
    );
  const told =
    state === "completed" ? bytesOut("result", bytes) : state === "dead" ? { error: Buffer.from(bytes).toString() } : {};
  return { status: 200, json: { id, state, ...told } };
}

/** undefined: none was given. */
function bodyIn({ body, bodyBase64 }: { readonly body?: unknown; readonly bodyBase64?: unknown }): Uint8Array | undefined {
  if (typeof bodyBase64 === "string") return Buffer.from(bodyBase64, "base64");
  return body === undefined ? undefined : Buffer.from(JSON.stringify(body));
}

/** JSON as it is, other bytes in base64; nothing where there are none. */
function bytesOut(field: "body" | "result", bytes: Uint8Array): Readonly<Record<string, unknown>> {
  if (bytes.length === 0) return {};
  try {
    if (isUtf8(bytes)) return { [field]: JSON.parse(Buffer.from(bytes).toString()) as unknown };
  } catch {
    // Text that is no JSON.
  }
  return { [`${field}Base64`]: Buffer.from(bytes).toString("base64") };
}
