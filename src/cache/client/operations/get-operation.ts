/**
 * ○ The reads of a caller: get and gets of one key, and the keys of a getMany that live on one server. Replies come key by key;
 * an operation settles with the last of its keys.
 */
import { OperationError, ProtocolError, messageOf, type HoldfastError } from "../../../core/errors.ts";
import type { MemcachedReply } from "../../../memcached/reply.ts";
import type { Codec } from "./codec.ts";
import { TAGGED_FLAG, withoutTags } from "./tagged.ts";
import { CacheOperation, type OperationOwner, type CallTimes, type ReadVerb } from "./operation.ts";

/** Reads one found item, which that server gave. */
export type ValueReader<T> = (reply: MemcachedReply, codec: Codec<unknown>, server: string) => T;

/** A value and the CAS number it was read with. */
export interface Versioned<T> {
  readonly value: T;
  /** The item's version: `cas()` stores only while it is still this one. */
  readonly cas: bigint;
}

/** Text is decoded once for all calls that share a reply: strings cannot be changed. */
export const readValue: ValueReader<unknown> = (reply, codec) => {
  if (reply.decoded !== undefined && reply.decodedBy === codec) return reply.decoded;
  if (reply.flags >= TAGGED_FLAG) {
    const { bytes, flags } = withoutTags(reply.valueBytes, reply.flags);
    return codec.decode(bytes, flags);
  }
  const value = codec.decodePart
    ? codec.decodePart(reply.value, reply.valueStart, reply.valueEnd, reply.flags)
    : codec.decode(reply.valueBytes, reply.flags);
  if (typeof value === "string") {
    reply.decoded = value;
    reply.decodedBy = codec;
  }
  return value;
};

export const readVersioned: ValueReader<Versioned<unknown>> = (reply, codec, server) => ({
  value: readValue(reply, codec, server),
  cas: reply.cas,
});

/** Receives the found and the missed keys of a `get`: `slot` is the sink's own number for the key. */
export interface ReplySink extends CacheOperation {
  hit(slot: number, reply: MemcachedReply): void;
  miss(slot: number): void;
}

/** get and gets of one key. */
export class GetOperation<T> extends CacheOperation implements ReplySink {
  readonly #codec: Codec<unknown>;
  readonly #read: ValueReader<T>;
  readonly #resolve: (value: T | undefined) => void;

  constructor(
    verb: ReadVerb,
    key: string,
    owner: OperationOwner,
    times: CallTimes,
    codec: Codec<unknown>,
    read: ValueReader<T>,
    resolve: (value: T | undefined) => void,
    reject: (error: HoldfastError) => void,
  ) {
    super(verb, key, owner, times, reject);
    this.#codec = codec;
    this.#read = read;
    this.#resolve = resolve;
  }

  hit(_slot: number, reply: MemcachedReply): void {
    if (this.settled) return;
    let value: T;
    try {
      value = this.#read(reply, this.#codec, this.server!);
    } catch (error) {
      this.fail(unreadable(this.key, error));
      return;
    }
    this.outcome = "hit";
    this.hits = 1;
    this.#resolve(value);
    this.finish();
  }

  miss(): void {
    if (this.settled) return;
    this.outcome = "miss";
    this.misses = 1;
    this.#resolve(undefined);
    this.finish();
  }

  protected giveUp(): void {
    this.#resolve(undefined);
  }
}

/** Stands in a getMany's map for a key whose answer has not come. Never seen by callers. */
const PENDING = Symbol("pending");

/**
 * One getMany call over all its servers: settles when the last of them has. Invariant: the map holds every key that was asked for
 * and not missed, in the caller's order, each once.
 */
export class GetManyResult<K, T> {
  readonly values = new Map<K, T | typeof PENDING>();
  /** Servers that have not settled. */
  open = 0;
  #failure: HoldfastError | undefined = undefined;
  readonly #resolve: (values: Map<K, T>) => void;
  readonly #reject: (error: HoldfastError) => void;

  constructor(resolve: (values: Map<K, T>) => void, reject: (error: HoldfastError) => void) {
    this.#resolve = resolve;
    this.#reject = reject;
  }

  /** @returns false when the call asks for the key already */
  expect(key: K): boolean {
    const { values } = this;
    const before = values.size;
    values.set(key, PENDING);
    return values.size > before;
  }

  /** Keys that a failed server left without an answer count as missed. */
  miss(keys: readonly K[]): void {
    for (const key of keys) if (this.values.get(key) === PENDING) this.values.delete(key);
  }

  serverDone(error?: HoldfastError): void {
    this.#failure ??= error;
    this.open -= 1;
    if (this.open > 0) return;
    if (this.#failure) this.#reject(this.#failure);
    else this.#resolve(this.values as Map<K, T>);
  }
}

/** The keys of one getMany that live on one server: `wireKeys[slot]` is on the wire what `keys[slot]` is to the caller. */
export interface ServerKeys<K> {
  readonly keys: K[];
  readonly wireKeys: string[];
}

/** What a getMany asks of one server. Encoded key by key as the socket takes it. */
export class GetManyOperation<K, T> extends CacheOperation implements ReplySink {
  readonly keys: readonly K[];
  readonly wireKeys: readonly string[];
  /** Keys written to the connection so far. */
  asked = 0;
  #answered = 0;
  readonly #codec: Codec<unknown>;
  readonly #read: ValueReader<T>;
  readonly #getManyResult: GetManyResult<K, T>;

  constructor(
    verb: ReadVerb,
    { keys, wireKeys }: ServerKeys<K>,
    owner: OperationOwner,
    times: CallTimes,
    codec: Codec<unknown>,
    read: ValueReader<T>,
    getManyResult: GetManyResult<K, T>,
  ) {
    super(verb, "", owner, times, (error) => getManyResult.serverDone(error));
    this.keys = keys;
    this.wireKeys = wireKeys;
    this.#codec = codec;
    this.#read = read;
    this.#getManyResult = getManyResult;
  }

  hit(slot: number, reply: MemcachedReply): void {
    if (this.settled) return;
    let value: T;
    try {
      value = this.#read(reply, this.#codec, this.server!);
    } catch (error) {
      this.fail(unreadable(this.wireKeys[slot]!, error));
      return;
    }
    this.hits += 1;
    this.#getManyResult.values.set(this.keys[slot]!, value);
    this.#answer();
  }

  miss(slot: number): void {
    if (this.settled) return;
    this.#getManyResult.values.delete(this.keys[slot]!);
    this.#answer();
  }

  protected override get keyCount(): number {
    return this.keys.length;
  }

  /** Starts over on a new connection: what was asked is asked again. */
  restart(): void {
    this.asked = 0;
    this.#answered = 0;
    this.hits = 0;
    for (const key of this.keys) this.#getManyResult.values.set(key, PENDING);
  }

  #answer(): void {
    this.#answered += 1;
    const count = this.keys.length;
    if (this.#answered < count) return;
    this.misses = count - this.hits;
    this.outcome = this.misses === 0 ? "hit" : "miss";
    this.#getManyResult.serverDone();
    this.finish();
  }

  protected giveUp(): void {
    this.#getManyResult.miss(this.keys);
    this.#getManyResult.serverDone();
  }
}

/** The error of a value that the codec cannot read. */
export function unreadable(key: string, cause: unknown): HoldfastError {
  if (cause instanceof ProtocolError || cause instanceof OperationError) return cause;
  return new ProtocolError("CACHE_VALUE_UNREADABLE", `Cannot read value of '${key}': ${messageOf(cause)}`, { cause });
}
