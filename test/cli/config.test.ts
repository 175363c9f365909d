import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, suite, test } from "node:test";
import { ALL_PARTS } from "../../src/settings/parts.ts";

const root = join(import.meta.dirname, "../..");

suite("holdfast config", () => {
  const folder = mkdtempSync(join(tmpdir(), "holdfast-config-"));
  after(() => rmSync(folder, { recursive: true }));

  function holdfast(
    words: readonly string[],
    env: Record<string, string> = {},
  ): { code: number | null; out: string; err: string } {
    const { status, stdout, stderr } = spawnSync(join(root, "bin/holdfast"), words, {
      encoding: "utf8",
      env: { ...process.env, ...env },
    });
    return { code: status, out: stdout, err: stderr };
  }

  function settingsFile(content: unknown): string {
    const path = join(folder, "settings.json");
    writeFileSync(path, typeof content === "string" ? content : JSON.stringify(content));
    return path;
  }

  test("show says each setting and who said so, and no secret", () => {
    const token = "marked-secret-0123456789";
    writeFileSync(join(folder, "dashboard.token"), `${token}\n`, { mode: 0o600 });
    const path = settingsFile({ cache: { memory: "128m" }, queue: { maxBytes: "2g" } });
    const env = { HOLDFAST_CONFIG: path, HOLDFAST_QUEUE_MAX_BYTES: "3g", CREDENTIALS_DIRECTORY: folder };
    const { code, out } = holdfast(["config", "show", "--link-count", "7"], env);
    assert.equal(code, 0);
    assert.match(out, new RegExp(`^cache\\.memory +128m +file ${path}$`, "m"));
    assert.match(out, /^queue\.maxBytes +3g +HOLDFAST_QUEUE_MAX_BYTES$/m);
    assert.match(out, /^link\.count +7 +--link-count$/m);
    assert.match(out, /^dashboard\.token +\(secret\) +credential dashboard\.token$/m);
    assert.ok(!out.includes(token) && !holdfast(["config", "show", "--json"], env).out.includes(token));
  });

  test("check counts what a file says, and names what is wrong with it", () => {
    assert.match(holdfast(["config", "check", settingsFile({ link: { idle: "9s" } })]).out, /: 1 setting, all right\n$/);
    const wrong = holdfast(["config", "check", settingsFile({ link: { idel: "9s" } })]);
    assert.equal(wrong.code, 2);
    assert.match(wrong.err, /no setting 'link\.idel'; is it link\.idle\?/);
    assert.match(holdfast(["config", "check", settingsFile("{")]).err, /Cannot read the settings in .*settings\.json/);
    assert.equal(holdfast(["config", "check"], { HOLDFAST_CONFIG: join(folder, "none.json") }).code, 2);
  });

  test("a command refuses a settings file that is wrong before it starts anything", () => {
    const { code, err, out } = holdfast(["up", "--config", settingsFile({ queue: { sync: "never" } })]);
    assert.equal(code, 2);
    assert.match(err, /queue\.sync 'never'/);
    assert.equal(out, "");
  });

  test("schema is JSON that names every part", () => {
    const { properties } = JSON.parse(holdfast(["config", "schema"]).out) as { properties: object };
    assert.deepEqual(Object.keys(properties), ["$schema", ...ALL_PARTS.map(({ part }) => part)]);
  });
});
