/** `holdfast stats` and `holdfast bench` against a running `holdfast up`. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { Holdfast } from "../support/holdfast.ts";

suite("the numbers of a running server", () => {
  let folder: string;
  let up: Holdfast;
  const addresses: Record<string, string> = {};

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), "holdfast-stats-"));
    const any = [
      "--cache",
      "127.0.0.1:0",
      "--queue",
      "tcp://127.0.0.1:0",
      "--link",
      "127.0.0.1:0",
      "--dashboard",
      "127.0.0.1:0",
    ];
    up = new Holdfast(["up", ...any, "--json", "--data", folder]);
    await up.printed(/"dashboard".*\n/);
    for (const line of up.stdout.trim().split("\n")) {
      const { part, address } = JSON.parse(line) as { part: string; address: string };
      addresses[part] = address;
    }
  });
  after(async () => {
    await up.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  const holdfast = async (...args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await new Holdfast(args).ended();
    assert.equal(code, 0, stderr);
    return stdout;
  };

  test("bench cache counts what it did, and stats show the same server's gets and sets", async () => {
    const report = JSON.parse(
      await holdfast("bench", "cache", "--address", addresses["cache"]!, "--duration", "300ms", "--json"),
    ) as {
      operations: number;
      errors: number;
      p50Ms: number;
      p99Ms: number;
    };
    assert.ok(report.operations > 100, `${report.operations} operations`);
    assert.equal(report.errors, 0);
    assert.ok(report.p50Ms > 0 && report.p50Ms <= report.p99Ms);
    const stats = JSON.parse(await holdfast("stats", "--cache", addresses["cache"]!, "--json")) as Record<string, string>;
    // Gets of one key that are asked in one tick share a request, so that the server sees a few less.
    const seen = Number(stats["cmd_get"]) + Number(stats["cmd_set"]) - 10_000;
    assert.ok(seen <= report.operations && seen > 0.9 * report.operations, `${seen} of ${report.operations}`);
    assert.match(await holdfast("stats", "--cache", addresses["cache"]!), /^curr_items +10000$/m);
  });

  test("bench queue takes tasks through a worker and back", async () => {
    const printed = await holdfast("bench", "queue", "--url", addresses["queue"]!, "--duration", "300ms", "--in-flight", "8");
    assert.match(printed, /^\d+ operations in 0\.\d s: \d+\/s\nlatency: p50 [\d.]+ ms, p99 [\d.]+ ms, p99\.9 [\d.]+ ms\n$/);
  });

  test("stats show the parts of a running holdfast up", async () => {
    const printed = await holdfast("stats", "--dashboard", addresses["dashboard"]!);
    for (const part of ["cache", "queue", "link"]) assert.match(printed, new RegExp(`^${part} +${addresses[part]}$`, "m"));
  });

  test("a server that is not there, and a part that does not exist, are told in a sentence", async () => {
    const none = await new Holdfast(["stats", "--dashboard", "127.0.0.1:1"]).ended();
    assert.deepEqual([none.code, none.stdout], [1, ""]);
    assert.match(none.stderr, /^holdfast: No statistics from 127\.0\.0\.1:1: .*'holdfast up'.*\n$/);
    const wrong = await new Holdfast(["bench", "disk"]).ended();
    assert.deepEqual([wrong.code, wrong.stderr], [2, "holdfast: Cannot test 'disk': choose cache or queue\n"]);
  });
});
