/**
 * ○ One call of a caller, from asking to settling. Invariant: it settles exactly once; whatever comes afterwards (a late reply,
 * a second failure) changes nothing. An operation knows its request and how to read the reply, not how either is encoded.
 */
import type { HoldfastError } from "../../../core/errors.ts";
import type { TagVersion } from "./tagged.ts";
import type { MemcachedReply } from "../../../memcached/reply.ts";

/** Who is told how operations end, and decides what a failure means: the client's counters, events and error policy. */
export interface OperationOwner {
  /** True when the failed call shall count as a miss instead. */
  failed(operation: CacheOperation, error: HoldfastError): boolean;
  /** Called once, after `outcome`, `hits` and `misses` are final. */
  settled(operation: CacheOperation): void;
  /** A plain read or touch, which went out as a meta command, took the turn of whoever shall compute the item (W). */
  turnTaken(key: string, cas: bigint, server: string): void;
  /** A read found an item with tags: whether it counts must be asked of its server first. */
  checkTags(operation: CacheOperation, tags: readonly TagVersion[], checked: (check: TagCheck) => void): void;
}

/** What a check of tags comes to: whether the item counts, or why that cannot be told. */
export type TagCheck = boolean | HoldfastError;

/** The owner of the client's own requests (handshake, discovery, change stream): none are counted, failures reject. */
export const UNCOUNTED: OperationOwner = {
  failed: () => false,
  settled() {},
  turnTaken() {},
  checkTags: (_operation, _tags, checked) => checked(true),
};

/** A call's span in a trace: first told of a failure, if there is one, then of the end. */
export interface Span {
  failed(error: HoldfastError): void;
  ended(operation: CacheOperation): void;
}

/** How a call ended: "ok" for what neither hits nor misses. */
export type OperationOutcome = "hit" | "miss" | "ok" | "error";

/** What reads: the classic words, or `mg`, which alone tells how long an item has left. */
export type ReadVerb = "get" | "gets" | "mg";

/** The commands of memcached, in the classic protocol's words. */
export type Verb =
  | "get"
  | "gets"
  | "mg"
  | "set"
  | "add"
  | "replace"
  | "append"
  | "prepend"
  | "cas"
  | "delete"
  | "touch"
  | "gat"
  | "incr"
  | "decr"
  | "flush_all"
  | "stats"
  | "version"
  | "meta"
  | "sasl"
  | "config";

/** What is no read of keys. */
export type CommandVerb = Exclude<Verb, ReadVerb>;

/** When a call began and when it must have settled, by the clock's `now()`. */
export interface CallTimes {
  readonly startedMs: number;
  readonly deadlineMs: number;
}

/** For requests whose time limit another timer keeps. */
export const NO_DEADLINE: CallTimes = { startedMs: 0, deadlineMs: Infinity };

export abstract class CacheOperation {
  readonly verb: Verb;
  /** Wire key (key.ts); empty for what concerns the whole server. */
  readonly key: string;
  readonly owner: OperationOwner;
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
  /** The only connection on which it may be sent; undefined: any. On another it counts as missed. */
  connection: number | undefined = undefined;
  /** Bytes of value it keeps waiting in the queue; for text its letters. */
  bodyBytes = 0;
  /** Told how it ends, where someone traces. */
  span: Span | undefined = undefined;
  /** Undone when the operation settles: the listener on the caller's signal. */
  release: (() => void) | undefined = undefined;
  readonly #reject: (error: HoldfastError) => void;

  constructor(verb: Verb, key: string, owner: OperationOwner, times: CallTimes, reject: (error: HoldfastError) => void) {
    this.verb = verb;
    this.key = key;
    this.owner = owner;
    this.startedMs = times.startedMs;
    this.deadlineMs = times.deadlineMs;
    this.#reject = reject;
  }

  /** Settles as failed: rejects, or gives the miss value where the client was told to. Nothing when already settled. */
  fail(error: HoldfastError): void {
    if (this.settled) return;
    this.outcome = "error";
    if (this.owner.failed(this, error)) this.giveUp();
    else this.#reject(error);
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

  protected finish(): void {
    this.settled = true;
    this.release?.();
    this.release = undefined;
    this.owner.settled(this);
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
  /** The connection that told the version it names; not sent on another, since a server that is started anew begins its versions anew. */
  readonly connection?: number;
}

/** Reads a reply of a command: its result, or undefined when more replies follow. Throws what the caller shall get. */
export type ReplyReader<T> = (reply: MemcachedReply, verb: Verb) => { readonly result: T } | undefined;

/** Every command but get and gets, as the protocols see it. */
export interface CommandRequest extends CacheOperation {
  readonly fields: CommandFields;
  /**
   * Takes a reply.
   *
   * @returns true when it was the last one
   * @throws ProtocolError CACHE_REPLY_INVALID when the reply cannot belong to this command: the connection is out of step
   */
  accept(reply: MemcachedReply): boolean;
}

/** A command with the promise that waits for its reply. */
export class CommandOperation<T> extends CacheOperation implements CommandRequest {
  readonly fields: CommandFields;
  readonly #read: ReplyReader<T>;
  readonly #missed: T;
  readonly #resolve: (value: T) => void;

  constructor(
    verb: Exclude<Verb, ReadVerb>,
    key: string,
    owner: OperationOwner,
    times: CallTimes,
    fields: CommandFields,
    read: ReplyReader<T>,
    missed: T,
    resolve: (value: T) => void,
    reject: (error: HoldfastError) => void,
  ) {
    super(verb, key, owner, times, reject);
    this.fields = fields;
    this.bodyBytes = fields.body?.length ?? 0;
    this.connection = fields.connection;
    this.#read = read;
    this.#missed = missed;
    this.#resolve = resolve;
  }

  accept(reply: MemcachedReply): boolean {
    const outcome = this.#read(reply, this.verb);
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
}
