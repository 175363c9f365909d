/**
 * ○ Many messages of one kind as one: records one after the other in one frame, so that a task in a busy queue costs neither
 * frames nor text of its own. docs/queue-protocol.md has the layouts. Integers are big-endian; a number of 64 bits is at most
 * 2^53 - 1. Reading hands out views into the frame and never reads past its end.
 */
import { Buffer } from "node:buffer";
import { ByteReader } from "../../core/byte-reader.ts";
import { ProtocolError } from "../../core/errors.ts";
import type { OutcomeState } from "../tasks/life-cycle.ts";

/** 16 KiB: larger bodies go in messages of their own, which the socket passes on without a copy. */
export const BATCHED_BODY_BYTES_MAX = 16 * 1024;

/** 64 KiB: a message that has reached this is sent; more in one gains nothing and makes the other end wait. */
export const BATCH_BYTES = 64 * 1024;

const HIGH = 2 ** 32;
/** Beside the body, the most that one record takes. */
const RECORD_BYTES_MAX = 32;

/** How tasks end, in the order of the numbers by which ENDEDS says it. */
const OUTCOMES: readonly OutcomeState[] = ["completed", "dead", "cancelled", "unknown", "evicted"];

/** Gathers records until they are taken as one frame. */
export class RecordBatchWriter {
  #bytes: Buffer | undefined;
  #at = 0;
  #count = 0;
  /** What was taken last: the next is likely as long. */
  #lastBytes = 0;

  /** Records gathered. */
  get count(): number {
    return this.#count;
  }

  /** Whether it is time to `take`. */
  get isFull(): boolean {
    return this.#at >= BATCH_BYTES;
  }

  /** ADDS, CALLS */
  submission(request: number, body: Uint8Array): void {
    const bytes = this.#room(body.length);
    this.#body(bytes, u32(bytes, this.#at, request), body);
  }

  /** ADDEDS */
  added(request: number, id: number): void {
    const bytes = this.#room(0);
    this.#at = u64(bytes, u32(bytes, this.#at, request), id);
  }

  /** ENDEDS */
  ended(request: number, state: OutcomeState, body: Uint8Array): void {
    const bytes = this.#room(body.length);
    const at = u32(bytes, this.#at, request);
    bytes[at] = OUTCOMES.indexOf(state);
    this.#body(bytes, at + 1, body);
  }

  /** TASKS */
  task(id: number, token: number, { attempt, timeoutMs, body }: BatchedTask): void {
    const bytes = this.#room(body.length);
    const at = u64(bytes, u64(bytes, this.#at, id), token);
    this.#body(bytes, u64(bytes, u32(bytes, at, attempt), timeoutMs), body);
  }

  /** DONES */
  done(id: number, token: number, result: Uint8Array): void {
    const bytes = this.#room(result.length);
    this.#body(bytes, u64(bytes, u64(bytes, this.#at, id), token), result);
  }

  /** BEGUNS, KEPTS */
  lease(id: number, token: number): void {
    const bytes = this.#room(0);
    this.#at = u64(bytes, u64(bytes, this.#at, id), token);
  }

  /** All records, and begins anew. The bytes are the caller's. */
  take(): Buffer {
    const taken = this.#bytes!.subarray(0, this.#at);
    this.#lastBytes = this.#at;
    this.#bytes = undefined;
    this.#at = 0;
    this.#count = 0;
    return taken;
  }

  #body(bytes: Buffer, at: number, body: Uint8Array): void {
    const start = u32(bytes, at, body.length);
    bytes.set(body, start);
    this.#at = start + body.length;
  }

  #room(bodyBytes: number): Buffer {
    this.#count += 1;
    const needed = this.#at + bodyBytes + RECORD_BYTES_MAX;
    const bytes = this.#bytes;
    if (bytes && needed <= bytes.length) return bytes;
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, bytes ? bytes.length * 2 : this.#lastBytes + RECORD_BYTES_MAX, 512));
    if (bytes) bytes.copy(grown, 0, 0, this.#at);
    this.#bytes = grown;
    return grown;
  }
}

/** A task in TASKS, beside its lease; its queue is the message's. */
export interface BatchedTask {
  readonly attempt: number;
  readonly timeoutMs: number;
  readonly body: Uint8Array;
}

/** Reads records one after the other, field by field in their order. */
export class RecordBatchReader extends ByteReader<Buffer> {
  /** @throws ProtocolError QUEUE_PROTOCOL when there is no frame */
  constructor(bytes: Buffer | undefined) {
    if (!bytes) throw malformed();
    super(bytes);
  }

  /** Whether another record begins. */
  get more(): boolean {
    return this.left > 0;
  }

  /** Length, then bytes: a view into the frame. */
  body(): Buffer {
    return this.view(this.u32());
  }

  endState(): OutcomeState {
    const state = OUTCOMES[this.u8()];
    if (!state) throw malformed();
    return state;
  }

  protected override invalid(): ProtocolError {
    return malformed();
  }
}

function malformed(): ProtocolError {
  return new ProtocolError("QUEUE_PROTOCOL", "Cannot read a batch frame: a record is truncated or out of range");
}

function u32(bytes: Uint8Array, at: number, value: number): number {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
  return at + 4;
}

function u64(bytes: Uint8Array, at: number, value: number): number {
  u32(bytes, at, Math.floor(value / HIGH));
  return u32(bytes, at + 4, value);
}
