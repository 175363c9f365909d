/**
 * ○ Messages sent and not yet done: numbered from 1, kept until the peer's receipt, written again after a reconnect.
 * Invariant: 1 <= oldest <= next; acked < oldest; the numbers oldest … next-1 are kept; `cursor`, the next to be written on this
 * connection, lies in [acked+1, next]. Numbers before `oldest` that the peer does not have are a gap, and the peer is told.
 */
import { assert } from "../../core/assert.ts";
import { OperationError, ProtocolError } from "../../core/errors.ts";
import { Ring } from "../../core/ring.ts";
import type { Receipt } from "./body.ts";

/** A message on its way: its bytes, and who waits for it. */
export interface OutgoingMessage {
  readonly bytes: Uint8Array;
  /** When it is given up; never earlier than that of the message before it. */
  readonly deadlineMs: number;
  /** Called once: with nothing when the peer's application has it, with an error when not, or in doubt. */
  settle(error?: OperationError): void;
}

export class Outbox {
  readonly #kept = new Ring<OutgoingMessage>();
  #oldest = 1;
  #acked = 0;
  #cursor = 1;
  #everWritten = 0;
  #bytes = 0;
  /** Bytes written on this connection and not done. */
  #flightBytes = 0;

  /** Messages kept. */
  get length(): number {
    return this.#kept.length;
  }

  /** Bytes kept. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Highest number that the peer's application is done with. */
  get acked(): number {
    return this.#acked;
  }

  /** Messages written on this connection that are not done. */
  get inFlight(): number {
    return this.#cursor - 1 - this.#acked;
  }

  /** True while something is to be written. */
  get pending(): boolean {
    return this.#cursor < this.#oldest + this.length;
  }

  push(message: OutgoingMessage): void {
    this.#kept.push(message);
    this.#bytes += message.bytes.length;
  }

  /** When the oldest message is to be given up; Infinity when there is none. */
  get oldestDeadlineMs(): number {
    return this.#kept.peek()?.deadlineMs ?? Infinity;
  }

  /** Gives up the oldest message; its sender learns why, and whether it may have arrived. */
  dropOldest(why: string): void {
    const number = this.#oldest;
    const message = this.#shift();
    if (number < this.#cursor) this.#flightBytes -= message.bytes.length;
    const doubt = number <= this.#everWritten ? "it may or may not have arrived" : "it was never sent";
    message.settle(new OperationError("LINK_GAP", `Message dropped: ${why}; ${doubt}`));
  }

  /** Gives up what is past its deadline; returns how many. */
  expire(nowMs: number): number {
    let count = 0;
    for (; this.oldestDeadlineMs <= nowMs; count += 1) this.dropOldest("its time is over");
    return count;
  }

  /**
   * What to write now, and moves the cursor on: a message; or the number that the next message has, because those before it are
   * gone; or undefined when there is nothing or the peer's window is full.
   */
  take({ window, windowBytes }: { window: number; windowBytes: number }): OutgoingMessage | number | undefined {
    if (!this.pending) return undefined;
    if (this.#cursor < this.#oldest) {
      this.#cursor = this.#oldest;
      this.#everWritten = Math.max(this.#everWritten, this.#oldest - 1);
      return this.#oldest;
    }
    const message = this.#kept.at(this.#cursor - this.#oldest)!;
    if (this.inFlight >= window) return undefined;
    // One message is always let through, or one that is larger than the window would wait for ever.
    if (this.#flightBytes > 0 && this.#flightBytes + message.bytes.length > windowBytes) return undefined;
    this.#everWritten = Math.max(this.#everWritten, this.#cursor);
    this.#cursor += 1;
    this.#flightBytes += message.bytes.length;
    return message;
  }

  /**
   * The peer's receipt: settles all up to `done`.
   *
   * @throws ProtocolError LINK_ACK_INVALID when it is for what was never written, or goes back
   */
  receipt({ done, rejects }: Receipt): void {
    if (done > this.#everWritten || done < this.#acked) {
      throw new ProtocolError("LINK_ACK_INVALID", `Invalid receipt: ${done} is not in ${this.#acked} … ${this.#everWritten}`);
    }
    while (this.#oldest <= done) {
      const number = this.#oldest;
      const inFlight = number < this.#cursor;
      const message = this.#shift();
      if (inFlight) this.#flightBytes -= message.bytes.length;
      const reason = rejects.size > 0 ? rejects.get(number) : undefined;
      if (reason === undefined) message.settle();
      else
        message.settle(
          new OperationError("LINK_REJECTED", `Cannot deliver a message: the peer's application refused it: ${reason}`),
        );
    }
    this.#acked = done;
    this.#cursor = Math.max(this.#cursor, done + 1);
    if (this.#cursor <= this.#oldest) this.#flightBytes = 0;
  }

  /** False when the peer claims to have what was never written, or less than it had. */
  mayResume(arrived: number, { done }: Receipt): boolean {
    return arrived <= this.#everWritten && arrived >= done && done >= this.#acked;
  }

  /** A new connection on the same session, which `mayResume`: goes on after what the peer has. */
  resume(arrived: number, receipt: Receipt): void {
    this.receipt(receipt);
    this.#cursor = arrived + 1;
    this.#flightBytes = 0;
    const last = Math.min(this.#cursor, this.#oldest + this.length);
    for (let number = this.#oldest; number < last; number += 1) {
      this.#flightBytes += this.#kept.at(number - this.#oldest)!.bytes.length;
    }
  }

  /**
   * Gives up messages that were never written and are longer than the peer takes: writing one would end the connection, and after
   * the reconnect end it again. The numbers of those behind move up; nobody has seen them yet.
   */
  refuseLongerThan(bytesMax: number): void {
    const written = Math.max(0, this.#everWritten - this.#oldest + 1);
    for (const [index, message] of this.#kept.drain().entries()) {
      if (index < written || message.bytes.length <= bytesMax) {
        this.#kept.push(message);
        continue;
      }
      this.#bytes -= message.bytes.length;
      const why = `${message.bytes.length} bytes, at most ${bytesMax} allowed by the peer`;
      message.settle(new OperationError("LINK_MESSAGE_TOO_LARGE", `Cannot send a message: ${why}`));
    }
  }

  /**
   * The peer has forgotten the session. What was never written moves on to the next session, numbered anew; what was written and
   * not done is in doubt: it moves on as well, or the caller gets it to give it up.
   */
  restart({ keepDoubtful }: { keepDoubtful: boolean }): { readonly count: number; readonly givenUp: OutgoingMessage[] } {
    const count = Math.min(this.length, Math.max(0, this.#everWritten - this.#oldest + 1));
    const kept = this.#kept.drain();
    const givenUp = keepDoubtful ? [] : kept.splice(0, count);
    for (const message of kept) this.#kept.push(message);
    this.#oldest = 1;
    this.#acked = 0;
    this.#cursor = 1;
    this.#everWritten = 0;
    this.#flightBytes = 0;
    this.#bytes = kept.reduce((sum, message) => sum + message.bytes.length, 0);
    return { count, givenUp };
  }

  /** Gives up everything, with this error. */
  clear(error: OperationError): void {
    while (this.length > 0) this.#shift().settle(error);
  }

  #shift(): OutgoingMessage {
    const message = this.#kept.shift();
    assert(message !== undefined, "only kept messages leave the outbox");
    this.#oldest += 1;
    this.#bytes -= message.bytes.length;
    return message;
  }
}
