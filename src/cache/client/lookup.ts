/**
 * ○ The reads of a caller: get and gets of one key, and the keys of a getMany that live on one server. They take what is found
 * key by key, and settle as every operation does.
 */
import { OperationError, ProtocolError, messageOf, type HoldfastError } from "../../core/errors.ts";
import type { Reply } from "../../memcache/reply.ts";
import type { Codec } from "./codec.ts";
import { Operation, type Observer, type Time } from "./operation.ts";

/** Reads one found item. */
export type Read<T> = (reply: Reply, codec: Codec<unknown>) => T;

/** A value and the CAS number it was read with. */
export interface Versioned<T> {
  readonly value: T;
  /** The item's version: `cas()` stores only while it is still this one. */
  readonly cas: bigint;
}

export const readValue: Read<unknown> = (reply, codec) => codec.decode(reply.valueBytes, reply.flags);

export const readVersioned: Read<Versioned<unknown>> = (reply, codec) => ({ value: readValue(reply, codec), cas: reply.cas });

/** Where found and missed keys of a `get` go: `slot` is the taker's own number for the key. */
export interface Taker extends Operation {
  hit(slot: number, reply: Reply): void;
  miss(slot: number): void;
}

/** get and gets of one key. */
export class Lookup<T> extends Operation implements Taker {
  readonly #codec: Codec<unknown>;
  readonly #read: Read<T>;
  readonly #resolve: (value: T | undefined) => void;
  readonly #reject: (error: HoldfastError) => void;

  constructor(
    verb: "get" | "gets",
    key: string,
    observer: Observer,
    time: Time,
    codec: Codec<unknown>,
    read: Read<T>,
    resolve: (value: T | undefined) => void,
    reject: (error: HoldfastError) => void,
  ) {
    super(verb, key, observer, time);
    this.#codec = codec;
    this.#read = read;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  hit(_slot: number, reply: Reply): void {
    if (this.settled) return;
    let value: T;
    try {
      value = this.#read(reply, this.#codec);
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

  protected reject(error: HoldfastError): void {
    this.#reject(error);
  }
}

/** What the keys of one getMany call found, over all servers: settles when its last part does. */
export interface Gathering {
  found(wireKey: string, value: unknown): void;
  partDone(error?: HoldfastError): void;
}

/** The keys of one getMany call that live on one server. Encoded piece by piece as the socket takes them. */
export class LookupMany<T> extends Operation implements Taker {
  readonly keys: readonly string[];
  /** Keys already given to the wire. */
  asked = 0;
  #answered = 0;
  readonly #codec: Codec<unknown>;
  readonly #read: Read<T>;
  readonly #gathering: Gathering;

  constructor(
    verb: "get" | "gets",
    keys: readonly string[],
    observer: Observer,
    time: Time,
    codec: Codec<unknown>,
    read: Read<T>,
    gathering: Gathering,
  ) {
    super(verb, "", observer, time);
    this.keys = keys;
    this.#codec = codec;
    this.#read = read;
    this.#gathering = gathering;
  }

  hit(slot: number, reply: Reply): void {
    if (this.settled) return;
    let value: T;
    try {
      value = this.#read(reply, this.#codec);
    } catch (error) {
      this.fail(unreadable(this.keys[slot]!, error));
      return;
    }
    this.hits += 1;
    this.#gathering.found(this.keys[slot]!, value);
    this.#answer();
  }

  miss(): void {
    if (!this.settled) this.#answer();
  }

  protected override get keyCount(): number {
    return this.keys.length;
  }

  /** Starts over on a new connection: what was asked is asked again. */
  restart(): void {
    this.asked = 0;
    this.#answered = 0;
    this.hits = 0;
  }

  #answer(): void {
    this.#answered += 1;
    if (this.#answered < this.keys.length) return;
    this.misses = this.keys.length - this.hits;
    this.outcome = this.misses === 0 ? "hit" : "miss";
    this.#gathering.partDone();
    this.finish();
  }

  protected giveUp(): void {
    this.#gathering.partDone();
  }

  protected reject(error: HoldfastError): void {
    this.#gathering.partDone(error);
  }
}

/** What the codec's complaint about a value read becomes. */
export function unreadable(key: string, cause: unknown): HoldfastError {
  if (cause instanceof ProtocolError || cause instanceof OperationError) return cause;
  return new ProtocolError("CACHE_VALUE_UNREADABLE", `Cannot read value of '${key}': ${messageOf(cause)}`, { cause });
}
