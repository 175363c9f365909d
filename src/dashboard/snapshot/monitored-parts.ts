/**
 * ○ What the dashboard reads of the parts: the little of their `stats()` that it shows. CacheServer, Broker and the link servers fit;
 * so does anything else that counts the same.
 */

export interface CachePart {
  readonly address: string;
  stats(): CacheNumbers;
}

export interface CacheNumbers {
  readonly items: number;
  readonly bytes: number;
  readonly limitBytes: number;
  readonly gets: number;
  readonly hits: number;
  readonly misses: number;
  readonly sets: number;
  readonly deletes: number;
  readonly evictions: number;
  readonly expired: number;
  readonly connections: number;
  readonly bytesRead: number;
  readonly bytesWritten: number;
}

export interface QueuePart {
  readonly address: string;
  stats(): BrokerNumbers;
}

export interface BrokerNumbers {
  readonly tasks: number;
  readonly bytes: number;
  readonly bytesMax: number;
  readonly peers: number;
  /** What keeps the store from writing, in words. */
  readonly storeTrouble: string | undefined;
  readonly queues: readonly QueueNumbers[];
  /** Those here, newest first, and those that left lately, the latest first; some hundred at most. */
  readonly workers: readonly WorkerNumbers[];
  readonly workersLeft: readonly (WorkerNumbers & { readonly leftMs: number; readonly lost: boolean })[];
  /** A broker of a group: its part in it. While it follows, the numbers above are the leader's to tell. */
  readonly cluster?: ClusterNumbers;
}

export interface ClusterNumbers {
  readonly group: string;
  readonly role: "following" | "standing" | "leading";
  readonly epoch: number;
  readonly sequence: number;
  readonly lag: number;
  /** The leader's address. */
  readonly leader: string;
}

/** One worker of one queue. */
export interface WorkerNumbers {
  readonly peer: string;
  readonly dialect: string;
  readonly queue: string;
  readonly slots: number;
  readonly held: number;
  /** In ms since 1970. */
  readonly sinceMs: number;
}

export const TASK_STATES = ["waiting", "delayed", "blocked", "active", "retrying", "completed", "dead", "cancelled"] as const;

/** Tasks in each state. */
export type TaskStates = Readonly<Record<(typeof TASK_STATES)[number], number>>;

export interface QueueNumbers {
  readonly name: string;
  readonly states: TaskStates;
  readonly bytes: number;
  readonly consumers: number;
  readonly slots: number;
  readonly added: number;
  readonly finished: number;
  readonly failures: number;
  readonly settings: { readonly paused?: boolean | undefined };
}

export interface LinkPart {
  readonly address: string;
  stats(): LinkNumbers;
}

export interface LinkNumbers {
  readonly accepted: number;
  readonly open: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly ended: Readonly<Partial<Record<string, number>>>;
  readonly connections: readonly ConnectionNumbers[];
}

export interface ConnectionNumbers {
  readonly id: number;
  readonly peer: string;
  readonly local: string;
  readonly sinceMs: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly keepAlive:
    | { readonly on: boolean; readonly idleMs: number; readonly intervalMs: number; readonly count: number }
    | undefined;
  readonly nextProbeInMs: number | undefined;
  readonly probesUnanswered: number | undefined;
}

export interface MonitoredParts {
  readonly cache?: CachePart;
  readonly queue?: QueuePart;
  readonly link?: LinkPart;
}
