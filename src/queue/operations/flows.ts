/** ○ Operations on flows: tasks of any queues that wait for each other, as one thing to add, look at, cancel and retry. */
import { Buffer } from "node:buffer";
import { ProtocolError, UsageError } from "../../core/errors.ts";
import { described, listOf, object, optional, text, whole } from "../../core/schema.ts";
import { isObject, readJson } from "../protocols/messages.ts";
import type { FlowTask } from "../service/flows.ts";
import { NONE } from "../tasks/task-columns.ts";
import { type FlowRef, readSpec, type TaskOptions } from "../tasks/task-policy.ts";
import { mustOfTasks } from "./admission.ts";
import { name, state, taskId } from "./answers.ts";
import { operation, type OperationContext } from "./operation.ts";

/** 1000 tasks of a flow are told one by one; the counts are of all. */
const SHOWN_TASKS_MAX = 1000;

export const addFlow = operation({
  does: "Adds tasks of any queues that wait for each other: all of them, or none",
  right: "queue:add",
  destroys: false,
  http: ["POST", "/flows"],
  input: object({
    key: optional(described(name, "The same flow again under a key that is known is answered with the same tasks")),
  }),
  output: object({ ids: described(listOf(text()), "The tasks' ids, in the order given") }, { open: true }),
  body: "asked",
  async handle(scope, { key = "" }, body) {
    const ids = await scope.service.flows.add(readFlow(scope, body), key);
    return { value: { ids: ids.map((id) => scope.ids.text(id)) } };
  },
});

export const flow = operation({
  does: "Tells of the flow that a task is of: how many of its tasks are in each state, and the first 1000 of them",
  right: "queue:read",
  destroys: false,
  http: ["GET", "/tasks/{id}/flow"],
  input: object({ id: taskId }),
  output: object(
    {
      count: whole(),
      states: described(object({}, { open: true }), "How many tasks are in each state; `gone`: no longer kept"),
      tasks: listOf(object({ id: taskId, queue: text(), state, after: listOf(taskId) }, { open: true })),
    },
    { open: true },
  ),
  async handle(scope, { id }) {
    const { service, ids } = scope;
    const { first, count } = await service.flows.of(ids.number(id) ?? NONE);
    mustOfTasks(scope, numbersOf({ first, count }), "queue:see");
    const { stateMachine } = service;
    const states: Record<string, number> = {};
    const numbers = numbersOf({ first, count });
    for (const number of numbers) {
      const row = stateMachine.find(number);
      const now = row === NONE ? "gone" : stateMachine.state(row);
      states[now] = (states[now] ?? 0) + 1;
    }
    const told = await Promise.all(
      numbers.slice(0, SHOWN_TASKS_MAX).map(async (number) => {
        const head = (await service.inspect(number))?.head;
        const row = stateMachine.find(number);
        if (row === NONE) return [];
        const { queue, state: now } = service.view(row);
        return [{ id: ids.text(number), queue, state: now, after: (head?.after ?? []).map((other) => ids.text(other)) }];
      }),
    );
    return { value: { count, states, tasks: told.flat() } };
  },
});

export const cancelFlow = operation({
  does: "Cancels all tasks of a flow that have not ended",
  right: "queue:remove",
  destroys: true,
  http: ["POST", "/tasks/{id}/flow/cancel"],
  input: object({ id: taskId }),
  output: object({ cancelled: whole() }, { open: true }),
  // The last first: none dies of one that it waits for.
  handle: async (scope, { id }) => ({ value: { cancelled: await eachOf(scope, id, "cancel") } }),
});

export const retryFlow = operation({
  does: "Makes all dead tasks of a flow wait again: those that died of others wait for these",
  right: "queue:manage",
  destroys: false,
  http: ["POST", "/tasks/{id}/flow/retry"],
  input: object({ id: taskId }),
  output: object({ retried: whole() }, { open: true }),
  handle: async (scope, { id }) => ({ value: { retried: await eachOf(scope, id, "redrive") } }),
});

export const parents = operation({
  does: "Tells what a task waited for, with their results behind each other in the body",
  right: "queue:read",
  isForWorkers: true,
  destroys: false,
  http: ["GET", "/tasks/{id}/parents"],
  input: object({ id: taskId }),
  output: object(
    {
      parents: listOf(
        object(
          {
            id: taskId,
            state: text(),
            bytes: optional(described(whole(), "Of its result; without: it has none, or it is no longer kept")),
          },
          { open: true },
        ),
      ),
    },
    { open: true },
  ),
  body: "answered",
  async handle({ service, ids }, { id }) {
    const all = await service.flows.parents(ids.number(id) ?? NONE);
    return {
      value: {
        parents: all.map(({ id: number, state: now, bytes }) => ({ id: ids.text(number), state: now, bytes: bytes?.length })),
      },
      body: Buffer.concat(all.flatMap(({ bytes }) => bytes ?? [])),
    };
  },
});

function numbersOf({ first, count }: FlowRef): number[] {
  return Array.from({ length: count }, (_, place) => first + place);
}

async function eachOf(scope: OperationContext, id: string, command: "cancel" | "redrive"): Promise<number> {
  const { service, ids } = scope;
  const { first, count } = await service.flows.settled(ids.number(id) ?? NONE);
  mustOfTasks(scope, numbersOf({ first, count }), "queue:manage");
  const { adminCommands } = service;
  let done = 0;
  for (let place = 0; place < count; place += 1) {
    const number = command === "cancel" ? first + count - 1 - place : first + place;
    if (adminCommands[command](number, () => {}) === undefined) done += 1;
  }
  await new Promise<void>((resolve) => {
    service.afterwards(resolve);
    service.flush();
  });
  return done;
}

/** @throws ProtocolError QUEUE_PROTOCOL, UsageError QUEUE_OPTIONS_INVALID */
function readFlow({ service, ids, rights }: OperationContext, body: Uint8Array | undefined): FlowTask[] {
  const given = readJson(Buffer.from(body ?? []));
  if (!Array.isArray(given)) throw new ProtocolError("QUEUE_PROTOCOL", "Cannot add the flow: its body is a JSON list of tasks");
  const { nowMs, wallMs } = service;
  const context = { nowMs, wallMs, numberOf: (id: string) => ids.number(id) };
  return given.map((each: unknown, index): FlowTask => {
    const { queue, options = {}, after = [], body: asText = "", base64 } = isObject(each) ? each : {};
    const isRead =
      typeof queue === "string" &&
      isObject(options) &&
      Array.isArray(after) &&
      after.every((place) => Number.isSafeInteger(place)) &&
      typeof asText === "string" &&
      (base64 === undefined || typeof base64 === "string");
    if (!isRead || options["key"] !== undefined || options["after"] !== undefined)
      throw new UsageError(
        "QUEUE_OPTIONS_INVALID",
        `Cannot add the flow: task ${index} is not { queue, options, after, body }, its options without key and after`,
      );
    rights?.must("queue:add", queue);
    const bytes = base64 === undefined ? Buffer.from(asText) : Buffer.from(base64, "base64");
    return { queue, spec: readSpec(options as TaskOptions, context), after: after as number[], body: bytes };
  });
}
