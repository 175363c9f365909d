/**
 * Runs the benches one after the other, each against its rivals, prints what they found, keeps it in bench/results, and makes
 * docs/benchmarks.md and its charts from all that is kept there. About twenty minutes for all of them, on a quiet machine.
 *
 *   npm run bench                           all of them
 *   npm run bench -- cache zmq              those whose name contains a word
 *   npm run bench -- --page                 none: makes the page anew
 *   npm run bench -- queue -- --rounds 9    with arguments of its own: printed only, as it is not the page's form
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pageOf, type Kept } from "./support/page.ts";
import { describe, type Report } from "./support/report.ts";
import { SUITE, type Entry } from "./support/suite.ts";
import { versionsOf } from "./support/versions.ts";

const here = import.meta.dirname;
const RESULTS = join(here, "results");
const CHARTS = join(here, "../docs/charts");
const PAGE = join(here, "../docs/benchmarks.md");

/** What is kept of earlier runs. */
export function keptResults(): Map<string, Kept> {
  const ids = readdirSync(RESULTS).map((file) => file.replace(/\.json$/, ""));
  return new Map(ids.map((id) => [id, JSON.parse(readFileSync(join(RESULTS, `${id}.json`), "utf8")) as Kept]));
}

function writePage(): void {
  const { markdown, charts } = pageOf(SUITE, keptResults());
  rmSync(CHARTS, { recursive: true, force: true });
  mkdirSync(CHARTS, { recursive: true });
  for (const [file, svg] of charts) writeFileSync(join(CHARTS, file), svg);
  writeFileSync(PAGE, markdown);
}

function run({ bench, args }: Entry, own: readonly string[]): Report | undefined {
  const command = [
    "--conditions=holdfast-source",
    "--disable-warning=ExperimentalWarning",
    join(here, `${bench}.ts`),
    "--json",
  ];
  const { status, stdout } = spawnSync(process.execPath, [...command, ...(own.length > 0 ? own : args)], {
    stdio: ["ignore", "pipe", "inherit"],
    encoding: "utf8",
    maxBuffer: 64 * 1024 ** 2,
  });
  return status === 0 ? (JSON.parse(stdout) as Report) : undefined;
}

function main(args: readonly string[]): void {
  const separator = args.includes("--") ? args.indexOf("--") : args.length;
  const own = args.slice(separator + 1);
  const words = args.slice(0, separator).filter((word) => word !== "--page");
  const entries = args.includes("--page")
    ? []
    : SUITE.filter(({ id }) => words.length === 0 || words.some((word) => id.includes(word)));
  if (entries.length === 0 && words.length > 0) {
    console.error(`no bench matches ${words.join(" ")}`);
    process.exitCode = 2;
    return;
  }
  const failed: string[] = [];
  mkdirSync(RESULTS, { recursive: true });
  for (const entry of entries) {
    const startedMs = performance.now();
    const found = run(entry, own);
    console.error(`${entry.id}: ${found ? "done" : "failed"} after ${Math.round((performance.now() - startedMs) / 1000)} s`);
    if (!found) {
      failed.push(entry.id);
      continue;
    }
    for (const finding of found.findings) console.log(describe(finding));
    if (own.length > 0) continue;
    const kept: Kept = { ...found, versions: versionsOf(entry.peers) };
    writeFileSync(join(RESULTS, `${entry.id}.json`), `${JSON.stringify(kept, undefined, 2)}\n`);
  }
  if (own.length === 0) writePage();
  if (failed.length === 0) return;
  console.error(`failed: ${failed.join(", ")}`);
  process.exitCode = 1;
}

if (import.meta.main) main(process.argv.slice(2));
