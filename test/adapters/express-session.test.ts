/** The store of sessions, driven by an Express application. */
import assert from "node:assert/strict";
import { once } from "node:events";
import type { Server } from "node:http";
import { createRequire } from "node:module";
import type { AddressInfo } from "node:net";
import { test, type TestContext } from "node:test";
import { promisify } from "node:util";
import { sessionStore, type ExpressSession, type SessionStore } from "../../src/adapters/express-session.ts";
import { CacheClient } from "../../src/cache/index.ts";
import { TEST_SERVERS } from "../cache/client/support/test-servers.ts";
import { requires } from "../support/requires.ts";

interface Request {
  session: Record<string, unknown> & {
    cookie: { maxAge: number };
    destroy(done: () => void): void;
    regenerate(done: () => void): void;
  };
}
interface Response {
  json(value: unknown): void;
}
type Handler = (request: Request, response: Response) => void;
interface App {
  use(middleware: unknown): void;
  get(path: string, handler: Handler): void;
  listen(port: number, host: string): Server;
}

const require = createRequire(import.meta.url);
const express = require("express") as () => App;
const session = require("express-session") as ExpressSession<object> & ((options: object) => unknown);

/** An application that counts a visitor's visits; its address, and a fetch that keeps its cookies. */
async function application(t: TestContext, store: SessionStore): Promise<(path: string) => Promise<Record<string, unknown>>> {
  const app = express();
  app.use(
    session({ store, secret: "test", resave: false, saveUninitialized: false, rolling: true, cookie: { maxAge: 60_000 } }),
  );
  app.get("/visit", (request, response) => {
    request.session["visits"] = ((request.session["visits"] as number | undefined) ?? 0) + 1;
    response.json({ visits: request.session["visits"] });
  });
  app.get("/look", (request, response) => response.json({ visits: request.session["visits"] ?? null }));
  app.get("/short", (request, response) => {
    request.session.cookie.maxAge = 1000;
    response.json({});
  });
  app.get("/again", (request, response) => request.session.regenerate(() => response.json({})));
  app.get("/leave", (request, response) => request.session.destroy(() => response.json({})));
  const server = app.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => void server.close());
  t.after(() => server.closeAllConnections());
  let cookie = "";
  return async (path) => {
    const answer = await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}${path}`, { headers: { cookie } });
    cookie = answer.headers.getSetCookie()[0]?.split(";")[0] ?? cookie;
    return (await answer.json()) as Record<string, unknown>;
  };
}

for (const [peer, { needs, start }] of Object.entries(TEST_SERVERS)) {
  test(
    `sessions of an Express application outlive requests, and end with their cookie or by hand (${peer})`,
    requires(...needs),
    async (t) => {
      const { address } = await start(t);
      await using cache = new CacheClient({ servers: [address] });
      const store = sessionStore(session, { cache, prefix: "s:" });
      const [ada, grace] = [await application(t, store), await application(t, sessionStore(session, { cache, prefix: "s:" }))];
      assert.deepEqual(await ada("/visit"), { visits: 1 });
      assert.deepEqual(await ada("/visit"), { visits: 2 });
      assert.deepEqual(await grace("/visit"), { visits: 1 });
      assert.deepEqual(await ada("/look"), { visits: 2 });
      const length = promisify(store.length);
      const visits = async (): Promise<number[]> =>
        ((await promisify(store.all)()) as { visits: number }[]).map((each) => each.visits);
      await within5s("both are counted", async () => (await length()) === 2);
      await within5s("both are given", async () => (await visits()).toSorted().join() === "1,2");
      let key: string | undefined;
      let remaining: string | undefined;
      await within5s("a key is listed", async () => ([key] = await keysOf(cache)).length > 0);
      const left = (await cache.getWithTtl(key!))!.ttl!;
      assert.ok(left > 50 && left <= 60, `as long as its cookie: ${left} s`);

      await ada("/again");
      assert.deepEqual(await ada("/look"), { visits: null });
      assert.deepEqual(await ada("/visit"), { visits: 1 });
      await ada("/leave");
      await within5s("one has left", async () => {
        const keys = await keysOf(cache);
        [remaining] = keys;
        return keys.length === 1;
      });
      assert.deepEqual(await grace("/look"), { visits: 1 });
      await grace("/short");
      await within5s("a session of a second ends", async () => (await cache.get(remaining!)) === undefined);
      assert.deepEqual(await grace("/look"), { visits: null });
      await ada("/visit");
      await within5s("all are destroyed", async () => {
        await promisify(store.clear)();
        return (await ada("/look"))["visits"] === null;
      });
    },
  );
}

test("what goes wrong is told to the callback, and the store closes its own client", async () => {
  const store = sessionStore(session, { cache: { servers: ["127.0.0.1:1"] } });
  await assert.rejects(promisify(store.get)("sid"), { code: "CACHE_UNREACHABLE" });
  await assert.rejects(promisify((done: (error?: unknown) => void) => store.set("sid", {}, done))(), {
    code: "CACHE_UNREACHABLE",
  });
  await store.close();
  await assert.rejects(promisify(store.get)("sid"), { code: "CLOSED" });
  assert.ok(store instanceof session.Store);
});

/** memcached moves items between its lists, and a listing misses those that it moves meanwhile. */
async function within5s(what: string, check: () => Promise<boolean>): Promise<void> {
  const endMs = performance.now() + 5000;
  while (!(await check())) assert.ok(performance.now() < endMs, what);
}

async function keysOf(cache: CacheClient): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of cache.keys()) keys.push(String(key));
  return keys;
}
