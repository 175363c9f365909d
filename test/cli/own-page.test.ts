/** `--dashboard` of the commands that run one part: the page, metrics, health and readiness of each process. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { Broker } from "../../src/queue/index.ts";
import { Holdfast } from "../support/holdfast.ts";

const ANY = "127.0.0.1:0";
const PAGE = ["--dashboard", ANY, "--log-level", "info"];

suite("a page of one's own", { concurrency: true }, () => {
  let folder: string;
  let broker: Broker;
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), "holdfast-page-"));
    broker = new Broker({ listen: `tcp://${ANY}`, data: false });
    await broker.listen();
  });
  after(async () => {
    await broker.close();
    rmSync(folder, { recursive: true, force: true });
  });

  async function pageOf(holdfast: Holdfast): Promise<string> {
    await holdfast.printed(/dashboard\.listening address=\S+/m, "stderr");
    return `http://${/dashboard\.listening address=(\S+)/.exec(holdfast.stderr)![1]!}`;
  }

  for (const [command, metric, words] of [
    ["queue serve", "holdfast_queue_store_ok 1", (): string[] => ["--listen", `tcp://${ANY}`, "--data", "memory", ...PAGE]],
    ["cache", "holdfast_cache_items 0", (): string[] => ["-p", "-1", "--dashboard=127.0.0.1:0", "--log-level=info"]],
    ["listen", "holdfast_link_connections 0", (): string[] => [...PAGE, ANY]],
    ["work", 'holdfast_worker_slots{queue="jobs"} 1', (): string[] => ["--url", broker.address, ...PAGE, "jobs", "--", "cat"]],
  ] as const) {
    test(`holdfast ${command} --dashboard: metrics, health, readiness, and SIGTERM ends all of it`, async () => {
      await using holdfast = new Holdfast([...command.split(" "), ...words()], { cwd: folder });
      const page = await pageOf(holdfast);
      assert.equal(await (await fetch(`${page}/health`)).text(), "ok\n");
      for (let tries = 0; (await fetch(`${page}/ready`)).status !== 200 && tries < 500; tries += 1);
      assert.equal((await fetch(`${page}/ready`)).status, 200);
      const lines = (await (await fetch(`${page}/metrics`)).text()).split("\n");
      assert.ok(lines.includes(metric), lines.join("\n"));
      assert.deepEqual(await holdfast.stop(), { code: 0, signal: null });
    });
  }

  test("without --dashboard nothing more listens; elsewhere than on loopback it needs a token, which may lie in a file", async () => {
    const wide = ["--dashboard", "0.0.0.0:0"];
    const serve = (...args: string[]): Holdfast =>
      new Holdfast(["queue", "serve", "--listen", `tcp://${ANY}`, "--data", "memory", ...args], { cwd: folder });
    const refused = await serve(...wide).ended();
    assert.equal(refused.code, 2);
    assert.match(refused.stderr, /needs an access token: give --dashboard-token/);
    const path = join(folder, "token");
    writeFileSync(path, "a token of some length\n", { mode: 0o600 });
    await using open = serve(...wide, "--dashboard-token-file", path);
    const { port } = new URL(await pageOf(open));
    assert.equal((await fetch(`http://127.0.0.1:${port}/metrics`)).status, 401);
    const headers = { authorization: "Bearer a token of some length" };
    assert.equal((await fetch(`http://127.0.0.1:${port}/metrics`, { headers })).status, 200);
    assert.deepEqual(await open.stop(), { code: 0, signal: null });
    await using bare = serve();
    await bare.printed(/^queue /m);
    assert.doesNotMatch(bare.stderr, /dashboard/);
    await bare.stop();
  });

  test("a cache takes tokens of the HTTP API, each for what its scopes allow", async () => {
    const tokens = join(folder, "tokens.json");
    const token = "a token for reading";
    writeFileSync(tokens, JSON.stringify([{ name: "ci", token, scopes: ["cache:read"] }]), { mode: 0o600 });
    const words = [
      "cache",
      "-l",
      "127.0.0.1",
      "-p",
      "-1",
      "--dashboard",
      ANY,
      "--api-tokens-file",
      tokens,
      "--log-level",
      "info",
    ];
    await using cache = new Holdfast(words, { cwd: folder });
    const url = `${await pageOf(cache)}/api/v1/cache/k`.replace(/([^:])\/\//, "$1/");
    const headers = { authorization: `Bearer ${token}` };
    const status = async (init: RequestInit): Promise<number> => (await fetch(url, init)).status;
    assert.equal(await status({ headers }), 404, "there is no such key");
    assert.equal(await status({ headers, method: "DELETE" }), 403);
    assert.equal(await status({ headers: { authorization: "Bearer another one of those" } }), 401);
    await cache.stop();
  });

  test("one settings file is that of all processes: each takes its own parts of it, and a wrong name is refused by all", async () => {
    const config = join(folder, "all.json");
    const settings = { cache: { memory: "1g" }, link: { idle: "9s" }, queue: { data: "memory" }, dashboard: { listen: ANY } };
    writeFileSync(config, JSON.stringify(settings));
    const serve = (file: string): Holdfast =>
      new Holdfast(["queue", "serve", "--listen", `tcp://${ANY}`, "--config", file], { cwd: folder });
    await using holdfast = serve(config);
    assert.equal((await fetch(`${await pageOf(holdfast)}/ready`)).status, 200);
    assert.deepEqual(await holdfast.stop(), { code: 0, signal: null });
    writeFileSync(join(folder, "wrong.json"), JSON.stringify({ cache: { memry: "1g" } }));
    const wrong = await serve(join(folder, "wrong.json")).ended();
    assert.equal(wrong.code, 2);
    assert.match(wrong.stderr, /there is no setting 'cache\.memry'; is it cache\.memory\?/);
  });
});
