/**
 * ○ Metrics in Prometheus' text format, version 0.0.4: https://prometheus.io/docs/instrumenting/exposition_formats. Values are read when
 * they are asked for; nothing is kept between two scrapes.
 */

/** One value with its labels. */
export type LabelledValue = readonly [labels: Readonly<Record<string, string>>, value: number];

export interface Metric {
  readonly name: string;
  readonly help: string;
  readonly type: "counter" | "gauge";
  readonly read: () => readonly LabelledValue[];
}

export const EXPOSITION_TYPE = "text/plain; version=0.0.4; charset=utf-8";

export function exposition(metrics: readonly Metric[]): string {
  const lines: string[] = [];
  for (const { name, help, type, read } of metrics) {
    lines.push(`# HELP ${name} ${help.replaceAll("\\", "\\\\").replaceAll("\n", "\\n")}`, `# TYPE ${name} ${type}`);
    for (const [labels, value] of read()) lines.push(`${name}${shownLabels(labels)} ${shownValue(value)}`);
  }
  return `${lines.join("\n")}\n`;
}

/** No list is made: a thousand queues have twenty thousand lines. */
function shownLabels(labels: Readonly<Record<string, string>>): string {
  let shown = "";
  for (const name of Object.keys(labels)) shown += `${shown === "" ? "" : ","}${name}="${escaped(labels[name]!)}"`;
  return shown === "" ? "" : `{${shown}}`;
}

const SPECIAL = /[\\"\n]/;

function escaped(value: string): string {
  if (!SPECIAL.test(value)) return value;
  return value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}

function shownValue(value: number): string {
  if (Number.isFinite(value)) return String(value);
  return Number.isNaN(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf";
}
