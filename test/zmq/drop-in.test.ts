/**
 * Programs written against the `zeromq` package 6, run with it and, the import unchanged, with Holdfast: they must print the same.
 * Not compared: `maxMessageSize` (64 MiB here, no limit there), and options that libzmq lets nobody read.
 */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { globSync } from "node:fs";
import { basename, join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";

const run = promisify(execFile);
const directory = join(import.meta.dirname, "drop-in");
const redirect = join(directory, "redirect.ts");

/** 20 s: each program takes well under one; one that hangs must fail with what it printed. */
const PROGRAM_MS_MAX = 20_000;

async function printed(file: string, flags: readonly string[]): Promise<string> {
  const { stdout } = await run(process.execPath, [...flags, file], { timeout: PROGRAM_MS_MAX, encoding: "utf8" });
  return stdout;
}

for (const file of globSync(join(directory, "*.ts"))
  .filter((file) => file !== redirect)
  .sort()) {
  test(`the program ${basename(file, ".ts")} prints the same with the zeromq package and with Holdfast`, async () => {
    const [theirs, ours] = await Promise.all([printed(file, []), printed(file, ["--import", redirect])]);
    assert.ok(theirs.length > 0);
    assert.equal(ours, theirs);
  });
}
