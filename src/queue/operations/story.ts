/**
 * ○ The story of a task: all that is known of what happened to it, in its order, from the store (when it was added, each error, how it ended),
 * from what the broker remembers of late (task-events.ts), and from now. What is not known any more is said.
 */
import { described, listOf, ms, object, oneOf, optional, text, whole } from "../../core/schema.ts";
import { showSize } from "../../core/units.ts";
import type { AttemptError } from "../service/attempt-error.ts";
import { TASK_EVENTS, type RememberedEvent, type TaskEventKind } from "../service/task-events.ts";
import type { TaskView } from "../service/task-view.ts";
import { isEnded } from "../tasks/life-cycle.ts";
import { shownKey } from "../tasks/task-policy.ts";
import type { TaskHead } from "../tasks/task-record.ts";
import { state, taskId } from "./answers.ts";
import { knownTask } from "./known-task.ts";
import { operation } from "./operation.ts";

/** 64 KiB of a body are read for its traceparent: in what is larger it is not looked for. */
const TRACED_BYTES_MAX = 64 * 1024;
/** W3C Trace Context: version, trace id, parent id, flags. */
const TRACEPARENT = /^[\da-f]{2}-([\da-f]{32})-[\da-f]{16}-[\da-f]{2}$/;

const STEPS = ["added", "error", "due", "completed", "dead", "cancelled", "now"] as const;

const step = object(
  {
    atMs: optional(described(ms, "Undefined where it is not known")),
    what: oneOf([...new Set([...STEPS, ...TASK_EVENTS])]),
    text: described(text(), "The step in words"),
    worker: optional(text()),
    attempt: optional(described(whole(1), "Which attempt failed")),
    error: optional(described(text(), "What went wrong, with its stack")),
  },
  { open: true },
);

/** One step of a story. */
type Step = {
  readonly atMs?: number | undefined;
  readonly what: (typeof STEPS)[number] | TaskEventKind;
  readonly text: string;
  readonly worker?: string | undefined;
  readonly attempt?: number | undefined;
  readonly error?: string | undefined;
};

export const story = operation({
  does: "Tells the story of a task: what happened to it from its adding to its result, step by step, and what is not known any more",
  right: "queue:read",
  destroys: false,
  http: ["GET", "/tasks/{id}/story"],
  input: object({ id: taskId }),
  output: object(
    {
      id: taskId,
      queue: text(),
      state,
      traceId: optional(
        described(
          text(),
          "Of the trace that it belongs to: its producer said so with it, or its body is a JSON object with a W3C `traceparent`",
        ),
      ),
      steps: listOf(step),
      unknown: described(listOf(text()), "What is not known any more, and why"),
    },
    { open: true },
  ),
  async handle({ service, ids }, { id }) {
    const { number, row, kept, body } = await knownTask(
      { service, ids },
      id,
      ({ bodyBytes }) => bodyBytes > 0 && bodyBytes <= TRACED_BYTES_MAX,
    );
    const view = service.view(row);
    const { worker, progress } = service.working(row);
    const events = service.events.of(number);
    const steps = [
      addedStep(view, kept.head, (other) => ids.text(other)),
      ...events.filter(({ kind }) => !TOLD_BY_ERROR.has(kind)).map(eventStep),
      ...beganStep(view, events),
      ...kept.errors.map((error) => errorStep(error, events)),
      ...nowSteps(view, { worker, progress: progress && new TextDecoder().decode(progress), waits: service.whyWaiting(row) }),
    ];
    // What is of no known time was written before times were, what is of now is the end. Sorting keeps the order of one time; and a task
    // dies by its last error, of which the store rounds the time.
    const lastErrorMs = Math.max(-Infinity, ...kept.errors.map(({ atMs }) => atMs ?? -Infinity));
    const timeOf = ({ atMs, what }: Step): number => {
      if (what === "dead") return Math.max(atMs ?? -Infinity, lastErrorMs);
      return atMs ?? (what === "now" ? Infinity : -Infinity);
    };
    const [first, ...rest] = steps;
    const value = {
      id,
      queue: view.queue,
      state: view.state,
      traceId: traceIdOf(kept.head?.traceparent) ?? traceIdIn(body),
      steps: [first!, ...rest.sort((a, b) => (timeOf(a) === timeOf(b) ? 0 : timeOf(a) - timeOf(b)))],
      unknown: unknownOf(view, events, service.events.sinceMs, service.openedMs),
    };
    return { value };
  },
});

/** What the errors that the store keeps say too, in more words. */
const TOLD_BY_ERROR: ReadonlySet<TaskEventKind> = new Set<TaskEventKind>(["failed", "timedOut"]);

const EVENT_TEXT: Readonly<Record<TaskEventKind, string>> = {
  stored: "on disk: whoever added it was told so",
  given: "given to a worker",
  begun: "the worker began",
  completed: "the worker's result came",
  failed: "the attempt failed",
  timedOut: "the attempt ran out of time",
  returned: "the worker gave it back",
  lost: "the worker was lost while it had it",
  kept: "the worker does not answer, but its process lives and keeps it",
  resumed: "the worker was back and went on",
  outcomeStored: "the end is on disk, and those who wait for it are told",
  retried: "an operator had it tried again",
  promoted: "an operator made it wait for a worker at once",
  changed: "an operator changed it",
};

function eventStep({ kind, atMs, worker }: RememberedEvent): Step {
  return { atMs, what: kind, text: EVENT_TEXT[kind], worker };
}

function addedStep(view: TaskView, head: TaskHead | undefined, idOf: (number: number) => string): Step {
  const key = shownKey(head?.key);
  const facts = [
    `added to ${view.queue}`,
    view.bodyBytes > 0 && `with ${showSize(view.bodyBytes)}`,
    view.priority > 0 && `priority ${view.priority}`,
    view.group !== undefined && `group ${view.group}`,
    key !== "" && `key ${key}`,
    head && head.after.length > 0 && `to wait for ${head.after.map(idOf).join(", ")}`,
  ];
  return { atMs: view.createdMs, what: "added", text: facts.filter((fact) => typeof fact === "string").join(", ") };
}

/** 1 s: an error and the event that led to it are noted in one turn of the event loop, which on a busy machine takes a while. */
const TURN_MS_MAX = 1000;

function errorStep({ error, atMs, attempt }: AttemptError, events: readonly RememberedEvent[]): Step {
  const [line = ""] = error.split("\n");
  const distanceMs = (event: RememberedEvent): number => (atMs === undefined ? Infinity : Math.abs(event.atMs - atMs));
  const cause = events
    .filter((event) => TOLD_BY_ERROR.has(event.kind) && distanceMs(event) < TURN_MS_MAX)
    .sort((a, b) => distanceMs(a) - distanceMs(b))[0];
  const words = attempt === undefined ? line : `attempt ${attempt} failed: ${line}`;
  return { atMs, what: "error", text: words, attempt, error, worker: cause?.worker };
}

interface Now {
  readonly worker: string | undefined;
  readonly progress: string | undefined;
  readonly waits: string | undefined;
}

/** The newest attempt, where only its row knows of that. */
function beganStep({ startedMs, worker }: TaskView, events: readonly RememberedEvent[]): readonly Step[] {
  if (startedMs === undefined || events.some(({ kind }) => kind === "given")) return [];
  return [{ atMs: startedMs, what: "begun", text: EVENT_TEXT.begun, worker }];
}

/** How it ended, or what it does now. */
function nowSteps(view: TaskView, { worker, progress, waits }: Now): readonly Step[] {
  const { state: now, atMs, reason } = view;
  if (now === "completed")
    return [
      { atMs, what: "completed", text: `completed, with a result of ${showSize(view.resultBytes)}`, worker: view.worker },
    ];
  if (now === "dead") return [{ atMs, what: "dead", text: `dead: ${DEAD_TEXT[reason ?? "attempts"]}`, worker: view.worker }];
  if (isEnded(now)) return [{ atMs, what: "cancelled", text: "cancelled" }];
  if (now === "active") {
    const words = ["a worker works on it", progress !== undefined && `progress: ${progress.slice(0, 200)}`];
    return [{ what: "now", text: words.filter((word) => word !== false).join(", "), worker }];
  }
  const due = atMs !== undefined && now !== "waiting" ? [{ atMs, what: "due" as const, text: "it is due" }] : [];
  return [...due, { what: "now", text: `${now}${waits === undefined ? "" : `: ${waits}`}` }];
}

const DEAD_TEXT: Readonly<Record<NonNullable<TaskView["reason"]>, string>> = {
  attempts: "no attempt is left",
  expired: "no worker took it in its time",
  lost: "too many workers were lost while they had it",
  parent: "a task that it waited for did not complete",
  final: "its handler gave up: no attempt would have helped",
  damaged: "what the store kept of it is damaged",
};

/** What the broker does not remember, in words. */
function unknownOf(
  view: TaskView,
  events: readonly RememberedEvent[],
  sinceMs: number | undefined,
  openedMs: number,
): readonly string[] {
  const steps =
    view.startedMs === undefined
      ? "which workers had it, and when attempts began"
      : "which workers had it before its newest attempt, and when those began";
  const unknown: string[] = [];
  const time = (atMs: number): string => new Date(atMs).toISOString();
  if (view.createdMs < openedMs) unknown.push(`Before this broker began at ${time(openedMs)}: ${steps}`);
  else if (sinceMs !== undefined && view.createdMs < sinceMs && events[0]?.kind !== "stored")
    unknown.push(`Before ${time(sinceMs)}: ${steps}; the broker remembers the newest steps of all tasks`);
  if (isEnded(view.state) && view.state !== "dead") unknown.push("Its body: a task that has ended keeps its result alone");
  if (view.evicted) unknown.push("Its result, or its body: it had to make room for newer ones");
  return unknown;
}

function traceIdIn(body: Uint8Array | undefined): string | undefined {
  if (!body || body[0] !== 0x7b) return undefined;
  try {
    return traceIdOf((JSON.parse(new TextDecoder().decode(body)) as { traceparent?: unknown }).traceparent);
  } catch {
    return undefined; // no JSON
  }
}

/** The trace that a `traceparent` names; undefined: it is none. */
export function traceIdOf(traceparent: unknown): string | undefined {
  return typeof traceparent === "string" ? TRACEPARENT.exec(traceparent)?.[1] : undefined;
}
