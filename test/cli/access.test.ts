import assert from "node:assert/strict";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite, test } from "node:test";
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
});
