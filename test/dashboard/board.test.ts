/** `holdfast/board`: one fetch handler over the parts of a process, mounted in the frameworks that people have. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, suite, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { serve } from "@hono/node-server";
import express from "express";
import fastify from "fastify";
import { Hono } from "hono";
import { board, type Board } from "../../src/board/index.ts";
import { CacheServer } from "../../src/cache/index.ts";
import { Broker, queue, worker } from "../../src/queue/index.ts";
import { buildPage } from "./test-servers.ts";

const closing: (() => Promise<unknown>)[] = [];
after(async () => {
  for (const close of closing.toReversed()) await close();
});

function made(options: Parameters<typeof board>[0]): Board {
  const ops = board(options);
  closing.push(() => ops.close());
  return ops;
}

async function listening(server: Server): Promise<string> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  closing.push(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

test("a board without authorize is refused, unless it says that it is open", () => {
  assert.throws(() => board(), { code: "DASHBOARD_AUTHORIZE_REQUIRED" });
  assert.throws(() => board({ open: false }), { code: "DASHBOARD_AUTHORIZE_REQUIRED" });
  assert.throws(() => board({ authorize: true as never }), { code: "DASHBOARD_OPTIONS_INVALID" });
  assert.throws(() => board({ open: true, path: "ops" }), { code: "DASHBOARD_OPTIONS_INVALID" });
  assert.throws(() => board({ open: true, peers: ["not an address"] }), { code: "ADDRESS_INVALID" });
  made({ open: true });
});

test("authorize says who sees what; health and readiness are for all; what it throws lets nobody in", async () => {
  const ops = made({
    authorize(request) {
      const who = request.headers.get("authorization");
      if (who === "broken") throw new Error("the user database is away");
      return who === "ann" || (who === "bob" ? new Response(null, { status: 302, headers: { Location: "/login" } }) : false);
    },
  });
  const status = async (path: string, authorization?: string): Promise<number> =>
    (await ops(new Request(`http://ops.example${path}`, { headers: { ...(authorization && { authorization }) } }))).status;
  for (const path of ["/", "/metrics", "/api/hello", "/api/live", "/api/farm", "/assets/x.js"]) {
    assert.deepEqual([await status(path), await status(path, "eve"), await status(path, "bob")], [401, 401, 302], path);
    assert.equal(await status(path, "broken"), 500, path);
  }
  assert.equal(await status("/metrics", "ann"), 200);
  assert.deepEqual([await status("/health"), await status("/ready")], [200, 200]);
});

test("an open board answers under addresses and localhost only: a name may be anybody's who can have it lead here", async () => {
  const ops = made({ open: true, hosts: ["ops.internal"] });
  const status = async (host: string): Promise<number> => (await ops(new Request(`http://${host}/metrics`))).status;
  for (const host of ["localhost", "127.0.0.1:8080", "10.1.2.3", "[::1]:8280", "ops.internal:8280"])
    assert.equal(await status(host), 200, host);
  for (const host of ["evil.example", "evil.example:8080", "127.0.0.1.evil.example"])
    assert.equal(await status(host), 421, host);
});

test("mounted under a path it answers there and nowhere else, with or without a slash at its end", async () => {
  buildPage();
  const ops = made({ open: true, path: "/ops" });
  const get = (path: string): Promise<Response> => ops(new Request(`http://localhost${path}`));
  for (const path of ["/ops", "/ops/"]) {
    const answer = await get(path);
    assert.equal(answer.status, 200, path);
    const html = await answer.text();
    const scripts = [...html.matchAll(/(?:src|href)="([^"]+)"/g)].map((match) => match[1]!);
    assert.ok(scripts.length > 2);
    for (const script of scripts) assert.equal((await get(script)).status, 200, script);
  }
  assert.equal((await get("/ops/metrics")).status, 200);
  for (const path of ["/", "/metrics", "/opsmetrics", "/other/metrics"]) assert.equal((await get(path)).status, 404, path);
});

test("a page that has gone costs nothing, whether its stream is cancelled or its request aborted", async () => {
  const ops = made({ open: true });
  const live = (signal?: AbortSignal): Promise<Response> =>
    ops(new Request("http://localhost/api/live", { ...(signal && { signal }) }));
  for (let each = 0; each < 100; each += 1) {
    const abort = new AbortController();
    const answer = await live(abort.signal);
    assert.equal(answer.status, 200, `after ${each} that have gone`);
    if (each % 2 === 0) abort.abort();
    else await answer.body!.cancel();
  }
});

suite("a mounted board", { concurrency: true }, () => {
  let cache: CacheServer;
  let broker: Broker;
  before(async () => {
    buildPage();
    cache = new CacheServer({ listen: "127.0.0.1:0" });
    await cache.listen();
    broker = new Broker({ listen: "tcp://127.0.0.1:0", data: false });
    await broker.listen();
    closing.push(
      () => cache.close(),
      () => broker.close(),
    );
  });

  const ops = (): Board => made({ cache, queue: broker, path: "/ops", authorize: () => true });
  const byNode = (listener: RequestListener): Promise<string> => listening(createServer(listener));

  const FRAMEWORKS: Readonly<Record<string, () => Promise<string>>> = {
    "node:http": () => {
      const page = ops();
      return byNode((request, response) => void page.node(request, response));
    },
    Hono: async () => {
      const page = ops();
      const app = new Hono();
      app.all("/ops/*", (context) => page(context.req.raw));
      const server = serve({ fetch: app.fetch, port: 0, hostname: "127.0.0.1" }) as Server;
      closing.push(async () => {
        server.closeAllConnections();
        await new Promise((resolve) => server.close(resolve));
      });
      await once(server, "listening");
      return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    },
    Express: () => {
      const page = ops();
      const app = express();
      app.use("/ops", page.node);
      return byNode(app);
    },
    "Express after express.json()": () => {
      const page = ops();
      const app = express();
      app.use(express.json());
      app.use("/ops", page.node);
      return byNode(app);
    },
    Fastify: async () => {
      const page = ops();
      const app = fastify();
      app.all("/ops*", (request, reply) => page.node(request.raw, reply.hijack().raw, request.body));
      const address = await app.listen({ port: 0, host: "127.0.0.1" });
      closing.push(() => app.close());
      return address;
    },
  };

  for (const [framework, mount] of Object.entries(FRAMEWORKS)) {
    test(`in ${framework}: page, live stream, metrics, and an action`, async () => {
      const origin = await mount();
      assert.match(await (await fetch(`${origin}/ops`)).text(), /<div id="app">/);
      assert.match(await (await fetch(`${origin}/ops/metrics`)).text(), /^holdfast_queue_peers \d/m);
      const hello = (await (await fetch(`${origin}/ops/api/hello`)).json()) as { token: string };

      const abort = new AbortController();
      const live = await fetch(`${origin}/ops/api/live`, { signal: abort.signal });
      assert.equal(live.headers.get("content-type"), "text/event-stream; charset=utf-8");
      const reader = live.body!.getReader();
      let heard = "";
      // Two: the second comes when the first is long sent, so nothing on the way collects them.
      while (heard.split("event: snapshot").length < 3) heard += Buffer.from((await reader.read()).value!).toString();
      abort.abort();

      const added = await fetch(`${origin}/ops/api/v1/queues/emails/tasks`, {
        method: "POST",
        headers: { "Content-Type": "application/json", "X-Holdfast-Token": hello.token },
        body: JSON.stringify({ body: `from ${framework}` }),
      });
      const { id } = (await added.json()) as { id: string };
      assert.equal(added.status, 201);
      const task = await (await fetch(`${origin}/ops/api/v1/tasks/${id}`)).json();
      assert.equal((task as { body: string }).body, `from ${framework}`);
    });
  }

  test("workers have numbers, and the process is ready while they have a broker", async () => {
    const away = new Broker({ listen: broker.address.replace(/\d+$/, "0"), data: false });
    await away.listen();
    const jobs = queue<string, string>("jobs", { url: away.address, log: false });
    const running = worker(jobs, (job) => (job === "bad" ? Promise.reject(new Error("no")) : job), {
      signals: [],
      onError() {},
    });
    closing.push(() => running.close());
    const page = made({ workers: [running], open: true });
    const get = (path: string): Promise<Response> => page(new Request(`http://localhost${path}`));
    await jobs.call("good");
    await jobs.add("bad", { attempts: 1 });
    const deadline = performance.now() + 10_000;
    while (running.stats().failed === 0 && performance.now() < deadline) await sleep(5);
    const metrics = await (await get("/metrics")).text();
    assert.match(metrics, /^holdfast_worker_completed_total\{queue="jobs"\} 1$/m);
    assert.match(metrics, /^holdfast_worker_failures_total\{queue="jobs"\} 1$/m);
    assert.equal((await get("/ready")).status, 200);
    await jobs.close();
    await away.close();
    while ((await get("/ready")).status === 200 && performance.now() < deadline) await sleep(5);
    assert.equal((await get("/ready")).status, 503);
  });
});
