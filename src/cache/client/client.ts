/**
 * ● The cache client: one memory across many servers. Each call goes to the server that holds its key, over one pipelined
 * connection a server; all that is asked in one tick leaves in one write. Invariant: every call settles exactly once, by its
 * deadline or its signal. It stores nothing on servers that it was not asked to, and reads no value for a key that is not its own.
 */
import { systemClock, type Clock } from "../../core/clock.ts";
import { type HoldfastError, OperationError, UsageError } from "../../core/errors.ts";
import { durationMs, sizeBytes } from "../../core/units.ts";
import { anyValue, type Codec } from "./codec.ts";
import { casOutcome, counter, foundOrNot, ok, statistics, storedOrNot, versionText, type CasOutcome } from "./interpret.ts";
import { wireKey, type Key, type KeyPolicy } from "./key.ts";
import * as limits from "./limits.ts";
import type { Member } from "./member.ts";
import {
  Command,
  Lookup,
  LookupMany,
  readValue,
  readVersioned,
  type CommandFields,
  type Gathering,
  type Interpret,
  type Observer,
  type Operation,
  type Read,
  type Verb,
  type Versioned,
} from "./operation.ts";
import type { CacheClientOptions, CallOptions, StoreOptions } from "./options.ts";
import { Pool } from "./pool.ts";
import { parseServer } from "./server.ts";
import { TextWire } from "./text-wire.ts";
import { exptimeOf, ttlMs, type Ttl } from "./ttl.ts";

type CommandVerb = Exclude<Verb, "get" | "gets">;

/** A client of one or many memcached servers. */
export class CacheClient implements Observer {
  readonly #pool: Pool;
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #onError: "throw" | "miss";
  readonly #keys: KeyPolicy;
  readonly #codec: Codec<unknown>;
  readonly #gutterTtlMs: number;
  #closed = false;

  /** @throws UsageError CACHE_OPTION_INVALID, UNIT_INVALID or ADDRESS_INVALID */
  constructor(options: CacheClientOptions = {}) {
    const { whenDown = "miss", clock = systemClock, tls, backoff = {} } = options;
    this.#clock = clock;
    this.#timeoutMs = durationMs(options.timeout ?? limits.TIMEOUT_MS_DEFAULT, "timeout");
    this.#onError = options.onError ?? "throw";
    this.#keys = options.keys ?? "refuse";
    this.#codec = options.codec ?? anyValue;
    const gutter = typeof whenDown === "object" ? whenDown.gutter : undefined;
    this.#gutterTtlMs = ttlMs(gutter?.ttl ?? "10s", clock.wallMs());
    const valueBytesMax = sizeBytes(options.valueBytes ?? limits.VALUE_BYTES_MAX, "valueBytes");
    this.#pool = new Pool({
      placement: options.placement ?? "ketama",
      whenDown: whenDown === "next" ? "next" : "miss",
      gutter: (gutter?.servers ?? []).map(parseServer),
      member: {
        clock,
        random: options.random ?? Math.random,
        health: {
          ejectAfterFailures: options.ejectAfterFailures ?? limits.EJECT_AFTER_FAILURES,
          backoffMsMin: durationMs(backoff.min ?? limits.BACKOFF_MS_MIN, "backoff.min"),
          backoffMsMax: durationMs(backoff.max ?? limits.BACKOFF_MS_MAX, "backoff.max"),
        },
        callsMax: options.queueCalls ?? limits.QUEUE_CALLS_MAX,
        bytesMax: sizeBytes(options.queueBytes ?? limits.QUEUE_BYTES_MAX, "queueBytes"),
        stallMs: this.#timeoutMs,
        connectTimeoutMs: durationMs(options.connectTimeout ?? this.#timeoutMs, "connectTimeout"),
        tls: tls === true ? {} : tls,
        credentials: options.credentials,
        newWire: () => new TextWire(valueBytesMax),
        onHealth: () => {},
      },
    });
    this.#pool.apply((options.servers ?? ["127.0.0.1"]).map(parseServer));
  }

  /**
   * The value of a key, or undefined when there is none.
   *
   * @throws UsageError CACHE_KEY_INVALID; OperationError CACHE_TIMEOUT, CACHE_UNREACHABLE, CACHE_QUEUE_FULL, CACHE_SERVER_ERROR,
   *   ABORTED, CLOSED; ProtocolError CACHE_REPLY_INVALID, CACHE_VALUE_UNREADABLE
   */
  get<T = unknown>(key: Key, options?: CallOptions): Promise<T | undefined> {
    return this.#lookup("get", key, this.#codec, readValue as Read<T>, options);
  }

  /** The value of a key with its CAS number, for `cas`. Errors as `get`. */
  gets<T = unknown>(key: Key, options?: CallOptions): Promise<Versioned<T> | undefined> {
    return this.#lookup("gets", key, this.#codec, readVersioned as Read<Versioned<T>>, options);
  }

  /**
   * The values of many keys, over any number of servers. Keys that have none are not in the map; with `onError: "miss"` neither
   * are those of servers that failed. Errors as `get`.
   */
  getMany<T = unknown, K extends Key = string>(keys: Iterable<K>, options?: CallOptions): Promise<Map<K, T>> {
    return this.#lookupMany("get", keys, this.#codec, readValue as Read<T>, options);
  }

  /** As `getMany`, each value with its CAS number. */
  getsMany<T = unknown, K extends Key = string>(keys: Iterable<K>, options?: CallOptions): Promise<Map<K, Versioned<T>>> {
    return this.#lookupMany("gets", keys, this.#codec, readVersioned as Read<Versioned<T>>, options);
  }

  /**
   * Stores a value.
   *
   * @returns true when stored; false where the call counts as a miss: its server is ejected, or failed under `onError: "miss"`
   * @throws UsageError CACHE_KEY_INVALID, CACHE_TTL_INVALID, CACHE_VALUE_INVALID; else as `get`
   */
  set(key: Key, value: unknown, options?: StoreOptions): Promise<boolean> {
    return this.#store("set", key, value, options);
  }

  /** Stores a value where there is none. False when there is one. Errors as `set`. */
  add(key: Key, value: unknown, options?: StoreOptions): Promise<boolean> {
    return this.#store("add", key, value, options);
  }

  /** Stores a value where there is one. False when there is none. Errors as `set`. */
  replace(key: Key, value: unknown, options?: StoreOptions): Promise<boolean> {
    return this.#store("replace", key, value, options);
  }

  /** Puts text or bytes behind the value that is there. False when there is none. Errors as `set`. */
  append(key: Key, more: string | Uint8Array, options?: CallOptions): Promise<boolean> {
    return this.#command("append", key, options, storedOrNot, false, () => ({ body: more }));
  }

  /** Puts text or bytes before the value that is there. False when there is none. Errors as `set`. */
  prepend(key: Key, more: string | Uint8Array, options?: CallOptions): Promise<boolean> {
    return this.#command("prepend", key, options, storedOrNot, false, () => ({ body: more }));
  }

  /**
   * Stores a value if the item is still the version that `gets` read.
   *
   * @returns "stored", "exists" (someone else stored meanwhile) or "missing"
   */
  cas(key: Key, value: unknown, cas: bigint, options?: StoreOptions): Promise<CasOutcome> {
    return this.#command("cas", key, options, casOutcome, "missing", (member) => ({
      ...this.#encode(value),
      exptime: this.#exptime(member, options?.ttl),
      cas,
    }));
  }

  /** Deletes an item. True when there was one. Errors as `get`. */
  delete(key: Key, options?: CallOptions): Promise<boolean> {
    return this.#command("delete", key, options, foundOrNot, false, () => ({}));
  }

  /** Gives an item a new time to live. True when there was one. Errors as `set`. */
  touch(key: Key, ttl: Ttl, options?: CallOptions): Promise<boolean> {
    return this.#command("touch", key, options, foundOrNot, false, (member) => ({ exptime: this.#exptime(member, ttl) }));
  }

  /**
   * Adds to a counter: an item whose value is a decimal number, below 2^64, where it wraps around.
   *
   * @param delta at least 0; default 1
   * @returns the new number, or undefined when there is no item
   * @throws OperationError CACHE_REFUSED when the value is no number; else as `get`
   */
  incr(key: Key, delta: bigint | number = 1n, options?: CallOptions): Promise<bigint | undefined> {
    return this.#command("incr", key, options, counter, undefined, () => ({ delta: deltaOf(delta) }));
  }

  /** Subtracts from a counter, which stops at 0. As `incr`. */
  decr(key: Key, delta: bigint | number = 1n, options?: CallOptions): Promise<bigint | undefined> {
    return this.#command("decr", key, options, counter, undefined, () => ({ delta: deltaOf(delta) }));
  }

  /** Empties every server. Rejects when one could not be asked, after all were. */
  async flush(options?: CallOptions): Promise<void> {
    await this.#everywhere("flush_all", "", options, () => ok, false);
  }

  /**
   * Statistics of every server, by its name.
   *
   * @param group one of memcached's: "settings", "items", "slabs", "sizes", "conns"; default the general ones
   */
  stats(group = "", options?: CallOptions): Promise<Map<string, ReadonlyMap<string, string>>> {
    return this.#everywhere("stats", group, options, statistics, new Map());
  }

  /** The version of every server, by its name. */
  versions(options?: CallOptions): Promise<Map<string, string>> {
    return this.#everywhere("version", "", options, () => versionText, "");
  }

  /** Closes all connections. Calls that wait settle with CLOSED. May be called twice. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#pool.close(new OperationError("CLOSED", "The cache client was closed"));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** @internal */
  hit(): void {}

  /** @internal */
  miss(): void {}

  /** @internal */
  failed(_operation: Operation, error: HoldfastError): boolean {
    return this.#onError === "miss" && error.code !== "ABORTED";
  }

  /** @internal */
  settled(): void {}

  #lookup<T>(
    verb: "get" | "gets",
    key: Key,
    codec: Codec<unknown>,
    read: Read<T>,
    options: CallOptions | undefined,
  ): Promise<T | undefined> {
    return new Promise((resolve, reject) => {
      const wire = wireKey(key, this.#keys);
      const operation = new Lookup(verb, wire, this, this.#deadline(options), codec, read, resolve, reject);
      this.#submit(this.#pool.route(wire), operation, options);
    });
  }

  #lookupMany<T, K extends Key>(
    verb: "get" | "gets",
    keys: Iterable<K>,
    codec: Codec<unknown>,
    read: Read<T>,
    options: CallOptions | undefined,
  ): Promise<Map<K, T>> {
    return new Promise((resolve, reject) => {
      const byWire = new Map<string, K>();
      for (const key of keys) byWire.set(wireKey(key, this.#keys), key);
      const parts = new Map<Member | undefined, string[]>();
      for (const wire of byWire.keys()) {
        const member = this.#pool.route(wire);
        const part = parts.get(member);
        if (part) part.push(wire);
        else parts.set(member, [wire]);
      }
      const values = new Map<K, T>();
      let open = parts.size;
      let failure: HoldfastError | undefined;
      const gathering: Gathering = {
        found: (wire, value) => values.set(byWire.get(wire)!, value as T),
        partDone: (error) => {
          failure ??= error;
          open -= 1;
          if (open > 0) return;
          if (failure) reject(failure);
          else resolve(values);
        },
      };
      if (open === 0) resolve(values);
      const deadlineMs = this.#deadline(options);
      for (const [member, part] of parts) {
        this.#submit(member, new LookupMany(verb, part, this, deadlineMs, codec, read, gathering), options);
      }
    });
  }

  #store(verb: "set" | "add" | "replace", key: Key, value: unknown, options: StoreOptions | undefined): Promise<boolean> {
    return this.#command(verb, key, options, storedOrNot, false, (member) => ({
      ...this.#encode(value),
      exptime: this.#exptime(member, options?.ttl),
    }));
  }

  #command<T>(
    verb: CommandVerb,
    key: Key,
    options: CallOptions | undefined,
    interpret: Interpret<T>,
    missed: T,
    fields: (member: Member | undefined) => CommandFields,
  ): Promise<T> {
    return new Promise((resolve, reject) => {
      const wire = wireKey(key, this.#keys);
      const member = this.#pool.route(wire);
      const operation = new Command(
        verb,
        wire,
        this,
        this.#deadline(options),
        fields(member),
        interpret,
        missed,
        resolve,
        reject,
      );
      this.#submit(member, operation, options);
    });
  }

  /** Asks every server; rejects with the first failure once all have settled. */
  async #everywhere<T>(
    verb: CommandVerb,
    words: string,
    options: CallOptions | undefined,
    interpret: () => Interpret<T>,
    missed: T,
  ): Promise<Map<string, T>> {
    const deadlineMs = this.#deadline(options);
    const answers = await Promise.allSettled(
      this.#pool.members.map(
        (member) =>
          new Promise<T>((resolve, reject) => {
            const command = new Command(verb, "", this, deadlineMs, { words }, interpret(), missed, resolve, reject);
            this.#submit(member, command, options);
          }),
      ),
    );
    const results = new Map<string, T>();
    answers.forEach((answer, index) => {
      if (answer.status === "rejected") throw answer.reason;
      results.set(this.#pool.members[index]!.server.name, answer.value);
    });
    return results;
  }

  #submit(member: Member | undefined, operation: Operation, options: CallOptions | undefined): void {
    const signal = options?.signal;
    if (signal) this.#watch(signal, operation);
    if (operation.settled) return;
    if (this.#closed) operation.fail(new OperationError("CLOSED", "The cache client was closed"));
    else if (member) member.submit(operation);
    else operation.missed();
  }

  #watch(signal: AbortSignal, operation: Operation): void {
    const abort = (): void => operation.fail(new OperationError("ABORTED", "The call was aborted", { cause: signal.reason }));
    if (signal.aborted) {
      abort();
      return;
    }
    signal.addEventListener("abort", abort, { once: true });
    operation.release = () => signal.removeEventListener("abort", abort);
  }

  #deadline(options: CallOptions | undefined): number {
    const timeout = options?.timeout;
    return this.#clock.now() + (timeout === undefined ? this.#timeoutMs : durationMs(timeout, "timeout"));
  }

  #encode(value: unknown): CommandFields {
    const { bytes, flags } = this.#codec.encode(value);
    return { body: bytes, flags };
  }

  #exptime(member: Member | undefined, ttl: Ttl | undefined): number {
    const wallMs = this.#clock.wallMs();
    const exptime = exptimeOf(ttl, wallMs);
    if (!member?.gutter) return exptime;
    const lastsMs = Math.min(this.#gutterTtlMs, ttlMs(ttl, wallMs));
    return lastsMs === 0 ? -1 : Math.ceil(lastsMs / 1000);
  }
}

function deltaOf(delta: bigint | number): bigint {
  if (typeof delta === "bigint" ? delta >= 0n && delta < 2n ** 64n : Number.isSafeInteger(delta) && delta >= 0)
    return BigInt(delta);
  throw new UsageError("CACHE_VALUE_INVALID", `Cannot count by ${delta}: a whole number from 0 to 2^64-1 is needed`);
}
