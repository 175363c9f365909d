/**
 * ○ Metrics in Prometheus' text format, version 0.0.4: https://prometheus.io/docs/instrumenting/exposition_formats. Values are read when
 * they are asked for; of one scrape the next finds nothing but how labels are written.
 */

/** Names and values; one object that comes again with each scrape is put into words once. */
export type Labels = Readonly<Record<string, string>>;

/** One value with its labels, and of a histogram the end of its name: "_bucket". */
export type LabelledValue = readonly [labels: Labels, value: number, suffix?: string];

export interface Metric {
  readonly name: string;
  readonly help: string;
  readonly type: "counter" | "gauge" | "histogram";
  readonly read: () => readonly LabelledValue[];
}

export const EXPOSITION_TYPE = "text/plain; version=0.0.4; charset=utf-8";

/** How labels are written, kept with them: a thousand queues have twenty thousand lines, with the same labels each time. */
const WORDS = Symbol("words");

export function exposition(metrics: readonly Metric[]): string {
  let text = "";
  for (const { name, help, type, read } of metrics) {
    text += `# HELP ${name} ${help.replaceAll("\\", "\\\\").replaceAll("\n", "\\n")}\n# TYPE ${name} ${type}\n`;
    for (const [labels, value, suffix = ""] of read()) text += name + suffix + shownLabels(labels) + shownValue(value) + "\n";
  }
  return text;
}

function shownLabels(labels: Labels & { [WORDS]?: string }): string {
  const known = labels[WORDS];
  if (known !== undefined) return known;
  const each = Object.entries(labels).map(([name, value]) => `${name}="${escaped(value)}"`);
  return (labels[WORDS] = each.length === 0 ? " " : `{${each.join(",")}} `);
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
