import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { keptResults } from "../../bench/run.ts";
import { barChart } from "../../bench/support/chart.ts";
import { pageOf, verdict, type Kept } from "../../bench/support/page.ts";
import { finding, THE_BEST } from "../../bench/support/report.ts";
import { SUITE } from "../../bench/support/suite.ts";
import { versionsOf } from "../../bench/support/versions.ts";

const root = join(import.meta.dirname, "../..");
const results = keptResults();
const { markdown, charts } = pageOf(SUITE, results);

test("docs/benchmarks.md and its charts say what bench/results say, figure by figure", () => {
  assert.equal(readFileSync(join(root, "docs/benchmarks.md"), "utf8"), markdown, "npm run bench -- --page makes it anew");
  assert.deepEqual(readdirSync(join(root, "docs/charts")).sort(), [...charts.keys()].sort());
  for (const [file, svg] of charts) assert.equal(readFileSync(join(root, "docs/charts", file), "utf8"), svg, file);
});

test("every chart that a page of the docs shows is there", () => {
  const shown = readdirSync(join(root, "docs"), { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".md"))
    .flatMap((file) => [...readFileSync(join(root, "docs", file), "utf8").matchAll(/\]\(([^)]*charts\/[^)]+)\)/g)])
    .map(([, link]) => link!.replace(/^.*charts\//, ""));
  assert.ok(shown.length > 0);
  for (const file of shown) assert.ok(charts.has(file), file);
});

test("every bench is on the page, with a result of the form that the page says", () => {
  const benches = readdirSync(join(root, "bench"), { encoding: "utf8" }).filter((file) => file.endsWith(".ts"));
  assert.deepEqual(
    [...new Set(SUITE.map(({ bench }) => `${bench}.ts`))].sort(),
    benches.filter((file) => file !== "run.ts").sort(),
  );
  assert.deepEqual([...results.keys()].sort(), SUITE.map(({ id }) => id).sort());
  for (const { id, bench, args, peers } of SUITE) {
    const { command, machine, date, versions } = results.get(id)!;
    assert.equal(command, ["node", "--conditions=holdfast-source", `bench/${bench}.ts`, ...args].join(" "));
    assert.deepEqual(Object.keys(versions), peers);
    assert.ok(machine.cores > 0 && machine.kernel && machine.cpu && Date.parse(date) > 0);
  }
});

test("where a bench takes rounds, the page's figures are of at least five", () => {
  for (const { id, args } of SUITE) {
    if (args.includes("--rounds")) {
      const rounds = Math.max(...results.get(id)!.findings.map((found) => found.rounds));
      assert.ok(rounds >= 5, `${id}: ${rounds} rounds`);
    }
  }
});

const about = { name: "echo", unit: "calls / s" };
const entry = { ...SUITE[0]!, id: "it", title: "It", peers: ["memcached"] };
const one = (found: Kept["findings"][number]): string =>
  pageOf([entry], new Map([["it", { ...results.values().next().value!, findings: [found] }]])).markdown;

test("what is lost in every round is listed before all figures, and a missed target beside what was measured", () => {
  const page = one(
    finding({ ...about, target: { against: "theirs", atLeast: 3 } }, "ours", { ours: [10, 12], theirs: [20, 20] }),
  );
  const glance = page.slice(0, page.indexOf("## It\n"));
  assert.match(glance, /\| It \| echo, calls \/ s \| 11\.0 \| theirs 20\.0 \| 0\.550 \(0\.500 to 0\.600\) \|/);
  assert.match(glance, /\| It \| echo, calls \/ s \| at least 3 × theirs \| 0\.550 \(0\.500 to 0\.600\) × \|/);
  assert.match(page, /\| echo \| 11\.0 \(10\.0 to 12\.0\) \| ▼ 20\.0; 0\.550/);
});

test("a lead that not every round shows is no lead", () => {
  assert.equal(verdict({ median: 1.4, low: 0.9, high: 2 }, "more"), "even");
  assert.equal(verdict({ median: 1.4, low: 1.1, high: 2 }, "more"), "ahead");
  assert.equal(verdict({ median: 1.4, low: 1.1, high: 2 }, "less"), "behind");
  assert.match(one(finding(about, "ours", { ours: [10, 30], theirs: [20, 20] })), /Nowhere in every round/);
});

test("who cannot do it at all fails on the page, and the best of them is no rival of its own", () => {
  const page = one(finding({ ...about, failed: ["hangs"] }, "ours", { ours: [10], theirs: [20], [THE_BEST]: [20] }));
  assert.match(page, /\| echo \| 10\.0 \| ▼ 20\.0; 0\.500 × \| ▼ 0\.500 × \| fails \|/);
  assert.equal(page.match(/\| It \| echo/g)?.length, 1);
});

test("the versions on the page are those of what is installed", () => {
  assert.match(versionsOf(["npm:memjs"])["npm:memjs"]!, /^\d+\.\d+\.\d+$/);
  assert.throws(() => versionsOf(["npm:no-such-package"]));
  assert.ok(existsSync(join(root, "bench/results")));
});

test("a chart says its figures in words too, and which contender could not be measured", () => {
  const svg = barChart({
    title: "A & B",
    unit: "s",
    better: "less",
    groups: [{ name: "g", bars: [{ name: "one", value: 1_234_567 }, { name: "two", value: undefined }] }], // prettier-ignore
  });
  assert.match(svg, /<title>A &amp; B<\/title>/);
  assert.match(svg, /g: one 1\.23 M, two fails/);
  assert.match(svg, /shorter is better/);
});
