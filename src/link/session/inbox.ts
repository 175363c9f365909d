/**
 * ○ Messages received: which numbers arrived, which the application is done with. Invariant: done <= arrived; every number up to
 * `done` is settled; of those above, `#early` holds the settled ones. A message that arrived is never taken again. Messages that come in
 * parts are put together here, and stay over a reconnect.
 */
import { assert } from "../../core/assert.ts";
import { ProtocolError } from "../../core/errors.ts";
import { RANGES_MAX, STREAMS_MAX } from "../limits.ts";
import type { PartBody, Receipt } from "./body.ts";
import { IncomingStream } from "./incoming-stream.ts";
import { NumberRanges } from "./number-ranges.ts";
import type { NumberRange } from "./number-ranges.ts";

/** A message of which more is to come. */
interface PartialMessage {
  readonly chunks: Uint8Array[];
  readonly stream: IncomingStream | undefined;
  /** It came to a process before this one and was not done: it comes again from its beginning, as whatever it is. */
  readonly again: boolean;
  /** Arrived; and of those, the ones held here. */
  bytes: number;
  heldBytes: number;
  /** All of it has arrived. */
  whole: boolean;
}

/** What a side has of the other's messages, as a process after this one goes on with it. */
export interface InboxState {
  /** Highest number that came. */
  readonly arrived: number;
  readonly done: number;
  /** Done beyond `done`. */
  readonly ranges: readonly NumberRange[];
  readonly rejects: ReadonlyMap<number, string>;
}

/** What a part led to. */
export type PartEvent =
  | { readonly kind: "message" | "topic"; readonly number: number; readonly bytes: Uint8Array }
  | { readonly kind: "stream"; readonly number: number; readonly stream: IncomingStream }
  | { readonly kind: "gap"; readonly from: number; readonly to: number };

export class Inbox {
  #arrived = 0;
  #done = 0;
  #early: NumberRanges | undefined;
  #rejects: Map<number, { readonly reason: string; readonly arrived: number; told: boolean }> | undefined;
  /** Settled above `done` and not told yet. */
  #fresh: NumberRanges | undefined;
  #receipted = 0;
  #bytes = 0;
  #open = 0;
  #partials: Map<number, PartialMessage> | undefined;
  /** Of those, the ones that come again. */
  #again = 0;
  #progress: Map<number, number> | undefined;
  /** In a handler that returned a promise, oldest first. */
  #handled: Map<number, { readonly bytes: number; readonly deadlineMs: number }> | undefined;
  #closed = false;
  readonly #window: number;
  readonly #windowBytes: number;
  readonly #messageBytesMax: number;
  /** The peer takes receipts for ranges of numbers: version 2. */
  selective = false;
  /** Called when a stream's application has taken bytes: the peer is to be told. */
  progressed: ((number: number) => void) | undefined;

  /** @param before what a process before this one had */
  constructor(
    { window, windowBytes, messageBytesMax }: { window: number; windowBytes: number; messageBytesMax: number },
    before: InboxState = NOTHING,
  ) {
    this.#arrived = before.arrived;
    this.#done = before.done;
    this.#receipted = before.done;
    this.#window = window;
    this.#windowBytes = windowBytes;
    this.#messageBytesMax = messageBytesMax;
    if (before !== NOTHING) this.#restore(before);
  }

  #restore({ arrived, done, ranges, rejects }: InboxState): void {
    for (const { from, to } of ranges) (this.#early ??= new NumberRanges()).add(from, to);
    for (const [number, reason] of rejects) (this.#rejects ??= new Map()).set(number, { reason, arrived, told: false });
    for (let number = done + 1; number <= arrived; number += 1) {
      if (this.#early?.has(number)) continue;
      this.#setPartial(number, { stream: undefined, again: true });
      this.#again += 1;
    }
  }

  /** What the next process is to be told. */
  received(): InboxState {
    const rejects = new Map<number, string>();
    for (const [number, { reason }] of this.#rejects ?? []) rejects.set(number, reason);
    return {
      arrived: this.#arrived,
      done: this.#done,
      ranges: this.#early?.copy().takeAfter(this.#done, Infinity) ?? [],
      rejects,
    };
  }

  /** The peer sends no message again by its number alone (version 1): what is not done comes as if it had never come. */
  backToDone(): void {
    if (this.#again === 0 || this.#open > 0) return;
    this.#partials = undefined;
    this.#again = 0;
    this.#early = undefined;
    this.#arrived = this.#done;
  }

  /** All up to this number are settled. */
  get done(): number {
    return this.#done;
  }

  get arrived(): number {
    return this.#arrived;
  }

  /** Bytes in the application's hands. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Bytes of messages that have not arrived whole, and of streams that the application has not taken. */
  get partialBytes(): number {
    let bytes = 0;
    if (this.#partials) for (const partial of this.#partials.values()) bytes += partial.heldBytes;
    return bytes;
  }

  /** Messages in the application's hands. */
  get open(): number {
    return this.#open;
  }

  /** True when the peer has not been told of all that is done. */
  get receiptDue(): boolean {
    return this.#done > this.#receipted || this.#fresh !== undefined;
  }

  /** True when the peer has not been told how much of its parts is here. */
  get progressDue(): boolean {
    return this.#progress !== undefined;
  }

  /** When the oldest message in a handler is overdue. */
  get handlerDeadlineMs(): number {
    if (!this.#handled) return Infinity;
    for (const { deadlineMs } of this.#handled.values()) return deadlineMs;
    return Infinity;
  }

  /**
   * A message arrived.
   *
   * @returns its number, to settle it by
   * @throws ProtocolError LINK_WINDOW_EXCEEDED
   */
  take(bytes: number): number {
    this.#check(bytes);
    this.#arrived += 1;
    this.#bytes += bytes;
    this.#open += 1;
    return this.#arrived;
  }

  /**
   * A part of a message arrived.
   *
   * @throws ProtocolError LINK_PART_INVALID, LINK_WINDOW_EXCEEDED, LINK_FRAME_TOO_LARGE
   */
  part({ number, offset, bytes, last, givenUp, isStream, isTopic }: PartBody): PartEvent | undefined {
    let partial = this.#partials?.get(number);
    if (!partial && givenUp) return undefined; // settled here before its sender knew
    let isNew = !partial;
    if (!partial) {
      if (number !== this.#arrived + 1 || offset !== 0)
        throw new ProtocolError("LINK_PART_INVALID", `Cannot take part of message ${number} from ${offset}: it has not begun`);
      this.#check(0);
      if ((this.#partials?.size ?? 0) - this.#again >= STREAMS_MAX + 2)
        throw new ProtocolError("LINK_WINDOW_EXCEEDED", `More than ${STREAMS_MAX + 2} messages in parts at once`);
      this.#arrived += 1;
      partial = this.#beginPartial(number, isStream);
    }
    if (partial.again && isStream && !givenUp) {
      this.#endPartial(number);
      partial = this.#beginPartial(number, isStream);
      isNew = true;
    }
    if (offset !== partial.bytes)
      throw new ProtocolError(
        "LINK_PART_INVALID",
        `Cannot take part of message ${number} from ${offset}: ${partial.bytes} are here`,
      );
    if (givenUp) return this.#giveUp(number, partial);
    partial.bytes += bytes.length;
    const settled = number <= this.#done || this.#early?.has(number) === true;
    if (partial.stream) {
      if (!settled) {
        partial.heldBytes += bytes.length;
        if (partial.heldBytes > this.#windowBytes)
          throw new ProtocolError("LINK_WINDOW_EXCEEDED", `More than ${this.#windowBytes} bytes of a stream are not taken`);
        partial.stream.push(bytes);
      }
      if (last) {
        partial.stream.finish();
        partial.whole = true;
        if (settled || partial.heldBytes === 0) this.#endPartial(number);
      }
      return isNew ? { kind: "stream", number, stream: partial.stream } : undefined;
    }
    if (partial.bytes > this.#messageBytesMax) {
      const allowed = `at most ${this.#messageBytesMax} allowed`;
      throw new ProtocolError("LINK_FRAME_TOO_LARGE", `Cannot take message ${number}: ${partial.bytes} bytes, ${allowed}`);
    }
    partial.chunks.push(bytes);
    partial.heldBytes = partial.bytes;
    this.#tell(number, partial.bytes);
    if (!last) return undefined;
    this.#endPartial(number);
    this.#bytes += partial.bytes;
    this.#open += 1;
    return { kind: isTopic ? "topic" : "message", number, bytes: joined(partial) };
  }

  /** What the peer is to be told of parts: number → bytes. */
  takeProgress(): ReadonlyMap<number, number> | undefined {
    const progress = this.#progress;
    this.#progress = undefined;
    return progress;
  }

  /** Of which messages a part is here, and how much. */
  partial(): ReadonlyMap<number, number> {
    this.#progress = undefined;
    const rows = [...(this.#partials ?? [])].filter(([, { whole }]) => !whole);
    return new Map(rows.map(([number, { bytes }]) => [number, bytes]));
  }

  /** Bytes of messages in handlers that returned a promise. */
  get inHandlers(): number {
    let bytes = 0;
    for (const handled of this.#handled?.values() ?? []) bytes += handled.bytes;
    return bytes;
  }

  /** The session, or its client, is no more: what handlers say later counts no more. */
  close(): void {
    this.#closed = true;
    this.#handled = undefined;
    for (const { stream } of this.#partials?.values() ?? []) stream?.fail("the session of its sender has ended");
    this.#partials = undefined;
  }

  /**
   * Messages before `next` will never come.
   *
   * @returns the numbers lost
   * @throws ProtocolError LINK_GAP_INVALID when it goes back
   */
  skipTo(next: number): { readonly from: number; readonly to: number } {
    if (next <= this.#arrived + 1) {
      throw new ProtocolError("LINK_GAP_INVALID", `Cannot skip to message ${next}: ${this.#arrived} have arrived`);
    }
    const lost = { from: this.#arrived + 1, to: next - 1 };
    this.#arrived = lost.to;
    this.#settled(lost.from, lost.to); // nobody waits for them
    return lost;
  }

  /** A handler returned a promise; it has until then. */
  handling(number: number, how: { readonly bytes: number; readonly deadlineMs: number }): void {
    (this.#handled ??= new Map()).set(number, how);
  }

  /**
   * Those whose handlers took too long: number and bytes. They are to be settled.
   *
   * @param againMs the time that the handler of a stream has from now on, when it waits for its sender
   */
  overdue(nowMs: number, againMs: number): [number: number, bytes: number][] {
    const found: [number, number][] = [];
    for (const [number, { bytes, deadlineMs }] of this.#handled ?? []) {
      if (deadlineMs > nowMs) break;
      const partial = this.#partials?.get(number);
      if (partial?.heldBytes === 0) this.#handleAgain(number, againMs);
      else found.push([number, bytes]);
    }
    return found;
  }

  #handleAgain(number: number, deadlineMs: number): void {
    const { bytes } = this.#handled!.get(number)!;
    this.#handled!.delete(number);
    this.#handled!.set(number, { bytes, deadlineMs });
  }

  /** The handler of a stream has taken some of it. */
  handlingOn(number: number, deadlineMs: number): void {
    if (this.#handled?.has(number)) this.#handleAgain(number, deadlineMs);
  }

  /**
   * The application is done with a message, or refuses it and says why.
   *
   * @returns false when it was settled before: its handler took too long
   */
  settle(number: number, { bytes, reject }: { bytes: number; reject?: string | undefined }): boolean {
    assert(number <= this.#arrived, "a message is settled after it arrived");
    if (this.#closed || number <= this.#done || this.#early?.has(number)) return false;
    if (this.#handled?.delete(number) && this.#handled.size === 0) this.#handled = undefined;
    this.#bytes -= bytes;
    this.#open -= 1;
    if (reject !== undefined)
      (this.#rejects ??= new Map()).set(number, { reason: reject, arrived: this.#arrived, told: false });
    const partial = this.#partials?.get(number);
    if (partial) {
      // A stream whose application has enough of it: the rest is thrown away as it comes.
      partial.heldBytes = 0;
      partial.stream?.fail("it is done with");
      if (partial.whole) this.#endPartial(number);
    }
    if (number === this.#done + 1 && !this.#early) this.#done = number;
    else this.#settled(number, number);
    return true;
  }

  /** What was done since the last receipt, for ACK. */
  receipt(): Receipt {
    this.#receipted = this.#done;
    const ranges = this.#fresh?.takeAfter(this.#done, RANGES_MAX);
    if (this.#fresh?.isEmpty) this.#fresh = undefined;
    return { done: this.#done, rejects: this.#takeRejects(({ told }) => !told), ranges };
  }

  /** What is done, for HELLO and WELCOME, with all refusals of which the peer may not have heard. */
  fullReceipt(): Receipt {
    this.#receipted = this.#done;
    this.#fresh = undefined;
    let ranges;
    if (this.selective && this.#early) {
      const all = this.#early.copy();
      ranges = all.takeAfter(this.#done, RANGES_MAX);
      this.#fresh = all.isEmpty ? undefined : all;
    }
    return { done: this.#done, rejects: this.#takeRejects(() => true), ranges };
  }

  #check(bytes: number): void {
    const held = this.#open + (this.#partials?.size ?? 0);
    if (held < this.#window && (this.#open === 0 || this.#bytes + bytes <= this.#windowBytes)) return;
    const allowed = `${this.#window} messages and ${this.#windowBytes} bytes`;
    throw new ProtocolError(
      "LINK_WINDOW_EXCEEDED",
      `Window exceeded at message ${this.#arrived + 1}: more than ${allowed} are unacknowledged`,
    );
  }

  #beginPartial(number: number, isStream: boolean): PartialMessage {
    const stream = isStream
      ? new IncomingStream(number, (bytes) => {
          const held = this.#partials?.get(number);
          if (!held || held.heldBytes === 0) return;
          held.heldBytes -= bytes;
          if (held.heldBytes === 0 && held.whole) this.#endPartial(number);
          this.#tell(number, held.bytes - held.heldBytes);
          this.progressed?.(number);
        })
      : undefined;
    if (isStream) this.#open += 1;
    return this.#setPartial(number, { stream, again: false });
  }

  #setPartial(number: number, kind: Pick<PartialMessage, "stream" | "again">): PartialMessage {
    const partial: PartialMessage = { ...kind, chunks: [], bytes: 0, heldBytes: 0, whole: false };
    (this.#partials ??= new Map()).set(number, partial);
    return partial;
  }

  #endPartial(number: number): void {
    if (this.#partials!.get(number)?.again) this.#again -= 1;
    this.#partials!.delete(number);
    if (this.#partials!.size === 0) this.#partials = undefined;
  }

  /** Its sender has given a message up of which a part is here. */
  #giveUp(number: number, { stream }: PartialMessage): PartEvent | undefined {
    this.#endPartial(number);
    if (number <= this.#done || this.#early?.has(number)) return undefined;
    if (stream) stream.fail("its sender gave it up");
    else this.#settled(number, number);
    return { kind: "gap", from: number, to: number };
  }

  #tell(number: number, bytes: number): void {
    (this.#progress ??= new Map()).set(number, bytes);
  }

  #settled(from: number, to: number): void {
    if (from === this.#done + 1) this.#done = to;
    else {
      (this.#early ??= new NumberRanges()).add(from, to);
      if (this.selective) (this.#fresh ??= new NumberRanges()).add(from, to);
    }
    if (!this.#early) return;
    this.#done = this.#early.advance(this.#done);
    if (this.#early.isEmpty) this.#early = undefined;
  }

  #takeRejects(wanted: (reject: { readonly told: boolean }) => boolean): ReadonlyMap<number, string> {
    if (!this.#rejects) return NONE;
    const found = new Map<number, string>();
    for (const [number, reject] of this.#rejects) {
      // No further than a window past this one does the peer send without having heard of it.
      if (reject.told && this.#arrived > reject.arrived + this.#window) this.#rejects.delete(number);
      else if (wanted(reject) && (this.selective || number <= this.#done)) {
        found.set(number, reject.reason);
        reject.told = true;
      }
    }
    if (this.#rejects.size === 0) this.#rejects = undefined;
    return found;
  }
}

function joined({ chunks, bytes }: PartialMessage): Uint8Array {
  const whole = new Uint8Array(bytes);
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  return whole;
}

const NONE: ReadonlyMap<number, string> = new Map();
const NOTHING: InboxState = { arrived: 0, done: 0, ranges: [], rejects: NONE };
