/**
 * ○ A task on disk, beside its body. Two records: the head, written once with the submission, and the state, written anew at
 * each change, so that a change costs 40 bytes. All numbers big-endian.
 */
import { Buffer } from "node:buffer";
import { ByteReader } from "../../core/byte-reader.ts";
import { EMPTY, sameBytes } from "../../core/bytes.ts";
import { ProtocolError } from "../../core/errors.ts";
import { NAME_BYTES_MAX } from "../limits.ts";
import { storedNumber, type StoredState, storedState } from "./state-words.ts";
import { DIGEST_BYTES } from "./bodies-digest.ts";
import {
  type CallerRef,
  type FlowRef,
  type KeyedBodies,
  type KeyLifetime,
  type OnParentDead,
  type TaskPolicy,
  POLICY_DEFAULT,
} from "./task-policy.ts";

export interface TaskHead extends HeadFields {
  readonly queue: string;
  readonly createdMs: number;
}

/** What a head has of what was asked for with the task. */
export interface HeadFields {
  readonly group: string;
  readonly key: string;
  readonly priority: number;
  readonly expiresMs: number;
  readonly after: readonly number[];
  readonly policy: TaskPolicy;
  /** Left out: "fail". */
  readonly onParentDead?: Exclude<OnParentDead, "fail">;
  /** Of several bodies under one key, with the first. */
  readonly keyed?: KeyedBodies;
  /** The same, with each of the others. */
  readonly isKeyedMember?: boolean;
  /** The flow that it is of. */
  readonly flow?: FlowRef;
  /** The task whose handler called it. */
  readonly caller?: CallerRef;
  /** The trace that it belongs to: W3C's. */
  readonly traceparent?: string;
}

export interface TaskRecord {
  readonly state: StoredState;
  readonly flags: number;
  readonly atMs: number;
  readonly token: number;
  readonly attempts: number;
  readonly lost: number;
  readonly bodyBytes: number;
  readonly resultBytes: number;
  /** When its newest attempt began, the lower 32 bits of queue time in ms; 0: not known, or it had none. */
  readonly started?: number;
  /** The name of the worker that has it, or was the last to; empty where that is not known. */
  readonly worker?: Uint8Array;
}

const HEAD_VERSION = 1;
/** What 0.1.0 wrote: nothing of an attempt. */
const STATE_VERSION_0_1 = 1;
const STATE_BYTES_0_1 = 32;
const STATE_VERSION = 2;
const RAN_BYTES = 36;
/**
 * 48: names of workers up to 12 bytes, as ours are, fit from the beginning. A row that does not grow when its task ends is written in its place:
 * one that grew cost the broker a tenth of its CPU.
 */
const STATE_BYTES_MIN = 48;
const HAS_POLICY = 1;
const HAS_AFTER = 2;
const HAS_ON_PARENT_DEAD = 4;
const HAS_KEYED = 8;
const IS_KEYED_MEMBER = 16;
const HAS_CALLER = 32;
const HAS_FLOW = 64;
/** Another byte of parts follows: those that came later. */
const HAS_MORE = 128;
const HAS_TRACE = 1;
const HAS_UNIQUE = 2;
const HAS_PAUSES = 4;

/** By their numbers; above them ms. */
const KEY_LIFETIMES = [0, "waiting", "active"] as const satisfies readonly KeyLifetime[];
const KEY_LIFETIME_MS = 256;

/** By their numbers. */
const ON_PARENT_DEAD = [undefined, "continue", "wait"] as const;

const decoder = new TextDecoder();
/** Where states are laid out before they are copied out: a small array of its own is cheaper than a view made for each. */
const stateBytes = new Uint8Array(RAN_BYTES + NAME_BYTES_MAX);
const stateView = new DataView(stateBytes.buffer);

/** ```
 * version u8 | parts u8 (1 policy, 2 after, 4 on parent dead, 8 keyed, 16 keyed member, 32 caller, 64 flow, 128 more)
 * more: parts u8 (1 trace, 2 unique, 4 pauses) | priority u8 | created f64 | expires f64
 * queue, group, key: each u8 length + UTF-8 | policy: 5 x f64 | after: u16 count + f64 each
 * on parent dead: u8 (1 continue, 2 wait) | keyed: u16 count + digest of 12 bytes | caller: f64 id + u16 step
 * flow: f64 first + f64 count | trace: trace id of 16 bytes + parent id of 8 bytes + flags u8
 * unique: f64 (1 waiting, 2 active, 256 + ms) | pauses: u8 count + f64 each
 * ``` */
export function encodeHead(head: TaskHead): Uint8Array {
  return encodeHeadOf(head, head.queue, head.createdMs);
}

/** The same of a task that is being added: its fields are not copied together first. */
export function encodeHeadOf(head: HeadFields, queue: string, createdMs: number): Uint8Array {
  const custom = head.policy !== POLICY_DEFAULT;
  const { unique, pausesMs } = head.policy;
  const more = (head.traceparent ? HAS_TRACE : 0) | (unique === 0 ? 0 : HAS_UNIQUE) | (pausesMs.length === 0 ? 0 : HAS_PAUSES);
  const out = new HeadWriter(HEAD_BYTES_FIXED + (head.after.length + pausesMs.length) * 8);
  out.u8(HEAD_VERSION);
  out.u8(
    (custom ? HAS_POLICY : 0) |
      (head.after.length > 0 ? HAS_AFTER : 0) |
      (head.onParentDead ? HAS_ON_PARENT_DEAD : 0) |
      (head.keyed ? HAS_KEYED : 0) |
      (head.isKeyedMember ? IS_KEYED_MEMBER : 0) |
      (head.caller ? HAS_CALLER : 0) |
      (head.flow ? HAS_FLOW : 0) |
      (more === 0 ? 0 : HAS_MORE),
  );
  if (more !== 0) out.u8(more);
  out.u8(head.priority);
  out.f64(createdMs);
  out.f64(head.expiresMs);
  out.text(queue);
  out.text(head.group);
  out.text(head.key);
  if (custom) {
    const { attempts, backoffMs, backoffMaxMs, timeoutMs, keepMs } = head.policy;
    for (const value of [attempts, backoffMs, backoffMaxMs, timeoutMs, keepMs]) out.f64(value);
  }
  if (head.after.length > 0) {
    out.u16(head.after.length);
    for (const id of head.after) out.f64(id);
  }
  if (head.onParentDead) out.u8(ON_PARENT_DEAD.indexOf(head.onParentDead));
  if (head.keyed) {
    out.u16(head.keyed.count);
    out.bytes(head.keyed.digest);
  }
  if (head.caller) {
    out.f64(head.caller.id);
    out.u16(head.caller.step);
  }
  if (head.flow) {
    out.f64(head.flow.first);
    out.f64(head.flow.count);
  }
  if (more === 0) return out.taken();
  // Version 00 of four fields in hex, as it was checked when it came.
  if (head.traceparent) out.bytes(Buffer.from(head.traceparent.slice(3).replaceAll("-", ""), "hex"));
  if (unique !== 0) out.f64(typeof unique === "number" ? KEY_LIFETIME_MS + unique : KEY_LIFETIMES.indexOf(unique));
  if (pausesMs.length > 0) {
    out.u8(pausesMs.length);
    for (const pauseMs of pausesMs) out.f64(pauseMs);
  }
  return out.taken();
}

/** 1 KiB: three names of 255 bytes and all numbers of a head fit. */
const HEAD_BYTES_FIXED = 1024;
let headBuffer = Buffer.allocUnsafeSlow(HEAD_BYTES_FIXED);

/** Writes into one buffer that is kept, and copies out what was written: a head has about fifty bytes, and there is one a task. */
class HeadWriter {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytesMax: number) {
    if (headBuffer.length < bytesMax) headBuffer = Buffer.allocUnsafeSlow(bytesMax);
    this.#bytes = headBuffer;
  }

  u8(value: number): void {
    this.#bytes[this.#at] = value;
    this.#at += 1;
  }

  u16(value: number): void {
    this.#at = this.#bytes.writeUInt16BE(value, this.#at);
  }

  f64(value: number): void {
    this.#at = this.#bytes.writeDoubleBE(value, this.#at);
  }

  bytes(value: Uint8Array): void {
    this.#bytes.set(value, this.#at);
    this.#at += value.length;
  }

  text(value: string): void {
    const length = value === "" ? 0 : this.#bytes.write(value, this.#at + 1);
    this.#bytes[this.#at] = length;
    this.#at += 1 + length;
  }

  taken(): Uint8Array {
    return Uint8Array.prototype.slice.call(this.#bytes, 0, this.#at);
  }
}

/** @throws ProtocolError QUEUE_STORE_CORRUPT when the bytes are no head that this version wrote */
export function decodeHead(bytes: Uint8Array): TaskHead {
  const reader = new HeadReader(bytes);
  if (reader.u8() !== HEAD_VERSION) throw corrupt("head of an unknown version");
  const parts = reader.u8();
  const more = parts & HAS_MORE ? reader.u8() : 0;
  if (more & ~(HAS_TRACE | HAS_UNIQUE | HAS_PAUSES)) throw corrupt("head of an unknown kind");
  const priority = reader.u8();
  const createdMs = reader.f64();
  const expiresMs = reader.f64();
  const queue = reader.text();
  const group = reader.text();
  const key = reader.text();
  const policy =
    parts & HAS_POLICY
      ? {
          attempts: reader.f64(),
          backoffMs: reader.f64(),
          backoffMaxMs: reader.f64(),
          timeoutMs: reader.f64(),
          keepMs: reader.f64(),
          unique: POLICY_DEFAULT.unique,
          pausesMs: POLICY_DEFAULT.pausesMs,
        }
      : POLICY_DEFAULT;
  const after = parts & HAS_AFTER ? Array.from({ length: reader.u16() }, () => reader.f64()) : [];
  const onParentDead = parts & HAS_ON_PARENT_DEAD ? ON_PARENT_DEAD[reader.u8()] : undefined;
  if (parts & HAS_ON_PARENT_DEAD && !onParentDead) throw corrupt("head of an unknown kind");
  const keyed = parts & HAS_KEYED ? { keyed: { count: reader.u16(), digest: reader.view(DIGEST_BYTES).slice() } } : undefined;
  const caller = parts & HAS_CALLER ? { caller: { id: reader.f64(), step: reader.u16() } } : undefined;
  const flow = parts & HAS_FLOW ? { flow: { first: reader.f64(), count: reader.f64() } } : undefined;
  const trace = more & HAS_TRACE ? { traceparent: readTraceparent(reader.view(TRACE_BYTES)) } : undefined;
  const unique = more & HAS_UNIQUE ? { unique: readLifetime(reader.f64()) } : undefined;
  const pauses = more & HAS_PAUSES ? { pausesMs: Array.from({ length: reader.u8() }, () => reader.f64()) } : undefined;
  reader.end();
  const own = unique || pauses ? { ...policy, ...unique, ...pauses } : policy;
  const head = { queue, group, key, priority, createdMs, expiresMs, after, policy: own };
  if (!(parts & (HAS_ON_PARENT_DEAD | HAS_KEYED | IS_KEYED_MEMBER | HAS_CALLER | HAS_FLOW | HAS_MORE))) return head;
  return {
    ...head,
    ...(onParentDead && { onParentDead }),
    ...keyed,
    ...(parts & IS_KEYED_MEMBER && { isKeyedMember: true }),
    ...flow,
    ...caller,
    ...trace,
  };
}

const TRACE_BYTES = 25;

function readTraceparent(bytes: Uint8Array): string {
  const hex = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("hex");
  return `00-${hex.slice(0, 32)}-${hex.slice(32, 48)}-${hex.slice(48)}`;
}

function readLifetime(number: number): KeyLifetime {
  const lifetime = number > KEY_LIFETIME_MS ? number - KEY_LIFETIME_MS : KEY_LIFETIMES[number];
  if (lifetime === undefined) throw corrupt("key held in an unknown way");
  return lifetime;
}

/** ```
 * version u8 | state u8 | flags u8 | lost u8 | at f64 | token f64 | attempts u16 | flags above the first eight u16
 * body bytes u32 | result bytes u32 | version 2: started u32, worker: UTF-8, to 48 bytes zeros
 * ``` */
export function encodeState(record: TaskRecord): Uint8Array {
  const view = stateView;
  const { started = 0, worker = EMPTY } = record;
  view.setUint8(0, STATE_VERSION);
  view.setUint8(1, storedNumber(record.state));
  view.setUint8(2, record.flags);
  view.setUint8(3, record.lost);
  view.setFloat64(4, record.atMs);
  view.setFloat64(12, record.token);
  view.setUint16(20, record.attempts);
  view.setUint16(22, record.flags >>> 8);
  view.setUint32(24, record.bodyBytes);
  view.setUint32(28, record.resultBytes);
  view.setUint32(32, started);
  const length = Math.max(STATE_BYTES_MIN, RAN_BYTES + worker.length);
  stateBytes.fill(0, RAN_BYTES, STATE_BYTES_MIN);
  stateBytes.set(worker, RAN_BYTES);
  return stateBytes.slice(0, length);
}

/** @throws ProtocolError QUEUE_STORE_CORRUPT */
export function decodeState(bytes: Uint8Array): TaskRecord {
  const { length } = bytes;
  const isOld = bytes[0] === STATE_VERSION_0_1 && length === STATE_BYTES_0_1;
  if (!isOld && (bytes[0] !== STATE_VERSION || length < STATE_BYTES_MIN || length > stateBytes.length))
    throw corrupt("state of an unknown version or length");
  stateBytes.set(bytes.subarray(0, RAN_BYTES));
  const view = stateView;
  const state = storedState(view.getUint8(1));
  if (!state) throw corrupt("unknown state");
  const known = {
    state,
    flags: view.getUint8(2) | (view.getUint16(22) << 8),
    lost: view.getUint8(3),
    atMs: view.getFloat64(4),
    token: view.getFloat64(12),
    attempts: view.getUint16(20),
    bodyBytes: view.getUint32(24),
    resultBytes: view.getUint32(28),
  };
  const started = isOld ? 0 : view.getUint32(32);
  const worker = isOld ? EMPTY : withoutZeros(bytes.subarray(RAN_BYTES));
  return started === 0 && worker.length === 0 ? known : { ...known, started, worker };
}

function withoutZeros(bytes: Uint8Array): Uint8Array {
  let end = bytes.length;
  while (end > 0 && bytes[end - 1] === 0) end -= 1;
  return bytes.subarray(0, end);
}

/** Texts of the last heads read: a million tasks of one queue share one string. */
const lastTexts: { bytes: Uint8Array; text: string }[] = [];

class HeadReader extends ByteReader {
  #texts = 0;

  text(): string {
    const length = this.u8();
    if (length === 0) return "";
    const bytes = this.view(length);
    const last = lastTexts[this.#texts];
    this.#texts += 1;
    if (last && sameBytes(last.bytes, bytes)) return last.text;
    const text = decoder.decode(bytes);
    lastTexts[this.#texts - 1] = { bytes: bytes.slice(), text };
    return text;
  }

  end(): void {
    if (this.left > 0) throw corrupt("a record with bytes left over");
  }

  protected override invalid(): ProtocolError {
    return corrupt("a record cut short");
  }
}

function corrupt(what: string): ProtocolError {
  return new ProtocolError("QUEUE_STORE_CORRUPT", `Cannot read the queue's store: it holds a ${what}`);
}
