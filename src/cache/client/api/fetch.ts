/**
 * ● `fetch`: a value from the cache, or computed once for everybody who waits for it. In a process, callers of one key share one
 * flight; between processes, memcached's leases choose one winner. Invariants: at most one loader a key and process has anybody
 * waiting for it; a caller gets a value, the loader's error, or its own deadline, never nothing; a cache that does not answer costs the
 * protection, not the value.
 */
import type { Clock } from "../../../core/clock.ts";
import { OperationError } from "../../../core/errors.ts";
import type { Random } from "../../../core/random.ts";
import { durationMs, type Duration } from "../../../core/units.ts";
import type { Codec, Encoded } from "../operations/codec.ts";
import type { Dispatch } from "./dispatch.ts";
import { storedOrNot } from "./interpret.ts";
import type { Key } from "./key.ts";
import { decoded, invalidation, leaseDropped, leasedRead, leasedReply, leasedStore, metaDone, type Leased } from "./lease.ts";
import { FETCH_TIMEOUT_MS_DEFAULT, LEASE_MS_DEFAULT, POLL_MS_MAX, POLL_MS_MIN } from "../operations/limits.ts";
import type { NearItem } from "./near-cache.ts";
import { readRaw } from "./near-reads.ts";
import { readValue, type Read } from "../operations/lookup.ts";
import { type CommandFields } from "../operations/operation.ts";
import type { CallOptions } from "./cache-client-options.ts";
import { ttlMs, type Ttl } from "./ttl.ts";
import { aborted, within } from "./within.ts";

/** What a fetch may be told. */
export interface FetchOptions extends CallOptions {
  /** How long the value counts as fresh; default: without end. */
  readonly ttl?: Ttl;
  /** How much longer an old value may be given to those who would wait for a new one; default none. */
  readonly stale?: Duration;
  /** How long before its end a value is computed anew, by one caller, in the background; default never. */
  readonly early?: Duration;
  /** How long others wait for the one who computes before they do it themselves; default 10 s. */
  readonly lease?: Duration;
  /** How long the whole may take, the loader included; default 30 s. */
  readonly timeout?: Duration;
}

/** What a loader is told: the flight's signal, aborted when nobody waits any more or the time is over. */
export interface LoadContext {
  readonly signal: AbortSignal;
}

/** Computes a value that is not in the cache. */
export type Loader<T> = (context: LoadContext) => T | Promise<T>;

/** Times in seconds as memcached counts them, and in ms as we do. */
interface Plan {
  readonly ttl: Ttl | undefined;
  readonly freshMs: number;
  readonly staleMs: number;
  readonly earlyMs: number;
  readonly leaseMs: number;
  readonly deadlineMs: number;
}

type Found<T> = { readonly value: T } | undefined;

/** What a flight needs to know. */
interface Course<T> {
  readonly wire: string;
  readonly key: Key;
  readonly codec: Codec<T>;
  readonly load: () => Promise<T>;
  readonly plan: Plan;
  readonly signal: AbortSignal;
}

interface Flight<T> {
  readonly result: Promise<T>;
  readonly abort: AbortController;
  waiting: number;
}

export class Fetcher {
  readonly #dispatch: Dispatch;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #flights = new Map<string, Flight<unknown>>();

  constructor(dispatch: Dispatch, random: Random) {
    this.#dispatch = dispatch;
    this.#clock = dispatch.clock;
    this.#random = random;
  }

  async fetch<T>(key: Key, codec: Codec<T>, loader: Loader<T>, options: FetchOptions = {}): Promise<T> {
    const wire = this.#dispatch.wireKey(key);
    const plan = this.#plan(options);
    if (options.signal?.aborted) throw aborted(options.signal);
    const near = this.#dispatch.near?.fresh(wire);
    if (near) {
      const found = decoded(codec, near.bytes, near.flags);
      if (found) return found.value;
    }
    const flight = (this.#flights.get(wire) as Flight<T> | undefined) ?? this.#takeOff(wire, key, codec, loader, plan);
    flight.waiting += 1;
    try {
      return await within(this.#clock, flight.result, { deadlineMs: plan.deadlineMs, signal: options.signal }, late);
    } finally {
      flight.waiting -= 1;
      if (flight.waiting === 0) this.#land(wire, flight);
    }
  }

  #takeOff<T>(wire: string, key: Key, codec: Codec<T>, loader: Loader<T>, plan: Plan): Flight<T> {
    const abort = new AbortController();
    const load = async (): Promise<T> => loader({ signal: abort.signal });
    const result = this.#fly({ wire, key, codec, load, plan, signal: abort.signal });
    const flight: Flight<T> = { result, abort, waiting: 0 };
    this.#flights.set(wire, flight);
    return flight;
  }

  /** Nobody waits any more: a loader still at work is told so, and the next caller does not join it. */
  #land(wire: string, flight: Flight<unknown>): void {
    if (this.#flights.get(wire) === flight) this.#flights.delete(wire);
    flight.abort.abort(new OperationError("ABORTED", "No caller waits for the value any more"));
  }

  async #fly<T>(course: Course<T>): Promise<T> {
    await this.#dispatch.started({ deadlineMs: course.plan.deadlineMs, signal: undefined });
    if (!this.#dispatch.pool.route(course.wire)?.meta) return this.#flyPlain(course);
    const { plan, load, signal } = course;
    const waitUntilMs = this.#clock.now() + plan.leaseMs;
    for (let attempt = 0; ; attempt += 1) {
      const leased = await this.#read(course);
      if (!leased) return load(); // no answer: the cache protects nobody now, but the value is had
      const { found, won, claimed, cas, leftS = Infinity } = leased;
      if (found && won && leftS * 1000 > plan.staleMs && !leased.stale) {
        this.#refresh(course, leased);
        return found.value;
      }
      if (found && !won) return found.value;
      if (won || !claimed || this.#clock.now() >= waitUntilMs || signal.aborted) return this.#recompute(course, cas, found);
      await this.#pause(attempt);
    }
  }

  /** For servers without the meta protocol: one loader a process, nothing between processes. */
  async #flyPlain<T>({ key, codec, load, plan }: Course<T>): Promise<T> {
    const dispatch = this.#dispatch;
    const found = await dispatch
      .lookup("get", key, codec as Codec<unknown>, readFound as Read<{ value: T }>, undefined)
      .catch(ignored);
    if (found) return found.value;
    const value = await load();
    const { bytes, flags } = codec.encode(value);
    await dispatch
      .command("set", key, undefined, storedOrNot, false, (poolServer) => ({
        body: bytes,
        flags,
        exptime: dispatch.exptimeOfMs(poolServer, plan.freshMs + plan.staleMs),
      }))
      .catch(ignored);
    return value;
  }

  async #read<T>({ wire, key, codec, plan }: Course<T>): Promise<Leased<T> | undefined> {
    const recacheS = plan.freshMs === Infinity ? 0 : Math.ceil((plan.staleMs + plan.earlyMs) / 1000);
    const leaseS = Math.max(1, Math.ceil(plan.leaseMs / 1000));
    let kept: NearItem | undefined;
    const filled = this.#dispatch.near?.filling(wire);
    const question = (): CommandFields => leasedRead(wire, { leaseS, recacheS });
    const reply = leasedReply(codec, filled && ((found) => (kept = readRaw(found, codec as Codec<unknown>))));
    try {
      return await this.#dispatch.command("meta", key, undefined, reply, undefined, question, "read").catch(ignored);
    } finally {
      filled?.(kept);
    }
  }

  /** Computes and stores. When the loader fails, an old value is better than none, and the lease goes to the next reader. */
  async #recompute<T>({ wire, key, codec, load, plan }: Course<T>, cas: bigint, old: Found<T>): Promise<T> {
    const dispatch = this.#dispatch;
    let value: T;
    let encoded: Encoded;
    try {
      value = await load();
      encoded = codec.encode(value);
    } catch (error) {
      await dispatch
        .command("meta", key, undefined, metaDone, false, () => (old ? invalidation(wire, { cas }) : leaseDropped(wire, cas)))
        .catch(ignored);
      if (old) return old.value;
      throw error;
    }
    const { bytes, flags } = encoded;
    await dispatch
      .command("meta", key, undefined, metaDone, false, (poolServer) =>
        leasedStore(wire, { cas, exptime: dispatch.exptimeOfMs(poolServer, plan.freshMs + plan.staleMs), flags, body: bytes }),
      )
      .catch(ignored);
    return value;
  }

  /** Computes in the background a value that is still fresh. A failure is told as an event; the next reader tries again. */
  #refresh<T>(course: Course<T>, { cas, found }: Leased<T>): void {
    this.#recompute(course, cas, found).catch(ignored);
  }

  async #pause(attempt: number): Promise<void> {
    const span = Math.min(POLL_MS_MAX, POLL_MS_MIN * 2 ** Math.min(attempt, 10));
    await new Promise<void>((resolve) => this.#clock.at(this.#clock.now() + span / 2 + (this.#random() * span) / 2, resolve));
  }

  #plan(options: FetchOptions): Plan {
    const ms = (value: Duration | undefined, otherwise: number, name: string): number =>
      value === undefined ? otherwise : durationMs(value, name);
    return {
      ttl: options.ttl,
      freshMs: ttlMs(options.ttl, this.#clock.wallMs()),
      staleMs: ms(options.stale, 0, "stale"),
      earlyMs: ms(options.early, 0, "early"),
      leaseMs: ms(options.lease, LEASE_MS_DEFAULT, "lease"),
      deadlineMs: this.#clock.now() + ms(options.timeout, FETCH_TIMEOUT_MS_DEFAULT, "timeout"),
    };
  }
}

const readFound: Read<{ value: unknown }> = (reply, codec) => ({ value: readValue(reply, codec) });

/** The dispatch has counted the failure and told its listeners; here it means that the cache gives nothing. */
function ignored(): undefined {
  return undefined;
}

function late(): never {
  throw new OperationError("CACHE_TIMEOUT", "No value before the deadline");
}
