/**
 * ● Callers who wait: receivers until there is a message, senders until there is room. Each is answered once: by what it waits
 * for, its deadline, its AbortSignal, or the socket's close. Served in the order they came, and as many in one turn of the event loop
 * as there is time for.
 */
import type { Cancel, Clock } from "../../core/clock.ts";
import { OperationError } from "../../core/errors.ts";
import type { Message } from "../../zmtp/message-parts.ts";
import { Ring } from "../../core/ring.ts";
import { hold, release } from "./process-life.ts";
import { nextTurn, turnIsOver } from "./turn.ts";

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
  #keepsProcess = false;
  #cancelTimer: Cancel | undefined;
  #signal: AbortSignal | undefined;
  readonly #onAbort = (): void => {
    this.expire(new OperationError("ABORTED", "Aborted while waiting: the AbortSignal fired", { cause: this.#signal?.reason }));
  };

  constructor(resolve: (value: T) => void, reject: (error: Error) => void) {
    this.#resolve = resolve;
    this.#reject = reject;
  }

  bound({ clock, timeoutMs, signal, keepsProcess }: WaitContext, refusal: Refusal): void {
    this.#keepsProcess = keepsProcess;
    if (keepsProcess) hold();
    if (timeoutMs > 0) {
      this.#cancelTimer = clock.at(clock.now() + timeoutMs, () => this.expire(refusal(`within ${timeoutMs} ms`)));
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

  /** Its time is over, or its caller gave up. */
  protected expire(error: Error): void {
    this.reject(error);
  }

  #end(): void {
    this.settled = true;
    if (this.#keepsProcess) release();
    this.#cancelTimer?.();
    this.#signal?.removeEventListener("abort", this.#onAbort);
  }
}

/** Why a call cannot be answered at the moment that it must be. */
type Refusal = (when: string) => Error;

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

  /** How many wait before one who waits. */
  positionOf(waiter: W): number {
    let position = 0;
    for (let index = 0; index < this.#waiters.length; index += 1) {
      const each = this.#waiters.at(index);
      if (each === waiter) break;
      if (!each!.settled) position += 1;
    }
    return position;
  }

  /** All who still wait; the queue is empty afterwards. */
  takeAll(): W[] {
    return this.#waiters.drain().filter(({ settled }) => !settled);
  }
}

class ReceiveWaiter extends Waiter<never> {
  /** Before it is answered by nothing. */
  onGivenUp: (() => void) | undefined;
  /** 0: one message; else a batch of at most so many. */
  batch = 0;

  protected override expire(error: Error): void {
    if (!this.settled) this.onGivenUp?.();
    super.expire(error);
  }
}

class SendWaiter extends Waiter<never> {
  message: Message = [];
}

export interface WaitContext {
  readonly clock: Clock;
  /** 0: never waits; -1: for ever. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
  readonly keepsProcess: boolean;
}

/** Where those who wait for messages get them. */
export interface MessageSource {
  /** The next one, if there is one. */
  receive(): Message | undefined;
  /** When there is none: why the first who waits will get nothing. */
  takeFailure(): Error | undefined;
  /** Who waited behind so many others has given up. */
  giveUp(position: number): void;
}

/** Those who wait for messages. */
export class ReceiveWaiters {
  readonly #queue = new WaiterQueue<ReceiveWaiter>();
  readonly #source: MessageSource;
  readonly #served: () => void;
  readonly #refusal: Refusal;
  #serving = false;
  #scheduled = false;

  /** @param served is called when a waiter was answered */
  constructor(source: MessageSource, served: () => void, refusal: Refusal) {
    this.#source = source;
    this.#served = served;
    this.#refusal = refusal;
  }

  get isEmpty(): boolean {
    return this.#queue.isEmpty;
  }

  /** @param batch 0: resolves with one message; else with an array of 1 to `batch` messages */
  wait<T>(batch: number, context: WaitContext): Promise<T> {
    if (context.signal?.aborted) return Promise.reject(aborted(context.signal));
    if (context.timeoutMs === 0) return Promise.reject(this.#refusal("now"));
    return new Promise<T>((resolve, reject) => {
      const waiter = new ReceiveWaiter(resolve as (value: never) => void, reject);
      waiter.batch = batch;
      waiter.onGivenUp = () => {
        this.#source.giveUp(this.#queue.positionOf(waiter));
        this.#served();
      };
      waiter.bound(context, this.#refusal);
      this.#queue.push(waiter);
    });
  }

  /** Hands out what there is. */
  serve(): void {
    if (this.#serving) return; // taking a message let another one in: it is next
    this.#serving = true;
    for (let waiter = this.#queue.first; waiter !== undefined; waiter = this.#queue.first) {
      if (turnIsOver()) {
        this.serveSoon();
        break;
      }
      const message = this.#source.receive();
      if (message === undefined) {
        const failure = this.#source.takeFailure();
        if (failure === undefined) break;
        waiter.reject(failure);
      } else waiter.resolve((waiter.batch === 0 ? message : this.gather(message, waiter.batch)) as never);
      this.#served();
    }
    this.#serving = false;
  }

  /** The same in the next turn. */
  serveSoon(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    nextTurn(() => {
      this.#scheduled = false;
      this.serve();
    });
  }

  /** A batch that starts with a message and takes what else is there. */
  gather(first: Message, most: number): Message[] {
    const batch = [first];
    while (batch.length < most) {
      const message = this.#source.receive();
      if (message === undefined) break;
      batch.push(message);
    }
    return batch;
  }

  close(): void {
    for (const waiter of this.#queue.takeAll()) waiter.reject(this.#refusal("before the socket was closed"));
  }
}

/** What becomes of a message: taken, not yet, or an error for its sender. */
type Attempt = (message: Message) => "sent" | "EAGAIN" | Error;

/**
 * Those who wait for room, in a queue for each key: a socket that gives to whoever has room has one queue, one that addresses its
 * peers has a queue for each of them. All of them are served once the loop has turned: were it done at once, a program that sends in a
 * loop to a peer that always has room would never let the loop turn, and hear no more of timers or other connections.
 */
export class SendWaiters {
  readonly #queues = new Map<string, WaiterQueue<SendWaiter>>();
  readonly #attempt: Attempt;
  readonly #refusal: Refusal;
  readonly #keyOf: ((message: Message) => string) | undefined;
  #scheduled = false;

  constructor(attempt: Attempt, refusal: Refusal, keyOf?: (message: Message) => string) {
    this.#attempt = attempt;
    this.#refusal = refusal;
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

  wait(message: Message, context: WaitContext): Promise<void> {
    if (context.signal?.aborted) return Promise.reject(aborted(context.signal));
    if (context.timeoutMs === 0) return Promise.reject(this.#refusal("now"));
    return new Promise<void>((resolve, reject) => {
      const waiter = new SendWaiter(resolve as (value: never) => void, reject);
      waiter.message = message;
      waiter.bound(context, this.#refusal);
      const key = this.#key(message);
      const queue = this.#queues.get(key) ?? new WaiterQueue<SendWaiter>();
      this.#queues.set(key, queue);
      queue.push(waiter);
    });
  }

  /** Tries those who wait, in the next turn. */
  serveSoon(): void {
    if (this.#scheduled || this.isEmpty) return;
    this.#scheduled = true;
    nextTurn(() => {
      this.#scheduled = false;
      this.#serve();
    });
  }

  close(): void {
    for (const queue of this.#queues.values()) {
      for (const waiter of queue.takeAll()) waiter.reject(this.#refusal("before the socket was closed"));
    }
    this.#queues.clear();
  }

  /** Each queue up to its first refusal; one that there was no time for goes on behind the others. */
  #serve(): void {
    for (const [key, queue] of this.#queues) {
      for (let waiter = queue.first; waiter !== undefined; waiter = queue.first) {
        if (turnIsOver()) {
          this.#queues.delete(key);
          this.#queues.set(key, queue);
          this.serveSoon();
          return;
        }
        if (!this.#answer(waiter)) break;
      }
      if (queue.isEmpty) this.#queues.delete(key);
    }
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

function aborted(signal: AbortSignal): Error {
  return new OperationError("ABORTED", "Aborted before waiting: the AbortSignal had fired", { cause: signal.reason });
}
