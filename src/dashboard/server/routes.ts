/** ● The dashboard's HTTP routes, protected by access-rules.ts. */
import { Hono, type Context, type Next } from "hono";
import type { Registry } from "prom-client";
import { sameBytes } from "../../core/bytes.ts";
import { actionsOf, type Inspectors } from "./api-routes.ts";
import { NOT_BUILT, pageFile } from "./page-files.ts";
import { SAFE_HEADERS, cookieOf, isOwnHost, isSameOrigin } from "./access-rules.ts";
import type { Sampler } from "../snapshot/sampler.ts";
import type { EventStreams } from "./event-streams.ts";

export interface RouteDependencies {
  /** "127.0.0.1:8280"; known once listening. */
  readonly address: () => string;
  /** Required of every request if set. */
  readonly accessToken: string | undefined;
  /** Required of every action; the page gets it from /api/hello. */
  readonly pageToken: string;
  readonly sampler: Sampler;
  readonly streams: EventStreams;
  readonly metrics: Registry;
  readonly ready: () => boolean;
  readonly inspectors: Inspectors;
}

const COOKIE = "holdfast";
const WEEK_SECONDS = 7 * 24 * 3600;

/** All routes as one request handler. */
export function routesOf(dependencies: RouteDependencies): Hono {
  const app = new Hono();
  app.use(addSafeHeaders);
  app.use((context, next) => checkHost(dependencies, context, next));
  app.get("/health", (context) => context.text("ok\n"));
  app.get("/ready", (context) => (dependencies.ready() ? context.text("ready\n") : context.text("not ready\n", 503)));
  app.use((context, next) => checkAccess(dependencies, context, next));
  app.use("/api/*", (context, next) => checkAction(dependencies, context, next));
  app.get("/metrics", async (context) =>
    context.body(await dependencies.metrics.metrics(), 200, { "Content-Type": dependencies.metrics.contentType }),
  );
  app.get("/api/hello", (context) => context.json(helloOf(dependencies)));
  app.get("/api/live", (context) => live(dependencies, context));
  app.route("/api", actionsOf(dependencies.inspectors));
  app.get("*", (context) => page(context));
  app.onError((error, context) => context.json({ error: error.message }, 500));
  return app;
}

/** A page's initial data: its token, the history and the current state. */
function helloOf({ pageToken, sampler }: RouteDependencies): object {
  return { token: pageToken, columns: sampler.history.columns(), snapshot: sampler.whole };
}

async function addSafeHeaders(context: Context, next: Next): Promise<void> {
  await next();
  for (const [name, value] of Object.entries(SAFE_HEADERS)) context.res.headers.set(name, value);
  if (!context.res.headers.has("Cache-Control")) context.res.headers.set("Cache-Control", "no-store");
}

async function checkHost(dependencies: RouteDependencies, context: Context, next: Next): Promise<Response | void> {
  const own = isOwnHost(context.req.header("host"), {
    address: dependencies.address(),
    anyHost: dependencies.accessToken !== undefined,
  });
  if (!own) return context.text("Unknown Host header.\n", 421);
  await next();
}

/** Checks the access token: an Authorization header, a cookie, or `?token=` in the URL, which sets the cookie. */
async function checkAccess({ accessToken }: RouteDependencies, context: Context, next: Next): Promise<Response | void> {
  if (accessToken === undefined) return next();
  const asked = context.req.query("token");
  if (asked !== undefined && isSame(asked, accessToken)) {
    const cookie = `${COOKIE}=${encodeURIComponent(accessToken)}; HttpOnly; SameSite=Strict; Path=/; Max-Age=${WEEK_SECONDS}`;
    return context.body(null, 303, { Location: "/", "Set-Cookie": cookie });
  }
  const bearer = context.req.header("authorization")?.replace(/^Bearer /, "");
  const cookie = cookieOf(context.req.header("cookie"), COOKIE);
  if (!isSame(bearer ?? "", accessToken) && !isSame(cookie ?? "", encodeURIComponent(accessToken))) {
    return context.text(
      "Open /?token=… with the token given as --dashboard-token, or send it as 'Authorization: Bearer …'.\n",
      401,
    );
  }
  await next();
}

async function checkAction({ pageToken }: RouteDependencies, context: Context, next: Next): Promise<Response | void> {
  const { req } = context;
  const asked = { host: req.header("host"), origin: req.header("origin"), fetchSite: req.header("sec-fetch-site") };
  // Another site's page cannot read the answer, but it could cause load, for example with an image whose URL is the tapped stream.
  if (req.method === "GET" && isSameOrigin(asked)) return next();
  const token = req.header("x-holdfast-token");
  if (!isSameOrigin(asked) || token === undefined || !isSame(token, pageToken)) {
    return context.json({ error: "This request did not come from the dashboard's page; reload the page and try again" }, 403);
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
  return context.body(streams.open({ snapshot: sampler.latest, lab: { lab: inspectors.lab.summary() ?? null } }), 200, headers);
}

async function page(context: Context): Promise<Response> {
  const { path } = context.req;
  const file = await pageFile(path);
  if (file) {
    const caching = file.immutable ? "public, max-age=31536000, immutable" : "no-cache";
    return context.body(file.bytes, 200, { "Content-Type": file.type, "Cache-Control": caching });
  }
  return path === "/" ? context.text(NOT_BUILT, 503) : context.text("Page not found.\n", 404);
}

/** Compares in constant time. */
function isSame(given: string, wanted: string): boolean {
  return sameBytes(Buffer.from(given), Buffer.from(wanted));
}
