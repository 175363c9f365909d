/** ○ The queues as the page lists them: their numbers, rates since the last sample, and which of them are in trouble. */
import { type ListPage, type ListRequest, type Orders, pageOf } from "./list-page.ts";
import type { BrokerNumbers, QueueNumbers, TaskStates } from "./monitored-parts.ts";

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

/** What may be wrong with a queue; each is a filter of the list. */
export const QUEUE_TROUBLES = ["no-worker", "paused", "stalled", "dead"] as const;
export type QueueTrouble = (typeof QUEUE_TROUBLES)[number];

type Suspect = Pick<QueueRow, "states" | "workers" | "paused"> & { readonly isStill: boolean };

/** What stands in a queue's way now. `isStill`: nothing has finished or failed since the last sample. */
export function troublesOf({ states, workers, paused, isStill }: Suspect): QueueTrouble[] {
  const troubles: QueueTrouble[] = states.dead > 0 ? ["dead"] : [];
  if (states.waiting === 0) return troubles;
  if (paused) return [...troubles, "paused"];
  if (workers === 0) return [...troubles, "no-worker"];
  return isStill && states.active > 0 ? [...troubles, "stalled"] : troubles;
}

export function queueRows(now: BrokerNumbers, before: BrokerNumbers | undefined, seconds: number): QueueRow[] {
  const earlier = new Map(before?.queues.map((queue) => [queue.name, queue]));
  return now.queues.map((queue) => queueRow(queue, earlier.get(queue.name), seconds));
}

const ORDERS: Orders<QueueRow> = {
  depth: {
    by: ({ states: { waiting, delayed, blocked, active, dead } }) => waiting + delayed + blocked + active + dead,
    descending: true,
  },
  name: { by: ({ name }) => name, descending: false },
  waiting: { by: ({ states }) => states.waiting, descending: true },
  delayed: { by: ({ states }) => states.delayed, descending: true },
  blocked: { by: ({ states }) => states.blocked, descending: true },
  active: { by: ({ states }) => states.active, descending: true },
  retrying: { by: ({ states }) => states.retrying, descending: true },
  dead: { by: ({ states }) => states.dead, descending: true },
  workers: { by: ({ workers }) => workers, descending: true },
  added: { by: ({ addedPerSecond }) => addedPerSecond, descending: true },
  completed: { by: ({ finishedPerSecond }) => finishedPerSecond, descending: true },
  // The oldest first: those in which nothing waits come last.
  oldest: { by: ({ waitingSinceMs }) => -(waitingSinceMs ?? Infinity), descending: true },
};

/** @param only queues with this trouble; unknown ones are none */
export function queuePage(
  rows: readonly QueueRow[],
  { only, ...request }: ListRequest & { readonly only?: string | undefined },
): ListPage<QueueRow> {
  const troubled = QUEUE_TROUBLES.some((trouble) => trouble === only)
    ? rows.filter((row) =>
        troublesOf({ ...row, isStill: row.finishedPerSecond + row.failuresPerSecond === 0 }).includes(only as QueueTrouble),
      )
    : rows;
  return { ...pageOf(troubled, { orders: ORDERS, nameOf: ({ name }) => name }, request), total: rows.length };
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

/** Per second; a counter that went back (the part was restarted) counts from zero. */
export function rate(now: number, before: number | undefined, seconds: number): number {
  if (before === undefined || seconds === 0) return 0;
  return (now >= before ? now - before : now) / seconds;
}
