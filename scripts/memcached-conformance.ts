/**
 * ● Runs memcached's own test files against `holdfast cache` and prints a row a file: the table of docs/memcached.md.
 *
 *   node --conditions=holdfast-source scripts/memcached-conformance.ts SOURCES [--binary PATH] [--jobs 2] [--json] [FILE …]
 *
 * SOURCES is a tree of memcached's sources: `git -C memcached archive 1.6.45 | tar x -C SOURCES`. `--binary` tests another program,
 * memcached's own debug build for one. Exits 1 when a file that applies fails.
 */
import { rmSync } from "node:fs";
import { parseArgs } from "node:util";
import { type FileResult, makeSuite, notApplicable, runFile, type Suite } from "../test/cache/support/memcached-suite.ts";

interface Row {
  readonly file: string;
  readonly result: string;
  readonly output?: string;
}

async function rowOf(suite: Suite, file: string): Promise<Row> {
  const reason = notApplicable(file);
  if (reason !== undefined) return { file, result: `does not apply: ${reason}` };
  const { outcome, assertions, output } = await runFile(suite, file, { env: environment(file) });
  return { file, result: describe({ outcome, assertions, output }), ...(outcome === "fails" && { output }) };
}

function environment(file: string): Record<string, string> {
  if (file.startsWith("ssl_")) return { SSL_TEST: "1" };
  return file === "binary-sasl.t" ? { RUN_SASL_TESTS: "1" } : {};
}

function describe({ outcome, assertions, output }: FileResult): string {
  if (outcome === "passes") return `passes, ${assertions} assertions`;
  return outcome === "fails" ? "fails" : `skips itself: ${/skipped: (.*)/.exec(output)?.[1] ?? "gives no reason"}`;
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { binary: { type: "string" }, jobs: { type: "string", default: "2" }, json: { type: "boolean", default: false } },
});
const [sources, ...words] = positionals;
if (sources === undefined) {
  console.error("Usage: memcached-conformance.ts SOURCES [--binary PATH] [--jobs 2] [--json] [FILE …]");
  process.exit(2);
}

const suite = makeSuite(sources, values.binary === undefined ? undefined : [values.binary]);
const waiting = suite.files.filter((file) => words.length === 0 || words.includes(file)).reverse();
const rows: Row[] = [];
const lane = async (): Promise<void> => {
  for (let file = waiting.pop(); file !== undefined; file = waiting.pop()) {
    const row = await rowOf(suite, file);
    rows.push(row);
    if (row.output !== undefined) console.error(`--- ${file}\n${row.output}`);
  }
};
await Promise.all(Array.from({ length: Number(values.jobs) }, lane));
rmSync(suite.folder, { recursive: true, force: true });

rows.sort((a, b) => a.file.localeCompare(b.file));
if (values.json) console.log(JSON.stringify(rows.map(({ file, result }) => ({ file, result }))));
else for (const { file, result } of rows) console.log(`| ${file} | ${result} |`);
process.exitCode = rows.some(({ output }) => output !== undefined) ? 1 : 0;
