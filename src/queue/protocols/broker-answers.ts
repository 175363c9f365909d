/**
 * ○ What a broker answers to LIST, SHOW, STATS, ERRORS, PURGE, UNDO, RETRY and CRON, read and checked. States come in the words of the wire and are told
 * by their names. Fields that this version does not know are passed on as they are; the known ones are what their types say.
 */
import type { Buffer } from "node:buffer";
import { ProtocolError } from "../../core/errors.ts";
import type { CronSettings } from "../service/cron.ts";
import type { QueueStats } from "../service/task-service.ts";
import type { ErrorGroup } from "../service/task-search.ts";
import { DEAD_REASONS, type DeadReason, type TaskState } from "../tasks/life-cycle.ts";
import { areSettings } from "../tasks/queue-settings.ts";
import { countsOfWire, STORED_STATES, statesOfWire, type WireState, wireState } from "../tasks/state-words.ts";
import { type Frames, isObject, isTaskId, readJson } from "./messages.ts";

/** What is known of a task. */
export interface TaskInfo {
  readonly id: string;
  readonly queue: string;
  readonly state: TaskState;
  /** Of a dead task; brokers of version 0.1 do not say it. */
  readonly reason?: DeadReason;
  readonly priority: number;
  readonly group?: string;
  readonly failures: number;
  readonly createdMs: number;
  /** Its result, or its body, had to make room: only its key and its state are remembered. */
  readonly evicted?: boolean;
  readonly bodyBytes: number;
  /** The fingerprint of its newest error. */
  readonly error?: string;
}

/** When tasks are added by the calendar, under a name. */
export type Schedule = CronSettings & { readonly name: string };

/** Dead tasks of one queue with the same kind of error. */
export interface DeadErrorGroup extends Omit<ErrorGroup, "example"> {
  /** The id of one of them. */
  readonly example: string;
}

export interface DeadErrors {
  /** The largest first. */
  readonly groups: readonly DeadErrorGroup[];
  /** Dead tasks whose errors are still being read, as after a restart. */
  readonly unread: number;
}

/** A page of tasks; not the last while there is `next`. */
export interface TaskPage {
  readonly tasks: TaskInfo[];
  readonly next?: number;
}

type Check = (value: unknown) => boolean;
type Fields = Record<string, unknown>;

const isText: Check = (value) => typeof value === "string";
const isCount: Check = (value) => Number.isSafeInteger(value) && (value as number) >= 0;
/** 8.64e15 ms from 1970: what a Date can show. */
const DATE_MS_MAX = 8.64e15;
const isTime: Check = (value) => typeof value === "number" && Math.abs(value) <= DATE_MS_MAX;
const isList =
  (isOne: Check): Check =>
  (value) =>
    Array.isArray(value) && value.every(isOne);
const isOrNull =
  (isOne: Check): Check =>
  (value) =>
    value === null || isOne(value);
const isOptional =
  (isOne: Check): Check =>
  (value) =>
    value === undefined || isOne(value);

const TASK: Readonly<Record<string, Check>> = {
  id: (value) => typeof value === "string" && isTaskId(value),
  queue: isText,
  blocked: isOptional((value) => typeof value === "boolean"),
  reason: isOptional(isText),
  priority: isCount,
  group: isOptional(isText),
  failures: isCount,
  createdMs: isTime,
  atMs: isOptional(isTime),
  expiresMs: isOptional(isTime),
  evicted: isOptional((value) => typeof value === "boolean"),
  bodyBytes: isCount,
  // of SHOW
  after: isOptional(isList(isText)),
  errors: isOptional(isList(isText)),
  errorsMs: isOptional(isList(isOrNull(isTime))),
  errorsAttempt: isOptional(isList(isOrNull(isCount))),
  waits: isOptional(isText),
  error: isOptional(isText),
  worker: isOptional(isText),
  progress: isOptional(isText),
};

const ERROR_GROUP: Readonly<Record<string, Check>> = {
  error: isText,
  text: isText,
  count: isCount,
  firstMs: isTime,
  lastMs: isTime,
  example: (value) => typeof value === "string" && isTaskId(value),
};

const STATES: Readonly<Record<string, Check>> = Object.fromEntries(STORED_STATES.map((state) => [wireState(state), isCount]));

const QUEUE: Readonly<Record<string, Check>> = {
  name: isText,
  states: (value) => isObject(value) && wrongField(value, STATES) === undefined,
  blocked: isOptional(isCount),
  bytes: isCount,
  consumers: isCount,
  slots: isOptional(isCount),
  waitingSinceMs: isOptional(isTime),
  added: isOptional(isCount),
  finished: isOptional(isCount),
  failures: isOptional(isCount),
  settings: areSettings,
};

const CRON: Readonly<Record<string, Check>> = {
  name: isText,
  expression: isText,
  timeZone: isOptional(isText),
  queue: isText,
  missed: isOptional(isText),
};

/**
 * LIST.
 *
 * @param after where the page was to begin: the next one begins further on, so that a list has an end
 * @throws ProtocolError QUEUE_PROTOCOL
 */
export function readTaskPage([json]: Frames, after = 0): TaskPage {
  const isNext: Check = (next) => isCount(next) && (next as number) > after;
  const page = fieldsOf(json, "LIST", { tasks: Array.isArray, next: isOptional(isNext) });
  return { ...page, tasks: (page["tasks"] as unknown[]).map((task) => readTask(task, "LIST")) };
}

/** SHOW. @throws ProtocolError QUEUE_PROTOCOL */
export function readShown([json, body]: Frames): { task: TaskInfo; body: Buffer | undefined } {
  return { task: readTask(readJson(json), "SHOW"), body };
}

/** STATS: its queues. @throws ProtocolError QUEUE_PROTOCOL */
export function readQueueStats([json]: Frames): QueueStats[] {
  const { queues } = fieldsOf(json, "STATS", { queues: Array.isArray });
  return (queues as unknown[]).map((value) => {
    const { blocked, states, ...queue } = checked(value, "STATS", QUEUE);
    const counts = countsOfWire(states as Record<WireState, number>, blocked as number | undefined);
    return { ...queue, states: counts } as unknown as QueueStats;
  });
}

/** ERRORS. @throws ProtocolError QUEUE_PROTOCOL */
export function readErrors([json]: Frames): DeadErrors {
  const { groups, unread } = fieldsOf(json, "ERRORS", { groups: Array.isArray, unread: isCount });
  const read = (groups as unknown[]).map((group) => checked(group, "ERRORS", ERROR_GROUP) as unknown as DeadErrorGroup);
  return { groups: read, unread: unread as number };
}

/** PURGE; `undo` is the key with which they come back. @throws ProtocolError QUEUE_PROTOCOL */
export function readPurged([json]: Frames): { removed: number; undo?: string } {
  return fieldsOf(json, "PURGE", { removed: isCount, undo: isOptional(isText) }) as unknown as { removed: number };
}

/** UNDO: how many came back. @throws ProtocolError QUEUE_PROTOCOL */
export function readRestored([json]: Frames): number {
  return fieldsOf(json, "UNDO", { restored: isCount })["restored"] as number;
}

/** RETRY of many: how many wait again. @throws ProtocolError QUEUE_PROTOCOL */
export function readRetried([json]: Frames): number {
  return fieldsOf(json, "RETRY", { retried: isCount })["retried"] as number;
}

/** CRON: the schedules. @throws ProtocolError QUEUE_PROTOCOL */
export function readSchedules([json]: Frames): readonly Schedule[] {
  const list = readJson(json);
  if (!Array.isArray(list)) throw invalid("CRON", "is no list");
  return list.map((value) => checked(value, "CRON", CRON) as unknown as Schedule);
}

function readTask(value: unknown, verb: string): TaskInfo {
  const { blocked, ...task } = checked(value, verb, TASK);
  // A broker of version 0.1 does not tell blocked from delayed.
  const [state] = statesOfWire(task["state"], blocked ?? false);
  if (!state) throw invalid(verb, "has an invalid 'state'");
  // One that only later versions know is not told.
  if (!DEAD_REASONS.some((reason) => reason === task["reason"])) delete task["reason"];
  return { ...task, state } as unknown as TaskInfo;
}

function fieldsOf(frame: Buffer | undefined, verb: string, checks: Readonly<Record<string, Check>>): Fields {
  return checked(readJson(frame), verb, checks);
}

function checked(value: unknown, verb: string, checks: Readonly<Record<string, Check>>): Fields {
  if (!isObject(value)) throw invalid(verb, "is no object");
  const wrong = wrongField(value, checks);
  if (wrong !== undefined) throw invalid(verb, `has an invalid '${wrong}'`);
  return value;
}

function wrongField(value: Fields, checks: Readonly<Record<string, Check>>): string | undefined {
  return Object.keys(checks).find((name) => !checks[name]!(value[name]));
}

function invalid(verb: string, what: string): ProtocolError {
  return new ProtocolError("QUEUE_PROTOCOL", `Cannot read the broker's answer to ${verb}: it ${what}`);
}
