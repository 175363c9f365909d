/**
 * ○ What the page shows, once a second: the parts' statistics, rates since the last sample, and problems. Totals and short lists
 * only, so that 10,000 connections make a small message.
 */
import { ROWS_MAX } from "../limits.ts";
import {
  type BrokerNumbers,
  type CacheNumbers,
  type ConnectionNumbers,
  type LinkNumbers,
  type QueueNumbers,
  type Sample,
  TASK_STATES,
  type TaskStates,
} from "./monitored-parts.ts";
import type { Problem } from "./problem-list.ts";

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
  /** The fullest ROWS_MAX. */
  readonly queues: readonly QueueRow[];
  /** The newest ROWS_MAX, newest first. */
  readonly workerRows: BrokerNumbers["workers"];
  readonly workersLeft: BrokerNumbers["workersLeft"];
  readonly cluster: BrokerNumbers["cluster"];
}

export interface QueueRow {
  readonly name: string;
  readonly states: TaskStates;
  readonly workers: number;
  readonly slots: number;
  readonly paused: boolean;
  /** Since when the task that has waited longest waits. */
  readonly waitingSinceMs: number | undefined;
  readonly addedPerSecond: number;
  readonly finishedPerSecond: number;
  readonly failuresPerSecond: number;
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
  /** At most ROWS_MAX: those with unanswered probes first, then by the time of the next probe. */
  readonly connections: readonly ConnectionNumbers[];
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
    link: link && linkSnapshot(link, { nowMs: sample.nowMs, address: addresses.link ?? "" }),
  };
}

interface RateOptions {
  readonly seconds: number;
  readonly address: string;
}

function cacheSnapshot(now: CacheNumbers, before: CacheNumbers | undefined, { seconds, address }: RateOptions): CacheSnapshot {
  const per = (key: keyof CacheNumbers): number => rate(now[key], before?.[key], seconds);
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
  const earlier = new Map(before?.queues.map((queue) => [queue.name, queue]));
  const rows = now.queues.map((queue) => queueRow(queue, earlier.get(queue.name), seconds));
  const total = (pick: (row: QueueRow) => number): number => rows.reduce((sum, row) => sum + pick(row), 0);
  const states = Object.fromEntries(
    TASK_STATES.map((state) => [state, total((row) => row.states[state])]),
  ) as unknown as TaskStates;
  const depth = ({ states }: QueueRow): number =>
    states.waiting + states.delayed + states.blocked + states.active + states.dead;
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
    queues: rows.toSorted((a, b) => depth(b) - depth(a) || (a.name < b.name ? -1 : 1)).slice(0, ROWS_MAX),
    workerRows: now.workers.slice(0, ROWS_MAX),
    workersLeft: now.workersLeft.slice(0, ROWS_MAX),
    cluster: now.cluster,
  };
}

function queueRow(now: QueueNumbers, before: QueueNumbers | undefined, seconds: number): QueueRow {
  return {
    name: now.name,
    states: now.states,
    workers: now.consumers,
    slots: now.slots,
    paused: now.settings.paused === true,
    waitingSinceMs: now.waitingSinceMs,
    addedPerSecond: rate(now.added, before?.added, seconds),
    finishedPerSecond: rate(now.finished, before?.finished, seconds),
    failuresPerSecond: rate(now.failures, before?.failures, seconds),
  };
}

function linkSnapshot(
  { numbers: now, atMs, before: last }: LinkSample,
  { nowMs, address }: { nowMs: number; address: string },
): LinkSnapshot {
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
    connections: mostUrgent(now.connections).map((row) => aged(row, nowMs - atMs)),
  };
}

/** Continues the countdown to the next probe between two samples. */
function aged(row: ConnectionNumbers, ms: number): ConnectionNumbers {
  return ms === 0 || row.nextProbeInMs === undefined ? row : { ...row, nextProbeInMs: Math.max(0, row.nextProbeInMs - ms) };
}

function mostUrgent(connections: readonly ConnectionNumbers[]): ConnectionNumbers[] {
  const urgency = (a: ConnectionNumbers, b: ConnectionNumbers): number =>
    (b.probesUnanswered ?? 0) - (a.probesUnanswered ?? 0) ||
    (a.nextProbeInMs ?? Infinity) - (b.nextProbeInMs ?? Infinity) ||
    a.id - b.id;
  return connections.toSorted(urgency).slice(0, ROWS_MAX);
}

/** Per second; a counter that went back (the part was restarted) counts from zero. */
function rate(now: number, before: number | undefined, seconds: number): number {
  if (before === undefined || seconds === 0) return 0;
  return (now >= before ? now - before : now) / seconds;
}
