/** Commands that ask a server: flags, environment, settings file and secrets in files say whom, as with the servers themselves. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { CacheClient } from "../../src/cache/index.ts";
import { Broker } from "../../src/queue/index.ts";
import { freePort } from "../support/free-port.ts";
import { Holdfast } from "../support/holdfast.ts";

const ANY = "127.0.0.1:0";

suite("settings of clients", { concurrency: 2 }, () => {
  let folder: string;
  let broker: Broker;
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), "holdfast-clients-"));
    broker = new Broker({ listen: `tcp://${ANY}`, data: false, security: { plain: { ann: "sesame" } }, log: false });
    await broker.listen();
  });
  after(async () => {
    await broker.close();
    rmSync(folder, { recursive: true, force: true });
  });

  function file(name: string, text: string): string {
    const path = join(folder, name);
    writeFileSync(path, text, { mode: 0o600 });
    return path;
  }
  const run = (words: readonly string[], env: Record<string, string> = {}): ReturnType<Holdfast["ended"]> =>
    new Holdfast(words, { cwd: folder, env }).ended();

  test("the broker, the user and the password may come from flags, the environment or a file; a password never stands on the command line", async () => {
    const password = file("password", "sesame\n");
    const ways: readonly (readonly [string[], Record<string, string>])[] = [
      [["--url", broker.address, "--user", "ann", "--password-file", password], {}],
      [[], { HOLDFAST_CLIENT_URL: broker.address, HOLDFAST_CLIENT_USER: "ann", HOLDFAST_PASSWORD: "sesame" }],
      [
        [
          "--config",
          file("client.json", JSON.stringify({ client: { url: broker.address, user: "ann", passwordFile: password } })),
        ],
        {},
      ],
    ];
    for (const [words, env] of ways) {
      const { code, stdout, stderr } = await run(["queue", "ls", ...words], env);
      assert.deepEqual([code, stderr], [0, ""], words.join(" "));
      assert.match(stdout, /^QUEUE/);
    }
    const refused = await run(["queue", "ls", "--url", broker.address, "--user", "ann", "--timeout", "2s"], {
      HOLDFAST_PASSWORD: "wrong",
    });
    assert.equal(refused.code, 1);
    assert.equal((await run(["queue", "ls", "--password", "sesame"])).code, 2);
    assert.match((await run(["queue", "ls", "--timeout", "soon"])).stderr, /^holdfast: Cannot use --timeout 'soon'/);
  });

  test("up --link-to-queue: what sessions send with the right token is in the queue, and their last word in the cache", async () => {
    const token = file("link-token", "correct horse\n");
    const web = `127.0.0.1:${await freePort()}`;
    const servers = ["--cache", ANY, "--queue", `tcp://${ANY}`, "--link", ANY, "--dashboard", ANY, "--data", "memory"];
    await using up = new Holdfast(
      ["up", "--json", ...servers, "--link-to-queue", "readings", "--link-to-cache", "--link-websocket", web],
      {
        cwd: folder,
        env: { HOLDFAST_LINK_TOKEN_FILE: token },
      },
    );
    await up.printed(/"dashboard"/);
    const address = (part: string): string => new RegExp(`"${part}","address":"([^"]+)"`).exec(up.stdout)![1]!;
    await using sensor = new Holdfast(["connect", address("link"), "--session", "s1", "--token-file", token], { cwd: folder });
    sensor.child.stdin!.end("21.5\n21.6\n");
    assert.equal((await sensor.ended()).code, 0);
    const listed = await run(["queue", "ls", "readings", "--json", "--url", address("queue")]);
    assert.equal(listed.stdout.trim().split("\n").length, 2, listed.stderr);
    const values = new CacheClient({ servers: [address("cache")] });
    const value = await values.get("sensor:s1");
    await values.close();
    assert.equal(String(value), "21.6");
    await using byWeb = new Holdfast(["connect", `ws://${web}`, "--session", "s3", "--token-file", token], { cwd: folder });
    byWeb.child.stdin!.end("by WebSocket\n");
    assert.equal((await byWeb.ended()).code, 0);
    await using stranger = new Holdfast(["connect", address("link"), "--session", "s2"], { cwd: folder });
    stranger.child.stdin!.end("x\n");
    assert.equal((await stranger.ended()).code, 1);
    assert.deepEqual(await up.stop(), { code: 0, signal: null });
  });

  test("what of a link needs another setting or part says so, and starts nothing", async () => {
    const off = ["--cache", "off", "--queue", "off", "--dashboard", "off", "--link", ANY];
    const token = file("a-token", "x\n");
    for (const [words, expected] of [
      [["--link-to-queue", "q"], /--link-to-queue needs the queue, which is off/],
      [["--link-token-file", token], /--link-token-file needs --link-to-queue/],
      [["--link-websocket", ANY], /--link-websocket needs --link-to-queue/],
      [["--link-to-cache"], /--link-to-cache needs --link-to-queue/],
    ] as const) {
      const { code, stdout, stderr } = await run(["up", ...off, ...words]);
      assert.deepEqual([code, stdout], [2, ""]);
      assert.match(stderr, expected);
    }
  });

  test("holdfast stats finds the dashboard's token in a file, or where the dashboard itself finds it", async () => {
    const token = file("page-token", "a token of some length\n");
    const env = { HOLDFAST_DASHBOARD_TOKEN_FILE: token };
    await using page = new Holdfast(["queue", "serve", "--listen", `tcp://${ANY}`, "--data", "memory", "--dashboard", ANY], {
      cwd: folder,
      env,
    });
    await page.printed(/dashboard\.listening address=\S+/m, "stderr");
    const address = /dashboard\.listening address=(\S+)/.exec(page.stderr)![1]!;
    assert.equal((await run(["stats", "--dashboard", address])).code, 1);
    assert.equal((await run(["stats", "--dashboard", address, "--token-file", token])).code, 0);
    assert.equal((await run(["stats", "--dashboard", address], env)).code, 0);
    await page.stop();
  });
});
