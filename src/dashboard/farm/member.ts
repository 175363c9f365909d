/** ○ What one process of a farm tells the others of itself at /api/member, a few hundred bytes, and how that is read. */
import type { Snapshot } from "../snapshot/snapshot.ts";

/** One process and what runs in it. */
export interface Member {
  /** Made at random when its board was made. */
  readonly id: string;
  readonly upMs: number;
  readonly residentBytes: number;
  /** Of one core. */
  readonly cpuShare: number;
  /** Worst first. */
  readonly problems: readonly { readonly level: "bad" | "warning"; readonly text: string }[];
  readonly cache?: CacheMember | undefined;
  readonly queue?: QueueMember | undefined;
  readonly link?: { readonly address: string; readonly open: number; readonly silent: number } | undefined;
  readonly worker?: WorkerMember | undefined;
}

export interface CacheMember {
  readonly address: string;
  readonly items: number;
  readonly bytes: number;
  readonly limitBytes: number;
  readonly getsPerSecond: number;
}

export interface QueueMember {
  readonly address: string;
  readonly waiting: number;
  readonly active: number;
  readonly dead: number;
  readonly workers: number;
  /** In a group of brokers: its name, what this one does there, and the leader's address as it knows it. */
  readonly group?: string | undefined;
  readonly role?: string | undefined;
  readonly leader?: string | undefined;
}

export interface WorkerMember {
  /** Of what queues. */
  readonly queues: string;
  readonly running: number;
  readonly concurrency: number;
  readonly completed: number;
  readonly failed: number;
  /** Brokers that it is connected to. */
  readonly brokers: number;
}

/** A process that is asked, and what it answered last. */
export interface FarmRow {
  /** Its board: "http://10.1.2.3:8280"; "" is this process. */
  readonly url: string;
  readonly state: "up" | "down" | "asking";
  /** Why it is down. */
  readonly why: string | undefined;
  /** Since when it is down, or asked in vain; ms since 1970. */
  readonly sinceMs: number | undefined;
  /** As it was when it last answered. */
  readonly member: Member | undefined;
}

/** 5 problems: the worst; the rest stand on its own page. */
const PROBLEMS_MAX = 5;

export function memberOf(id: string, snapshot: Snapshot): Member {
  const { upMs, residentBytes, cpuShare, problems, cache, queue, link, workers } = snapshot;
  return {
    id,
    upMs,
    residentBytes,
    cpuShare,
    problems: problems.slice(0, PROBLEMS_MAX).map(({ level, text }) => ({ level, text })),
    cache: cache && {
      address: cache.address,
      items: cache.items,
      bytes: cache.bytes,
      limitBytes: cache.limitBytes,
      getsPerSecond: cache.getsPerSecond,
    },
    queue: queue && {
      address: queue.address,
      waiting: queue.states.waiting,
      active: queue.states.active,
      dead: queue.states.dead,
      workers: queue.workers,
      group: queue.cluster?.group,
      role: queue.cluster?.role,
      leader: queue.cluster?.leader,
    },
    link: link && { address: link.address, open: link.open, silent: link.silent },
    worker: workers && {
      queues: workers.map(({ queue: name }) => name).join(", "),
      running: total(workers, "running"),
      concurrency: total(workers, "concurrency"),
      completed: total(workers, "completed"),
      failed: total(workers, "failed"),
      brokers: Math.max(...workers.map(({ brokers }) => brokers)),
    },
  };
}

function total<Key extends string>(rows: readonly Readonly<Record<Key, number>>[], key: Key): number {
  return rows.reduce((sum, row) => sum + row[key], 0);
}

/** What a peer answered; undefined when that is no member, as of a server that is something else. Unknown words are left out. */
export function readMember(json: unknown): Member | undefined {
  const fields = objectOf(json);
  if (typeof fields?.["id"] !== "string") return undefined;
  const problems = Array.isArray(fields["problems"]) ? fields["problems"].slice(0, PROBLEMS_MAX) : [];
  const part = <T>(name: string, shape: T): T | undefined => {
    const given = objectOf(fields[name]);
    return given && (pick(given, shape as Record<string, unknown>) as T);
  };
  return {
    ...pick(fields, { id: "", upMs: 0, residentBytes: 0, cpuShare: 0 }),
    problems: problems.map((problem: unknown) => {
      const { level, text } = pick(objectOf(problem) ?? {}, { level: "", text: "" });
      return { level: level === "bad" ? "bad" : "warning", text };
    }),
    cache: part("cache", { address: "", items: 0, bytes: 0, limitBytes: 0, getsPerSecond: 0 }),
    queue: part("queue", { address: "", waiting: 0, active: 0, dead: 0, workers: 0, group: "", role: "", leader: "" }),
    link: part("link", { address: "", open: 0, silent: 0 }),
    worker: part("worker", { queues: "", running: 0, concurrency: 0, completed: 0, failed: 0, brokers: 0 }),
  };
}

/** 300 characters of a text: a problem's sentence. */
const TEXT_CHARS_MAX = 300;

/** The fields of `shape`, each of its type: what is missing or something else is as in `shape`. */
function pick<T extends Readonly<Record<string, unknown>>>(given: Readonly<Record<string, unknown>>, shape: T): T {
  const entries = Object.entries(shape).map(([key, usual]) => {
    const value = given[key];
    if (typeof usual === "string") return [key, typeof value === "string" ? value.slice(0, TEXT_CHARS_MAX) : usual];
    return [key, typeof value === "number" && Number.isFinite(value) ? value : usual];
  });
  return Object.fromEntries(entries) as T;
}

function objectOf(value: unknown): Readonly<Record<string, unknown>> | undefined {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : undefined;
}
