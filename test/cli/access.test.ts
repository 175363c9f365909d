import assert from "node:assert/strict";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite, test } from "node:test";
import { Holdfast } from "../support/holdfast.ts";
import { MemcachedClient } from "../support/memcached-client.ts";
import { check, schema } from "../../src/cli/access/access.ts";

const path = join(mkdtempSync(join(tmpdir(), "holdfast-access-cli-")), "access.json");
writeFileSync(
  path,
  JSON.stringify({
    roles: { shop: ["queue:add:shop.*"], visitor: ["queue:add:feedback"] },
    users: { web: { roles: ["shop"] }, idle: {}, "*": { roles: ["visitor"] } },
  }),
  { mode: 0o600 },
);

async function said(run: (argv: readonly string[]) => Promise<number>, argv: readonly string[]): Promise<[number, string]> {
  const { write } = process.stdout;
  let text = "";
  process.stdout.write = ((chunk: string) => ((text += chunk), true)) as typeof write;
  try {
    return [await run(argv), text];
  } finally {
    process.stdout.write = write;
  }
}

suite("holdfast access", () => {
  test("says yes or no, and why, and exits 0 or 1", async () => {
    const ask = (user: string, right: string) => said(check, ["--access", path, user, right]);
    assert.deepEqual(await ask("web", "queue:add:shop.mails"), [
      0,
      "yes: web has the role 'shop', which has queue:add:shop.*\n",
    ]);
    assert.deepEqual(await ask("web", "queue:add:feedback"), [
      0,
      "yes: everybody (*) has the role 'visitor', which has queue:add:feedback\n",
    ]);
    assert.deepEqual(await ask("web", "queue:add:bank"), [
      1,
      "no: of the roles of web (shop, and of everybody visitor) none has queue:add:bank\n",
    ]);
    assert.deepEqual(await ask("idle", "queue:see:bank"), [
      1,
      "no: of the roles of idle (none, and of everybody visitor) none has queue:see:bank\n",
    ]);
    assert.deepEqual(await ask("bob", "queue:see:bank"), [
      1,
      `no: ${path} has no user 'bob', and of the roles of everybody (visitor) none has queue:see:bank\n`,
    ]);
  });

  test("--json has the same in fields", async () => {
    const [code, text] = await said(check, ["--json", "--access", path, "web", "queue:add:shop.mails"]);
    assert.equal(code, 0);
    assert.deepEqual(JSON.parse(text), {
      user: "web",
      right: "queue:add:shop.mails",
      allowed: true,
      known: true,
      by: "web",
      role: "shop",
      row: "queue:add:shop.*",
    });
  });

  test("what cannot be asked is wrong usage", async () => {
    await assert.rejects(check(["--access", path, "web", "queue:eat:x"]), { code: "CLI_USAGE" });
    await assert.rejects(check(["web", "queue:add:x"]), { code: "CLI_USAGE", message: /--access FILE/ });
    await assert.rejects(check(["--access", `${path}.gone`, "web", "queue:add:x"]), { code: "ACCESS_FILE_INVALID" });
  });

  test("prints the schema of such files", async () => {
    const [code, text] = await said(schema, []);
    assert.equal(code, 0);
    assert.deepEqual(Object.keys((JSON.parse(text) as { properties: object }).properties), ["$schema", "roles", "users"]);
  });

  test("'up --access' asks the file for cache, queue and page; SIGHUP reads it again", { timeout: 60_000 }, async (t) => {
    const file = join(mkdtempSync(join(tmpdir(), "holdfast-access-up-")), "access.json");
    const write = (rights: readonly string[]): void =>
      writeFileSync(file, JSON.stringify({ roles: { all: rights }, users: { "*": { roles: ["all"] } } }), { mode: 0o600 });
    write(["queue:add:*"]);
    const where = ["--cache", "127.0.0.1:0", "--queue", "tcp://127.0.0.1:0", "--link", "off", "--dashboard", "127.0.0.1:0"];
    const up = new Holdfast(["up", ...where, "--data", "memory", "--access", file]);
    t.after(() => up.stop());
    const [, dashboard] = await up.printed(/^dashboard +listening on (\S+)$/m);
    const [, cache] = await up.printed(/^cache +listening on (\S+)$/m);
    const [, url] = await up.printed(/^queue +listening on (\S+)$/m);
    const client = await MemcachedClient.connect(cache!);
    assert.equal(await client.ask("get x\r\n"), "CLIENT_ERROR access denied\r\n");
    assert.equal((await fetch(`${dashboard}/metrics`)).status, 401);
    const add = new Holdfast(["queue", "add", "mails", "x", "--url", url!]);
    assert.equal((await add.ended()).code, 0);
    const ls = new Holdfast(["queue", "ls", "--url", url!]);
    const told = await ls.ended();
    assert.notEqual(told.code, 0);
    assert.match(told.stderr, /'\*' has not the right queue:see/);
    write(["cache:read:*", "dashboard:see:*"]);
    up.child.kill("SIGHUP");
    await up.printed(/reloaded/, "stderr");
    assert.equal(await client.ask("get x\r\n"), "END\r\n");
    assert.equal((await fetch(`${dashboard}/metrics`)).status, 200);
    assert.match(up.stderr, /access\.refused user=\* right=cache:read:x/);
  });
});
