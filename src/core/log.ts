/**
 * ● The log: one event, one line, on stderr unless the caller takes it. Warnings and errors are told by default: silence is what one
 * has to ask for. Invariant: telling never throws, and a flood of one event costs a bounded number of lines.
 */
import { type Clock, systemClock } from "./clock.ts";
import { codeOf, messageOf } from "./errors.ts";
import { emitLog } from "./open-telemetry-log.ts";
import { isLogged, LOG_EVENTS, type LogEvent, type LogLevel } from "./log-events.ts";

/** What is told of an event; those that are undefined are left out. */
export type LogFacts = Readonly<Record<string, unknown>>;

/** Tells an event. Never throws. */
export type Log = (event: LogEvent, facts: LogFacts) => void;

/** Told each event with its facts and level; docs/logs.md lists them. */
export type LogListener = (event: LogEvent, facts: LogFacts, level: LogLevel) => void;

/** `false`: nothing. A level: that and what is worse, on stderr. A function: everything, to it. Default "warning". */
export type LogOption = false | LogLevel | LogListener;

/** How lines are written. */
export interface LineLogOptions {
  /** Default "text": time, level, event, then key=value. */
  readonly format?: "text" | "json";
  /** This and what is worse; default "warning". */
  readonly level?: LogLevel;
  /** Takes a whole line; default: stderr. */
  readonly write?: (line: string) => void;
  /** For tests: the clock. */
  readonly clock?: Clock;
}

/** 100 lines of one event in 10 s are as many as anybody reads; what exceeds them is counted. */
const LINES_MAX = 100;
const WINDOW_MS = 10_000;

/** Lines of one event in the window that runs. */
interface Flood {
  readonly endMs: number;
  /** What was told, without the time: the same again says nothing new. */
  readonly told: Set<string>;
  leftOut: number;
}

/** One for each level, so that many clients of one process that meet the same trouble tell it once. */
const onStderr = new Map<LogLevel, LogListener>();

/** @param option as the caller gave it */
export function makeLog(option: LogOption | undefined): Log {
  if (option === false) return () => {};
  const listener = typeof option === "function" ? option : stderrLog(option);
  return (event, facts) => {
    try {
      listener(event, facts, LOG_EVENTS[event].level);
      emitLog(event, LOG_EVENTS[event].level, attributesOf(facts));
    } catch (error) {
      // What is reported on must not fail because nobody could be told.
      process.stderr.write(`The listener of the log failed at ${event}: ${messageOf(error)}\n`);
    }
  };
}

/** Errors as their messages, lists and objects as JSON. */
function attributesOf(facts: LogFacts): Record<string, string | number | boolean | undefined> {
  const entries = Object.entries(facts).map(([name, value]) => {
    const known = plain(value);
    const isPlain = known === undefined || ["string", "number", "boolean"].includes(typeof known);
    return [name, isPlain ? known : JSON.stringify(known)] as const;
  });
  return Object.fromEntries(entries) as Record<string, string | number | boolean | undefined>;
}

function stderrLog(level: LogLevel = "warning"): LogListener {
  let log = onStderr.get(level);
  if (!log) onStderr.set(level, (log = lineLog({ level })));
  return log;
}

/** Writes each event as a line. */
export function lineLog({
  format = "text",
  level = "warning",
  write = toStderr,
  clock = systemClock,
}: LineLogOptions): LogListener {
  const show = format === "json" ? asJson : asText;
  const floods = new Map<LogEvent, Flood>();
  const say = (event: LogEvent, line: string): void =>
    write(`${show.head(new Date(clock.wallMs()).toISOString(), event)}${line}\n`);
  const leaveOut = (event: LogEvent, flood: Flood): void => {
    flood.leftOut += 1;
    if (flood.leftOut > 1) return;
    clock.at(flood.endMs, () => say("log.left-out", show.facts({ of: event, lines: flood.leftOut })));
  };
  return (event, facts) => {
    if (!isLogged(event, level)) return;
    let flood = floods.get(event);
    const nowMs = clock.now();
    if (!flood || nowMs >= flood.endMs) floods.set(event, (flood = { endMs: nowMs + WINDOW_MS, told: new Set(), leftOut: 0 }));
    const line = show.facts(facts);
    if (flood.told.has(line)) return;
    if (flood.told.size === LINES_MAX) leaveOut(event, flood);
    else {
      flood.told.add(line);
      say(event, line);
    }
  };
}

/** How a line is made of its time and event, and of its facts. */
interface LineFormat {
  head(time: string, event: LogEvent): string;
  facts(facts: LogFacts): string;
}

const asText: LineFormat = {
  head: (time, event) => `${time} ${LOG_EVENTS[event].level} ${event}`,
  facts: (facts) =>
    Object.entries(facts)
      .filter(([, value]) => value !== undefined)
      .map(([name, value]) => ` ${name}=${word(value)}`)
      .join(""),
};

const asJson: LineFormat = {
  head: (time, event) => JSON.stringify({ time, level: LOG_EVENTS[event].level, event }).slice(0, -1),
  facts(facts) {
    const json = JSON.stringify(Object.fromEntries(Object.entries(facts).map(([name, value]) => [name, plain(value)])));
    return json === "{}" ? "}" : `,${json.slice(1)}`;
  },
};

/** A value that cannot be taken for two, nor for a line of its own. */
function word(value: unknown): string {
  const known = plain(value);
  const text = typeof known === "string" ? known : JSON.stringify(known);
  return /^[\w.,:/@+~*[\]-]+$/.test(text) ? text : quoted(text);
}

/** JSON escapes what is below a space; beyond ASCII there are control characters too. */
function quoted(text: string): string {
  return JSON.stringify(text).replaceAll(
    /[\x7f-\x9f\u2028\u2029]/g,
    (control) => `\\u${control.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** 4000 characters of a fact: a message, or the top of a stack. A peer may have written it. */
const FACT_CHARACTERS_MAX = 4000;

/** Errors as their messages, with the code where there is one. */
function plain(value: unknown): unknown {
  if (typeof value === "string") return value.length > FACT_CHARACTERS_MAX ? `${value.slice(0, FACT_CHARACTERS_MAX)}…` : value;
  if (!(value instanceof Error)) return value;
  const code = codeOf(value);
  return plain(code === undefined ? messageOf(value) : `${messageOf(value)} (${code})`);
}

function toStderr(line: string): void {
  process.stderr.write(line);
}
