/**
 * ○ Messages received: which numbers arrived, which the application is done with. Invariant: done <= arrived; every number up to
 * `done` is settled; of those above, `#early` holds the settled ones. A message that arrived is never taken again.
 */
import { assert } from "../../core/assert.ts";
import { ProtocolError } from "../../core/errors.ts";
import type { Receipt } from "./body.ts";

export class Inbox {
  #arrived = 0;
  #done = 0;
  #early: Set<number> | undefined;
  #rejects: Map<number, string> | undefined;
  #receipted = 0;
  #lost: { from: number; to: number }[] | undefined;
  #bytes = 0;
  readonly #window: number;
  readonly #windowBytes: number;

  constructor({ window, windowBytes }: { window: number; windowBytes: number }) {
    this.#window = window;
    this.#windowBytes = windowBytes;
  }

  get arrived(): number {
    return this.#arrived;
  }

  /** Bytes in the application's hands. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Messages in the application's hands. */
  get open(): number {
    return this.#arrived - this.#done - (this.#early?.size ?? 0);
  }

  /** True when the peer has not been told of all that is done. */
  get receiptDue(): boolean {
    return this.#done > this.#receipted;
  }

  /**
   * A message arrived.
   *
   * @returns its number, to settle it by
   * @throws ProtocolError LINK_WINDOW_EXCEEDED
   */
  take(bytes: number): number {
    const held = this.#arrived - this.#done;
    if (held >= this.#window || (held > 0 && this.#bytes + bytes > this.#windowBytes)) {
      const allowed = `${this.#window} messages and ${this.#windowBytes} bytes`;
      throw new ProtocolError(
        "LINK_WINDOW_EXCEEDED",
        `Window exceeded at message ${this.#arrived + 1}: more than ${allowed} are unacknowledged`,
      );
    }
    this.#arrived += 1;
    this.#bytes += bytes;
    return this.#arrived;
  }

  /**
   * Messages before `next` will never come.
   *
   * @returns the numbers lost, or undefined when none is
   * @throws ProtocolError LINK_GAP_INVALID when it goes back
   */
  skipTo(next: number): { readonly from: number; readonly to: number } {
    if (next <= this.#arrived + 1) {
      throw new ProtocolError("LINK_GAP_INVALID", `Cannot skip to message ${next}: ${this.#arrived} have arrived`);
    }
    const lost = { from: this.#arrived + 1, to: next - 1 };
    // What is lost counts as done: nobody waits for it. Kept as ranges, for a peer may name a number far away.
    const last = this.#lost?.at(-1);
    if (last?.to === this.#arrived) last.to = lost.to;
    else (this.#lost ??= []).push({ ...lost });
    this.#arrived = lost.to;
    this.#advance();
    return lost;
  }

  /** The application is done with a message, or refuses it and says why. */
  settle(number: number, { bytes, reject }: { bytes: number; reject?: string | undefined }): void {
    assert(number > this.#done && number <= this.#arrived, "a message is settled once, after it arrived");
    this.#bytes -= bytes;
    if (reject !== undefined) (this.#rejects ??= new Map()).set(number, reject);
    if (number === this.#done + 1) this.#done = number;
    else (this.#early ??= new Set()).add(number);
    this.#advance();
  }

  /** What was done since the last receipt, for ACK. */
  receipt(): Receipt {
    const told = this.#receipted;
    this.#receipted = this.#done;
    return { done: this.#done, rejects: this.#rejectsAfter(told) };
  }

  /**
   * What is done, for HELLO and WELCOME. With all refusals of the last window: the peer sends no further than that past what it
   * knows to be done, so of older ones it has heard.
   */
  fullReceipt(): Receipt {
    this.#receipted = this.#done;
    return { done: this.#done, rejects: this.#rejectsAfter(this.#arrived - this.#window) };
  }

  #advance(): void {
    for (;;) {
      if (this.#early?.delete(this.#done + 1)) this.#done += 1;
      else if (this.#lost?.[0]?.from === this.#done + 1) this.#done = this.#lost.shift()!.to;
      else break;
    }
    if (this.#early?.size === 0) this.#early = undefined;
    if (this.#lost?.length === 0) this.#lost = undefined;
  }

  #rejectsAfter(told: number): ReadonlyMap<number, string> {
    if (!this.#rejects) return NONE;
    const found = new Map<number, string>();
    for (const [number, reason] of this.#rejects) {
      if (number <= this.#arrived - this.#window) this.#rejects.delete(number);
      if (number > told && number <= this.#done) found.set(number, reason);
    }
    if (this.#rejects.size === 0) this.#rejects = undefined;
    return found;
  }
}

const NONE: ReadonlyMap<number, string> = new Map();
