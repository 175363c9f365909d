/**
 * ○ What the page is told once a second: the parts' statistics, rates since the last sample, and problems. Totals only: of a thousand
 * queues and ten thousand connections the page asks for the rows that it shows (list-page.ts).
 */
import {
  type BrokerNumbers,
  type CacheNumbers,
  type ConnectionNumbers,
  type LinkNumbers,
  type Sample,
  TASK_STATES,
  type TaskStates,
  type WorkerPartNumbers,
} from "./monitored-parts.ts";
import type { Problem } from "./problem-list.ts";
import { type QueueRow, queueRows, rate } from "./queue-rows.ts";
import type { WorkerRow } from "./worker-rows.ts";

export interface Addresses {
  readonly cache: string | undefined;
  readonly queue: string | undefined;
  readonly link: string | undefined;
}

export interface Snapshot {
  readonly wallMs: number;
  readonly upMs: number;
  readonly residentBytes: number;
  readonly heapBytes: number;
  /** Of one core, since the last sample. */
  readonly cpuShare: number;
  /** Worst first. */
  readonly problems: readonly Problem[];
  readonly cache: CacheSnapshot | undefined;
  readonly queue: QueueSnapshot | undefined;
  readonly link: LinkSnapshot | undefined;
  readonly workers: readonly WorkerPartNumbers[] | undefined;
}

export interface CacheSnapshot {
  readonly address: string;
  readonly items: number;
  readonly bytes: number;
  readonly limitBytes: number;
  readonly connections: number;
  /** Hits divided by gets since the last sample; undefined without a get. */
  readonly hitRatio: number | undefined;
  readonly getsPerSecond: number;
  readonly setsPerSecond: number;
  readonly deletesPerSecond: number;
  readonly evictionsPerSecond: number;
  /** undefined: the eviction policy keeps no ghosts. */
  readonly ghostsReturnedPerSecond: number | undefined;
  readonly expiredPerSecond: number;
  readonly bytesPerSecond: number;
  readonly totals: Pick<CacheNumbers, "gets" | "hits" | "misses" | "sets" | "deletes" | "evictions" | "expired">;
}

export interface QueueSnapshot {
  readonly address: string;
  readonly tasks: number;
  readonly bytes: number;
  readonly bytesMax: number;
  readonly peers: number;
  readonly workers: number;
  readonly states: TaskStates;
  readonly addedPerSecond: number;
  readonly finishedPerSecond: number;
  readonly failuresPerSecond: number;
  readonly queueCount: number;
  readonly cluster: BrokerNumbers["cluster"];
}

export interface LinkSnapshot {
  readonly address: string;
  readonly open: number;
  readonly accepted: number;
  readonly ended: Readonly<Record<string, number>>;
  readonly bytesInPerSecond: number;
  readonly bytesOutPerSecond: number;
  /** Connections with at least one unanswered probe. */
  readonly silent: number;
}

/** With the beginnings of the lists, ROWS_MAX of each. */
export interface WholeSnapshot extends Omit<Snapshot, "queue" | "link"> {
  readonly queue:
    | (QueueSnapshot & {
        readonly queues: readonly QueueRow[];
        readonly workerRows: readonly WorkerRow[];
        readonly workersLeft: readonly WorkerRow[];
      })
    | undefined;
  readonly link: (LinkSnapshot & { readonly connections: readonly ConnectionNumbers[] }) | undefined;
}

/** The links' latest statistics, and those before. */
export interface LinkSample {
  readonly numbers: LinkNumbers;
  readonly atMs: number;
  readonly before: { readonly numbers: LinkNumbers; readonly atMs: number } | undefined;
}

interface SnapshotContext {
  readonly addresses: Addresses;
  readonly startedMs: number;
  readonly problems: readonly Problem[];
  readonly link: LinkSample | undefined;
}

/** Builds what the page shows from two samples; without an earlier one all rates are 0. */
export function snapshotOf(
  sample: Sample,
  before: Sample | undefined,
  { addresses, startedMs, problems, link }: SnapshotContext,
): Snapshot {
  const seconds = before ? Math.max(0.001, (sample.nowMs - before.nowMs) / 1000) : 0;
  return {
    wallMs: sample.wallMs,
    upMs: sample.nowMs - startedMs,
    residentBytes: sample.memory.residentBytes,
    heapBytes: sample.memory.heapBytes,
    cpuShare: before ? rate(sample.cpuMs, before.cpuMs, seconds) / 1000 : 0,
    problems,
    cache: sample.cache && cacheSnapshot(sample.cache, before?.cache, { seconds, address: addresses.cache ?? "" }),
    queue: sample.queue && queueSnapshot(sample.queue, before?.queue, { seconds, address: addresses.queue ?? "" }),
    link: link && linkSnapshot(link, addresses.link ?? ""),
    workers: sample.workers,
  };
}

interface RateOptions {
  readonly seconds: number;
  readonly address: string;
}

function cacheSnapshot(now: CacheNumbers, before: CacheNumbers | undefined, { seconds, address }: RateOptions): CacheSnapshot {
  const per = (key: keyof CacheNumbers): number => rate(now[key] ?? 0, before?.[key], seconds);
  const { items, bytes, limitBytes, connections, gets, hits, misses, sets, deletes, evictions, expired } = now;
  const newGets = now.gets - (before?.gets ?? now.gets);
  return {
    address,
    items,
    bytes,
    limitBytes,
    connections,
    hitRatio: newGets > 0 && before ? (hits - before.hits) / newGets : undefined,
    getsPerSecond: per("gets"),
    setsPerSecond: per("sets"),
    deletesPerSecond: per("deletes"),
    evictionsPerSecond: per("evictions"),
    ghostsReturnedPerSecond: now.ghostsReturned === undefined ? undefined : per("ghostsReturned"),
    expiredPerSecond: per("expired"),
    bytesPerSecond: per("bytesRead") + per("bytesWritten"),
    totals: { gets, hits, misses, sets, deletes, evictions, expired },
  };
}

function queueSnapshot(
  now: BrokerNumbers,
  before: BrokerNumbers | undefined,
  { seconds, address }: RateOptions,
): QueueSnapshot {
  const rows = queueRows(now, before, seconds);
  const total = (pick: (row: QueueRow) => number): number => rows.reduce((sum, row) => sum + pick(row), 0);
  const states = Object.fromEntries(
    TASK_STATES.map((state) => [state, total((row) => row.states[state])]),
  ) as unknown as TaskStates;
  return {
    address,
    tasks: now.tasks,
    bytes: now.bytes,
    bytesMax: now.bytesMax,
    peers: now.peers,
    workers: total((row) => row.workers),
    states,
    addedPerSecond: total((row) => row.addedPerSecond),
    finishedPerSecond: total((row) => row.finishedPerSecond),
    failuresPerSecond: total((row) => row.failuresPerSecond),
    queueCount: rows.length,
    cluster: now.cluster,
  };
}

function linkSnapshot({ numbers: now, atMs, before: last }: LinkSample, address: string): LinkSnapshot {
  const before = last?.numbers;
  const seconds = last ? Math.max(0.001, (atMs - last.atMs) / 1000) : 0;
  const ended: Record<string, number> = {};
  for (const [reason, count] of Object.entries(now.ended)) ended[reason] = count ?? 0;
  return {
    address,
    open: now.open,
    accepted: now.accepted,
    ended,
    bytesInPerSecond: rate(now.bytesIn, before?.bytesIn, seconds),
    bytesOutPerSecond: rate(now.bytesOut, before?.bytesOut, seconds),
    silent: now.connections.filter(({ probesUnanswered }) => (probesUnanswered ?? 0) > 0).length,
  };
}
