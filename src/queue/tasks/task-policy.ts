/**
 * ○ What a task's submission may ask for, and the part of it that most tasks of a queue have in common (their policy), kept
 * once and named by a number in each row.
 */
import { backoffDelayMs } from "../../core/backoff.ts";
import { utf8 } from "../../core/bytes.ts";
import { UsageError } from "../../core/errors.ts";
import type { Random } from "../../core/random.ts";
import {
  AFTER_MAX,
  ATTEMPTS_DEFAULT,
  ATTEMPTS_MAX,
  BACKOFF_MS_DEFAULT,
  BACKOFF_MS_MAX_DEFAULT,
  KEEP_MS_DEFAULT,
  NAME_BYTES_MAX,
  PAUSES_MAX,
  PRIORITY_MAX,
  TIME_MS_MAX,
} from "../limits.ts";

/** Options of a submission as they travel: whole milliseconds, ids as text. Everything may be left out. */
export interface TaskOptions {
  /** 0 (default) to 255; higher goes first. */
  readonly priority?: number;
  /** Not before this many ms from now. */
  readonly delayMs?: number;
  /** Not before the broker's wall clock says this time, in ms since 1970-01-01 UTC. */
  readonly runAtMs?: number;
  /** Attempts before the task is dead; default 5. */
  readonly attempts?: number;
  /** Pause before the second attempt, doubled each time, half of it by chance; default 1000. A list: the pauses as they are, the last one again and again. */
  readonly backoffMs?: number | readonly number[];
  /** The longest pause; default 300,000. */
  readonly backoffMaxMs?: number;
  /** One attempt may run this long; default: no bound. */
  readonly timeoutMs?: number;
  /** Dead if no worker took it within this time; default: it waits for ever. */
  readonly expireMs?: number;
  /** How long the outcome can be read after the end; default 600,000. */
  readonly keepMs?: number;
  /**
   * Idempotency key: while a task with the same key is known to the queue, that task is the answer. Several bodies are one submission
   * under it: the same bodies again are answered with the same tasks, others are refused.
   */
  readonly key?: string;
  /** Refuse another body under a key that is known, where the one before was submitted so too, instead of answering with that task. */
  readonly sameBody?: boolean;
  /** The key is its task's until that has begun ("waiting") or has ended ("active"). Default: as long as it is known. */
  readonly uniqueWhile?: "waiting" | "active";
  /** The key is its task's for so many ms from when it was added, whatever becomes of it: the first wins. */
  readonly throttleMs?: number;
  /** Due so many ms from now. While it has not begun the last wins: a submission under its key replaces its body, its priority and when it is due. */
  readonly debounceMs?: number;
  /** Tasks of a group share its bounds, and groups take turns. */
  readonly group?: string;
  /** Ids of tasks that must be completed first. */
  readonly after?: readonly string[];
  /** What becomes of it when one of those is dead or cancelled; default "fail". */
  readonly onParentDead?: OnParentDead;
  /** What to do when the queue is full; default "refuse". */
  readonly whenFull?: "refuse" | "wait";
  /** Which trace it belongs to: W3C's `traceparent`. Kept with the task, and told to workers that want to know. */
  readonly traceparent?: string | undefined;
  /** Of several bodies: what each asks for beyond the rest, or instead; one for each, without `whenFull`. All have keys of their own, or none. */
  readonly each?: readonly TaskOptions[] | undefined;
}

/** While it is waiting, or active too; for so many ms; 0: while it is known. */
export type KeyLifetime = "waiting" | "active" | number;

export interface TaskPolicy {
  readonly attempts: number;
  readonly backoffMs: number;
  readonly backoffMaxMs: number;
  /** 0 = no bound. */
  readonly timeoutMs: number;
  readonly keepMs: number;
  readonly unique: KeyLifetime;
  /** Where there are some, these are the pauses, the last one again and again, and `backoffMs` says nothing. */
  readonly pausesMs: readonly number[];
}

export const POLICY_DEFAULT: TaskPolicy = {
  attempts: ATTEMPTS_DEFAULT,
  backoffMs: BACKOFF_MS_DEFAULT,
  backoffMaxMs: BACKOFF_MS_MAX_DEFAULT,
  timeoutMs: 0,
  keepMs: KEEP_MS_DEFAULT,
  unique: 0,
  pausesMs: [],
};

/**
 * What becomes of a task when one that it waits for is dead or cancelled: it is dead too (`fail`), it is as if that one were completed
 * (`continue`), or it waits until that one was retried and is completed (`wait`).
 */
export type OnParentDead = "fail" | "continue" | "wait";

/** What several bodies under one key were: submitted again under the key they must be the same. */
export interface KeyedBodies {
  readonly count: number;
  /** `digestOf` them. */
  readonly digest: Uint8Array;
}

/** A submission, checked. Times in queue time. */
export interface TaskSpec {
  readonly priority: number;
  /** "" = no group. */
  readonly group: string;
  /** "" = no key. Of several bodies the first has it, with what all of them were; the others' numbers follow its number. */
  readonly key: string;
  readonly keyed?: KeyedBodies;
  /** One body under a key must be the same as before, too. */
  readonly sameBody?: boolean;
  /** What it asks for becomes that of the task that has the key. */
  readonly replace?: boolean;
  /** It is another than the first of several bodies under a key. */
  readonly isKeyedMember?: boolean;
  /** Not before; 0 = at once. */
  readonly dueMs: number;
  /** Instead of `dueMs`: not before the wall clock says so. */
  readonly runAtMs?: number;
  /** Infinity = never. */
  readonly expiresMs: number;
  readonly after: readonly number[];
  /** Left out: "fail". */
  readonly onParentDead?: Exclude<OnParentDead, "fail">;
  readonly waitForRoom: boolean;
  readonly traceparent?: string;
  readonly policy: TaskPolicy;
  /** The flow that it is of. */
  readonly flow?: FlowRef;
  /** The task whose handler called it, and waits for its end. */
  readonly caller?: CallerRef;
}

/** A flow: so many tasks, of which this is the first; the others' numbers follow its number, each behind those that it waits for. */
export interface FlowRef {
  readonly first: number;
  readonly count: number;
}

/** A task, and which of its handler's steps it is. */
export interface CallerRef {
  readonly id: number;
  readonly step: number;
}

export const SPEC_DEFAULT: TaskSpec = {
  priority: 0,
  group: "",
  key: "",
  dueMs: 0,
  expiresMs: Infinity,
  after: [],
  waitForRoom: false,
  policy: POLICY_DEFAULT,
};

const KNOWN = new Set(
  "priority delayMs runAtMs attempts backoffMs backoffMaxMs timeoutMs expireMs keepMs key sameBody uniqueWhile throttleMs debounceMs group after onParentDead whenFull traceparent".split(
    " ",
  ),
);

/** What reading options needs to know. */
export interface SpecContext {
  readonly nowMs: number;
  readonly wallMs: number;
  /** The number of a task's public id; undefined when it is none of this broker's. */
  numberOf(id: string): number | undefined;
}

/**
 * Checks a submission's options.
 *
 * @throws UsageError QUEUE_OPTIONS_INVALID naming the option
 */
export function readSpec(options: TaskOptions, context: SpecContext): TaskSpec {
  for (const name of Object.keys(options)) if (!KNOWN.has(name)) throw invalid(name, "is unknown");
  const { nowMs, wallMs } = context;
  const priority = whole(options, "priority", 0, PRIORITY_MAX) ?? 0;
  const delayMs = whole(options, "delayMs", 0, TIME_MS_MAX);
  const runAtMs = whole(options, "runAtMs", 0, TIME_MS_MAX);
  const expireMs = whole(options, "expireMs", 0, TIME_MS_MAX);
  const isForWall = runAtMs !== undefined && runAtMs > wallMs;
  const { whenFull, onParentDead, sameBody } = options;
  if (sameBody !== undefined && typeof sameBody !== "boolean") throw invalid("sameBody", "must be true or false");
  if (onParentDead !== undefined && !["fail", "continue", "wait"].includes(onParentDead))
    throw invalid("onParentDead", "must be 'fail', 'continue' or 'wait'");
  if (whenFull !== undefined && whenFull !== "wait" && whenFull !== "refuse")
    throw invalid("whenFull", "must be 'wait' or 'refuse'");
  const unique = readUnique(options);
  const afterMs = options.debounceMs ?? delayMs;
  return {
    priority,
    group: name(options, "group"),
    key: options.key === undefined ? "" : readKey(options.key),
    ...(sameBody && { sameBody }),
    ...(options.debounceMs !== undefined && { replace: true }),
    dueMs: afterMs && !isForWall ? nowMs + afterMs : 0,
    ...(isForWall && { runAtMs: Math.max(runAtMs, wallMs + (delayMs ?? 0)) }),
    expiresMs: expireMs === undefined ? Infinity : nowMs + expireMs,
    after: readAfter(options, context),
    ...(onParentDead !== undefined && onParentDead !== "fail" && { onParentDead }),
    waitForRoom: whenFull === "wait",
    ...(options.traceparent !== undefined && { traceparent: readTraceparent(options.traceparent) }),
    policy: readPolicy(options, unique),
  };
}

/**
 * Checks what each of several bodies asks for.
 *
 * @param count how many bodies there are
 * @returns undefined when all ask for the same
 * @throws UsageError QUEUE_OPTIONS_INVALID naming the option
 */
export function readSpecs(
  { each, ...common }: TaskOptions,
  count: number,
  context: SpecContext,
): readonly TaskSpec[] | undefined {
  if (each === undefined) return undefined;
  if (!Array.isArray(each) || each.length !== count) throw invalid("each", "is a list of options, one for each body");
  const specs = (each as readonly unknown[]).map((own) => {
    if (typeof own !== "object" || own === null) throw invalid("each", "is a list of objects");
    for (const name of ["whenFull", "each"])
      if (Object.hasOwn(own, name)) throw invalid(name, "is said of all bodies together");
    return readSpec({ ...common, key: undefined, ...own } as TaskOptions, context);
  });
  const keyed = specs.filter(({ key }) => key !== "").length;
  if (keyed === 0) return specs;
  if (keyed < count) throw invalid("key", "is said of each body, or of none");
  if (common.key !== undefined && !isResendKey(common.key)) throw invalid("key", "is said of all bodies, or of each");
  return specs;
}

/** How long the key is to be its task's. @throws UsageError QUEUE_OPTIONS_INVALID */
function readUnique(options: TaskOptions): KeyLifetime {
  const { uniqueWhile, throttleMs, debounceMs } = options;
  if (uniqueWhile === undefined && throttleMs === undefined && debounceMs === undefined) return 0;
  const [option, other] = (["uniqueWhile", "throttleMs", "debounceMs"] as const).filter((each) => options[each] !== undefined);
  if (other !== undefined) throw invalid(other, `does not go with '${option!}'`);
  // That of a batch of ours has its number behind it later.
  if (typeof options.key !== "string" || isResendKey(`${options.key}0`)) throw invalid(option!, "needs a 'key'");
  if (throttleMs !== undefined) return whole(options, "throttleMs", 1, TIME_MS_MAX)!;
  if (debounceMs !== undefined) {
    whole(options, "debounceMs", 0, TIME_MS_MAX);
    const beside = (["delayMs", "runAtMs", "after", "sameBody"] as const).find((each) => options[each] !== undefined);
    if (beside !== undefined) throw invalid("debounceMs", `does not go with '${beside}'`);
  } else if (uniqueWhile !== "waiting" && uniqueWhile !== "active")
    throw invalid("uniqueWhile", "must be 'waiting' or 'active'");
  return uniqueWhile ?? "waiting";
}

function readPolicy(options: TaskOptions, unique: KeyLifetime): TaskPolicy {
  const attempts = whole(options, "attempts", 1, ATTEMPTS_MAX);
  const pausesMs = Array.isArray(options.backoffMs) ? readPauses(options.backoffMs) : POLICY_DEFAULT.pausesMs;
  const backoffMs = pausesMs.length > 0 ? undefined : whole(options, "backoffMs", 0, TIME_MS_MAX);
  const backoffMaxMs = whole(options, "backoffMaxMs", 0, TIME_MS_MAX);
  const timeoutMs = whole(options, "timeoutMs", 0, TIME_MS_MAX);
  const keepMs = whole(options, "keepMs", 0, TIME_MS_MAX);
  return {
    attempts: attempts ?? POLICY_DEFAULT.attempts,
    backoffMs: backoffMs ?? POLICY_DEFAULT.backoffMs,
    backoffMaxMs: backoffMaxMs ?? POLICY_DEFAULT.backoffMaxMs,
    timeoutMs: timeoutMs ?? POLICY_DEFAULT.timeoutMs,
    keepMs: keepMs ?? POLICY_DEFAULT.keepMs,
    unique,
    pausesMs,
  };
}

function readPauses(list: readonly unknown[]): readonly number[] {
  const isRead = list.every((each) => Number.isSafeInteger(each) && (each as number) >= 0 && (each as number) <= TIME_MS_MAX);
  if (!isRead || list.length === 0 || list.length > PAUSES_MAX)
    throw invalid("backoffMs", `is a whole number from 0 to ${TIME_MS_MAX}, or a list of 1 to ${PAUSES_MAX} of them`);
  return list as readonly number[];
}

function readAfter(options: TaskOptions, { numberOf }: SpecContext): readonly number[] {
  const { after } = options;
  if (after === undefined) return [];
  if (!Array.isArray(after) || after.length > AFTER_MAX) throw invalid("after", `is a list of at most ${AFTER_MAX} ids`);
  const numbers = new Set<number>();
  for (const id of after) {
    const number = typeof id === "string" ? numberOf(id) : undefined;
    if (number === undefined) throw invalid("after", `holds '${String(id)}', which is not a task of this broker`);
    numbers.add(number);
  }
  return [...numbers];
}

function whole(options: TaskOptions, option: keyof TaskOptions, low: number, high: number): number | undefined {
  const value = options[option];
  if (value === undefined) return undefined;
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < low || value > high) {
    throw invalid(option, `is a whole number from ${low} to ${high}`);
  }
  return value;
}

function name(options: TaskOptions, option: "key" | "group"): string {
  const value = options[option];
  if (value === undefined) return "";
  // Three bytes a UTF-16 unit at most: only a long name is worth measuring.
  const fits = typeof value === "string" && (value.length * 3 <= NAME_BYTES_MAX || utf8(value).length <= NAME_BYTES_MAX);
  if (!fits || value === "") throw invalid(option, `is text of 1 to ${NAME_BYTES_MAX} bytes`);
  return value;
}

/** @throws UsageError QUEUE_OPTIONS_INVALID when it is no idempotency key */
export function readKey(key: string): string {
  const text = name({ key }, "key");
  if (text.startsWith(OWN_KEY)) throw invalid("key", "does not begin with a NUL character");
  return text;
}

/** W3C Trace Context, section 3.2: version 00, and neither id is all zeros. */
const TRACEPARENT = /^00-(?!0{32})[\da-f]{32}-(?!0{16})[\da-f]{16}-[\da-f]{2}$/;

function readTraceparent(traceparent: unknown): string {
  if (typeof traceparent === "string" && TRACEPARENT.test(traceparent)) return traceparent;
  throw invalid("traceparent", "is text as W3C Trace Context has it");
}

/** What the broker's own keys begin with, and nobody else's. */
export const OWN_KEY = "\0";

/** `~`, something random in base64url or base36, `.` and a number: keys of our client, and of brokers that pass submissions on. */
const RESEND_KEY = /^~[\w-]{8,12}\.[\da-z]+$/;

/** Whether the key was made to send one submission again after a broken connection: nobody else will ask under it. */
export function isResendKey(key: string): boolean {
  return key.startsWith("~") && RESEND_KEY.test(key);
}

/** The key as its submitter gave it; "" for none, and for one that a client made for sending again, which says nothing to anybody. */
export function shownKey(key = ""): string {
  return isResendKey(key) ? "" : key.replace(OWN_KEY, "");
}

function invalid(option: string, reason: string): UsageError {
  return new UsageError("QUEUE_OPTIONS_INVALID", `Cannot submit: option '${option}' ${reason}`);
}

/** The pause before the next attempt after `attempts` have failed: as listed, or doubled each time, bounded, its second half by chance. */
export function backoffMs(policy: TaskPolicy, attempts: number, random: Random): number {
  const { pausesMs } = policy;
  if (pausesMs.length > 0) return pausesMs[Math.min(attempts, pausesMs.length) - 1]!;
  return Math.round(backoffDelayMs({ minMs: policy.backoffMs, maxMs: policy.backoffMaxMs, jitter: 0.5 }, attempts, random));
}

interface Interned {
  readonly policy: TaskPolicy;
  readonly name: string;
  readonly index: number;
  rows: number;
}

/** The policies in use, each once. A policy is kept while a row names it. */
export class PolicyTable {
  readonly #byName = new Map<string, Interned>();
  readonly #byIndex: (Interned | undefined)[] = [];
  readonly #free: number[] = [];
  #last: Interned | undefined;

  get(index: number): TaskPolicy {
    return this.#byIndex[index]!.policy;
  }

  /** The policy's number, for one more row. */
  intern(policy: TaskPolicy): number {
    if (this.#last?.policy === policy && this.#last.rows > 0) {
      this.#last.rows += 1;
      return this.#last.index;
    }
    const name = Object.values(policy).join();
    let interned = this.#byName.get(name);
    if (!interned) {
      interned = { policy, name, index: this.#free.pop() ?? this.#byIndex.length, rows: 0 };
      this.#byName.set(name, interned);
      this.#byIndex[interned.index] = interned;
    }
    interned.rows += 1;
    this.#last = interned;
    return interned.index;
  }

  /** One row fewer names it. */
  release(index: number): void {
    const interned = this.#byIndex[index]!;
    interned.rows -= 1;
    if (interned.rows > 0) return;
    this.#byName.delete(interned.name);
    this.#byIndex[index] = undefined;
    this.#free.push(index);
  }
}
