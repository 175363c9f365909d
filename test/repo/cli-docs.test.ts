/** The command's reference, man page and completions say what the command itself says. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { commandHelps, filesOf, kept } from "../../scripts/cli-docs.ts";

const root = join(import.meta.dirname, "../..");

test("docs/cli.md, the man page and the completions are current; if not: npm run cli-docs", async () => {
  for (const [path, text] of Object.entries(filesOf(await commandHelps()))) assert.equal(kept(path), text, path);
});

test("bash completes commands, subcommands and flags", () => {
  const complete = (...words: string[]): string[] => {
    const script = `source deploy/completions/holdfast.bash; COMP_WORDS=(${words.map((word) => `'${word}'`).join(" ")}); COMP_CWORD=${words.length - 1}; _holdfast; printf '%s\\n' "\${COMPREPLY[@]}"`;
    return spawnSync("bash", ["-c", script], { cwd: root, encoding: "utf8" }).stdout.trim().split("\n");
  };
  assert.deepEqual(complete("holdfast", "li"), ["listen"]);
  assert.deepEqual(complete("holdfast", "queue", "re"), ["retry", "remove", "resume"]);
  assert.deepEqual(complete("holdfast", "up", "--dash"), ["--dashboard", "--dashboard-token", "--dashboard-token-file"]);
  assert.deepEqual(complete("holdfast", "queue", "add", "--prio"), ["--priority"]);
});
