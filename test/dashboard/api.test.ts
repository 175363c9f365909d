/** The HTTP API: all of its paths at a real broker and a real cache, who may, its document with a client made from it, and the docs' examples. */
import assert from "node:assert/strict";
import { execFile, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { CacheServer } from "../../src/cache/index.ts";
import { Dashboard } from "../../src/dashboard/index.ts";
import type { LogFacts } from "../../src/core/log.ts";
import { Broker, GiveUp, OPERATIONS, queue, worker } from "../../src/queue/index.ts";

const run = promisify(execFile);
const root = join(import.meta.dirname, "../..");
const CI_TOKEN = "a token of ci, long enough";
const told: LogFacts[] = [];

let broker: Broker;
let cache: CacheServer;
let dashboard: Dashboard;
const closing: (() => Promise<unknown>)[] = [];

before(async () => {
  const log = (event: string, facts: LogFacts): void => void (event === "queue.operation" && told.push(facts));
  broker = new Broker({ listen: "tcp://127.0.0.1:0", data: false, log });
  cache = new CacheServer({ listen: "127.0.0.1:0" });
  await Promise.all([broker.listen(), cache.listen()]);
  const apiTokens = [{ name: "ci", token: CI_TOKEN, scopes: ["queue:read", "queue:add"] as const }];
  dashboard = new Dashboard({ listen: "127.0.0.1:0", queue: broker, cache, apiTokens });
  await dashboard.listen();
  const shouting = worker(
    queue<string, string>("shout", { broker }),
    (text) => {
      if (text === "bad") throw new GiveUp("too bad");
      return Promise.resolve(text.toUpperCase());
    },
    { signals: [], onError: () => {} },
  );
  closing.push(
    () => shouting.close(),
    () => dashboard.close(),
    () => cache.close(),
    () => broker.close(),
  );
});

after(async () => {
  for (const close of closing) await close();
});

interface Answer {
  readonly status: number;
  readonly json: Record<string, unknown>;
}

async function ask(method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Answer> {
  const response = await fetch(`http://${dashboard.address}/api/v1${path}`, {
    method,
    headers: { ...(body !== undefined && { "Content-Type": "application/json" }), ...headers },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  return { status: response.status, json: (text === "" ? {} : JSON.parse(text)) as Record<string, unknown> };
}

const add = async (into: string, body: object, headers?: Record<string, string>): Promise<string> =>
  (await ask("POST", `/queues/${into}/tasks`, body, headers)).json["id"] as string;

test("a task is added, told, listed, cancelled and forgotten", async () => {
  const id = await add("letters", { body: { to: "ada" }, priority: 3 });
  const got = await ask("GET", `/tasks/${id}`);
  assert.deepEqual([got.status, got.json["state"], got.json["priority"], got.json["body"]], [200, "waiting", 3, { to: "ada" }]);
  const bytes = await add("letters", { bodyBase64: "/wA=", delayMs: 3_600_000 });
  assert.equal((await ask("GET", `/tasks/${bytes}`)).json["bodyBase64"], "/wA=");
  assert.equal((await ask("GET", `/tasks/${bytes}?body=false`)).json["bodyBase64"], undefined);
  const raw = await fetch(`http://${dashboard.address}/api/v1/tasks/${bytes}/body`);
  assert.deepEqual([...new Uint8Array(await raw.arrayBuffer())], [255, 0]);
  const { tasks, next } = (await ask("GET", "/tasks?queue=letters&limit=1")).json as { tasks: { id: string }[]; next: string };
  assert.deepEqual([tasks.map((task) => task.id), next], [[id], id]);
  const found = (await ask("GET", "/tasks?queue=letters&where=to%3Dada")).json;
  assert.deepEqual([(found["tasks"] as unknown[]).length, found["searched"], found["of"]], [1, 2, 2]);
  assert.deepEqual((await ask("POST", `/tasks/${bytes}/promote`)).json, { promoted: 1 });
  assert.deepEqual((await ask("POST", `/tasks/${id}/cancel`)).json, { cancelled: 1 });
  assert.equal((await ask("POST", `/tasks/${id}/cancel`)).status, 409);
  assert.deepEqual((await ask("POST", `/tasks/${id}/remove`)).json, { removed: 1, undo: [] });
  assert.deepEqual([(await ask("GET", `/tasks/${id}`)).status, (await ask("GET", "/tasks/no-1")).status], [404, 404]);
  assert.deepEqual((await ask("POST", "/queues/letters/drain", {})).json, { removed: 1 });
});

test("a call waits for its result; one that takes longer is pending, and is waited for again", async () => {
  const done = await ask("POST", "/queues/shout/call", { body: "hi" });
  assert.deepEqual([done.status, done.json["state"], done.json["result"]], [200, "completed", "HI"]);
  const dead = await ask("POST", "/queues/shout/call", { body: "bad" });
  assert.equal(dead.json["state"], "dead");
  assert.match(dead.json["error"] as string, /too bad/);
  const slow = await ask("POST", "/queues/shout/call", { body: "later", delayMs: 300, waitMs: 20 });
  assert.deepEqual([slow.status, slow.json["state"]], [202, "pending"]);
  const waited = await ask("GET", `/tasks/${slow.json["id"] as string}/result?waitMs=10000`);
  assert.deepEqual([waited.status, waited.json["result"]], [200, "LATER"]);
});

test("the same Idempotency-Key is the same task, whatever was lost on the way", async () => {
  const headers = { "Idempotency-Key": "order 17" };
  const first = await add("keyed", { body: 1 }, headers);
  assert.equal(await add("keyed", { body: 1 }, headers), first);
  assert.notEqual(await add("keyed", { body: 1 }), first);
  const { tasks } = (await ask("GET", "/tasks?queue=keyed&key=order%2017")).json as { tasks: { id: string }[] };
  assert.deepEqual(
    tasks.map(({ id }) => id),
    [first],
  );
});

test("the first or the last body under a key wins, and a list of pauses is taken", async () => {
  const first = await add("bursts", { body: 1, key: "last", debounceMs: 3_600_000, backoffMs: [1, 2] });
  assert.equal(await add("bursts", { body: 2, key: "last", debounceMs: 3_600_000 }), first);
  const { json } = await ask("GET", `/tasks/${first}`);
  assert.deepEqual([json["body"], json["unique"], json["pausesMs"]], [2, "waiting", [1, 2]]);
  const throttled = await add("bursts", { body: 3, key: "first", throttleMs: 60_000 });
  assert.equal(await add("bursts", { body: 4, key: "first", throttleMs: 60_000 }), throttled);
  const told = (await ask("GET", `/tasks/${throttled}`)).json;
  assert.deepEqual([told["body"], told["unique"]], [3, 60_000]);
  const unique = await add("bursts", { body: 5, key: "one", uniqueWhile: "active" });
  assert.equal(await add("bursts", { body: 6, key: "one", uniqueWhile: "active" }), unique);
  assert.equal((await ask("POST", "/queues/bursts/tasks", { body: 1, debounceMs: 5 })).status, 400);
});

test("an Idempotency-Key used again with another body is 422 with a code, and adds nothing", async () => {
  const headers = { "Idempotency-Key": "order 18" };
  const first = await add("keyed-once", { body: { amount: 1 } }, headers);
  const other = await ask("POST", "/queues/keyed-once/tasks", { body: { amount: 2 } }, headers);
  assert.deepEqual([other.status, other.json["code"]], [422, "QUEUE_KEY_CONFLICT"]);
  assert.equal((await ask("POST", "/queues/keyed-once/call", { body: 3, waitMs: 1 }, headers)).status, 422);
  assert.equal(await add("keyed-once", { body: { amount: 1 } }, headers), first);
  const { tasks } = (await ask("GET", "/tasks?queue=keyed-once")).json as { tasks: unknown[] };
  assert.equal(tasks.length, 1);
});

test("queues are paused, bounded and told; schedules made and removed", async () => {
  await add("bounds", { body: 1 });
  assert.equal((await ask("POST", "/queues/bounds/pause")).status, 200);
  assert.equal((await ask("PATCH", "/queues/bounds", { concurrency: 5, rate: { count: 10, perMs: 1000 } })).status, 200);
  const { queues } = (await ask("GET", "/queues?queue=bounds")).json as { queues: { settings: object; states: object }[] };
  assert.deepEqual(queues[0]!.settings, { paused: true, concurrency: 5, rate: { count: 10, perMs: 1000 } });
  assert.equal((await ask("PATCH", "/queues/bounds", { concurrency: 0 })).status, 400);
  const schedule = { queue: "bounds", expression: "0 8 * * *", body: { n: 1 } };
  assert.ok((await ask("PUT", "/schedules/each%2Fmorning", schedule)).json["nextMs"]);
  const { schedules } = (await ask("GET", "/schedules?queue=bounds&runs=2")).json as {
    schedules: { name: string; nextRunsMs: number[] }[];
  };
  assert.deepEqual(
    schedules.map(({ name, nextRunsMs }) => [name, nextRunsMs.length]),
    [["each/morning", 2]],
  );
  assert.equal((await ask("DELETE", "/schedules/each%2Fmorning")).status, 200);
  assert.equal((await ask("DELETE", "/schedules/each%2Fmorning")).status, 404);
  assert.ok(((await ask("GET", "/workers?queue=shout")).json["workers"] as unknown[]).length > 0);
});

test("events are told from a cursor on, as a page and as a stream that a browser takes up again", async () => {
  const { cursor } = (await ask("GET", "/queues/shout/events")).json as { cursor: string };
  const ids = [];
  for (const body of ["a", "b"]) ids.push((await ask("POST", "/queues/shout/call", { body })).json["id"]);
  const path = `/queues/shout/events?events=completed&after=${encodeURIComponent(cursor)}`;
  const page = (await ask("GET", `${path}&waitMs=5000&limit=1`)).json as { events: { id: string; n: number }[]; epoch: string };
  assert.deepEqual(
    page.events.map(({ id }) => id),
    ids.slice(0, 1),
  );
  const stop = new AbortController();
  const headers = { Accept: "text/event-stream", "Last-Event-ID": `${page.epoch}.${page.events[0]!.n}` };
  const stream = await fetch(`http://${dashboard.address}/api/v1${path}`, { headers, signal: stop.signal });
  assert.equal(stream.headers.get("content-type"), "text/event-stream");
  let text = "";
  for await (const chunk of stream.body!) {
    text += Buffer.from(chunk).toString();
    if (text.endsWith("\n\n") && text.includes("data:")) break;
  }
  const [, id, event, data] = /id: (.*)\nevent: (.*)\ndata: (.*)\n\n/.exec(text)!;
  assert.deepEqual([event, (JSON.parse(data!) as { id: string }).id], ["completed", ids[1]]);
  assert.match(id!, /:/);
  stop.abort();
  const none = await ask("GET", "/queues/shout/events?after=nonsense");
  assert.deepEqual([none.status, none.json["code"]], [400, "QUEUE_OPTIONS_INVALID"]);
});

test("values of the cache are stored, given and deleted as bytes", async () => {
  const url = `http://${dashboard.address}/api/v1/cache/user/1`;
  const value = Uint8Array.from({ length: 256 }, (_, n) => n);
  assert.equal((await fetch(`${url}?seconds=60`, { method: "PUT", body: value })).status, 204);
  assert.deepEqual(new Uint8Array(await (await fetch(url)).arrayBuffer()), value);
  assert.equal((await fetch(url, { method: "DELETE" })).status, 204);
  assert.deepEqual([(await fetch(url)).status, (await fetch(url, { method: "DELETE" })).status], [404, 404]);
  const key = encodeURIComponent("two words");
  assert.equal((await fetch(`http://${dashboard.address}/api/v1/cache/${key}`, { method: "PUT", body: "x" })).status, 400);
});

test("what is wrong with a request is told with a code, and nothing is done", async () => {
  const wrong: readonly [method: string, path: string, body: unknown, status: number, code: string][] = [
    ["GET", "/nothing", undefined, 404, "DASHBOARD_NOT_THERE"],
    ["GET", "/tasks?limit=0", undefined, 400, "DASHBOARD_REQUEST_INVALID"],
    ["GET", "/tasks?limti=1", undefined, 400, "DASHBOARD_REQUEST_INVALID"],
    ["GET", "/tasks/7", undefined, 400, "DASHBOARD_REQUEST_INVALID"],
    ["POST", "/queues/q/tasks", [1], 400, "DASHBOARD_REQUEST_INVALID"],
    ["POST", "/queues/q/tasks", { body: 1, priority: 256 }, 400, "DASHBOARD_REQUEST_INVALID"],
    ["POST", "/queues/q/tasks", { body: 1, key: "\0mine" }, 400, "QUEUE_OPTIONS_INVALID"],
    ["POST", "/queues/q/remove", { state: "waiting" }, 400, "QUEUE_OPTIONS_INVALID"],
    ["POST", "/undo", { undo: ["gone"] }, 409, "QUEUE_TASK_STATE"],
    ["PUT", "/schedules/s", { queue: "q", expression: "never" }, 400, "QUEUE_OPTIONS_INVALID"],
  ];
  for (const [method, path, body, status, code] of wrong) {
    const answer = await ask(method, path, body);
    assert.deepEqual([answer.status, answer.json["code"]], [status, code], path);
    assert.match(answer.json["error"] as string, /\w/);
  }
  const form = await fetch(`http://${dashboard.address}/api/v1/queues/q/tasks`, { method: "POST", body: "body=1" });
  assert.equal(form.status, 400, "a form of another site is not JSON");
  const large = await fetch(`http://${dashboard.address}/api/v1/cache/k`, {
    method: "PUT",
    body: new Uint8Array(25 * 1024 * 1024),
  });
  assert.equal(large.status, 413);
});

test("a token may what its scopes say, is named in the log, and one that there is not may nothing", async () => {
  const ci = { Authorization: `Bearer ${CI_TOKEN}` };
  assert.equal((await ask("GET", "/queues", undefined, ci)).status, 200);
  const id = await add("scoped", { body: 1 }, ci);
  const refused = await ask("POST", `/tasks/${id}/cancel`, {}, ci);
  assert.deepEqual([refused.status, refused.json["code"]], [403, "ACCESS_DENIED"]);
  assert.match(refused.json["error"] as string, /'ci' has not the scope queue:remove/);
  assert.equal((await ask("GET", "/cache/k", undefined, ci)).status, 403);
  assert.equal((await ask("GET", "/queues", undefined, { Authorization: "Bearer another token, long enough" })).status, 401);
  told.length = 0;
  await ask("POST", `/tasks/${id}/cancel`, {});
  assert.deepEqual(
    told.map(({ operation, by, asked }) => [operation, by, asked]),
    [["cancel", "*", JSON.stringify({ id })]],
  );
  assert.throws(() => new Dashboard({ apiTokens: [{ name: "short", token: "secret", scopes: [] }] }), {
    code: "DASHBOARD_OPTIONS_INVALID",
    message: /^(?!.*secret)/,
  });
});

test("where the dashboard has a token, the API answers nobody without it, or without one of its own", async (t) => {
  const token = "the dashboard's own token";
  const apiTokens = [{ name: "ci", token: CI_TOKEN, scopes: ["queue:read"] as const }];
  const closed = new Dashboard({ listen: "127.0.0.1:0", queue: broker, token, apiTokens });
  await closed.listen();
  t.after(() => closed.close());
  const statusOf = async (headers: Record<string, string>): Promise<number> =>
    (await fetch(`http://${closed.address}/api/v1/queues`, { headers })).status;
  const bearer = (of: string): Promise<number> => statusOf({ Authorization: `Bearer ${of}` });
  assert.deepEqual([await statusOf({}), await bearer("x"), await bearer(token), await bearer(CI_TOKEN)], [401, 401, 200, 200]);
});

test("a page of another site is refused, whatever it asks", async () => {
  const marks: readonly Record<string, string>[] = [{ Origin: "https://evil.example" }, { "Sec-Fetch-Site": "cross-site" }];
  for (const headers of marks) {
    assert.equal((await ask("POST", "/queues/letters/drain", {}, headers)).status, 403);
    assert.equal((await ask("GET", "/queues", undefined, headers)).status, 403);
  }
});

test("every operation is in the OpenAPI document, each path once, with its fields", async () => {
  const document = (await ask("GET", "/openapi.json")).json as unknown as OpenApi;
  assert.equal(document.openapi, "3.1.0");
  const items = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.values(methods).map((item) => ({ path, ...item })),
  );
  const ids = items.map(({ operationId }) => operationId);
  assert.deepEqual(
    Object.keys(OPERATIONS).filter((name) => !ids.includes(name)),
    ["get", "set"], // getTask, setQueue
  );
  assert.equal(new Set(ids).size, ids.length);
  for (const { path, parameters } of items) {
    const inPath = parameters.filter((parameter) => parameter.in === "path").map(({ name }) => name);
    assert.deepEqual(
      inPath,
      [...path.matchAll(/\{(\w+)\}/g)].map((match) => match[1]),
      path,
    );
  }
});

interface OpenApi {
  readonly openapi: string;
  readonly paths: Record<string, Record<string, { operationId: string; parameters: { name: string; in: string }[] }>>;
}

const GENERATOR = join(root, "node_modules/oazapfts/dist/cli.js");

test(
  "a client generated from the document compiles, and does what its types say",
  { skip: !existsSync(GENERATOR) && "needs oazapfts" },
  async (t) => {
    const folder = mkdtempSync(join(tmpdir(), "holdfast-api-"));
    t.after(() => rmSync(folder, { recursive: true }));
    symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
    writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
    writeFileSync(join(folder, "openapi.json"), JSON.stringify((await ask("GET", "/openapi.json")).json));
    await run(process.execPath, [GENERATOR, join(folder, "openapi.json"), join(folder, "client.ts")]);
    writeFileSync(
      join(folder, "use.ts"),
      `import { add, call, cacheGet, cacheSet, defaults, getTask, retryMany, tasks, upsertSchedule } from "./client.ts";
defaults.baseUrl = "http://${dashboard.address}/api/v1";
const { data: added } = await add("generated", { body: { n: 1 }, priority: 2 });
if (!("id" in added)) throw new Error("not added");
const { data: task } = await getTask(added.id);
if (!("state" in task)) throw new Error("not told");
const state: "waiting" | "delayed" | "blocked" | "active" | "retrying" | "completed" | "dead" | "cancelled" = task.state;
const { data: page } = await tasks({ queue: "generated", limit: 10 });
const { data: done } = await call("shout", { body: "hi" });
const { data: retried } = await retryMany("generated", {});
await upsertSchedule("generated", { queue: "generated", expression: "0 8 * * *", body: 1 });
await cacheSet("generated", new Blob(["value"]));
const { status: cached } = await cacheGet("generated");
console.log(JSON.stringify({ state, page, done, retried, cached }));
`,
    );
    const flags =
      "--ignoreConfig --outDir out --rewriteRelativeImportExtensions --strict --skipLibCheck --allowImportingTsExtensions --module nodenext --target esnext --lib esnext,dom --types node";
    const compiled = spawnSync(join(root, "node_modules/.bin/tsc"), [...flags.split(" "), join(folder, "use.ts")], {
      cwd: folder,
      encoding: "utf8",
    });
    assert.equal(compiled.stdout, "");
    const { stdout } = await run(process.execPath, [join(folder, "out/use.js")], { cwd: folder });
    const said = JSON.parse(stdout) as {
      state: string;
      page: { tasks: unknown[] };
      done: { result: string };
      retried: object;
      cached: number;
    };
    assert.deepEqual(
      [said.state, said.page.tasks.length, said.done.result, said.retried, said.cached],
      ["waiting", 1, "HI", { retried: 0 }, 200],
    );
  },
);

test(
  "the examples of docs/http-api.md print what they say",
  { skip: spawnSync("curl", ["-V"]).error && "needs curl" },
  async () => {
    const block = /```sh\n([^]*?)```/.exec(readFileSync(join(root, "docs/http-api.md"), "utf8"))![1]!;
    const lines = block.replaceAll("\\\n", "").split("\n");
    let id = "";
    let output = "";
    let examples = 0;
    for (const line of lines) {
      if (line.startsWith("curl ")) {
        const script = `API=http://${dashboard.address}/api/v1\n${line.replaceAll(/\bID\b/g, id)}`;
        output = (await run("sh", ["-c", script])).stdout;
        examples += 1;
      }
      if (!line.startsWith("# → ")) continue;
      if (id === "") id = (JSON.parse(output) as { id: string }).id;
      const wanted = line.slice(4).replaceAll(/\bID\b/g, id);
      assert.ok(output.includes(wanted), `${wanted} is not in ${output}`);
    }
    assert.ok(examples > 10);
  },
);
