/**
 * ○ The statistics that the dashboard reads from the parts' `stats()`. CacheServer, Broker, Worker and the link servers have these types;
 * so may any other object with the same counters.
 */

import type { LatencyCounts } from "../../core/latency-histogram.ts";

/** A cache server of this process. */
export interface CachePart {
  /** Where it listens. */
  readonly address: string;
  /** Its numbers as of now. */
  stats(): CacheNumbers;
}

/** Numbers of a cache server; counters since it started. */
export interface CacheNumbers {
  /** Items stored. */
  readonly items: number;
  /** Memory that they take. */
  readonly bytes: number;
  /** Memory for items. */
  readonly limitBytes: number;
  /** Keys asked for. */
  readonly gets: number;
  /** Keys found. */
  readonly hits: number;
  /** Keys not found. */
  readonly misses: number;
  /** Values stored. */
  readonly sets: number;
  /** Keys deleted. */
  readonly deletes: number;
  /** Items evicted before their end. */
  readonly evictions: number;
  /** Evicted keys that were soon stored again, which a larger memory would have kept; undefined: not counted. */
  readonly ghostsReturned?: number | undefined;
  /** Items reclaimed after their end. */
  readonly expired: number;
  /** Open connections. */
  readonly connections: number;
  /** Bytes read from clients. */
  readonly bytesRead: number;
  /** Bytes written to clients. */
  readonly bytesWritten: number;
}

/** A broker of this process. */
export interface QueuePart {
  /** Where it listens. */
  readonly address: string;
  /** Its numbers as of now. */
  stats(): BrokerNumbers;
  /** Tells the other brokers of its group of this process. */
  tellGroup?(about: unknown): void;
}

/** Numbers of a broker. */
export interface BrokerNumbers {
  /** Tasks of all states. */
  readonly tasks: number;
  /** Bytes of tasks that have not ended. */
  readonly bytes: number;
  /** How many there may be. */
  readonly bytesMax: number;
  /** Connected clients and workers. */
  readonly peers: number;
  /** While it starts: how much of its tasks is read, in percent. */
  readonly starting?: number;
  /** Why the store cannot write. */
  readonly storeTrouble: string | undefined;
  /** Each queue. */
  readonly queues: readonly QueueNumbers[];
  /** Connected workers, newest first, and recently disconnected ones, latest first; a few hundred at most. */
  readonly workers: readonly WorkerNumbers[];
  /** Workers that have left, latest first; `lost`: without saying so. */
  readonly workersLeft: readonly (WorkerNumbers & { readonly leftMs: number; readonly lost: boolean })[];
  /** Set for a broker of a group: its role. While it follows, only the leader has the statistics above. */
  readonly cluster?: ClusterNumbers;
}

/** A broker's part in its group. */
export interface ClusterNumbers {
  /** The group's name. */
  readonly group: string;
  /** What this broker does there. */
  readonly role: "following" | "standing" | "leading";
  /** Number of the leader's term. */
  readonly epoch: number;
  /** Last entry of the log that is here. */
  readonly sequence: number;
  /** Entries that are not here yet. */
  readonly lag: number;
  /** The leader's address. */
  readonly leader: string;
  /** What the others of the group told of their processes, and how long ago. */
  readonly others?: readonly { readonly writer: string; readonly about: unknown; readonly agoMs: number }[];
}

/** One worker of one queue. */
export interface WorkerNumbers {
  /** Who it is. */
  readonly peer: string;
  /** The protocol that it speaks. */
  readonly dialect: string;
  /** Whose tasks it takes. */
  readonly queue: string;
  /** Tasks that it takes at once. */
  readonly slots: number;
  /** Tasks that it has. */
  readonly held: number;
  /** In ms since 1970. */
  readonly sinceMs: number;
}

export const TASK_STATES = ["waiting", "delayed", "blocked", "active", "retrying", "completed", "dead", "cancelled"] as const;

/** Tasks in each state. */
export type TaskStates = Readonly<Record<(typeof TASK_STATES)[number], number>>;

/** Numbers of one queue; counters since the broker started. */
export interface QueueNumbers {
  /** The queue's name. */
  readonly name: string;
  /** Tasks in each state. */
  readonly states: TaskStates;
  /** Bytes of its tasks that have not ended. */
  readonly bytes: number;
  /** Connected workers. */
  readonly consumers: number;
  /** Tasks that they take at once. */
  readonly slots: number;
  /** Tasks added. */
  readonly added: number;
  /** Tasks completed. */
  readonly finished: number;
  /** Attempts that failed. */
  readonly failures: number;
  /** What an operator set. */
  readonly settings: { readonly paused?: boolean | undefined };
  /** Since when the task that has waited longest waits, in ms since 1970; undefined while none waits. */
  readonly waitingSinceMs?: number | undefined;
  /** How long tasks waited for a worker. */
  readonly waits?: LatencyCounts | undefined;
  /** How long attempts ran that completed or failed. */
  readonly runs?: LatencyCounts | undefined;
}

/** A link server of this process. */
export interface LinkPart {
  /** Where it listens. */
  readonly address: string;
  /** Its numbers as of now. */
  stats(): LinkNumbers;
}

/** Numbers of a link server; counters since it started. */
export interface LinkNumbers {
  /** Connections accepted. */
  readonly accepted: number;
  /** Connections open now. */
  readonly open: number;
  /** Bytes from peers. */
  readonly bytesIn: number;
  /** Bytes to peers. */
  readonly bytesOut: number;
  /** Connections that ended, by reason. */
  readonly ended: Readonly<Partial<Record<string, number>>>;
  /** Those that are open. */
  readonly connections: readonly ConnectionNumbers[];
  /** In session mode: the sessions, connected or away. */
  readonly sessions?: readonly SessionNumbers[];
  /** In session mode: bytes of messages held for all of them. */
  readonly heldBytes?: number;
  /** In session mode: what happened since the server began. */
  readonly counts?: Readonly<
    Record<"begun" | "resumed" | "restarted" | "received" | "refused" | "lost" | "unconfirmed" | "dropped" | "wills", number>
  >;
}

/** A session of a client, connected or away. */
export interface SessionNumbers {
  /** The client's. */
  readonly name: string;
  /** "online", "away". */
  readonly presence: string;
  /** The other end of its connection; undefined: away. */
  readonly peer: string | undefined;
  /** When it began, by the wall clock. */
  readonly sinceMs: number;
  /** Messages from the client. */
  readonly received: number;
  /** Messages to the client that it has not confirmed. */
  readonly unconfirmed: number;
}

/** One open connection. */
export interface ConnectionNumbers {
  /** Its number. */
  readonly id: number;
  /** The other end. */
  readonly peer: string;
  /** This end. */
  readonly local: string;
  /** Since when it is open, in ms since 1970. */
  readonly sinceMs: number;
  /** Bytes from the peer. */
  readonly bytesIn: number;
  /** Bytes to the peer. */
  readonly bytesOut: number;
  /** What the kernel was told; undefined where it cannot be read. */
  readonly keepAlive:
    | { readonly on: boolean; readonly idleMs: number; readonly intervalMs: number; readonly count: number }
    | undefined;
  /** When the next keep-alive probe is due. */
  readonly nextProbeInMs: number | undefined;
  /** Probes sent since the peer was last heard. */
  readonly probesUnanswered: number | undefined;
}

/** A worker of this process. */
export interface WorkerPart {
  /** Its numbers as of now. */
  stats(): WorkerPartNumbers;
}

/** Numbers of a worker; attempts since it started. */
export interface WorkerPartNumbers {
  /** Whose tasks it takes. */
  readonly queue: string;
  /** Handlers that may run at once. */
  readonly concurrency: number;
  /** Handlers that run now. */
  readonly running: number;
  /** Attempts that completed their task. */
  readonly completed: number;
  /** Attempts that failed. */
  readonly failed: number;
  /** Brokers that it is connected to. */
  readonly brokers: number;
}

/** What runs in this process. */
export interface MonitoredParts {
  /** Its cache server. */
  readonly cache?: CachePart | undefined;
  /** Its broker. */
  readonly queue?: QueuePart | undefined;
  /** Its link server. */
  readonly link?: LinkPart | undefined;
  /** Its workers. */
  readonly workers?: readonly WorkerPart[] | undefined;
}

/** The parts' statistics at one moment; undefined for a part that is not running. */
export interface Sample {
  /** Monotonic. */
  readonly nowMs: number;
  readonly wallMs: number;
  readonly cache: CacheNumbers | undefined;
  readonly queue: BrokerNumbers | undefined;
  readonly link: LinkNumbers | undefined;
  readonly workers: readonly WorkerPartNumbers[] | undefined;
  readonly memory: { readonly residentBytes: number; readonly heapBytes: number };
  /** Total CPU time of the process. */
  readonly cpuMs: number;
}
