/**
 * ● Callers who wait: receivers until there is a message, senders until there is room. Each is answered once: by what it waits
 * for, its deadline, its AbortSignal, or the socket's close. Served in the order they came.
 */
import type { Cancel, Clock } from "../../core/clock.ts";
import { OperationError } from "../../core/errors.ts";
import type { Message } from "../../zmtp/message-parts.ts";
import { zmqError } from "../errors.ts";
import { Ring } from "../ring.ts";

/** What every call that may wait takes. */
export interface WaitOptions {
  /** Ends the wait: the call rejects with ABORTED. */
  readonly signal?: AbortSignal | undefined;
}

/** One caller and how to answer it. */
class Waiter<T> {
  settled = false;
  readonly #resolve: (value: T) => void;
  readonly #reject: (error: Error) => void;
  #cancelTimer: Cancel | undefined;
  #signal: AbortSignal | undefined;
  readonly #onAbort = (): void => {
    this.reject(new OperationError("ABORTED", "Gave up waiting: the AbortSignal fired", { cause: this.#signal?.reason }));
  };

  constructor(resolve: (value: T) => void, reject: (error: Error) => void) {
    this.#resolve = resolve;
    this.#reject = reject;
  }

  /** @param what for the error: "receive" or "send" */
  bound(clock: Clock, timeoutMs: number, signal: AbortSignal | undefined, what: string): void {
    if (timeoutMs > 0) {
      this.#cancelTimer = clock.at(clock.now() + timeoutMs, () => this.reject(timedOut(what, timeoutMs)));
    }
    if (signal) {
      this.#signal = signal;
      signal.addEventListener("abort", this.#onAbort, { once: true });
    }
  }

  resolve(value: T): void {
    this.#end();
    this.#resolve(value);
  }

  reject(error: Error): void {
    if (this.settled) return;
    this.#end();
    this.#reject(error);
  }

  #end(): void {
    this.settled = true;
    this.#cancelTimer?.();
    this.#signal?.removeEventListener("abort", this.#onAbort);
  }
}

/** A line of waiters; those answered meanwhile are skipped when their turn comes. */
class Line<W extends Waiter<never>> {
  readonly #waiters = new Ring<W>();

  get isEmpty(): boolean {
    return this.first === undefined;
  }

  get first(): W | undefined {
    for (let waiter = this.#waiters.peek(); waiter !== undefined; waiter = this.#waiters.peek()) {
      if (!waiter.settled) return waiter;
      this.#waiters.shift();
    }
    return undefined;
  }

  push(waiter: W): void {
    this.#waiters.push(waiter);
  }

  /** All who still wait; the line is empty afterwards. */
  takeAll(): W[] {
    const all: W[] = [];
    for (let waiter = this.#waiters.shift(); waiter !== undefined; waiter = this.#waiters.shift()) {
      if (!waiter.settled) all.push(waiter);
    }
    return all;
  }
}

class Receiver extends Waiter<never> {
  /** 0: one message; else a batch of at most so many. */
  batch = 0;
}

class Sender extends Waiter<never> {
  message: Message = [];
}

export interface WaitContext {
  readonly clock: Clock;
  /** 0: never waits; -1: for ever. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
}

/** Those who wait for messages. `next` gives the next one or undefined. */
export class Receivers {
  readonly #line = new Line<Receiver>();
  readonly #next: () => Message | undefined;

  constructor(next: () => Message | undefined) {
    this.#next = next;
  }

  get isEmpty(): boolean {
    return this.#line.isEmpty;
  }

  /** @param batch 0: resolves with one message; else with an array of 1 to `batch` messages */
  wait<T>(batch: number, { clock, timeoutMs, signal }: WaitContext): Promise<T> {
    if (signal?.aborted) return Promise.reject(aborted(signal));
    if (timeoutMs === 0) return Promise.reject(timedOut("receive", 0));
    return new Promise<T>((resolve, reject) => {
      const receiver = new Receiver(resolve as (value: never) => void, reject);
      receiver.batch = batch;
      receiver.bound(clock, timeoutMs, signal, "receive");
      this.#line.push(receiver);
    });
  }

  /** Hands out what there is. */
  serve(): void {
    for (let receiver = this.#line.first; receiver !== undefined; receiver = this.#line.first) {
      const message = this.#next();
      if (message === undefined) return;
      receiver.resolve((receiver.batch === 0 ? message : this.gather(message, receiver.batch)) as never);
    }
  }

  /** A batch that starts with a message and takes what else is there. */
  gather(first: Message, most: number): Message[] {
    const batch = [first];
    while (batch.length < most) {
      const message = this.#next();
      if (message === undefined) break;
      batch.push(message);
    }
    return batch;
  }

  close(): void {
    for (const receiver of this.#line.takeAll()) receiver.reject(closedWhileWaiting("receive"));
  }
}

/**
 * Those who wait for room, in a line for each key: a socket that gives to whoever has room has one line, one that addresses its
 * peers has a line for each of them. `attempt` tries a message: taken, not yet, or an error for its sender.
 */
export class Senders {
  readonly #lines = new Map<string, Line<Sender>>();
  readonly #attempt: (message: Message) => "sent" | "EAGAIN" | Error;
  readonly #keyOf: ((message: Message) => string) | undefined;

  constructor(attempt: (message: Message) => "sent" | "EAGAIN" | Error, keyOf?: (message: Message) => string) {
    this.#attempt = attempt;
    this.#keyOf = keyOf;
  }

  /** Whether nobody waits at all. */
  get isEmpty(): boolean {
    return this.#lines.size === 0;
  }

  /** Whether a message would have to wait behind others. */
  isBlocked(message: Message): boolean {
    if (this.#lines.size === 0) return false;
    return this.#lines.get(this.#key(message))?.isEmpty === false;
  }

  wait(message: Message, { clock, timeoutMs, signal }: WaitContext): Promise<void> {
    if (signal?.aborted) return Promise.reject(aborted(signal));
    if (timeoutMs === 0) return Promise.reject(timedOut("send", 0));
    return new Promise<void>((resolve, reject) => {
      const sender = new Sender(resolve as (value: never) => void, reject);
      sender.message = message;
      sender.bound(clock, timeoutMs, signal, "send");
      const key = this.#key(message);
      const line = this.#lines.get(key) ?? new Line<Sender>();
      this.#lines.set(key, line);
      line.push(sender);
    });
  }

  /** Tries those who wait, each line up to its first refusal. */
  serve(): void {
    for (const [key, line] of this.#lines) {
      for (let sender = line.first; sender !== undefined && this.#answer(sender); sender = line.first);
      if (line.isEmpty) this.#lines.delete(key);
    }
  }

  close(): void {
    for (const line of this.#lines.values()) for (const sender of line.takeAll()) sender.reject(closedWhileWaiting("send"));
    this.#lines.clear();
  }

  #key(message: Message): string {
    return this.#keyOf === undefined ? "" : this.#keyOf(message);
  }

  /** @returns false when it must wait on */
  #answer(sender: Sender): boolean {
    const result = this.#attempt(sender.message);
    if (result === "EAGAIN") return false;
    if (result === "sent") sender.resolve(undefined as never);
    else sender.reject(result);
    return true;
  }
}

function timedOut(what: string, timeoutMs: number): Error {
  const reason = what === "send" ? "no peer has room" : "there is no message";
  return zmqError("EAGAIN", `Cannot ${what}: ${reason}${timeoutMs > 0 ? ` after ${timeoutMs} ms` : ""}`);
}

function closedWhileWaiting(what: string): Error {
  return zmqError("EAGAIN", `Cannot ${what}: the socket was closed`);
}

function aborted(signal: AbortSignal): Error {
  return new OperationError("ABORTED", "Did not wait: the AbortSignal had fired", { cause: signal.reason });
}
