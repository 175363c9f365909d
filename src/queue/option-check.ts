/**
 * ○ Options as callers give them, checked where they are given: one that does not exist, or is not what it should be, is an error that
 * names the right one, and nothing is sent. The tables stand with what takes the options: client/options.ts, broker.ts.
 */
import { Buffer } from "node:buffer";
import { UsageError } from "../core/errors.ts";
import { LOG_LEVELS } from "../core/log-events.ts";
import { nearest } from "../core/nearest.ts";
import { NAME_BYTES_MAX } from "./limits.ts";

/** @returns what the value should be; undefined when it is that */
export type OptionCheck = (value: unknown) => string | undefined;

/** The options of one call. */
export interface OptionTable {
  /** What cannot be done with wrong ones: "submit". */
  readonly act: string;
  readonly known: Readonly<Record<string, OptionCheck>>;
  /** Words of BullMQ → what to write instead. */
  readonly bullmq: Readonly<Record<string, string>>;
  /** What to say of a name that is like none. */
  readonly otherwise?: string;
}

/** @throws UsageError QUEUE_OPTIONS_INVALID */
export function checkOptions(options: object, table: OptionTable): void {
  const { act, known } = table;
  // Not Object.entries: this is on the way of each submission, and pairs cost twice as much.
  for (const name in options) {
    const value = (options as Readonly<Record<string, unknown>>)[name];
    if (value === undefined) continue;
    if (!Object.hasOwn(known, name)) throw invalid(act, `there is no option '${name}'${instead(name, table)}`);
    const should = known[name]!(value);
    if (should !== undefined) throw invalid(act, `option '${name}' ${should}; it was ${shown(value)}`);
  }
}

function instead(name: string, { known, bullmq, otherwise }: OptionTable): string {
  if (Object.hasOwn(bullmq, name)) return `; ${bullmq[name]}`;
  const like = nearest(name, Object.keys(known));
  if (like !== undefined) return `; is it '${like}'?`;
  return otherwise === undefined ? "" : `; ${otherwise}`;
}

function invalid(act: string, why: string): UsageError {
  return new UsageError("QUEUE_OPTIONS_INVALID", `Cannot ${act}: ${why}`);
}

/** 60 characters of a value say which it is. */
const SHOWN_MAX = 60;

function shown(value: unknown): string {
  if (value instanceof Date) return `the Date ${String(value)}`;
  if (typeof value === "function" || typeof value === "symbol" || typeof value === "bigint") return `a ${typeof value}`;
  try {
    const text = JSON.stringify(value);
    return text.length > SHOWN_MAX ? `${text.slice(0, SHOWN_MAX)}…` : text;
  } catch {
    return "an object"; // That JSON cannot say.
  }
}

/** Anything: what uses it checks it. */
export const anything: OptionCheck = () => undefined;

export const when =
  (isRight: (value: unknown) => boolean, should: string): OptionCheck =>
  (value) =>
    isRight(value) ? undefined : should;

export const whole = (low: number, high: number, more = ""): OptionCheck =>
  when(
    (value) => Number.isSafeInteger(value) && (value as number) >= low && (value as number) <= high,
    `is a whole number from ${low} to ${high}${more}`,
  );

export const isFunction = (value: unknown): boolean => typeof value === "function";
export const isObject = (value: unknown): value is object => typeof value === "object" && value !== null;
export const isText = (value: unknown): value is string => typeof value === "string" && value !== "";

/** Text that is no duration is left to whoever reads it. */
export const duration = (more = ""): OptionCheck =>
  when((value) => typeof value === "number" || typeof value === "string", `is a time such as "5s", or milliseconds${more}`);

export const nameText = when(
  (value) => isText(value) && Buffer.byteLength(value) <= NAME_BYTES_MAX,
  `is text of 1 to ${NAME_BYTES_MAX} bytes`,
);

export const abortSignal = when(
  (value) => isObject(value) && "aborted" in value && "addEventListener" in value,
  "is an AbortSignal",
);

export const logOption = when(
  (value) => value === false || isFunction(value) || LOG_LEVELS.some((level) => level === value),
  `is false, a function, or a level: ${LOG_LEVELS.join(", ")}`,
);
