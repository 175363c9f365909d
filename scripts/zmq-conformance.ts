/**
 * ● Runs the test suite of the `zeromq` package against `holdfast/zmq`, its import swapped, and prints a row a file. Those that differ on
 * purpose stand in `zmq-conformance/differences.ts`.
 *
 *   npm run zmq-conformance -- DIR [--of zeromq] [--json] [FILE …]
 *
 * DIR is a checkout of zeromq.js, version 6. `--of zeromq` runs the package itself instead. Exits 1 when a test fails that is not
 * in the list, or one passes that is.
 */
import { rmSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { differenceOf } from "./zmq-conformance/differences.ts";
import { type Outcome, ZmqSuite } from "./zmq-conformance/zmq-suite.ts";

interface Row {
  readonly file: string;
  readonly outcomes: readonly Outcome[];
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { of: { type: "string", default: "holdfast" }, json: { type: "boolean", default: false } },
});
const [tree, ...words] = positionals;
if (tree === undefined || !["holdfast", "zeromq"].includes(values.of)) {
  console.error("Usage: zmq-conformance DIR [--of zeromq] [--json] [FILE …]");
  process.exit(2);
}
const isOurs = values.of === "holdfast";
const subject = isOurs ? join(import.meta.dirname, "../src/zmq/index.ts") : createRequire(import.meta.url).resolve("zeromq");

const suite = await ZmqSuite.prepare(tree, subject);
const rows: Row[] = [];
for (const file of suite.files) {
  if (words.length > 0 && !words.some((word) => file.includes(word))) continue;
  const outcomes = await suite.run(file);
  if (outcomes.length > 0) rows.push({ file, outcomes });
  for (const { title, result, why } of outcomes)
    if (result === "fails" && !(isOurs && differenceOf(title))) console.error(`${file}: ${title}\n    ${why}`);
}
rmSync(suite.folder, { recursive: true, force: true });

const count = (outcomes: readonly Outcome[], result: Outcome["result"], listed?: boolean): number =>
  outcomes.filter(
    (each) => each.result === result && (listed === undefined || (differenceOf(each.title) !== undefined) === listed),
  ).length;
const all = rows.flatMap(({ outcomes }) => outcomes);
if (values.json) console.log(JSON.stringify(rows));
else {
  console.log("| file | passes | differs on purpose | fails | skips itself |\n| --- | --: | --: | --: | --: |");
  for (const { file, outcomes } of [...rows, { file: "all", outcomes: all }])
    console.log(
      `| ${file} | ${count(outcomes, "passes")} | ${count(outcomes, "fails", true)} | ${count(outcomes, "fails", false)} | ${count(outcomes, "skips itself")} |`,
    );
}
const stale = isOurs ? all.filter(({ title, result }) => result === "passes" && differenceOf(title)) : [];
for (const { title } of stale) console.error(`passes, and stands in the list of differences: ${title}`);
process.exitCode = stale.length > 0 || (isOurs ? count(all, "fails", false) : count(all, "fails")) > 0 ? 1 : 0;
