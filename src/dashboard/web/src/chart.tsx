/** ● A chart of the last minutes: uPlot on a canvas, with its newest values as text for screen readers. */
import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import { showDay, showTime } from "./format.ts";
import { colour, onThemeChange } from "./theme.ts";
import { type TickOptions, ticksTo } from "./ticks.ts";

export interface ChartLine {
  readonly label: string;
  readonly values: readonly (number | null)[];
  /** Name of a colour of the style sheet. */
  readonly colour: string;
}

interface ChartProps extends TickOptions {
  readonly title: string;
  /** Seconds since 1970. */
  readonly time: readonly (number | null)[];
  readonly lines: readonly ChartLine[];
  /** Formats a value for the axis and for the text. */
  readonly show: (value: number) => string;
  readonly max?: number;
}

const HEIGHT = 132;
/** Room for "09:50:10" and a gap. */
const TIME_PX = 72;
const TIME_STEPS = [1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21_600, 43_200, 86_400, 172_800, 432_000];
/** Ticks so far apart, or further, are days. */
const DAY_STEP = 43_200;

export function Chart({ title, time, lines, show, max, binary, whole }: ChartProps) {
  const host = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot>(undefined);
  const data = [time, ...lines.map(({ values }) => values)] as uPlot.AlignedData;

  useEffect(() => {
    const element = host.current!;
    const draw = (): void => {
      plot.current?.destroy();
      const ticks = (high: number): number[] => ticksTo(max ?? high, { binary, whole });
      plot.current = new uPlot(optionsFor({ width: element.clientWidth, lines, show, ticks }), data, element);
    };
    draw();
    const resized = new ResizeObserver(() => plot.current?.setSize({ width: element.clientWidth, height: HEIGHT }));
    resized.observe(element);
    const stop = onThemeChange(draw);
    return () => {
      stop();
      resized.disconnect();
      plot.current?.destroy();
      plot.current = undefined;
    };
    // oxlint-disable-next-line
  }, [title]);
  useEffect(() => plot.current?.setData(data));

  const words = lines.map(({ label, values }) => `${label} ${showLatest(values, show)}`);
  return (
    <figure class="chart">
      <figcaption>
        <span>{title}</span>
        <span class="legend">
          {lines.map(({ label, values, colour: name }) => (
            <span key={label}>
              <i class={`swatch ${name}`} aria-hidden="true" />
              {label === title.toLowerCase() ? "" : `${label} `}
              <b>{showLatest(values, show)}</b>
            </span>
          ))}
        </span>
      </figcaption>
      <div ref={host} role="img" aria-label={`${title}, now: ${words.join(", ")}`} />
    </figure>
  );
}

function showLatest(values: readonly (number | null)[], show: (value: number) => string): string {
  const latest = values.findLast((value) => value !== null);
  return latest === undefined || latest === null ? "–" : show(latest);
}

interface PlotOptions extends Pick<ChartProps, "lines" | "show"> {
  readonly width: number;
  /** The ticks of the vertical axis for the greatest value drawn; its end is the last of them. */
  readonly ticks: (high: number) => number[];
}

function optionsFor({ width, lines, show, ticks }: PlotOptions): uPlot.Options {
  const axis: uPlot.Axis = {
    stroke: colour("dim"),
    grid: { stroke: colour("line"), width: 1 },
    ticks: { show: false },
    font: "11px system-ui",
  };
  let shown: number[] = [];
  return {
    width,
    height: HEIGHT,
    padding: [8, 26, 0, 0],
    legend: { show: false },
    cursor: { drag: { x: false, y: false } },
    scales: {
      x: { time: true, range: (_plot, low, high) => rangeOf(low, high) },
      y: {
        range: (_plot, _low, high) => {
          shown = ticks(high ?? 0);
          return [0, shown.at(-1)!];
        },
      },
    },
    axes: [
      {
        ...axis,
        size: 26,
        space: TIME_PX,
        incrs: TIME_STEPS,
        values: (_plot, values, _axis, _space, step) =>
          values.map((seconds) => (step >= DAY_STEP ? showDay(seconds * 1000) : showTime(seconds * 1000))),
      },
      {
        ...axis,
        size: 64,
        splits: () => shown,
        values: (_plot, values) => values.map(show),
      },
    ],
    series: [
      {},
      ...lines.map(({ label, colour: name }) => ({ label, stroke: colour(name), width: 1.5, points: { show: false } })),
    ],
  };
}

/** At least a minute, ending at the newest point, so that the first points do not fill the width. */
function rangeOf(low: number | null, high: number | null): [number, number] {
  const end = high ?? Date.now() / 1000;
  return [Math.min(low ?? end, end - 60), end];
}
