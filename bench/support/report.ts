/**
 * How a bench says what it found: one line a figure for people, or one JSON document (`--json`) for programs. All benches give the
 * same document, so that `bench/run.ts` can keep it and make the page of all benches from it.
 */
import { cpus, release, totalmem } from "node:os";
import { basename, join, relative } from "node:path";
import { ratio, type Rounds, type Spread, spread } from "./rounds.ts";

const root = join(import.meta.dirname, "../..");

/** One line of a report. */
export interface Finding {
  /** What was measured: "get 90 %, pipeline 16". */
  readonly name: string;
  /** Unit of the figures: "CPU s / million operations". */
  readonly unit: string;
  /** Which figure is the better one. */
  readonly better: Better;
  /** Which contender is ours. */
  readonly ours: string;
  /** Over how many rounds the spreads below are taken. */
  readonly rounds: number;
  /** Contender → figure over the rounds. */
  readonly figures: Readonly<Record<string, Spread>>;
  /** Rival → ours divided by theirs, within each round. */
  readonly ratios: Readonly<Record<string, Spread>>;
  /** Contenders that could not do it at all: they hung or failed. */
  readonly failed?: readonly string[];
  /** What was aimed at, where there is an aim. */
  readonly target?: Target;
}

/** A contender that is no program: in each round the best of the rivals. */
export const THE_BEST = "the best of them";

export type Better = "more" | "less";

/** "At most 0.6 × memcached" is `{ against: "memcached", atMost: 0.6 }`; without a rival it bounds our own figure. */
export interface Target {
  readonly against?: string;
  readonly atMost?: number;
  readonly atLeast?: number;
}

/** What a run of one bench found, and what one must know to judge it. */
export interface Report {
  /** The bench's name: "cache-client". */
  readonly bench: string;
  /** As it can be typed in a checkout. */
  readonly command: string;
  /** When it ended: "2026-11-24T10:05:00.000Z". */
  readonly date: string;
  readonly machine: Machine;
  readonly findings: readonly Finding[];
}

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryBytes: number;
  readonly kernel: string;
  readonly node: string;
}

/**
 * A finding from paired rounds: `ours` is compared with every other contender. One round of one contender is a plain figure.
 *
 * @param about.better default: "more" for what is counted per second, else "less" (time, CPU time and memory for one thing)
 */
export function finding<Name extends string>(
  {
    name,
    unit,
    target,
    failed = [],
    better = defaultBetter(unit),
  }: Pick<Finding, "name" | "unit" | "target" | "failed"> & { better?: Better },
  ours: NoInfer<Name>,
  rounds: Rounds<Name>,
): Finding {
  const entries = Object.entries(rounds) as [Name, readonly number[]][];
  return {
    name,
    unit,
    better,
    ours,
    rounds: rounds[ours].length,
    figures: Object.fromEntries(entries.map(([contender, figures]) => [contender, spread(figures)])),
    ratios: Object.fromEntries(
      entries.filter(([contender]) => contender !== ours).map(([rival, figures]) => [rival, ratio(rounds[ours], figures)]),
    ),
    ...(failed.length > 0 && { failed }),
    ...(target && { target }),
  };
}

/** "operations / s", "messages/CPU s", "thousand messages a second". */
function defaultBetter(unit: string): Better {
  return /\/ ?(CPU )?s$|(a|per) (CPU )?second$/.test(unit) ? "more" : "less";
}

/** Whether the median reaches its target; undefined where there is none. */
export function reached({ ours, figures, ratios, target }: Finding): boolean | undefined {
  const median = target && (target.against === undefined ? figures[ours] : ratios[target.against])?.median;
  if (median === undefined) return undefined;
  return median <= (target?.atMost ?? Infinity) && median >= (target?.atLeast ?? -Infinity);
}

/** One line for people: figures as "median (low to high)", then the ratios. */
export function describe(found: Finding): string {
  const figures = Object.entries(found.figures).map(([contender, figure]) => `${contender} ${show(figure)}`);
  const ratios = Object.entries(found.ratios).map(([rival, figure]) => `${show(figure)} × ${rival}`);
  const { target } = found;
  const wanted = target && (target.atMost === undefined ? `at least ${target.atLeast}` : `at most ${target.atMost}`);
  const verdict = target ? [`wanted ${wanted}: ${reached(found) ? "reached" : "missed"}`] : [];
  const failed = (found.failed ?? []).map((contender) => `${contender} fails`);
  return `${found.name}: ${[`${figures.join(", ")} ${found.unit}`, ...ratios, ...failed, ...verdict].join("; ")}`;
}

/** Prints findings to stdout, as lines or, with `json`, as one `Report`. */
export function report(findings: readonly Finding[], { json = false }: { json?: boolean } = {}): void {
  if (json) console.log(JSON.stringify(reportOf(findings), undefined, 2));
  else for (const found of findings) console.log(describe(found));
}

function reportOf(findings: readonly Finding[]): Report {
  const [, script = "", ...args] = process.argv;
  const file = relative(root, script);
  return {
    bench: basename(file, ".ts"),
    command: ["node", "--conditions=holdfast-source", file, ...args.filter((arg) => arg !== "--json")].join(" "),
    date: new Date().toISOString(),
    machine: machine(),
    findings,
  };
}

function machine(): Machine {
  return {
    cpu: cpus()[0]?.model ?? "unknown",
    cores: cpus().length,
    memoryBytes: totalmem(),
    kernel: release(),
    node: process.version,
  };
}

function show({ median, low, high }: Spread): string {
  if (low === high) return digits(median);
  return `${digits(median)} (${digits(low)} to ${digits(high)})`;
}

/** Three digits that matter. */
export function digits(value: number): string {
  return Math.abs(value) >= 100 ? value.toFixed(0) : value.toPrecision(3);
}
