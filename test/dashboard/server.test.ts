/** The dashboard's HTTP side: who may ask, what it answers, and that it bounds what it keeps. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { get, request } from "node:http";
import type { IncomingMessage } from "node:http";
import { after, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Dashboard } from "../../src/dashboard/index.ts";
import { Metrics } from "../../src/dashboard/server/metrics.ts";
import { EventStreams } from "../../src/dashboard/server/event-streams.ts";
import type { DashboardOptions } from "../../src/dashboard/index.ts";

const opened: Dashboard[] = [];
after(() => Promise.all(opened.map((dashboard) => dashboard.close())));

async function start(options: DashboardOptions = {}): Promise<Dashboard> {
  const dashboard = new Dashboard({ listen: "127.0.0.1:0", ...options });
  await dashboard.listen();
  opened.push(dashboard);
  return dashboard;
}

interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
}

/** A request with headers that `fetch` would not let through. */
function ask(
  dashboard: Dashboard,
  path: string,
  { method = "GET", headers = {} }: { method?: string; headers?: Record<string, string> } = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const [host, port] = dashboard.address.split(/:(?=\d+$)/) as [string, string];
    const sent = request({ host, port, path, method, headers }, (response) => {
      let body = "";
      response.setEncoding("utf8").on("data", (text: string) => (body += text));
      response.on("end", () => resolve({ status: response.statusCode!, headers: response.headers, body }));
    });
    sent.on("error", reject).end();
  });
}

const cache = {
  address: "127.0.0.1:11211",
  stats: () => ({
    items: 3,
    bytes: 300,
    limitBytes: 1000,
    gets: 10,
    hits: 7,
    misses: 3,
    sets: 4,
    deletes: 1,
    evictions: 0,
    expired: 0,
    connections: 2,
    bytesRead: 100,
    bytesWritten: 200,
  }),
};

test("it listens on loopback unless told otherwise, and elsewhere only with a token", () => {
  assert.throws(() => new Dashboard({ listen: "0.0.0.0:0" }), { code: "DASHBOARD_TOKEN_REQUIRED" });
  assert.throws(() => new Dashboard({ listen: "192.0.2.7:8280" }), { code: "DASHBOARD_TOKEN_REQUIRED" });
  assert.throws(() => new Dashboard({ listen: "0.0.0.0:0", token: "short" }), { code: "DASHBOARD_TOKEN_REQUIRED" });
  assert.doesNotThrow(() => new Dashboard({ listen: "0.0.0.0:0", token: "a token of some length" }));
});

test("a name that DNS was rebound to is refused", async () => {
  const dashboard = await start();
  const { port } = new URL(`http://${dashboard.address}`);
  for (const host of ["evil.example", `evil.example:${port}`, "127.0.0.1", `127.0.0.1:1`]) {
    assert.equal((await ask(dashboard, "/api/hello", { headers: { host } })).status, 421, host);
  }
  for (const host of [`127.0.0.1:${port}`, `localhost:${port}`, `[::1]:${port}`]) {
    assert.equal((await ask(dashboard, "/api/hello", { headers: { host } })).status, 200, host);
  }
});

test("every answer forbids inline scripts, framing and sharing across origins", async () => {
  const dashboard = await start();
  for (const path of ["/", "/api/hello", "/metrics", "/nowhere"]) {
    const { headers } = await ask(dashboard, path);
    const policy = String(headers["content-security-policy"]);
    assert.match(policy, /default-src 'none'/, path);
    assert.doesNotMatch(policy, /unsafe-inline|unsafe-eval|\*/, path);
    assert.match(policy, /frame-ancestors 'none'/, path);
    assert.equal(headers["access-control-allow-origin"], undefined, path);
    assert.equal(headers["x-content-type-options"], "nosniff", path);
  }
});

test("an action needs the page's token and the page's origin", async () => {
  const dashboard = await start();
  const { token } = JSON.parse((await ask(dashboard, "/api/hello")).body) as { token: string };
  const act = async (headers: Record<string, string>): Promise<number> =>
    (await ask(dashboard, "/api/nothing-of-that-name", { method: "POST", headers })).status;
  assert.equal(await act({}), 403);
  assert.equal(await act({ "x-holdfast-token": "guessed" }), 403);
  assert.equal(await act({ "x-holdfast-token": token, origin: "http://evil.example" }), 403);
  assert.equal(await act({ "x-holdfast-token": token, "sec-fetch-site": "cross-site" }), 403);
  assert.equal(await act({ "x-holdfast-token": token, origin: `http://${dashboard.address}` }), 404);
});

test("with a dashboard token nothing but /health and /ready is answered without it", async () => {
  const token = "correct horse battery staple";
  const dashboard = await start({ token, cache });
  for (const path of ["/", "/api/hello", "/api/live", "/metrics"]) assert.equal((await ask(dashboard, path)).status, 401, path);
  for (const path of ["/health", "/ready"]) assert.equal((await ask(dashboard, path)).status, 200, path);
  assert.equal((await ask(dashboard, "/metrics", { headers: { authorization: `Bearer ${token}` } })).status, 200);
  const login = await ask(dashboard, `/?token=${encodeURIComponent(token)}`);
  assert.equal(login.status, 303);
  const cookie = String(login.headers["set-cookie"]);
  assert.match(cookie, /HttpOnly; SameSite=Strict/);
  assert.equal((await ask(dashboard, "/api/hello", { headers: { cookie: cookie.split(";")[0]! } })).status, 200);
  assert.equal((await ask(dashboard, "/?token=wrong")).status, 401);
});

test("another site's page cannot make it work: neither actions nor questions of a cross-site request are answered", async () => {
  const dashboard = await start();
  for (const path of ["/api/wire.pcapng", "/api/hello", "/api/live"]) {
    const { status } = await ask(dashboard, path, { headers: { "sec-fetch-site": "cross-site" } });
    assert.equal(status, 403, path);
  }
});

test("the wire is read by four at once, and a fifth when one of them has gone: each costs the servers", async () => {
  const dashboard = await start();
  const readers = [];
  const read = async (): Promise<IncomingMessage> => {
    const [response] = (await once(get(`http://${dashboard.address}/api/wire.pcapng`), "response")) as [IncomingMessage];
    response.on("error", () => {});
    return response;
  };
  for (let each = 0; each < 4; each += 1) readers.push(await read());
  assert.deepEqual(
    readers.map(({ statusCode }) => statusCode),
    [200, 200, 200, 200],
  );
  assert.equal((await ask(dashboard, "/api/wire.pcapng")).status, 503);
  readers.pop()!.destroy();
  let again = await read();
  for (; again.statusCode === 503; again = await read()) await sleep(10);
  for (const reader of [...readers, again]) reader.destroy();
});

test("a cookie that cannot be read lets nobody in", async () => {
  const dashboard = await start({ token: "a token of some length" });
  assert.equal((await ask(dashboard, "/metrics", { headers: { cookie: "holdfast=%" } })).status, 401);
});

test("/metrics tells stable names with the parts' numbers", async () => {
  const dashboard = await start({ cache });
  const { body, headers } = await ask(dashboard, "/metrics");
  assert.match(String(headers["content-type"]), /^text\/plain/);
  const values = new Map(
    body
      .split("\n")
      .filter((line) => line && !line.startsWith("#"))
      .map((line) => line.split(" ") as [string, string]),
  );
  assert.equal(values.get("holdfast_cache_items"), "3");
  assert.equal(values.get("holdfast_cache_hits_total"), "7");
  assert.equal(values.get("holdfast_cache_limit_bytes"), "1000");
  assert.ok(values.has("holdfast_process_resident_memory_bytes"));
  assert.equal(
    new Map((await ask(dashboard, "/metrics")).body.split("\n").map((line) => line.split(" ") as [string, string])).get(
      "holdfast_cache_hits_total",
    ),
    "7",
  );
});

test("a scrape asks each part for its numbers once", () => {
  let asked = 0;
  const counted = { ...cache, stats: () => ((asked += 1), cache.stats()) };
  const metrics = new Metrics({ cache: counted }, { upMs: () => 0 });
  for (const scrapes of [1, 2]) {
    metrics.text();
    assert.equal(asked, scrapes);
  }
});

test("queues beyond a thousand are one in /metrics, and a queue that has series of its own keeps them", async () => {
  const states = { waiting: 1, delayed: 0, blocked: 0, active: 0, retrying: 0, completed: 0, dead: 0, cancelled: 0 };
  const row = { states, bytes: 0, consumers: 0, slots: 0, added: 2, finished: 0, failures: 0, settings: {} };
  const numbers = { tasks: 0, bytes: 0, bytesMax: 1, peers: 0, storeTrouble: undefined, workers: [], workersLeft: [] };
  let names = Array.from({ length: 1000 }, (_, index) => `q${index}`);
  const queue = {
    address: "tcp://127.0.0.1:5555",
    stats: () => ({ ...numbers, queues: names.map((name) => ({ ...row, name })) }),
  };
  const page = await start({ queue });
  const seriesOf = async (): Promise<Map<string, number>> => {
    const began = performance.now();
    const { body } = await ask(page, "/metrics");
    assert.ok(performance.now() - began < 2000);
    const found = body.matchAll(/^holdfast_queue_added_total\{queue="([^"]+)"\} (\d+)$/gm);
    return new Map(Array.from(found, ([, name, value]) => [name!, Number(value)]));
  };
  assert.equal((await seriesOf()).size, 1000);
  names = ["a-new-one", "another", ...names];
  const series = await seriesOf();
  assert.equal(series.size, 1001);
  assert.equal(series.get("(others)"), 4);
  assert.ok(series.has("q999") && !series.has("another"));
  names = names.filter((name) => name !== "q0");
  assert.equal((await seriesOf()).get("a-new-one"), 2);
});

test("/metrics has histograms of waits and runs for the 200 busiest queues, and of all others together", async () => {
  const states = { waiting: 0, delayed: 0, blocked: 0, active: 0, retrying: 0, completed: 0, dead: 0, cancelled: 0 };
  const numbers = { tasks: 0, bytes: 0, bytesMax: 1, peers: 0, storeTrouble: undefined, workers: [], workersLeft: [] };
  const waits = { counts: [1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 1], sumMs: 2500 };
  const row = { states, bytes: 0, consumers: 0, slots: 0, finished: 0, failures: 0, settings: {}, waits, runs: waits };
  const queues = Array.from({ length: 250 }, (_, index) => ({ ...row, name: `q${index}`, added: index }));
  const queue = { address: "tcp://127.0.0.1:5555", stats: () => ({ ...numbers, queues }) };
  const { body } = await ask(await start({ queue }), "/metrics");
  const value = (line: string): string | undefined =>
    body
      .split("\n")
      .find((each) => each.startsWith(`holdfast_queue_${line} `))
      ?.split(" ")[1];
  assert.match(body, /^# TYPE holdfast_queue_wait_seconds histogram$/m);
  assert.equal(body.match(/^holdfast_queue_run_seconds_count/gm)?.length, 201);
  assert.deepEqual(
    ["0.001", "0.005", "0.02", "3600", "+Inf"].map((le) => value(`wait_seconds_bucket{queue="q249",le="${le}"}`)),
    ["1", "1", "3", "3", "4"],
  );
  assert.deepEqual([value('run_seconds_sum{queue="q249"}'), value('run_seconds_count{queue="q249"}')], ["2.5", "4"]);
  assert.deepEqual([value('run_seconds_count{queue="q0"}'), value('run_seconds_count{queue="(others)"}')], [undefined, "200"]);
});

test("/metrics counts tasks by the states' names, and under the old name by the words of 0.1", async () => {
  const states = { waiting: 1, delayed: 2, blocked: 3, active: 4, retrying: 5, completed: 6, dead: 7, cancelled: 8 };
  const row = { name: "q", states, bytes: 0, consumers: 0, slots: 0, added: 0, finished: 0, failures: 0, settings: {} };
  const numbers = { tasks: 0, bytes: 0, bytesMax: 1, peers: 0, storeTrouble: undefined, workers: [], workersLeft: [] };
  const queue = { address: "tcp://127.0.0.1:5555", stats: () => ({ ...numbers, queues: [row] }) };
  const { body } = await ask(await start({ queue }), "/metrics");
  const counted = (metric: string): Record<string, number> =>
    Object.fromEntries(
      [...body.matchAll(new RegExp(`^${metric}\\{queue="q",state="(\\w+)"\\} (\\d+)$`, "gm"))].map(([, state, count]) => [
        state!,
        Number(count),
      ]),
    );
  assert.deepEqual(counted("holdfast_queue_tasks_by_state"), states);
  const old = { ready: 1, delayed: 5, leased: 4, failed: 5, done: 6, dead: 7, cancelled: 8 };
  assert.deepEqual(counted("holdfast_queue_tasks"), old);
});

test("the stream begins with the numbers of now and goes on once a second", async () => {
  const dashboard = await start({ cache });
  const text = await new Promise<string>((resolve) => {
    get(`http://${dashboard.address}/api/live`, (response) => {
      let all = "";
      response.setEncoding("utf8").on("data", (part: string) => {
        all += part;
        if (all.split("event: snapshot").length > 2) {
          response.destroy();
          resolve(all);
        }
      });
    });
  });
  const first = JSON.parse(/data: (.*)\n/.exec(text)![1]!) as { cache: { items: number } };
  assert.equal(first.cache.items, 3);
});

test("a page that stops reading gets the newest of every kind when it reads again: one that is frequent hides no other", async () => {
  const streams = new EventStreams();
  const reader = streams.open({ snapshot: { number: 0 }, lab: { lab: null } }).getReader();
  const read = async (): Promise<string> => Buffer.from((await reader.read()).value!).toString();
  for (let number = 1; number <= 1000; number += 1) {
    streams.send("snapshot", { number });
    if (number === 10) streams.send("lab", { lab: "watched" });
  }
  const told = [await read(), await read(), await read()];
  assert.match(
    told.find((event) => event.startsWith("event: lab"))!,
    /watched/,
  );
  assert.match(told.join(""), /"number":1000}/);
  streams.send("snapshot", { number: 1001 });
  assert.match(await read(), /"number":1001}/);
  await reader.cancel();
  assert.equal(streams.size, 0);
});

test("closing ends open streams at once and can be asked for twice", async () => {
  const dashboard = await start({ cache });
  const ended = new Promise<void>((resolve) => {
    get(`http://${dashboard.address}/api/live`, (response) => response.resume().on("end", resolve));
  });
  await sleep(100);
  const began = performance.now();
  await Promise.all([dashboard.close(), dashboard.close(), ended]);
  assert.ok(performance.now() - began < 2000);
});

test("a port that is taken is refused with a sentence", async () => {
  const first = await start();
  const second = new Dashboard({ listen: first.address });
  await assert.rejects(second.listen(), { code: "DASHBOARD_LISTEN_FAILED", message: /another program uses the port/ });
});
