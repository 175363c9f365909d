/** ○ The last minutes as columns for the charts: one array per series, oldest first, all of the same length. */
import { HISTORY_POINTS_MAX } from "../limits.ts";
import type { Snapshot } from "./snapshot.ts";

/** Series name → its value of a snapshot; undefined while the part is not running or has no value. */
export const SERIES = {
  time: ({ wallMs }: Snapshot) => wallMs / 1000,
  cacheGets: ({ cache }: Snapshot) => cache?.getsPerSecond,
  cacheSets: ({ cache }: Snapshot) => cache?.setsPerSecond,
  cacheHitRatio: ({ cache }: Snapshot) => cache?.hitRatio,
  cacheBytes: ({ cache }: Snapshot) => cache?.bytes,
  cacheEvictions: ({ cache }: Snapshot) => cache?.evictionsPerSecond,
  queueAdded: ({ queue }: Snapshot) => queue?.addedPerSecond,
  queueFinished: ({ queue }: Snapshot) => queue?.finishedPerSecond,
  queueWaiting: ({ queue }: Snapshot) => queue?.states.waiting,
  linkOpen: ({ link }: Snapshot) => link?.open,
  linkBytes: ({ link }: Snapshot) => link && link.bytesInPerSecond + link.bytesOutPerSecond,
  residentBytes: ({ residentBytes }: Snapshot) => residentBytes,
  cpuShare: ({ cpuShare }: Snapshot) => cpuShare,
} as const satisfies Record<string, (snapshot: Snapshot) => number | undefined>;

export type SeriesName = keyof typeof SERIES;

/** null without a value: a gap in the chart. */
export type Columns = Readonly<Record<SeriesName, readonly (number | null)[]>>;

export class History {
  readonly #columns: Map<SeriesName, (number | null)[]>;

  /** @param past columns of another history to continue */
  constructor(past?: Columns) {
    this.#columns = new Map((Object.keys(SERIES) as SeriesName[]).map((name) => [name, [...(past?.[name] ?? [])]]));
  }

  add(snapshot: Snapshot): void {
    for (const [name, column] of this.#columns) {
      column.push(SERIES[name](snapshot) ?? null);
      if (column.length > HISTORY_POINTS_MAX) column.shift();
    }
  }

  /** The current columns; they change with the next `add`. */
  columns(): Columns {
    return Object.fromEntries(this.#columns) as unknown as Columns;
  }
}
