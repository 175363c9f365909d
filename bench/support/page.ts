/**
 * The page of all benches, docs/benchmarks.md, and its charts, made from what the benches found and from nothing else: what is not
 * in a result cannot be on the page. What Holdfast loses stands before what it wins.
 */
import { barChart, showFigure } from "./chart.ts";
import { digits, reached, THE_BEST, type Finding, type Machine, type Report } from "./report.ts";
import type { Spread } from "./rounds.ts";
import type { Entry } from "./suite.ts";

/** A report as it is kept in bench/results. */
export interface Kept extends Report {
  /** Of the rivals, as versions.ts names them. */
  readonly versions: Readonly<Record<string, string>>;
}

export interface Page {
  readonly markdown: string;
  /** File name in docs/charts → SVG. */
  readonly charts: ReadonlyMap<string, string>;
}

/** How one of our figures stands beside a rival's: told apart only where every round says the same. */
export type Verdict = "ahead" | "even" | "behind";

const SIGN: Readonly<Record<Verdict, string>> = { ahead: "▲", even: "=", behind: "▼" };

export function verdict(ratio: Spread, better: Finding["better"]): Verdict {
  if (better === "more" ? ratio.low > 1 : ratio.high < 1) return "ahead";
  if (better === "more" ? ratio.high < 1 : ratio.low > 1) return "behind";
  return "even";
}

/** @param results by the entries' ids; entries without one are left out */
export function pageOf(suite: readonly Entry[], results: ReadonlyMap<string, Kept>): Page {
  const charts = new Map<string, string>();
  const measured = suite.flatMap((entry) => {
    const kept = results.get(entry.id);
    return kept ? [{ entry, kept }] : [];
  });
  const sections = measured.flatMap(({ entry, kept }) => section(entry, kept, charts));
  return { markdown: [...INTRODUCTION, ...overview(measured), ...sections].join("\n"), charts };
}

const INTRODUCTION = [
  "# Benchmarks",
  "",
  "Every figure here comes from `npm run bench`, which runs each bench of [bench/](../bench) against its real rivals on one machine, in one",
  "run, and writes this page. `npm run bench -- cache queue` runs those whose name contains a word, `npm run bench -- --page` makes the page",
  "anew from [bench/results](../bench/results).",
  "",
  "Contenders are measured one after the other in each round, in an order that turns, and a ratio is taken within a round: what disturbs a",
  "whole round cancels out. Figures are medians over the rounds, with the lowest and highest in brackets. **×** is Holdfast's figure divided",
  "by the rival's. ▲ ahead and ▼ behind mean that every round said so; = means that the rounds disagree.",
  "",
];

interface Measured {
  readonly entry: Entry;
  readonly kept: Kept;
}

interface Comparison {
  readonly entry: Entry;
  readonly finding: Finding;
  readonly rival: string;
  readonly ratio: Spread;
  readonly verdict: Verdict;
}

function overview(measured: readonly Measured[]): string[] {
  const comparisons = measured.flatMap(({ entry, kept }) =>
    kept.findings.flatMap((finding) =>
      Object.entries(finding.ratios)
        .filter(([rival]) => rival !== THE_BEST)
        .map(([rival, ratio]) => ({ entry, finding, rival, ratio, verdict: verdict(ratio, finding.better) })),
    ),
  );
  const missed = measured.flatMap(({ entry, kept }) =>
    kept.findings.filter((finding) => reached(finding) === false).map((finding) => ({ entry, finding })),
  );
  const count = (id: string, which: Verdict): number =>
    comparisons.filter((each) => each.entry.id === id && each.verdict === which).length;
  const wanted = ({ findings }: Kept): string => {
    const targets = findings.filter(({ target }) => target);
    return targets.length === 0 ? "" : `${targets.filter((finding) => reached(finding)).length} of ${targets.length}`;
  };
  return [
    "## At a glance",
    "",
    ...table(
      ["bench", "▲ ahead", "= even", "▼ behind", "targets reached"],
      measured.map(({ entry, kept }) => [
        `[${entry.title}](#${anchor(entry.title)})`,
        ...(["ahead", "even", "behind"] as const).map((which) => String(count(entry.id, which))),
        wanted(kept),
      ]),
    ),
    "### Where Holdfast is behind",
    "",
    ...losses(comparisons.filter((each) => each.verdict === "behind")),
    "### Targets missed",
    "",
    ...(missed.length === 0 ? ["None.", ""] : []),
    ...(missed.length === 0
      ? []
      : table(
          ["bench", "what", "wanted", "measured"],
          missed.map(({ entry, finding }) => [
            entry.title,
            `${finding.name}, ${finding.unit}`,
            wish(finding),
            outcome(finding),
          ]),
        )),
  ];
}

function losses(behind: readonly Comparison[]): string[] {
  if (behind.length === 0) return ["Nowhere in every round.", ""];
  return table(
    ["bench", "what", "Holdfast", "rival", "×"],
    behind.map(({ entry, finding, rival, ratio }) => [
      entry.title,
      `${finding.name}, ${finding.unit}`,
      showFigure(finding.figures[finding.ours]!.median),
      `${rival} ${showFigure(finding.figures[rival]!.median)}`,
      show(ratio, digits),
    ]),
  );
}

function section(entry: Entry, kept: Kept, charts: Map<string, string>): string[] {
  const units = [...new Set(kept.findings.map(({ unit }) => unit))];
  const versions = Object.entries(kept.versions).map(([peer, version]) => `${peer.replace("npm:", "npm ")} ${version}`);
  return [
    `## ${entry.title}`,
    "",
    entry.text,
    "",
    `\`${kept.command}\`, ${kept.date.slice(0, 16).replace("T", " ")} UTC, ${described(kept.machine)}.`,
    ...(versions.length > 0 ? [`Beside it: ${versions.join(", ")}.`] : []),
    "",
    ...units.flatMap((unit) => {
      const findings = kept.findings.filter((finding) => finding.unit === unit);
      return [...figuresOf(unit, findings), ...chartOf(entry, unit, findings, charts)];
    }),
  ];
}

function described({ cpu, cores, memoryBytes, kernel, node }: Machine): string {
  return `${cpu}, ${cores} cores, ${Math.round(memoryBytes / 2 ** 30)} GiB, Linux ${kernel}, Node ${node}`;
}

/** One row a finding: ours, then each rival with the ratio to it. */
function figuresOf(unit: string, findings: readonly Finding[]): string[] {
  const rivals = [
    ...new Set(
      findings.flatMap(({ ours, figures, failed = [] }) =>
        [...Object.keys(figures), ...failed].filter((name) => name !== ours),
      ),
    ),
  ];
  const targets = findings.some(({ target }) => target);
  const rounds = Math.max(...findings.map((finding) => finding.rounds));
  const less = findings[0]!.better === "less";
  return [
    `**${unit}**, ${less ? "less" : "more"} is better${rounds > 1 ? `, ${rounds} rounds` : ""}:`,
    "",
    ...table(
      ["", "Holdfast", ...rivals, ...(targets ? ["wanted"] : [])],
      findings.map((finding) => [
        finding.name,
        show(finding.figures[finding.ours]!, showFigure),
        ...rivals.map((rival) => beside(finding, rival)),
        ...(targets ? [finding.target ? `${wish(finding)}: ${reached(finding) ? "reached" : "**missed**"}` : ""] : []),
      ]),
    ),
  ];
}

function beside({ figures, ratios, failed = [], better }: Finding, rival: string): string {
  const ratio = ratios[rival];
  if (failed.includes(rival)) return "fails";
  if (!ratio) return figures[rival] ? show(figures[rival], showFigure) : "";
  const figure = rival === THE_BEST ? "" : `${showFigure(figures[rival]!.median)}; `;
  return `${SIGN[verdict(ratio, better)]} ${figure}${show(ratio, digits)} ×`;
}

function wish({ target }: Finding): string {
  const { against, atLeast, atMost } = target!;
  const bound = atLeast === undefined ? `at most ${atMost}` : `at least ${atLeast}`;
  return against === undefined ? bound : `${bound} × ${against}`;
}

function outcome({ target, ours, figures, ratios }: Finding): string {
  const { against } = target!;
  return against === undefined ? show(figures[ours]!, showFigure) : `${show(ratios[against]!, digits)} ×`;
}

function chartOf(entry: Entry, unit: string, findings: readonly Finding[], charts: Map<string, string>): string[] {
  const groups = findings
    .map(({ name, figures, failed = [] }) => ({
      name,
      bars: [
        ...Object.entries(figures)
          .filter(([contender]) => contender !== THE_BEST)
          .map(([contender, { median }]) => ({ name: contender, value: median })),
        ...failed.map((contender) => ({ name: contender, value: undefined })),
      ],
    }))
    .filter(({ bars }) => bars.length > 1);
  if (groups.length === 0) return [];
  const title = entry.title.replaceAll("`", "");
  const file = `${entry.id}-${anchor(unit)}.svg`;
  charts.set(file, barChart({ title, unit, better: findings[0]!.better, note: "median of the rounds", groups }));
  return [`![${title}: ${unit}](charts/${file})`, ""];
}

function show({ median, low, high }: Spread, figure: (value: number) => string): string {
  return low === high ? figure(median) : `${figure(median)} (${figure(low)} to ${figure(high)})`;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const line = (cells: readonly string[]): string => `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line), ""];
}

/** As GitHub makes an anchor from a heading; also fit for a file name. */
function anchor(text: string): string {
  return text
    .toLowerCase()
    .replaceAll("µ", "u")
    .replaceAll(/[^a-z0-9 /-]/g, "")
    .replaceAll(/[ /]+/g, "-");
}
