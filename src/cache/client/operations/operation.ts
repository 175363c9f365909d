/**
 * ○ One call of a caller, from asking to settling. Invariant: it settles exactly once; whatever comes afterwards (a late reply,
 * a second failure) changes nothing. An operation knows its question and how to read the answer, not how either is written.
 */
import type { HoldfastError } from "../../../core/errors.ts";
import type { MemcachedReply } from "../../../memcached/reply.ts";

/** Who is told how calls end: the client's counters, events and error policy. */
export interface OperationObserver {
  /** True when the failed call shall count as a miss instead. */
  failed(operation: CacheOperation, error: HoldfastError): boolean;
  /** Called once, after `outcome`, `hits` and `misses` are final. */
  settled(operation: CacheOperation): void;
}

/** A call's span in a trace: first told of a failure, if there is one, then of the end. */
export interface Span {
  failed(error: HoldfastError): void;
  ended(operation: CacheOperation): void;
}

/** How a call ended: "ok" for what neither hits nor misses. */
export type OperationOutcome = "hit" | "miss" | "ok" | "error";

/** The questions of memcached, in the classic protocol's words. */
export type Verb =
  | "get"
  | "gets"
  | "set"
  | "add"
  | "replace"
  | "append"
  | "prepend"
  | "cas"
  | "delete"
  | "touch"
  | "incr"
  | "decr"
  | "flush_all"
  | "stats"
  | "version"
  | "meta"
  | "sasl"
  | "config";

/** When a call began and when it must have settled, by the clock's `now()`. */
export interface Time {
  readonly startedMs: number;
  readonly deadlineMs: number;
}

export abstract class CacheOperation {
  readonly verb: Verb;
  /** Wire key (key.ts); empty for what concerns the whole server. */
  readonly key: string;
  readonly observer: OperationObserver;
  readonly startedMs: number;
  readonly deadlineMs: number;
  settled = false;
  outcome: OperationOutcome = "ok";
  hits = 0;
  misses = 0;
  /** The server that was asked; undefined: none answers for the key. */
  server: string | undefined = undefined;
  /** Reads are asked again, once, when their connection breaks. */
  retries = 0;
  /** Bytes of value it keeps waiting in the queue; for text its letters. */
  bodyBytes = 0;
  /** Told how it ends, where someone traces. */
  span: Span | undefined = undefined;
  /** Undone when the operation settles: the listener on the caller's signal. */
  release: (() => void) | undefined = undefined;

  constructor(verb: Verb, key: string, observer: OperationObserver, time: Time) {
    this.verb = verb;
    this.key = key;
    this.observer = observer;
    this.startedMs = time.startedMs;
    this.deadlineMs = time.deadlineMs;
  }

  /** Settles as failed: rejects, or gives the miss value where the client was told to. Nothing when already settled. */
  fail(error: HoldfastError): void {
    if (this.settled) return;
    this.outcome = "error";
    if (this.observer.failed(this, error)) this.giveUp();
    else this.reject(error);
    this.finish();
  }

  /** Settles as missed: no server answers for the key. */
  missed(): void {
    if (this.settled) return;
    this.outcome = "miss";
    this.misses = this.keyCount;
    this.giveUp();
    this.finish();
  }

  /** Keys asked for. */
  protected get keyCount(): number {
    return 1;
  }

  /** Settles the caller's promise with what a miss gives. */
  protected abstract giveUp(): void;
  protected abstract reject(error: HoldfastError): void;

  protected finish(): void {
    this.settled = true;
    this.release?.();
    this.release = undefined;
    this.observer.settled(this);
  }
}

/** What a command says besides its verb and key. */
export interface CommandFields {
  readonly body?: string | Uint8Array;
  readonly flags?: number;
  readonly exptime?: number;
  readonly cas?: bigint;
  readonly delta?: bigint;
  /** Words behind the verb for `stats`, `flush_all`, `config`; for `meta` the line up to the value's length. */
  readonly words?: string;
  /** `meta` only: the line from there on, with its leading space. */
  readonly tail?: string;
}

/** Reads a reply of a command: its result, or undefined when more replies follow. Throws what the caller shall get. */
export type Interpret<T> = (reply: MemcachedReply, verb: Verb) => { readonly result: T } | undefined;

/** Everything but get and gets, as the wire sees it: one question, answered in order. */
export interface CommandRequest extends CacheOperation {
  readonly fields: CommandFields;
  /**
   * Takes a reply.
   *
   * @returns true when it was the last one
   * @throws ProtocolError CACHE_REPLY_INVALID when the reply answers another question: the connection has lost its place
   */
  accept(reply: MemcachedReply): boolean;
}

/** A question with the promise that waits for its answer. */
export class CommandOperation<T> extends CacheOperation implements CommandRequest {
  readonly fields: CommandFields;
  readonly #interpret: Interpret<T>;
  readonly #missed: T;
  readonly #resolve: (value: T) => void;
  readonly #reject: (error: HoldfastError) => void;

  constructor(
    verb: Exclude<Verb, "get" | "gets">,
    key: string,
    observer: OperationObserver,
    time: Time,
    fields: CommandFields,
    interpret: Interpret<T>,
    missed: T,
    resolve: (value: T) => void,
    reject: (error: HoldfastError) => void,
  ) {
    super(verb, key, observer, time);
    this.fields = fields;
    this.bodyBytes = fields.body?.length ?? 0;
    this.#interpret = interpret;
    this.#missed = missed;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  accept(reply: MemcachedReply): boolean {
    const outcome = this.#interpret(reply, this.verb);
    if (!outcome) return false;
    if (!this.settled) {
      this.#resolve(outcome.result);
      this.finish();
    }
    return true;
  }

  protected giveUp(): void {
    this.#resolve(this.#missed);
  }

  protected reject(error: HoldfastError): void {
    this.#reject(error);
  }
}
