/**
 * Charts for the docs: horizontal bars in groups, as SVG text that needs no script and no font of its own. Colours are told apart
 * by the colour-blind (Okabe and Ito's), and every bar bears its figure, so that nothing is said by colour or length alone.
 */

export interface Chart {
  readonly title: string;
  /** What the figures are: "operations per second". */
  readonly unit: string;
  /** How it was measured, below the title. */
  readonly note?: string;
  /** "more" when longer bars are better, "less" when shorter ones are. */
  readonly better: "more" | "less";
  readonly groups: readonly BarGroup[];
}

/** Bars that are compared with one another; each group has a scale of its own. */
export interface BarGroup {
  readonly name: string;
  readonly bars: readonly Bar[];
}

export interface Bar {
  readonly name: string;
  /** undefined: could not be measured, and the chart says so. */
  readonly value: number | undefined;
}

const COLOURS = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9", "#999999"];
const WIDTH = 760;
const LABEL_WIDTH = 150;
const FIGURE_WIDTH = 90;
const BAR_HEIGHT = 16;
const BAR_GAP = 4;
const GROUP_GAP = 40;
const MARGIN = 20;

/** The chart as an SVG document. */
export function barChart(chart: Chart): string {
  const names = [...new Set(chart.groups.flatMap(({ bars }) => bars.map(({ name }) => name)))];
  const colour = (name: string): string => COLOURS[names.indexOf(name) % COLOURS.length]!;
  const parts: string[] = [];
  let y = MARGIN + 16;
  parts.push(text(MARGIN, y, chart.title, "font-size='16' font-weight='bold'"));
  y += 20;
  const better = chart.better === "more" ? "longer is better" : "shorter is better";
  parts.push(text(MARGIN, y, `${chart.unit}; ${better}, each group on its own scale`, "fill='#555'"));
  if (chart.note !== undefined) {
    y += 18;
    parts.push(text(MARGIN, y, chart.note, "fill='#555'"));
  }
  for (const { name, bars } of chart.groups) {
    y += GROUP_GAP - BAR_HEIGHT;
    parts.push(text(MARGIN, y, name, "font-weight='bold'"));
    y += 8;
    const longest = Math.max(...bars.map(({ value }) => value ?? 0)) || 1;
    for (const bar of bars) {
      const width = bar.value === undefined ? 0 : (bar.value / longest) * (WIDTH - 2 * MARGIN - LABEL_WIDTH - FIGURE_WIDTH);
      const x = MARGIN + LABEL_WIDTH;
      const middle = y + BAR_HEIGHT - 4;
      parts.push(text(x - 8, middle, bar.name, "text-anchor='end'"));
      parts.push(`<rect x='${x}' y='${y}' width='${width.toFixed(1)}' height='${BAR_HEIGHT}' fill='${colour(bar.name)}'/>`);
      parts.push(text(x + width + 6, middle, bar.value === undefined ? "fails" : showFigure(bar.value)));
      y += BAR_HEIGHT + BAR_GAP;
    }
  }
  const height = y + MARGIN;
  return [
    `<svg xmlns='http://www.w3.org/2000/svg' width='${WIDTH}' height='${height}' viewBox='0 0 ${WIDTH} ${height}' role='img'`,
    ` font-family='system-ui, sans-serif' font-size='12' fill='#222'>`,
    `<title>${escaped(chart.title)}</title><desc>${escaped(described(chart))}</desc>`,
    `<rect width='100%' height='100%' fill='#fff'/>`,
    ...parts,
    "</svg>\n",
  ].join("\n");
}

/** The chart in words, for who cannot see it. */
function described({ groups, unit }: Chart): string {
  const said = groups.map(
    ({ name, bars }) =>
      `${name}: ${bars.map((bar) => `${bar.name} ${bar.value === undefined ? "fails" : showFigure(bar.value)}`).join(", ")}`,
  );
  return `${unit}. ${said.join(". ")}.`;
}

function text(x: number, y: number, content: string, attributes = ""): string {
  return `<text x='${x.toFixed(1)}' y='${y}' ${attributes}>${escaped(content)}</text>`;
}

/** "1.23 M", "45.6 k", "7.89". */
export function showFigure(value: number): string {
  if (value >= 1e6) return `${(value / 1e6).toPrecision(3)} M`;
  if (value >= 1e3) return `${(value / 1e3).toPrecision(3)} k`;
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}

function escaped(content: string): string {
  return content.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
