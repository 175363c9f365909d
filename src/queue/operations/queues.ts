/** ○ Operations on queues, their workers and their schedules. */
import { Buffer } from "node:buffer";
import { OperationError } from "../../core/errors.ts";
import { described, listOf, ms, object, optional, text, whole } from "../../core/schema.ts";
import type { QueueSettings } from "../tasks/queue-settings.ts";
import { sees } from "./admission.ts";
import { name, newSchedule, queueStats, schedule, SETTINGS, worker } from "./answers.ts";
import { operation, type OperationContext } from "./operation.ts";

const nothing = object({}, { open: true });
const ofQueue = object({ queue: name });

export const queues = operation({
  does: "Lists the queues with their counts of tasks by state",
  right: "queue:read",
  destroys: false,
  http: ["GET", "/queues"],
  input: object({ queue: optional(described(name, "Only this one")) }),
  output: object({ broker: described(text(), "The first part of its tasks' ids"), queues: listOf(queueStats) }, { open: true }),
  async handle({ service, ids, rights }, { queue }) {
    const seen = sees({ rights });
    if (queue === undefined) {
      const { queues: all, ...totals } = service.stats();
      // The totals are of everybody.
      if (seen) return { value: { broker: ids.broker, queues: all.filter((each) => seen(each.name)) } };
      return { value: { broker: ids.broker, ...totals, queues: all } };
    }
    const found = service.stateMachine.findQueue(queue);
    return { value: { broker: ids.broker, queues: found ? [service.queueStats(found)] : [] } };
  },
});

export const workers = operation({
  does: "Lists the workers that are connected, the newest first, and those that left lately; a hundred at most",
  right: "queue:read",
  destroys: false,
  http: ["GET", "/workers"],
  input: object({ queue: optional(name) }),
  output: object({ workers: listOf(worker), left: listOf(worker) }, { open: true }),
  async handle({ service, rights }, { queue }) {
    const seen = sees({ rights });
    const isMeant = (each: { readonly queue: string }): boolean =>
      queue === undefined ? (seen?.(each.queue) ?? true) : each.queue === queue;
    const { workers: here, workersLeft } = service.stats();
    return { value: { workers: here.filter(isMeant), left: workersLeft.filter(isMeant) } };
  },
});

export const set = operation({
  does: "Sets a queue's bounds, which are kept over restarts; null sets one back to its default",
  right: "queue:manage",
  destroys: false,
  http: ["PATCH", "/queues/{queue}"],
  input: object({ queue: name, ...SETTINGS }),
  output: nothing,
  handle: (scope, { queue, ...settings }) => configure(scope, queue, settings as QueueSettings),
});

export const pause = operation({
  does: "Gives out no task of a queue until it is resumed",
  right: "queue:manage",
  destroys: false,
  http: ["POST", "/queues/{queue}/pause"],
  input: ofQueue,
  output: nothing,
  handle: (scope, { queue }) => configure(scope, queue, { paused: true }),
});

export const resume = operation({
  does: "Gives out the tasks of a paused queue again",
  right: "queue:manage",
  destroys: false,
  http: ["POST", "/queues/{queue}/resume"],
  input: ofQueue,
  output: nothing,
  handle: (scope, { queue }) => configure(scope, queue, { paused: false }),
});

async function configure({ service }: OperationContext, queue: string, settings: QueueSettings): Promise<{ value: object }> {
  await new Promise<void>((resolve) => service.configure(queue, settings, resolve));
  return { value: {} };
}

/** 100 next runs: what fits on a screen. */
const RUNS_MAX = 100;

export const schedules = operation({
  does: "Lists the schedules by which tasks are added",
  right: "queue:read",
  destroys: false,
  http: ["GET", "/schedules"],
  input: object({
    name: optional(described(name, "Only this one")),
    queue: optional(described(name, "Only those of this queue")),
    runs: optional(described(whole(1, RUNS_MAX), "With the times of so many next runs")),
  }),
  output: object({ schedules: listOf(schedule) }, { open: true }),
  async handle({ cron, rights }, { name: only, queue, runs }) {
    const seen = sees({ rights });
    const found = cron
      .list(runs)
      .filter((each) => seen?.(each.queue) ?? true)
      .filter((each) => (only === undefined || each.name === only) && (queue === undefined || each.queue === queue));
    return { value: { schedules: found } };
  },
});

export const upsertSchedule = operation({
  does: "Makes a schedule, or replaces the one of this name",
  right: "queue:manage",
  destroys: false,
  http: ["PUT", "/schedules/{name}"],
  input: newSchedule,
  output: object({ nextMs: optional(ms) }, { open: true }),
  body: "asked",
  async handle({ cron, rights }, { name: called, ...settings }, body) {
    // The one of this name may add to another queue.
    const before = cron.list().find((each) => each.name === called);
    if (before) rights?.must("queue:manage", before.queue);
    await new Promise<void>((resolve) => cron.put(called, { settings, body: Buffer.from(body ?? []) }, resolve));
    return { value: { nextMs: cron.list().find((each) => each.name === called)?.nextMs } };
  },
});

export const removeSchedule = operation({
  does: "Removes a schedule; tasks that it has added stay",
  right: "queue:remove",
  destroys: true,
  http: ["DELETE", "/schedules/{name}"],
  input: object({ name }),
  output: nothing,
  async handle({ cron, rights }, { name: called }) {
    const found = cron.list().find((each) => each.name === called);
    const mayKnow = !rights || (found && (rights.may("queue:see", found.queue) || rights.may("queue:manage", found.queue)));
    if (!found || !mayKnow) throw new OperationError("QUEUE_TASK_UNKNOWN", `No schedule is called '${called}'`);
    rights?.must("queue:manage", found.queue);
    await new Promise<void>((resolve) => cron.remove(called, resolve));
    return { value: {} };
  },
});
