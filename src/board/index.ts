/** ● The entry point `holdfast/board`: page, metrics, health and API of the parts of this process, as one fetch handler. */
export { board, type Board, type BoardOptions, type NodeListener } from "../dashboard/server/board.ts";
export type { Authorize } from "../dashboard/access/access.ts";
export type {
  BrokerNumbers,
  CacheNumbers,
  CachePart,
  ClusterNumbers,
  ConnectionNumbers,
  LinkNumbers,
  LinkPart,
  MonitoredParts,
  QueueNumbers,
  QueuePart,
  TaskStates,
  WorkerNumbers,
  WorkerPart,
  WorkerPartNumbers,
} from "../dashboard/snapshot/monitored-parts.ts";
