/** ○ What a broker of a group tells of itself, and what it tells of tasks while another has them. */
import type { TaskServiceStats } from "../service/task-service.ts";
import type { Role } from "./election.ts";

/** What a broker of a group tells of itself. */
export interface ClusterStats {
  readonly group: string;
  readonly role: Role;
  /** Of the term that is known. */
  readonly epoch: number;
  /** Where this broker's copy of the log ends. */
  readonly sequence: number;
  /** Entries that the leader was ahead when it last said. */
  readonly lag: number;
  /** The leader's address; "" when none is known. */
  readonly leader: string;
  readonly server: string;
  readonly connected: boolean;
}

/** The numbers of a task service that is not here. */
export const NO_SERVICE_STATS: TaskServiceStats = {
  tasks: 0,
  bytes: 0,
  bytesMax: 0,
  endedBytes: 0,
  deadBytes: 0,
  deadDropped: 0,
  tableBytes: 0,
  bodyCacheBytes: 0,
  commits: 0,
  writes: 0,
  storeTrouble: undefined,
  queues: [],
  workers: [],
  workersLeft: [],
};
