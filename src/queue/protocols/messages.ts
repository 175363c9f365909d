/**
 * ○ The verbs of the native protocol, HQ1, and how its frames are read and written. docs/queue-protocol.md has all of it, byte by
 * byte. A message is a list of frames: `HQ1`, a verb, then what the verb needs; numbers are decimal text.
 */
import { Buffer } from "node:buffer";
import { ProtocolError } from "../../core/errors.ts";
import { MESSAGE_BYTES_MAX, NAME_BYTES_MAX, OPTIONS_BYTES_MAX } from "../limits.ts";
import type { LeaseRef } from "../service/dispatcher.ts";

export const PROTOCOL = Buffer.from("HQ1");

/** Requests: each has a number, and an answer under that number. */
export const REQUESTS = [
  // producers and watchers
  "ADD",
  "CALL",
  "WATCH",
  "CANCEL",
  // inspection and administration
  "OPERATE",
  // the same in version 0.1
  "SHOW",
  "LIST",
  "STATS",
  "RETRY",
  "SET",
  "PURGE",
  "CRON",
] as const;

export type RequestVerb = (typeof REQUESTS)[number];

const VERBS_IN = [
  ...REQUESTS,
  // anyone
  "HELLO",
  "BEAT",
  "BYE",
  // watchers
  "UNWATCH",
  // workers
  "WORK",
  "BEGUN",
  "DONE",
  "FAIL",
  "RETURN",
  "PROGRESS",
  "PARTIAL",
  "HOLD",
  "HISTORY",
  "STEP",
  // many at once
  "ADDS",
  "CALLS",
  "BEGUNS",
  "DONES",
] as const;

/** Verbs that the broker reads. */
export type VerbIn = (typeof VERBS_IN)[number];

const VERBS_OUT = [
  "WELCOME",
  "STARTING",
  "BEAT",
  "OK",
  "REFUSED",
  "ADDED",
  "ENDED",
  "DATA",
  "PROGRESS",
  "PARTIAL",
  "TASK",
  "KEPT",
  "LOST",
  "STOP",
  "RECALL",
  "ANEW",
  "HISTORY",
  "STEPPED",
  // many at once
  "ADDEDS",
  "ENDEDS",
  "TASKS",
  "KEPTS",
] as const;

/** Verbs that the broker sends. */
export type VerbOut = (typeof VERBS_OUT)[number];

/** Every verb's frame, made once. */
export const VERB = Object.fromEntries([...VERBS_IN, ...VERBS_OUT].map((verb) => [verb, Buffer.from(verb)])) as Readonly<
  Record<VerbIn | VerbOut, Buffer>
>;

const KNOWN = new Set<string>([...VERBS_IN, ...VERBS_OUT]);

export type Frames = readonly Buffer[];

/** A request's number as its sender chose it: 1 to 32 bytes, sent back as they are. */
export const REQUEST_BYTES_MAX = 32;

export const EMPTY_FRAME = Buffer.alloc(0);

export function isProtocol(frame: Buffer | undefined): boolean {
  return frame !== undefined && frame.length === 3 && frame[0] === 0x48 && frame[1] === 0x51 && frame[2] === 0x31;
}

/** The verb of a message, or undefined when it is none that exists. */
export function verbOf(frame: Buffer | undefined): VerbIn | VerbOut | undefined {
  if (!frame || frame.length > 8) return undefined;
  const verb = frame.toString("latin1");
  return KNOWN.has(verb) ? (verb as VerbIn | VerbOut) : undefined;
}

/** A frame's number in decimal digits, or undefined. */
export function readNumber(frame: Uint8Array | undefined, start = 0, end = frame?.length ?? 0): number | undefined {
  if (!frame || end <= start || end - start > 16) return undefined;
  let value = 0;
  for (let at = start; at < end; at += 1) {
    const digit = frame[at]! - 48;
    if (digit < 0 || digit > 9) return undefined;
    value = value * 10 + digit;
  }
  return value <= Number.MAX_SAFE_INTEGER ? value : undefined;
}

/** `NUMBER.TOKEN` */
export function writeLease(id: number, token: number): Buffer {
  return Buffer.from(`${id}.${token}`, "latin1");
}

export function readLease(frame: Uint8Array | undefined): LeaseRef | undefined {
  const dot = frame ? frame.indexOf(0x2e) : -1;
  const id = readNumber(frame, 0, dot);
  const token = readNumber(frame, dot + 1);
  return id === undefined || token === undefined ? undefined : { id, token };
}

/** Public ids: `BROKER-NUMBER`, so that ids of several brokers behind one name are never taken for each other. */
export class IdText {
  readonly broker: string;
  readonly #prefix: Buffer;

  constructor(broker: string) {
    this.broker = broker;
    this.#prefix = Buffer.from(`${broker}-`, "latin1");
  }

  write(id: number): Buffer {
    return Buffer.from(this.text(id), "latin1");
  }

  text(id: number): string {
    return `${this.broker}-${id}`;
  }

  /** The task's number, or undefined when the id is none of this broker's. */
  read(frame: Uint8Array | undefined): number | undefined {
    if (!frame || frame.length <= this.#prefix.length) return undefined;
    for (let at = 0; at < this.#prefix.length; at += 1) if (frame[at] !== this.#prefix[at]) return undefined;
    return readNumber(frame, this.#prefix.length);
  }

  number(text: string): number | undefined {
    return this.read(Buffer.from(text, "utf8"));
  }
}

/** Whether a broker can have given this as a task's id. */
export function isTaskId(text: string): boolean {
  return text.length <= NAME_BYTES_MAX && /^\S+-[1-9]\d{0,15}$/.test(text);
}

/** The broker's part of a public id. */
export function brokerOf(id: string): string {
  return id.slice(0, id.lastIndexOf("-"));
}

/** The same bytes as a Buffer. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}

/** A frame as text; a missing one is empty. */
export function readText(frame: Buffer | undefined): string {
  return frame ? frame.toString("utf8") : "";
}

/**
 * A JSON object in a frame, of options or settings; an empty or missing frame is an empty object.
 *
 * @throws ProtocolError QUEUE_PROTOCOL
 */
export function readObject(frame: Buffer | undefined, bytesMax = OPTIONS_BYTES_MAX): Record<string, unknown> {
  if (!frame || frame.length === 0) return {};
  const value = readJson(frame, bytesMax);
  if (!isObject(value)) throw new ProtocolError("QUEUE_PROTOCOL", "Cannot use a frame that should be a JSON object");
  return value;
}

/** @throws ProtocolError QUEUE_PROTOCOL */
export function readJson(frame: Buffer | undefined, bytesMax = MESSAGE_BYTES_MAX): unknown {
  if (frame && frame.length > bytesMax)
    throw new ProtocolError("QUEUE_PROTOCOL", `Cannot read JSON of ${frame.length} bytes: at most ${bytesMax} are allowed`);
  try {
    return JSON.parse(readText(frame));
  } catch (error) {
    throw new ProtocolError("QUEUE_PROTOCOL", "Cannot read a frame that should be JSON", { cause: error });
  }
}

/** A JSON object: no list, not null. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
