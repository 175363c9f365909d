/**
 * ● Callers who wait: receivers until there is a message, senders until there is room. Each is answered once: by what it waits
 * for, its deadline, its AbortSignal, or the socket's close. Served in the order they came.
 */
import type { Cancel, Clock } from "../../core/clock.ts";
import { OperationError } from "../../core/errors.ts";
import type { Message } from "../../zmtp/message-parts.ts";
import { zmqError } from "../errors.ts";
import { Ring } from "../../core/ring.ts";

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
    this.reject(new OperationError("ABORTED", "Aborted while waiting: the AbortSignal fired", { cause: this.#signal?.reason }));
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

/** A queue of waiters; those answered meanwhile are skipped when their turn comes. */
class WaiterQueue<W extends Waiter<never>> {
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

  /** All who still wait; the queue is empty afterwards. */
  takeAll(): W[] {
    return this.#waiters.drain().filter(({ settled }) => !settled);
  }
}

class ReceiveWaiter extends Waiter<never> {
  /** 0: one message; else a batch of at most so many. */
  batch = 0;
}

class SendWaiter extends Waiter<never> {
  message: Message = [];
}

export interface WaitContext {
  readonly clock: Clock;
  /** 0: never waits; -1: for ever. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
}

/** Those who wait for messages. `next` gives the next one or undefined. */
export class ReceiveWaiters {
  readonly #queue = new WaiterQueue<ReceiveWaiter>();
  readonly #next: () => Message | undefined;

  constructor(next: () => Message | undefined) {
    this.#next = next;
  }

  get isEmpty(): boolean {
    return this.#queue.isEmpty;
  }

  /** @param batch 0: resolves with one message; else with an array of 1 to `batch` messages */
  wait<T>(batch: number, { clock, timeoutMs, signal }: WaitContext): Promise<T> {
    if (signal?.aborted) return Promise.reject(aborted(signal));
    if (timeoutMs === 0) return Promise.reject(timedOut("receive", 0));
    return new Promise<T>((resolve, reject) => {
      const waiter = new ReceiveWaiter(resolve as (value: never) => void, reject);
      waiter.batch = batch;
      waiter.bound(clock, timeoutMs, signal, "receive");
      this.#queue.push(waiter);
    });
  }

  /** Hands out what there is. */
  serve(): void {
    for (let waiter = this.#queue.first; waiter !== undefined; waiter = this.#queue.first) {
      const message = this.#next();
      if (message === undefined) return;
      waiter.resolve((waiter.batch === 0 ? message : this.gather(message, waiter.batch)) as never);
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
    for (const waiter of this.#queue.takeAll()) waiter.reject(closedWhileWaiting("receive"));
  }
}

/**
 * Those who wait for room, in a queue for each key: a socket that gives to whoever has room has one queue, one that addresses its
 * peers has a queue for each of them. `attempt` tries a message: taken, not yet, or an error for its sender.
 */
export class SendWaiters {
  readonly #queues = new Map<string, WaiterQueue<SendWaiter>>();
  readonly #attempt: (message: Message) => "sent" | "EAGAIN" | Error;
  readonly #keyOf: ((message: Message) => string) | undefined;

  constructor(attempt: (message: Message) => "sent" | "EAGAIN" | Error, keyOf?: (message: Message) => string) {
    this.#attempt = attempt;
    this.#keyOf = keyOf;
  }

  /** Whether nobody waits at all. */
  get isEmpty(): boolean {
    return this.#queues.size === 0;
  }

  /** Whether a message would have to wait behind others. */
  isBlocked(message: Message): boolean {
    if (this.#queues.size === 0) return false;
    return this.#queues.get(this.#key(message))?.isEmpty === false;
  }

  wait(message: Message, { clock, timeoutMs, signal }: WaitContext): Promise<void> {
    if (signal?.aborted) return Promise.reject(aborted(signal));
    if (timeoutMs === 0) return Promise.reject(timedOut("send", 0));
    return new Promise<void>((resolve, reject) => {
      const waiter = new SendWaiter(resolve as (value: never) => void, reject);
      waiter.message = message;
      waiter.bound(clock, timeoutMs, signal, "send");
      const key = this.#key(message);
      const queue = this.#queues.get(key) ?? new WaiterQueue<SendWaiter>();
      this.#queues.set(key, queue);
      queue.push(waiter);
    });
  }

  /** Tries those who wait, each queue up to its first refusal. */
  serve(): void {
    for (const [key, queue] of this.#queues) {
      for (let waiter = queue.first; waiter !== undefined && this.#answer(waiter); waiter = queue.first);
      if (queue.isEmpty) this.#queues.delete(key);
    }
  }

  close(): void {
    for (const queue of this.#queues.values()) for (const waiter of queue.takeAll()) waiter.reject(closedWhileWaiting("send"));
    this.#queues.clear();
  }

  #key(message: Message): string {
    return this.#keyOf === undefined ? "" : this.#keyOf(message);
  }

  /** @returns false when it must wait on */
  #answer(waiter: SendWaiter): boolean {
    const result = this.#attempt(waiter.message);
    if (result === "EAGAIN") return false;
    if (result === "sent") waiter.resolve(undefined as never);
    else waiter.reject(result);
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
  return new OperationError("ABORTED", "Aborted before waiting: the AbortSignal had fired", { cause: signal.reason });
}
