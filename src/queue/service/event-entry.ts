/**
 * ○ The events of a queue, and an entry of their ring (event-ring.ts) as bytes: what one batch of commits did, without bodies. Integers
 * big-endian:
 *
 * version u8 | time f64 | queues: u16 count + (u8 length + UTF-8) each | events: u8 kind | u8 reason | u16 queue | u16 attempt |
 * id f64 | of `failed` and `dead` the error: u16 length + UTF-8
 */
import { ByteReader } from "../../core/byte-reader.ts";
import { ByteWriter } from "../../core/byte-writer.ts";
import { utf8 } from "../../core/bytes.ts";
import { ProtocolError } from "../../core/errors.ts";
import { DEAD_REASONS, type DeadReason } from "../tasks/life-cycle.ts";

/**
 * What can happen to a task. By their numbers in an entry, which never change:
 * - the name of a state: it is in this state now, and that is on disk
 * - `failed`: an attempt failed; the task is `retrying` or `dead` then
 */
export const STORED_EVENTS = ["waiting", "delayed", "blocked", "retrying", "failed", "completed", "dead", "cancelled"] as const;

/** Nothing is written for them: a worker has the task, and what the worker says of its progress. */
export const LIVE_EVENTS = ["active", "progress"] as const;

/** All events that there are to listen to. */
export const QUEUE_EVENTS = [...STORED_EVENTS, ...LIVE_EVENTS] as const;

export type StoredEventName = (typeof STORED_EVENTS)[number];
/** What a listener can ask for. */
export type QueueEventName = (typeof QUEUE_EVENTS)[number];

export interface CommittedEvent {
  readonly event: StoredEventName;
  readonly id: number;
  readonly queue: string;
  /** failed: which attempt. */
  readonly attempt: number;
  /** dead: why. */
  readonly reason: DeadReason | undefined;
  /** failed, dead: the beginning of the last error, one line. */
  readonly error: string;
}

const VERSION = 1;
/** 200 characters of an error: what a line of a log shows; all of it is with the task. */
const ERROR_CHARACTERS_MAX = 200;

const KINDS = Object.fromEntries(STORED_EVENTS.map((event, kind) => [event, kind])) as Record<StoredEventName, number>;
const FAILED = KINDS.failed;
const DEAD = KINDS.dead;

/** The first line of an error, cut. */
export function errorLine(error: string): string {
  const end = error.indexOf("\n");
  return error.slice(0, end === -1 ? ERROR_CHARACTERS_MAX : Math.min(end, ERROR_CHARACTERS_MAX));
}

let lastBytes = 0;

export function encodeEntry(events: readonly CommittedEvent[], atMs: number): Uint8Array {
  const queues = new Map<string, number>();
  for (const { queue } of events) if (!queues.has(queue)) queues.set(queue, queues.size);
  const writer = new ByteWriter(lastBytes);
  writer.u8(VERSION).f64(atMs).u16(queues.size);
  for (const queue of queues.keys()) {
    const name = utf8(queue);
    writer.u8(name.length).bytes(name);
  }
  for (const { event, id, queue, attempt, reason, error } of events) {
    const kind = KINDS[event];
    writer.u8(kind).u8(reason === undefined ? 0 : DEAD_REASONS.indexOf(reason) + 1);
    writer.u16(queues.get(queue)!).u16(attempt).f64(id);
    if (kind !== FAILED && kind !== DEAD) continue;
    const text = utf8(error);
    writer.u16(text.length).bytes(text);
  }
  lastBytes = Math.min(writer.length, 64 * 1024);
  return writer.take();
}

class EntryReader extends ByteReader {
  protected override invalid(): ProtocolError {
    return new ProtocolError("QUEUE_STORE_CORRUPT", "Cannot read an entry of the ring of events");
  }

  text(length: number): string {
    return decoder.decode(this.view(length));
  }

  fail(): never {
    throw this.invalid();
  }
}

const decoder = new TextDecoder();

/** @throws ProtocolError QUEUE_STORE_CORRUPT when the bytes are none that this version wrote */
export function decodeEntry(bytes: Uint8Array): { readonly atMs: number; readonly events: readonly CommittedEvent[] } {
  const reader = new EntryReader(bytes);
  if (reader.u8() !== VERSION) reader.fail();
  const atMs = reader.f64();
  const queues = Array.from({ length: reader.u16() }, () => reader.text(reader.u8()));
  const events: CommittedEvent[] = [];
  while (reader.left > 0) {
    const kind = reader.u8();
    const reason = reader.u8();
    const queue = queues[reader.u16()] ?? reader.fail();
    const attempt = reader.u16();
    const id = reader.f64();
    const event = STORED_EVENTS[kind] ?? reader.fail();
    const error = kind === FAILED || kind === DEAD ? reader.text(reader.u16()) : "";
    events.push({ event, id, queue, attempt, reason: reason === 0 ? undefined : DEAD_REASONS[reason - 1], error });
  }
  return { atMs, events };
}
