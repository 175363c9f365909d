/**
 * ○ What each queue did: five minutes in seconds, a day in minutes, a month in hours, for the QUEUES_TRACKED_MAX busiest queues by name and for
 * all others together. Invariant: whatever there are of queues, no more is kept, in memory and in the file of it (QUEUE_HISTORY_BYTES_MAX).
 *
 * A value is 16 bits, its logarithm: right to 0.02 % up to six billion, so that a rate and a backlog fit alike.
 */
import { addLatencies, latenciesSince, type LatencyCounts, latencyQuantile } from "../../core/latency-histogram.ts";
import { DAY_POINTS_MAX, HISTORY_POINTS_MAX, MONTH_POINTS_MAX, QUEUES_TRACKED_MAX } from "../limits.ts";
import type { BrokerNumbers, QueueNumbers } from "./monitored-parts.ts";
import { rate } from "./queue-rows.ts";

/** Rates a second, tasks waiting, and what 95 of 100 waits and runs of that time did not exceed, in ms. */
export const QUEUE_SERIES = ["added", "completed", "failures", "waiting", "waitMs", "runMs"] as const;
const WIDTH = QUEUE_SERIES.length;

/** How far back, and of what each point is the mean. */
const RANGES = {
  minutes: { seconds: 1, points: HISTORY_POINTS_MAX },
  day: { seconds: 60, points: DAY_POINTS_MAX },
  month: { seconds: 3600, points: MONTH_POINTS_MAX },
} as const;
export type QueueRange = keyof typeof RANGES;
export const QUEUE_RANGES = Object.keys(RANGES) as QueueRange[];
/** Those that outlive the process. */
const KEPT = ["day", "month"] as const;

/** All queues that are not tracked; no queue is called so. */
export const OTHERS = "(others)";

/** The columns of one chart; null: nothing is known of that time. */
export type QueueColumns = Readonly<Record<"time" | (typeof QUEUE_SERIES)[number], readonly (number | null)[]>>;

/** Codes of values: their logarithm in steps of 1/2900; the greatest code is "nothing is known". */
const STEPS = 2900;
const GAP = 0xffff;
const codeOf = (value: number): number =>
  Number.isNaN(value) ? GAP : Math.min(GAP - 1, Math.round(Math.log1p(value) * STEPS));
const valueOf = (code: number): number | null => (code === GAP ? null : Number(Math.expm1(code / STEPS).toPrecision(4)));

/** 5 points that a clock may be set back by; past them what was written of the future is overwritten. */
const BACK_POINTS = 5;

/** Activity is forgotten by half in 2 h. */
const DECAY = 0.9999;
/** A tracked queue gives way to one that is half as busy again, not to each that is a little busier for a minute. */
const PREFERENCE = 1.5;
/** 60 s between two choices of the busiest. */
const CHOICE_S = 60;

/** What is kept of one queue. Points lie at their number modulo the length. */
class Track {
  readonly rings = {
    minutes: new Uint16Array(RANGES.minutes.points * WIDTH).fill(GAP),
    day: new Uint16Array(RANGES.day.points * WIDTH).fill(GAP),
    month: new Uint16Array(RANGES.month.points * WIDTH).fill(GAP),
  };
  /** Of the points that are being made. */
  readonly sums = { minutes: new Mean(), day: new Mean(), month: new Mean() };
}

/** The mean of what is known. */
class Mean {
  readonly #sums = new Float64Array(WIDTH);
  readonly #counts = new Float64Array(WIDTH);

  add(values: readonly number[]): void {
    for (let index = 0; index < WIDTH; index += 1) {
      if (Number.isNaN(values[index]!)) continue;
      this.#sums[index]! += values[index]!;
      this.#counts[index]! += 1;
    }
  }

  /** Writes it and begins anew. */
  moveTo(ring: Uint16Array, at: number): void {
    for (let index = 0; index < WIDTH; index += 1) ring[at + index] = codeOf(this.#sums[index]! / this.#counts[index]!);
    this.#sums.fill(0);
    this.#counts.fill(0);
  }
}

export class QueueHistory {
  readonly #tracks = new Map<string, Track>([[OTHERS, new Track()]]);
  readonly #scores = new Map<string, number>();
  /** The number of the point that is being made. */
  readonly #at: Record<QueueRange, number | undefined> = { minutes: undefined, day: undefined, month: undefined };
  #before: { readonly numbers: BrokerNumbers; readonly wallMs: number } | undefined;
  #chosenS = 0;

  /** Whether this queue has a history of its own. */
  tracks(name: string): boolean {
    return this.#tracks.has(name);
  }

  /** What a broker counts at this moment. */
  add(numbers: BrokerNumbers, wallMs: number): void {
    const seconds = Math.floor(wallMs / 1000);
    for (const range of QUEUE_RANGES) this.#advance(range, Math.floor(seconds / RANGES[range].seconds));
    const before = this.#before;
    this.#before = { numbers, wallMs };
    if (!before) return;
    const elapsed = Math.max(0.001, (wallMs - before.wallMs) / 1000);
    const earlier = new Map(before.numbers.queues.map((queue) => [queue.name, queue]));
    this.#score(numbers.queues, earlier);
    if (seconds - this.#chosenS >= CHOICE_S || this.#tracks.size <= QUEUES_TRACKED_MAX) this.#choose(seconds);
    const others: Delta[] = [];
    for (const queue of numbers.queues) {
      const delta = deltaOf(queue, earlier.get(queue.name), elapsed);
      const track = this.#tracks.get(queue.name);
      if (track) addTo(track, delta);
      else others.push(delta);
    }
    if (others.length > 0) addTo(this.#tracks.get(OTHERS)!, others.reduce(together));
  }

  /** Of a queue, or of the others when it is not tracked. */
  columns(name: string, range: QueueRange): QueueColumns {
    const ring = (this.#tracks.get(name) ?? this.#tracks.get(OTHERS)!).rings[range];
    const { seconds, points } = RANGES[range];
    const end = this.#at[range] ?? 0;
    let first = Math.max(0, end - points);
    const isGap = (point: number): boolean =>
      ring.subarray((point % points) * WIDTH, (point % points) * WIDTH + WIDTH).every((code) => code === GAP);
    while (first < end && isGap(first)) first += 1;
    const numbers = Array.from({ length: end - first }, (_, index) => first + index);
    const series = QUEUE_SERIES.map((series, at) => [
      series,
      numbers.map((point) => valueOf(ring[(point % points) * WIDTH + at]!)),
    ]);
    return { time: numbers.map((point) => point * seconds), ...Object.fromEntries(series) } as QueueColumns;
  }

  /** The points that are over are written; those in which nobody looked are gaps. */
  #advance(range: QueueRange, point: number): void {
    const at = this.#at[range];
    // A clock that was set back by a little goes on where it was.
    if (at !== undefined && point <= at && point >= at - BACK_POINTS) return;
    this.#at[range] = point;
    if (at === undefined || point < at) return;
    const { points } = RANGES[range];
    for (const { rings, sums } of this.#tracks.values()) {
      sums[range].moveTo(rings[range], (at % points) * WIDTH);
      for (let gap = Math.max(at + 1, point - points); gap < point; gap += 1)
        rings[range].fill(GAP, (gap % points) * WIDTH, (gap % points) * WIDTH + WIDTH);
    }
  }

  #score(queues: readonly QueueNumbers[], earlier: ReadonlyMap<string, QueueNumbers>): void {
    const events = ({ added, finished, failures }: QueueNumbers): number => added + finished + failures;
    const here = new Set<string>();
    for (const queue of queues) {
      here.add(queue.name);
      const before = earlier.get(queue.name);
      const since = before ? Math.max(0, events(queue) - events(before)) : events(queue);
      // One that only waits is of interest too.
      const waits = queue.states.waiting > 0 ? 0.01 : 0;
      this.#scores.set(queue.name, (this.#scores.get(queue.name) ?? 0) * DECAY + since + waits);
    }
    for (const name of this.#scores.keys()) if (!here.has(name)) this.#scores.delete(name);
  }

  #choose(seconds: number): void {
    this.#chosenS = seconds;
    const scoreOf = (name: string): number => (this.#scores.get(name) ?? 0) * (this.#tracks.has(name) ? PREFERENCE : 1);
    // Those that are gone give way first.
    const names = new Set([...this.#scores.keys(), ...this.#tracks.keys()]);
    names.delete(OTHERS);
    const ranked = [...names].map((name) => [name, scoreOf(name)] as const).sort(([, a], [, b]) => b - a);
    for (const [name] of ranked.slice(QUEUES_TRACKED_MAX)) this.#tracks.delete(name);
    for (const [name] of ranked.slice(0, QUEUES_TRACKED_MAX)) if (!this.#tracks.has(name)) this.#tracks.set(name, new Track());
  }

  // ---- the file

  /** A line of JSON with names and times, then the rings of each. */
  get bytes(): Uint8Array {
    const tracks = [...this.#tracks];
    const names = tracks.map(([name]) => name);
    const { day, month } = this.#at;
    const head = new TextEncoder().encode(`${JSON.stringify({ format: 1, series: QUEUE_SERIES, day, month, names })}\n`);
    const rings = tracks.flatMap(([, track]) => KEPT.map((range) => new Uint8Array(track.rings[range].buffer)));
    const bytes = new Uint8Array(head.length + rings.reduce((sum, ring) => sum + ring.length, 0));
    let at = 0;
    for (const part of [head, ...rings]) {
      bytes.set(part, at);
      at += part.length;
    }
    return bytes;
  }

  /** Goes on from what `bytes` gave; from anything else it begins anew. */
  restore(bytes: Uint8Array): void {
    const line = bytes.indexOf(0x0a);
    const head = line < 0 ? undefined : headOf(new TextDecoder().decode(bytes.subarray(0, line)));
    const length = KEPT.reduce((sum, range) => sum + RANGES[range].points * WIDTH * 2, 0);
    if (!head || bytes.length !== line + 1 + head.names.length * length) return;
    let at = line + 1;
    for (const name of head.names) {
      const track = new Track();
      for (const range of KEPT) {
        const ring = new Uint8Array(track.rings[range].buffer);
        ring.set(bytes.subarray(at, at + ring.length));
        at += ring.length;
      }
      this.#tracks.set(name, track);
    }
    for (const range of KEPT) this.#at[range] = head[range];
  }
}

interface Head {
  readonly names: readonly string[];
  readonly day: number;
  readonly month: number;
}

function headOf(line: string): Head | undefined {
  try {
    const { format, series, names, day, month } = JSON.parse(line) as Record<string, unknown>;
    const isOurs =
      format === 1 && String(series) === String(QUEUE_SERIES) && Number.isSafeInteger(day) && Number.isSafeInteger(month);
    if (
      !isOurs ||
      !Array.isArray(names) ||
      names.length > QUEUES_TRACKED_MAX + 1 ||
      !names.every((name) => typeof name === "string")
    )
      return undefined;
    return { names, day: day as number, month: month as number };
  } catch {
    return undefined; // no JSON
  }
}

/** What a queue did between two looks. */
interface Delta {
  readonly rates: readonly number[];
  readonly waiting: number;
  readonly waits: LatencyCounts | undefined;
  readonly runs: LatencyCounts | undefined;
}

function deltaOf(now: QueueNumbers, before: QueueNumbers | undefined, seconds: number): Delta {
  return {
    rates: (["added", "finished", "failures"] as const).map((name) => rate(now[name], before?.[name], seconds)),
    waiting: now.states.waiting,
    waits: now.waits && latenciesSince(now.waits, before?.waits),
    runs: now.runs && latenciesSince(now.runs, before?.runs),
  };
}

function together(first: Delta, second: Delta): Delta {
  return {
    rates: first.rates.map((each, index) => each + second.rates[index]!),
    waiting: first.waiting + second.waiting,
    waits: addLatencies(first.waits, second.waits),
    runs: addLatencies(first.runs, second.runs),
  };
}

function addTo({ sums }: Track, { rates, waiting, waits, runs }: Delta): void {
  const late = (latencies: LatencyCounts | undefined): number => (latencies && latencyQuantile(latencies, 0.95)) ?? NaN;
  const values = [...rates, waiting, late(waits), late(runs)];
  for (const range of QUEUE_RANGES) sums[range].add(values);
}
