/**
 * ○ The statistics that the dashboard reads from the parts' `stats()`. CacheServer, Broker and the link servers have these types; so
 * may any other object with the same counters.
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
  /** While it starts: how much of its tasks is read, in percent. */
  readonly starting?: number;
  /** Why the store cannot write. */
  readonly storeTrouble: string | undefined;
  readonly queues: readonly QueueNumbers[];
  /** Connected workers, newest first, and recently disconnected ones, latest first; a few hundred at most. */
  readonly workers: readonly WorkerNumbers[];
  readonly workersLeft: readonly (WorkerNumbers & { readonly leftMs: number; readonly lost: boolean })[];
  /** Set for a broker of a group: its role. While it follows, only the leader has the statistics above. */
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
  /** Since when the task that has waited longest waits, in ms since 1970; undefined while none waits. */
  readonly waitingSinceMs?: number | undefined;
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

/** The parts' statistics at one moment; undefined for a part that is not running. */
export interface Sample {
  /** Monotonic. */
  readonly nowMs: number;
  readonly wallMs: number;
  readonly cache: CacheNumbers | undefined;
  readonly queue: BrokerNumbers | undefined;
  readonly link: LinkNumbers | undefined;
  readonly memory: { readonly residentBytes: number; readonly heapBytes: number };
  /** Total CPU time of the process. */
  readonly cpuMs: number;
}
