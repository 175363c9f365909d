/**
 * ○ Requests that were sent and wait for their replies: a batch of keys (one `get` line or its binary equivalent), or one command.
 * Replies come in the order of the requests; each request tells which reply is its last.
 */
import { OperationError, ProtocolError, type HoldfastError } from "../../../core/errors.ts";
import type { MemcachedReply } from "../../../memcached/reply.ts";
import { LEASE_FLAGS } from "../operations/codec.ts";
import { TAGGED_FLAG, tagsOf, type TagVersion } from "../operations/tagged.ts";
import type { ReplySink } from "../operations/get-operation.ts";
import type { CacheOperation, CommandRequest, ReadVerb } from "../operations/operation.ts";

export type InFlightRequest = InFlightBatch | InFlightCommand;

/** Consecutive keys of one sink in a batch: the key at `position` is the sink's `slot`, the next one its next. */
interface KeyRange {
  readonly sink: ReplySink;
  readonly position: number;
  readonly slot: number;
}

/** Where a key has been requested. */
export interface KeyPosition {
  readonly batch: InFlightBatch;
  readonly position: number;
}

/** One more sink for a key that the batch already requests. */
interface CoalescedWaiter {
  readonly sink: ReplySink;
  readonly slot: number;
}

/**
 * Keys requested together. memcached answers the found keys in the order of the request and leaves out the others, so that each
 * value also tells which keys before it were missed. A value for a key that was not requested, or one too many, closes the
 * connection: so no value is ever given to the wrong key.
 */
export class InFlightBatch {
  readonly verb: ReadVerb;
  readonly keys: string[] = [];
  keyBytes = 0;
  /** Whether it was sent. Further sinks may still join its keys. */
  sent = false;
  /** Its connection broke before its last reply: its sinks have failed, or ask again. */
  lost = false;
  /** Bytes of the answers so far, their lines included. */
  foundBytes = 0;
  /** What the reply carries in place of the key: the opaque token of a meta `mg`. */
  token: string | undefined = undefined;
  /** Calls waiting for this request: a getMany counts once, however many of its keys are here. */
  size = 0;
  readonly #ranges: KeyRange[] = [];
  #latest: ReplySink | undefined = undefined;
  #positions: Map<string, number> | undefined = undefined;
  #waiters: Map<number, CoalescedWaiter[]> | undefined = undefined;
  /** The first key without a reply, and its range. */
  #cursor = 0;
  #range = 0;

  constructor(verb: ReadVerb) {
    this.verb = verb;
  }

  /**
   * Adds a key for a sink, whose keys come one after the other; one that another sink has requested already is not added again.
   *
   * @returns the key's position
   */
  add(key: string, sink: ReplySink, slot: number): number {
    if (sink !== this.#latest) {
      this.#latest = sink;
      this.size += 1;
    }
    const shared = this.#positionOf(key);
    if (shared !== undefined) {
      this.#addWaiter(shared, { sink, slot });
      return shared;
    }
    const position = this.keys.length;
    const last = this.#ranges.at(-1);
    if (!last || last.sink !== sink || slot - last.slot !== position - last.position) {
      this.#ranges.push({ sink, position, slot });
    }
    this.keys.push(key);
    this.keyBytes += key.length + 1;
    return position;
  }

  /**
   * Adds a sink for a key that is requested already; a sink's keys come one after the other.
   *
   * @returns by how many calls the batch has grown
   */
  share(position: number, sink: ReplySink, slot: number): number {
    this.#addWaiter(position, { sink, slot });
    if (sink === this.#latest) return 0;
    this.#latest = sink;
    this.size += 1;
    return 1;
  }

  /** @returns true when the reply was the batch's last */
  accept(reply: MemcachedReply): boolean {
    switch (reply.kind) {
      case "VALUE":
        this.#found(reply);
        return false;
      case "VA":
        this.#found(reply);
        return this.verb !== "mg";
      case "END":
      case "EN":
      case "MN":
        this.#missUpTo(this.keys.length);
        return true;
      default:
        this.fail(refused(reply, this.verb));
        return true;
    }
  }

  fail(error: HoldfastError): void {
    for (const sink of this.operations()) sink.fail(error);
  }

  *operations(): IterableIterator<ReplySink> {
    for (const { sink } of this.#ranges) yield sink;
    for (const waiters of this.#waiters?.values() ?? []) for (const { sink } of waiters) yield sink;
  }

  /** The key's position if it is requested already. The keys of a single getMany are distinct, so it needs no table. */
  #positionOf(key: string): number | undefined {
    if (this.size <= 1) return undefined;
    this.#positions ??= new Map(this.keys.map((each, index) => [each, index]));
    const position = this.#positions.get(key);
    if (position === undefined) this.#positions.set(key, this.keys.length);
    return position;
  }

  #addWaiter(position: number, waiter: CoalescedWaiter): void {
    this.#waiters ??= new Map();
    const waiters = this.#waiters.get(position);
    if (waiters) waiters.push(waiter);
    else this.#waiters.set(position, [waiter]);
  }

  #found(reply: MemcachedReply): void {
    let position = this.#cursor;
    const { keys } = this;
    while (position < keys.length && !reply.keyIs(this.#nameOf(position))) position += 1;
    if (position === keys.length) {
      throw new ProtocolError("CACHE_REPLY_INVALID", "Invalid reply: a value for a key that was not requested");
    }
    this.#missUpTo(position);
    this.#cursor = position + 1;
    this.foundBytes += reply.valueEnd - reply.valueStart + reply.lineEnd - reply.lineStart;
    const range = this.#rangeAt(position);
    if (reply.won) range.sink.owner.turnTaken(keys[position]!, reply.cas, range.sink.server!);
    if (reply.flags === LEASE_FLAGS) {
      // A lease's placeholder: there is no value yet.
      range.sink.miss(range.slot + position - range.position);
      for (const { sink, slot } of this.#waiters?.get(position) ?? NO_WAITERS) sink.miss(slot);
      return;
    }
    if (reply.flags >= TAGGED_FLAG) {
      const tags = tagsOf(reply.valueBytes, reply.flags);
      if (tags) {
        this.#foundTagged(range.sink, range.slot + position - range.position, position, tags, reply.copy());
        return;
      }
    }
    range.sink.hit(range.slot + position - range.position, reply);
    for (const { sink, slot } of this.#waiters?.get(position) ?? NO_WAITERS) sink.hit(slot, reply);
  }

  #foundTagged(
    first: ReplySink,
    firstSlot: number,
    position: number,
    tags: readonly TagVersion[],
    reply: MemcachedReply,
  ): void {
    first.owner.checkTags(first, tags, (check) => {
      if (this.lost) return;
      const all = [{ sink: first, slot: firstSlot }, ...(this.#waiters?.get(position) ?? NO_WAITERS)];
      for (const { sink, slot } of all) {
        if (check === true) sink.hit(slot, reply);
        else if (check === false) sink.miss(slot);
        else sink.fail(check);
      }
    });
  }

  /** What the reply to a key names it by: in a batch of `mg` its position, else the token, or the key itself. */
  #nameOf(position: number): string {
    return this.verb === "mg" ? String(position) : (this.token ?? this.keys[position]!);
  }

  #missUpTo(end: number): void {
    for (let position = this.#cursor; position < end; position += 1) {
      const range = this.#rangeAt(position);
      range.sink.miss(range.slot + position - range.position);
      for (const { sink, slot } of this.#waiters?.get(position) ?? NO_WAITERS) sink.miss(slot);
    }
    this.#cursor = end;
  }

  /** Called with rising positions. */
  #rangeAt(position: number): KeyRange {
    for (let next = this.#ranges[this.#range + 1]; next && next.position <= position;) {
      this.#range += 1;
      next = this.#ranges[this.#range + 1];
    }
    return this.#ranges[this.#range]!;
  }
}

const NO_WAITERS: readonly CoalescedWaiter[] = [];

/** One command and its replies. */
export class InFlightCommand {
  readonly command: CommandRequest;
  readonly size = 1;
  sent = false;

  constructor(command: CommandRequest) {
    this.command = command;
  }

  accept(reply: MemcachedReply): boolean {
    const refusal = refusalOf(reply);
    const { owner, verb, key, server } = this.command;
    if (reply.won && verb !== "meta") owner.turnTaken(key, reply.cas, server!);
    if (!refusal) return this.command.accept(reply);
    this.command.fail(refusal);
    // The server may have read the value's bytes as commands: no later reply on this connection can be trusted.
    if (this.command.fields.body !== undefined && reply.kind !== "SERVER_ERROR") throw refusal;
    return true;
  }

  fail(error: HoldfastError): void {
    this.command.fail(error);
  }

  *operations(): IterableIterator<CacheOperation> {
    yield this.command;
  }
}

/** The server's refusal, or undefined when the reply is none. */
function refusalOf(reply: MemcachedReply): HoldfastError | undefined {
  switch (reply.kind) {
    case "SERVER_ERROR":
      return new OperationError("CACHE_SERVER_ERROR", `Server error: ${reply.text}`);
    case "CLIENT_ERROR":
      return new OperationError("CACHE_REFUSED", `Server refused the command: ${reply.text}`);
    case "ERROR":
      return new OperationError("CACHE_REFUSED", `Server does not know the command${reply.text && `: ${reply.text}`}`);
    default:
      return undefined;
  }
}

/** The server's refusal. @throws ProtocolError when the reply is none: the connection is out of step */
function refused(reply: MemcachedReply, verb: string): HoldfastError {
  const refusal = refusalOf(reply);
  if (!refusal) throw unexpected(reply, verb);
  return refusal;
}

/** The reply cannot belong to the request. */
export function unexpected(reply: MemcachedReply, verb: string): ProtocolError {
  return new ProtocolError("CACHE_REPLY_INVALID", `Invalid reply: '${reply.wholeLine.slice(0, 100)}' does not answer ${verb}`);
}
