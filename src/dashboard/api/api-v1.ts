/**
 * ● The HTTP API under /api/v1. Whoever the board lets in may do all; whoever has one of the API's own tokens what its scopes allow. A
 * browser is answered on the board's own pages only: of another site it sends what marks it (Origin, Sec-Fetch-Site).
 */
import { Hono, type Context } from "hono";
import { codeOf, HoldfastError, messageOf, UsageError } from "../../core/errors.ts";
import type { AskedRights } from "../../access/access-table.ts";
import type { Action } from "../../access/right.ts";
import type { CacheInspector } from "../inspectors/cache-inspector.ts";
import type { QueueInspector } from "../inspectors/queue-inspector.ts";
import { API_BODY_BYTES_MAX } from "../limits.ts";
import type { Access } from "../access/access.ts";
import { isSameOrigin } from "../access/access-rules.ts";
import type { ApiCall, ApiOperation, ApiScope } from "./api-operation.ts";
import { type ApiToken, tokenOf } from "./api-tokens.ts";
import { CACHE_API } from "./cache-api.ts";
import { openApi } from "./openapi.ts";
import { QUEUE_API } from "./queue-api.ts";

export interface ApiOptions {
  readonly access: Access;
  readonly tokens: readonly ApiToken[];
  readonly queue: QueueInspector | undefined;
  readonly cache: CacheInspector | undefined;
  /** Where the API is: "/api/v1". */
  readonly path: string;
}

const API: readonly ApiOperation[] = [...QUEUE_API, ...CACHE_API];

/** The OpenAPI document. */
export function apiDocument(path = "/api/v1"): object {
  return openApi(API, path);
}

export function apiV1(options: ApiOptions): Hono {
  const app = new Hono();
  app.get("/openapi.json", (context) => context.json(apiDocument(options.path)));
  for (const operation of API) {
    for (const path of operation.paths) {
      const route = path.replaceAll(/\{(\w+)\}/g, (_, name: string) => (name === "key" ? ":key{.+}" : `:${name}`));
      app.on(operation.method, route, (context) => answered(options, operation, context));
    }
  }
  app.all("*", (context) =>
    context.json({ code: "DASHBOARD_NOT_THERE", error: "The API has no such path; see openapi.json" }, 404),
  );
  app.onError((error, context) => {
    const code = codeOf(error) ?? "ASSERTION_FAILED";
    return context.json({ code, error: messageOf(error) }, statusOf(error, code));
  });
  return app;
}

async function answered(options: ApiOptions, operation: ApiOperation, context: Context): Promise<Response> {
  const actor = await actorOf(options, context.req.raw);
  if (actor instanceof Response) return actor;
  if (!actor.may(operation.scope))
    throw (
      actor.rights?.refused(ACTION[operation.scope]) ??
      new UsageError("ACCESS_DENIED", `The token '${actor.by}' has not the scope ${operation.scope}`)
    );
  const bytes = await bodyOf(context);
  const input = {
    ...inQuery(operation, context),
    ...(operation.takesBytes ? {} : inJson(bytes, context)),
    ...context.req.param(),
  };
  const wrong = operation.input.wrong(input, "the request");
  if (wrong !== undefined) throw new UsageError("DASHBOARD_REQUEST_INVALID", `Invalid request: ${wrong}`);
  const { rights } = actor;
  const { key } = input as { readonly key?: string };
  if (operation.scope === "cache:read" || operation.scope === "cache:write") rights?.must(operation.scope, key!);
  const call: ApiCall = {
    input,
    bytes,
    headers: context.req.raw.headers,
    by: actor.by,
    signal: context.req.raw.signal,
    queue() {
      const queue = there(options.queue, "queue");
      return rights ? queue.as(rights) : queue;
    },
    cache: () => there(options.cache, "cache"),
  };
  const answer = await operation.run(call);
  if (answer.bytes) return context.body(answer.bytes, answer.status as 200, { "Content-Type": "application/octet-stream" });
  if (answer.stream)
    return context.body(answer.stream, 200, { "Content-Type": "text/event-stream", "Cache-Control": "no-store" });
  return answer.json === undefined
    ? context.body(null, answer.status)
    : context.json(answer.json as object, answer.status as 200);
}

interface ApiActor {
  readonly by: string;
  /** Of a user of the access file. */
  readonly rights?: AskedRights;
  may(scope: ApiScope): boolean;
}

/** What the access file calls the scopes. */
const ACTION: Readonly<Record<ApiScope, Action>> = {
  "queue:read": "queue:see",
  "queue:add": "queue:add",
  "queue:manage": "queue:manage",
  "queue:remove": "queue:manage",
  "cache:read": "cache:read",
  "cache:write": "cache:write",
};

async function actorOf({ access, tokens }: ApiOptions, request: Request): Promise<ApiActor | Response> {
  const { headers } = request;
  const token = tokenOf(headers.get("authorization"), tokens);
  if (token) return { by: token.name, may: (scope) => token.scopes.includes(scope) };
  const rights = await access.rightsOf?.(request);
  // A user needs no page for the API.
  const refusal = rights ? undefined : await access.refusal(request);
  if (refusal)
    return Response.json({ code: "ACCESS_DENIED", error: "Send a token: 'Authorization: Bearer …'" }, { status: 401 });
  const host = headers.get("host") ?? new URL(request.url).host;
  const isOwn = isSameOrigin({
    host,
    origin: headers.get("origin") ?? undefined,
    fetchSite: headers.get("sec-fetch-site") ?? undefined,
  });
  if (!isOwn) return Response.json({ code: "ACCESS_DENIED", error: "A page of another site asked for this" }, { status: 403 });
  if (rights) {
    if (headers.has("authorization") && rights.user === "*")
      return Response.json({ code: "ACCESS_DENIED", error: "No such token" }, { status: 401 });
    // A worker's own tasks, and who waits for its own results, are for the broker to tell from others.
    return { by: rights.user, rights, may: (scope) => mayAsk(rights, scope) };
  }
  // A token that is none of these is not taken for none at all.
  if (tokens.length > 0 && headers.has("authorization") && !(await isNeeded(access, request)))
    return Response.json({ code: "ACCESS_DENIED", error: "No such token" }, { status: 401 });
  return { by: headers.has("x-holdfast-token") ? "the page" : "*", may: () => true };
}

function mayAsk(rights: AskedRights, scope: ApiScope): boolean {
  const action = ACTION[scope];
  return rights.mayAny(action) || (scope === "queue:read" && (rights.mayAny("queue:add") || rights.mayAny("queue:work")));
}

/** Whether the board's own access looks at the Authorization header: it does not let in the same request without one. */
async function isNeeded(access: Access, request: Request): Promise<boolean> {
  const headers = new Headers(request.headers);
  headers.delete("authorization");
  return (await access.refusal(new Request(request.url, { headers }))) !== undefined;
}

async function bodyOf({ req }: Context): Promise<Uint8Array> {
  if (req.method === "GET" || req.method === "DELETE") return new Uint8Array();
  if (Number(req.header("content-length") ?? 0) > API_BODY_BYTES_MAX) throw tooLarge();
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of (req.raw.body ?? []) as AsyncIterable<Uint8Array>) {
    length += chunk.length;
    if (length > API_BODY_BYTES_MAX) throw tooLarge();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function tooLarge(): UsageError {
  return new UsageError("QUEUE_BODY_TOO_LARGE", `A request has at most ${API_BODY_BYTES_MAX} bytes`);
}

function inJson(bytes: Uint8Array, { req }: Context): object {
  if (bytes.length === 0) return {};
  const type = req.header("content-type") ?? "";
  if (!/^application\/(?:\S+\+)?json\b/i.test(type))
    throw new UsageError("DASHBOARD_REQUEST_INVALID", "Invalid request: its Content-Type must be application/json");
  let json: unknown;
  try {
    json = JSON.parse(Buffer.from(bytes).toString());
  } catch {
    // Told below.
  }
  if (typeof json !== "object" || json === null || Array.isArray(json))
    throw new UsageError("DASHBOARD_REQUEST_INVALID", "Invalid request: its body is no JSON object");
  return json;
}

/** Values of the query as what the schema says they are. */
function inQuery({ input }: ApiOperation, { req }: Context): Record<string, unknown> {
  const values: Record<string, unknown> = {};
  for (const [name, texts] of Object.entries(req.queries())) {
    const type = input.fields?.[name]?.json["type"];
    values[name] = type === "array" ? texts : valueOf(texts[0]!, type);
  }
  // It has let in whoever asks (access.ts).
  if (input.fields?.["token"] === undefined) delete values["token"];
  return values;
}

function valueOf(text: string, type: unknown): unknown {
  if ((type === "integer" || type === "number") && text !== "") return Number(text);
  return type === "boolean" && (text === "true" || text === "false") ? text === "true" : text;
}

function there<Part>(part: Part | undefined, name: string): Part {
  if (!part) throw new UsageError("DASHBOARD_NOT_THERE", `No ${name} runs in this process`);
  return part;
}

type ErrorStatus = 400 | 403 | 404 | 409 | 410 | 413 | 422 | 429 | 500 | 503;

const STATUS: Readonly<Record<string, ErrorStatus>> = {
  ACCESS_DENIED: 403,
  DASHBOARD_NOT_THERE: 404,
  QUEUE_TASK_UNKNOWN: 404,
  QUEUE_TASK_STATE: 409,
  QUEUE_KEY_CONFLICT: 422,
  QUEUE_RESULT_EVICTED: 410,
  QUEUE_TASK_DAMAGED: 410,
  QUEUE_BODY_TOO_LARGE: 413,
  QUEUE_FULL: 429,
};

function statusOf(error: unknown, code: string): ErrorStatus {
  if (!(error instanceof HoldfastError)) return 500;
  return STATUS[code] ?? (error instanceof UsageError ? 400 : 503);
}
