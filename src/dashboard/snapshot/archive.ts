/**
 * ○ What happened before the last five minutes: a day in minutes and a month in hours, each point the mean of its time. Invariant: no
 * more than DAY_POINTS_MAX and MONTH_POINTS_MAX points, whatever comes in, so that the file of it is bounded too.
 */
import { DAY_POINTS_MAX, MONTH_POINTS_MAX } from "../limits.ts";
import { type Columns, SERIES, type SeriesName } from "./history.ts";
import type { Snapshot } from "./snapshot.ts";

/** How far back a chart goes; five minutes are the history's. */
export const ARCHIVE_RANGES = ["day", "month"] as const;
export type ArchiveRange = (typeof ARCHIVE_RANGES)[number];

const NAMES = Object.keys(SERIES) as SeriesName[];

/** As the file has it: for each range its columns. */
export type ArchiveRecord = Readonly<Record<ArchiveRange, Columns>>;

/** One range: points of one length, and the mean that the newest is going to be. */
class Range {
  readonly columns: Map<SeriesName, (number | null)[]>;
  readonly #seconds: number;
  readonly #pointsMax: number;
  /** The point that is being made: which one, and for each series its sum and count. */
  #at: number | undefined;
  #sums = new Map<SeriesName, { sum: number; count: number }>();

  constructor(seconds: number, pointsMax: number, past: Columns | undefined) {
    this.#seconds = seconds;
    this.#pointsMax = pointsMax;
    this.columns = new Map(NAMES.map((name) => [name, (past?.[name] ?? []).slice(-pointsMax)]));
  }

  add(snapshot: Snapshot): void {
    const at = Math.floor(snapshot.wallMs / 1000 / this.#seconds);
    if (this.#at !== undefined && at !== this.#at) this.#push();
    this.#at = at;
    for (const name of NAMES) {
      const value = SERIES[name](snapshot);
      if (value === undefined) continue;
      const { sum, count } = this.#sums.get(name) ?? { sum: 0, count: 0 };
      this.#sums.set(name, { sum: sum + value, count: count + 1 });
    }
  }

  #push(): void {
    for (const [name, column] of this.columns) {
      const total = this.#sums.get(name);
      // Three digits are more than a chart shows, and halve the file.
      column.push(
        name === "time" ? this.#at! * this.#seconds : total ? Number((total.sum / total.count).toPrecision(4)) : null,
      );
      if (column.length > this.#pointsMax) column.shift();
    }
    this.#sums = new Map();
  }
}

export class Archive {
  readonly #ranges: Readonly<Record<ArchiveRange, Range>>;

  /** @param past as `record` gave it */
  constructor(past?: ArchiveRecord) {
    this.#ranges = {
      day: new Range(60, DAY_POINTS_MAX, past?.day),
      month: new Range(3600, MONTH_POINTS_MAX, past?.month),
    };
  }

  add(snapshot: Snapshot): void {
    for (const range of ARCHIVE_RANGES) this.#ranges[range].add(snapshot);
  }

  columns(range: ArchiveRange): Columns {
    return Object.fromEntries(this.#ranges[range].columns) as unknown as Columns;
  }

  get record(): ArchiveRecord {
    return { day: this.columns("day"), month: this.columns("month") };
  }
}

/** What a file says; undefined when that is no such record: it is begun anew then. Series that it does not have are empty. */
export function readArchive(json: unknown): ArchiveRecord | undefined {
  const day = readColumns(json, "day");
  const month = readColumns(json, "month");
  return day && month && { day, month };
}

function readColumns(json: unknown, range: ArchiveRange): Columns | undefined {
  const given = (json as Record<string, unknown> | null | undefined)?.[range] as Record<string, unknown> | undefined;
  const time = given?.["time"];
  if (!Array.isArray(time) || !time.every((value) => Number.isFinite(value))) return undefined;
  const columns = NAMES.map((name) => {
    const column = given![name];
    // Of a version that did not have it, or damaged: gaps.
    if (!Array.isArray(column) || column.length !== time.length) return [name, time.map(() => null)] as const;
    return [name, column.map((value) => (Number.isFinite(value) ? (value as number) : null))] as const;
  });
  return Object.fromEntries(columns) as unknown as Columns;
}
