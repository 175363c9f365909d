/** ● The board's HTTP routes, protected by access-rules.ts and by the board's access (access.ts). */
import { Hono, type Context, type Next } from "hono";
import type { ApiToken } from "../api/api-tokens.ts";
import { apiV1 } from "../api/api-v1.ts";
import { actionsOf, type Inspectors } from "./api-routes.ts";
import { type Access, isSame } from "../access/access.ts";
import { NOT_BUILT, pageFile } from "./page-files.ts";
import { SAFE_HEADERS, isSameOrigin } from "../access/access-rules.ts";
import { EXPOSITION_TYPE } from "./exposition.ts";
import type { Metrics } from "./metrics.ts";
import type { Farm } from "../farm/farm.ts";
import { memberOf } from "../farm/member.ts";
import { type Archive, ARCHIVE_RANGES } from "../snapshot/archive.ts";
import { QUEUE_RANGES, type QueueHistory } from "../snapshot/queue-history.ts";
import type { Sampler } from "../snapshot/sampler.ts";
import type { EventStreams } from "./event-streams.ts";

export interface RouteDependencies {
  /** Where the board is mounted: "" or "/ops". */
  readonly root: string;
  readonly access: Access;
  /** Of the HTTP API. */
  readonly tokens: readonly ApiToken[];
  /** Tells this process from its peers. */
  readonly id: string;
  /** Required of every action; the page gets it from /api/hello. */
  readonly pageToken: string;
  readonly sampler: Sampler;
  readonly archive: Archive;
  readonly queueHistory: QueueHistory;
  readonly streams: EventStreams;
  readonly metrics: Metrics;
  readonly ready: () => boolean;
  readonly inspectors: Inspectors;
  readonly farm: Farm;
  /** Other processes were named. */
  readonly hasPeers: boolean;
}

/** All routes as one request handler. */
export function routesOf(dependencies: RouteDependencies): Hono {
  const { root, access, tokens, id, sampler, farm, inspectors } = dependencies;
  const app = new Hono().basePath(root);
  app.use(addSafeHeaders);
  app.use(async (context, next) => {
    if (!access.knows(hostOf(context))) return context.text("Unknown Host header.\n", 421);
    return next();
  });
  app.get("/health", (context) => context.text("ok\n"));
  app.get("/ready", (context) => (dependencies.ready() ? context.text("ready\n") : context.text("not ready\n", 503)));
  app.route("/api/v1", apiV1({ access, tokens, queue: inspectors.queue, cache: inspectors.cache, path: `${root}/api/v1` }));
  app.use(async (context, next) => (await access.refusal(context.req.raw)) ?? next());
  app.use("/api/*", (context, next) => checkAction(dependencies, context, next));
  app.get("/metrics", (context) => context.body(dependencies.metrics.text(), 200, { "Content-Type": EXPOSITION_TYPE }));
  app.get("/api/hello", (context) => context.json(helloOf(dependencies)));
  app.get("/api/history", (context) => {
    const range = ARCHIVE_RANGES.find((known) => known === context.req.query("range"));
    if (!range) return context.json({ error: `range must be one of ${ARCHIVE_RANGES.join(", ")}` }, 400);
    return context.json(dependencies.archive.columns(range));
  });
  app.get("/api/queue-history", (context) => {
    const { queue = "", range: asked = "minutes" } = context.req.query();
    const range = QUEUE_RANGES.find((known) => known === asked);
    if (!range) return context.json({ error: `range must be one of ${QUEUE_RANGES.join(", ")}` }, 400);
    const { queueHistory } = dependencies;
    const numbers = sampler.sample?.queue?.queues.find(({ name }) => name === queue);
    return context.json({
      isOwn: queueHistory.tracks(queue),
      columns: queueHistory.columns(queue, range),
      waits: numbers?.waits,
      runs: numbers?.runs,
    });
  });
  app.get("/api/live", (context) => live(dependencies, context));
  app.get("/api/member", (context) => context.json(memberOf(id, sampler.latest)));
  app.get("/api/farm", (context) => context.json(farm.members(memberOf(id, sampler.latest), sampler.sample?.queue?.cluster)));
  app.route("/api", actionsOf(inspectors));
  // Addresses that can be written by hand, or by another program: the page's own are in its fragment.
  for (const kind of ["task", "link"])
    app.get(`/${kind}/:name`, (context) =>
      context.redirect(`${root}/#/${kind}/${encodeURIComponent(context.req.param("name"))}`, 302),
    );
  app.get("*", (context) => page(context, root));
  app.onError((error, context) => context.json({ error: error.message }, 500));
  return app;
}

/** A page's initial data: its token, the history and the current state. */
function helloOf({ pageToken, sampler, hasPeers }: RouteDependencies): object {
  return {
    token: pageToken,
    columns: sampler.history.columns(),
    snapshot: sampler.whole,
    hasPeers: hasPeers || sampler.sample?.queue?.cluster !== undefined,
  };
}

async function addSafeHeaders(context: Context, next: Next): Promise<void> {
  await next();
  for (const [name, value] of Object.entries(SAFE_HEADERS)) context.res.headers.set(name, value);
  if (!context.res.headers.has("Cache-Control")) context.res.headers.set("Cache-Control", "no-store");
}

/** A handler that is called without a network has no Host header. */
function hostOf({ req }: Context): string {
  return req.header("host") ?? new URL(req.url).host;
}

async function checkAction({ access, pageToken }: RouteDependencies, context: Context, next: Next): Promise<Response | void> {
  const { req } = context;
  const asked = { host: hostOf(context), origin: req.header("origin"), fetchSite: req.header("sec-fetch-site") };
  // Another site's page cannot read the answer, but it could cause load, for example with an image whose URL is the tapped stream.
  if (req.method === "GET" && isSameOrigin(asked)) return next();
  const token = req.header("x-holdfast-token");
  if (!isSameOrigin(asked) || token === undefined || !isSame(token, pageToken)) {
    return context.json({ error: "This request did not come from the dashboard's page; reload the page and try again" }, 403);
  }
  const rights = await access.rightsOf?.(req.raw);
  // The page's own actions are on any queue and any key.
  for (const action of ["queue:work", "cache:read", "cache:write"] as const) {
    if (!rights || rights.mayAll(action)) continue;
    return context.json({ error: rights.refused(action, "*").message }, 403);
  }
  await next();
}

function live({ sampler, streams, inspectors }: RouteDependencies, context: Context): Response {
  if (streams.full) return context.text("Too many pages are open.\n", 503);
  const headers = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",
  };
  const first = { snapshot: sampler.latest, lab: { lab: inspectors.lab.summary() ?? null } };
  return context.body(streams.open(first, context.req.raw.signal), 200, headers);
}

async function page(context: Context, root: string): Promise<Response> {
  const path = context.req.path.slice(root.length) || "/";
  const file = await pageFile(path, root);
  if (file) {
    const caching = file.immutable ? "public, max-age=31536000, immutable" : "no-cache";
    return context.body(file.bytes, 200, { "Content-Type": file.type, "Cache-Control": caching });
  }
  return path === "/" ? context.text(NOT_BUILT, 503) : context.text("Page not found.\n", 404);
}
