/** How a bench says what it found: one line a figure for people, or one JSON document (`--json`) for programs. */
import { cpus, release } from "node:os";
import { ratio, type Rounds, type Spread, spread } from "./rounds.ts";

/** One line of a report. */
export interface Finding {
  /** What was measured: "get 90 %, pipeline 16". */
  readonly name: string;
  /** Unit of the figures: "CPU s / million operations". */
  readonly unit: string;
  /** Contender → figure over the rounds. */
  readonly figures: Readonly<Record<string, Spread>>;
  /** Rival → ours divided by theirs, within each round. */
  readonly ratios: Readonly<Record<string, Spread>>;
  /** The ratio that was aimed at, where there is one, and the rival that it is taken against. */
  readonly target?: Target;
}

/** "At most 0.6 × memcached" is `{ against: "memcached", atMost: 0.6 }`. */
export interface Target {
  readonly against: string;
  readonly atMost?: number;
  readonly atLeast?: number;
}

/** A finding from paired rounds: `ours` is compared with every other contender. */
export function finding<Name extends string>(
  { name, unit, target }: Pick<Finding, "name" | "unit" | "target">,
  ours: NoInfer<Name>,
  rounds: Rounds<Name>,
): Finding {
  const entries = Object.entries(rounds) as [Name, readonly number[]][];
  return {
    name,
    unit,
    figures: Object.fromEntries(entries.map(([contender, figures]) => [contender, spread(figures)])),
    ratios: Object.fromEntries(
      entries.filter(([contender]) => contender !== ours).map(([rival, figures]) => [rival, ratio(rounds[ours], figures)]),
    ),
    ...(target && { target }),
  };
}

/** Whether the median ratio reaches its target; undefined where there is none. */
export function reached({ ratios, target }: Finding): boolean | undefined {
  const median = target && ratios[target.against]?.median;
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
  return `${found.name}: ${[`${figures.join(", ")} ${found.unit}`, ...ratios, ...verdict].join("; ")}`;
}

/** Prints findings to stdout, as lines or, with `json`, as one document that also names the machine. */
export function report(findings: readonly Finding[], { json = false }: { json?: boolean } = {}): void {
  if (json) console.log(JSON.stringify({ machine: machine(), findings }, undefined, 2));
  else for (const found of findings) console.log(describe(found));
}

function machine(): Record<string, string | number> {
  return { cpu: cpus()[0]?.model ?? "unknown", cores: cpus().length, kernel: release(), node: process.version };
}

function show({ median, low, high }: Spread): string {
  return `${digits(median)} (${digits(low)} to ${digits(high)})`;
}

/** Three digits that matter. */
function digits(value: number): string {
  return Math.abs(value) >= 100 ? value.toFixed(0) : value.toPrecision(3);
}
