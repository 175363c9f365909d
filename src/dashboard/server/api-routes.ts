/** ● The views' data and actions, under /api. Task bodies, cache values and packet bytes are sent only one by one, on request. */
import { Hono, type Context } from "hono";
import { HoldfastError, UsageError } from "../../core/errors.ts";
import type { CacheInspector } from "../inspectors/cache-inspector.ts";
import { DEMO_PEER_ACTIONS } from "../link-lab/lab-state.ts";
import { REQUEST_BYTES_MAX, STORED_CHARS_MAX } from "../limits.ts";
import type { LinkLab } from "../link-lab/link-lab.ts";
import type { ListRequest } from "../snapshot/list-page.ts";
import type { Sampler } from "../snapshot/sampler.ts";
import type { QueueInspector } from "../inspectors/queue-inspector.ts";
import { RequestBody } from "./request-body.ts";
import { tappedStream } from "./tapped-stream.ts";

export interface Inspectors {
  readonly sampler: Sampler;
  readonly cache: CacheInspector | undefined;
  readonly queue: QueueInspector | undefined;
  readonly lab: LinkLab;
  /** The servers' ports. */
  readonly ports: readonly number[];
}

const DAY_MS = 86_400_000;

/** The routes of all views. */
export function actionsOf(inspectors: Inspectors): Hono {
  const app = new Hono();
  addLists(app, inspectors);
  addCache(app, inspectors);
  addQueue(app, inspectors);
  addLab(app, inspectors);
  app.get("/wire.pcapng", (context) => {
    const stream = tappedStream(inspectors.ports);
    if (!stream) return context.text("Too many packet streams are open.\n", 503);
    return context.body(stream, 200, { "Content-Type": "application/x-pcapng" });
  });
  app.onError((error, context) => {
    const status = error instanceof UsageError ? 400 : error instanceof HoldfastError ? 503 : 500;
    return context.json({ error: error.message }, status);
  });
  return app;
}

/** A list's part that is asked for: `?search=&name=&sort=&order=&offset=&limit=`. */
function listRequest(context: Context): ListRequest {
  const { search, name, sort, order, offset, limit } = context.req.query();
  return {
    search,
    name,
    sort,
    order,
    ...(offset !== undefined && { offset: Number(offset) }),
    ...(limit !== undefined && { limit: Number(limit) }),
  };
}

function addLists(app: Hono, { sampler }: Inspectors): void {
  app.get("/queues", (context) =>
    context.json(sampler.queues({ ...listRequest(context), only: context.req.query("only") }) as object),
  );
  app.get("/workers", (context) => context.json(sampler.workers(listRequest(context)) as object));
  app.get("/links/:name/story", (context) => context.json(sampler.linkEvents.story(context.req.param("name")) as object));
  app.get("/connections", (context) => context.json(sampler.connections(listRequest(context)) as object));
}

function addCache(app: Hono, { cache }: Inspectors): void {
  app.get("/cache", async (context) => context.json(await on(cache, "cache").details()));
  app.get("/cache/prefixes", async (context) => context.json(await on(cache, "cache").prefixes()));
  app.post("/cache/value", async (context) => {
    const key = (await bodyOf(context)).text("key", { charsMax: 250 });
    return context.json((await on(cache, "cache").value(key)) ?? { missing: true });
  });
  app.post("/cache/store", async (context) => {
    const body = await bodyOf(context);
    const key = body.text("key", { charsMax: 250 });
    const value = body.text("value", { charsMax: STORED_CHARS_MAX, optional: true });
    await on(cache, "cache").store(key, Buffer.from(value), body.whole("seconds", { min: 0, max: DAY_MS / 1000 }));
    return context.json({});
  });
}

function addQueue(app: Hono, { queue }: Inspectors): void {
  app.post("/queue/work", async (context) => {
    const outcome = await on(queue, "queue").workOnce((await bodyOf(context)).text("queue", { charsMax: 255 }));
    if (!outcome) throw new UsageError("DASHBOARD_NOT_THERE", "No waiting task: add one first");
    return context.json(outcome);
  });
}

function addLab(app: Hono, { lab }: Inspectors): void {
  app.get("/lab", (context) => context.json({ lab: lab.state() ?? null }));
  app.get("/lab/events", (context) => context.json(lab.events(Number(context.req.query("after") ?? 0)) ?? { events: [] }));
  app.get("/lab/session.pcapng", (context) => {
    const file = lab.pcapng({ payload: context.req.query("payload") === "1" });
    if (!file) return context.json({ error: "No connection is being watched" }, 404);
    const headers = {
      "Content-Type": "application/x-pcapng",
      "Content-Disposition": 'attachment; filename="holdfast-link.pcapng"',
    };
    return context.body(file, 200, headers);
  });
  app.get("/lab/packet", (context) => {
    const frame = lab.frame(Number(context.req.query("number")));
    if (!frame) return context.json({ error: "This packet is no longer stored" }, 404);
    const { bytes, originalLength, linkType, comment } = frame;
    return context.json({
      hex: Buffer.from(bytes.subarray(0, 256)).toString("hex"),
      length: originalLength,
      linkType,
      comment,
    });
  });
  app.post("/lab/demonstrate", async (context) => {
    const body = await bodyOf(context);
    const idleMs = body.whole("idleMs", { min: 1000, max: DAY_MS });
    const intervalMs = body.whole("intervalMs", { min: 1000, max: DAY_MS });
    await lab.demonstrate({ idleMs, intervalMs, count: body.whole("count", { min: 1, max: 100 }) });
    return context.json({});
  });
  app.post("/lab/watch", async (context) => {
    await lab.watch((await bodyOf(context)).whole("id", { min: 1, max: Number.MAX_SAFE_INTEGER }));
    return context.json({});
  });
  app.post("/lab/stop", async (context) => {
    await lab.stop();
    return context.json({});
  });
  app.post("/lab/act", async (context) => {
    lab.act((await bodyOf(context)).oneOf("action", DEMO_PEER_ACTIONS));
    return context.json({});
  });
  app.post("/lab/send", async (context) => {
    const body = await bodyOf(context);
    await lab.send(body.oneOf("from", ["server", "client"]), body.text("text", { charsMax: 1000 }));
    return context.json({});
  });
}

async function bodyOf(context: Context): Promise<RequestBody> {
  if (Number(context.req.header("content-length") ?? Infinity) > REQUEST_BYTES_MAX * 2) {
    throw new UsageError(
      "DASHBOARD_REQUEST_INVALID",
      `Cannot read the request: it has no Content-Length, or more than ${REQUEST_BYTES_MAX} bytes`,
    );
  }
  const json: unknown = await context.req.json().catch(() => undefined);
  return new RequestBody(json);
}

function on<Inspector>(inspector: Inspector | undefined, name: string): Inspector {
  if (!inspector) throw new UsageError("DASHBOARD_NOT_THERE", `The ${name} is not running`);
  return inspector;
}
