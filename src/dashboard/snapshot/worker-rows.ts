/** ○ The workers as the page lists them: those that left within the last minute, then the connected ones, newest first. */
import { type ListPage, type ListRequest, type Orders, pageOf } from "./list-page.ts";
import type { BrokerNumbers, WorkerNumbers } from "./monitored-parts.ts";

export interface WorkerRow extends WorkerNumbers {
  /** When it left, and whether its connection was lost; undefined while it is connected. */
  readonly leftMs?: number;
  readonly lost?: boolean;
}

const ORDERS: Orders<WorkerRow> = {
  newest: {
    by: ({ leftMs, sinceMs }) => (leftMs === undefined ? sinceMs : Number.MAX_SAFE_INTEGER / 2 + leftMs),
    descending: true,
  },
  worker: { by: ({ peer }) => peer, descending: false },
  queue: { by: ({ queue }) => queue, descending: false },
  active: { by: ({ held }) => held, descending: true },
  concurrency: { by: ({ slots }) => slots, descending: true },
  connected: { by: ({ sinceMs }) => sinceMs, descending: false },
};

/** The search is for a worker or its queue. */
export function workerPage({ workers, workersLeft }: BrokerNumbers, request: ListRequest): ListPage<WorkerRow> {
  return pageOf<WorkerRow>(
    [...workersLeft, ...workers],
    { orders: ORDERS, nameOf: ({ peer, queue }) => `${queue} ${peer}` },
    request,
  );
}
