/**
 * ○ The operation `events`: what happened to tasks since a cursor, told when there is something to tell. A cursor is `BROKER:EPOCH.NUMBER`, with
 * `.LIVE` behind it after events that are live only; of several brokers, one after the other with commas between.
 */
import { Buffer } from "node:buffer";
import { UsageError } from "../../core/errors.ts";
import { described, flag, listOf, ms, object, oneOf, optional, text, whole, type SchemaValue } from "../../core/schema.ts";
import { QUEUE_EVENTS, type QueueEventName, STORED_EVENTS } from "../service/event-entry.ts";
import type { EventPage, EventPosition, RingEvent } from "../service/event-ring.ts";
import { DEAD_REASONS } from "../tasks/life-cycle.ts";
import { sees } from "./admission.ts";
import { name, taskId } from "./answers.ts";
import { type Answer, operation, type OperationContext } from "./operation.ts";

/** 1000 events: 100 KB of JSON. */
export const EVENTS_PAGE_MAX = 1000;
/** 10 min: whoever waits longer asks again. */
export const EVENTS_WAIT_MS_MAX = 600_000;
/** What a cursor of a hundred brokers takes. */
const CURSOR_CHARACTERS_MAX = 8192;

const cursor = described(
  text({ max: CURSOR_CHARACTERS_MAX }),
  "A place between two events: what is asked for `after` it comes behind it",
);

const queueEvent = object(
  {
    event: oneOf(QUEUE_EVENTS),
    id: taskId,
    queue: optional(described(text(), "Where not one queue alone was asked for")),
    atMs: described(ms, "When it was written; of a live event, when it happened"),
    n: described(whole(), "Its number. `EPOCH.N` is its cursor, with the answer's epoch; of a live event `EPOCH.N.LIVE`"),
    live: optional(whole(1)),
    attempt: optional(described(whole(1), "active, progress, failed: which attempt")),
    reason: optional(described(oneOf(DEAD_REASONS), "dead: why")),
    error: optional(described(text(), "failed, dead: the beginning of the error")),
    worker: optional(described(text(), "active: who has it")),
    progress: optional(described(text(), "progress: what the worker said, 1 KiB of it at most")),
  },
  { open: true },
);
/** What happened to a task of a queue, as it is told: a listener hears many of them, so they are short. */
export type ToldEvent = SchemaValue<typeof queueEvent>;

const page = object(
  {
    events: listOf(queueEvent),
    epoch: described(text(), "What the cursors of these events begin with"),
    cursor,
    gap: optional(
      described(flag, "Events before these are lost: they have left the ring, or the cursor is of another life of the store"),
    ),
  },
  { open: true },
);

export const events = operation({
  does: "Tells what happened to tasks since a cursor; waits for it when there is nothing to tell",
  right: "queue:read",
  destroys: false,
  http: ["GET", "/queues/{queue}/events", "/events"],
  input: object({
    queue: optional(described(name, "Only of this queue")),
    events: optional(
      described(
        listOf(oneOf(QUEUE_EVENTS), { max: 100 }),
        "Which; default all but `active` and `progress`, which are live only",
      ),
    ),
    after: optional(described(cursor, "A cursor, or `oldest`; without it only the cursor of now is told")),
    limit: optional(described(whole(1, EVENTS_PAGE_MAX), `At most so many; default ${EVENTS_PAGE_MAX}`)),
    waitMs: optional(described(whole(0, EVENTS_WAIT_MS_MAX), "How long to wait for one; default 0")),
  }),
  output: page,
  async handle(
    { service, ids, owner, rights },
    { queue, events: asked = STORED_EVENTS, after, limit = EVENTS_PAGE_MAX, waitMs = 0 },
  ) {
    const wanted: ReadonlySet<QueueEventName> = new Set(asked);
    const place = readCursor(after, ids);
    const seen = queue === undefined ? sees({ rights }) : undefined;
    const told = await service.ring.read({ queue, sees: seen, events: wanted, after: place, limit, waitMs, owner });
    return answerOf(told, ids, queue !== undefined);
  },
});

type Ids = OperationContext["ids"];

/** Listeners that asked for the same are told the same: it is made once. */
const answers = new WeakMap<EventPage, Answer<SchemaValue<typeof page>>>();

function answerOf(told: EventPage, ids: Ids, isOfOne: boolean): Answer<SchemaValue<typeof page>> {
  let answer = answers.get(told);
  if (!answer) {
    const { events: each, position, isGap } = told;
    const value = {
      events: each.map((event) => viewOf(event, ids, isOfOne)),
      epoch: epochOf(each[0] ?? position, ids),
      gap: isGap || undefined,
      cursor: showCursor(position, ids),
    };
    answers.set(told, (answer = { value, json: Buffer.from(JSON.stringify(value)) }));
  }
  return answer;
}

function viewOf({ event, id, queue, atMs, number, live, ...more }: RingEvent, ids: Ids, isOfOne: boolean): ToldEvent {
  return {
    event,
    id: ids.text(id),
    queue: isOfOne ? undefined : queue,
    n: number,
    live: live || undefined,
    atMs: Math.round(atMs),
    attempt: more.attempt || undefined,
    reason: more.reason,
    error: more.error || undefined,
    worker: more.worker,
    progress: more.said && Buffer.from(more.said).toString(),
  };
}

function epochOf({ epoch }: EventPosition, { broker }: Ids): string {
  return `${broker}:${epoch.toString(36)}`;
}

function showCursor(position: EventPosition, ids: Ids): string {
  return cursorOf(epochOf(position, ids), position.number, position.live);
}

/** The cursor of an event. */
export function cursorOf(epoch: string, number: number, live = 0): string {
  return `${epoch}.${number}${live > 0 ? `.${live}` : ""}`;
}

const CURSOR = /^([^\s:,]+):([\da-z]{1,11})\.(\d{1,15})(?:\.(\d{1,15}))?$/;
/** No store has written it: whoever comes with it has missed what was before. */
const NOWHERE: EventPosition = { epoch: 0, number: Number.MAX_SAFE_INTEGER, live: 0 };

/** The place at this broker. @throws UsageError QUEUE_OPTIONS_INVALID */
function readCursor(after: string | undefined, { broker }: Ids): EventPosition | "oldest" | undefined {
  if (after === undefined || after === "oldest") return after;
  const own = cursorsIn(after).get(broker);
  if (own === undefined) return NOWHERE;
  const [, , epoch, number, live = 0] = CURSOR.exec(own)!;
  return { epoch: Number.parseInt(epoch!, 36), number: Number(number), live: Number(live) };
}

/** What a cursor says of each broker. @throws UsageError QUEUE_OPTIONS_INVALID */
export function cursorsIn(after: string): Map<string, string> {
  const cursors = new Map<string, string>();
  for (const each of after.split(",")) {
    const [, broker] = CURSOR.exec(each) ?? [];
    if (broker === undefined)
      throw new UsageError("QUEUE_OPTIONS_INVALID", `Cannot listen after '${each.slice(0, 80)}': it is no cursor of events`);
    cursors.set(broker, each);
  }
  return cursors;
}
