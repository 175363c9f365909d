/**
 * ● `fetch`: a value from the cache, or computed once for all callers that wait for it. Within a process, callers of one key share
 * one flight (as in Go's singleflight); between processes, memcached's leases choose one winner. Invariants: a process has callers
 * waiting for at most one loader a key; each caller gets a value, the loader's error or CACHE_TIMEOUT; while the cache does not
 * answer, loaders may run more often, but values are still given.
 */
import { backoffDelayMs } from "../../../core/backoff.ts";
import type { Clock } from "../../../core/clock.ts";
import { OperationError } from "../../../core/errors.ts";
import type { Random } from "../../../core/random.ts";
import type { Duration } from "../../../core/units.ts";
import { checked, type Codec, type Encoded } from "../operations/codec.ts";
import { checkSignal } from "./call-limits.ts";
import type { Dispatch } from "./dispatch.ts";
import { metaDone, storedOrNot } from "./command-replies.ts";
import type { Key } from "./key.ts";
import {
  decoded,
  invalidation,
  isItem,
  leaseDropped,
  leasedRead,
  leasedReply,
  leasedStore,
  placed,
  placeholder,
  STANDING_MS_MAX,
  SeenClaims,
  type LeasedItem,
  type ToldVersion,
} from "./lease.ts";
import { CopyLeases, type StoredItem } from "./copy-leases.ts";
import { RenewedLease } from "./renewed-lease.ts";
import { NO_VERSIONS } from "./tags.ts";
import { FETCH_TIMEOUT_MS_DEFAULT, LEASE_MS_DEFAULT, POLL_MS_MAX, POLL_MS_MIN } from "../operations/limits.ts";
import { readRaw, type RawItem } from "./near-reads.ts";
import { readValue, type ValueReader } from "../operations/get-operation.ts";
import { type CommandFields } from "../operations/operation.ts";
import { withTags } from "../operations/tagged.ts";
import type { CallOptions } from "./cache-client-options.ts";
import type { PoolServer } from "../pool/pool-server.ts";
import { boundedMs, ttlMs, type Ttl } from "./ttl.ts";
import { aborted, within } from "./within.ts";

/** Options of a fetch. */
export interface FetchOptions extends CallOptions {
  /** How long the value counts as fresh; default: without end. */
  readonly ttl?: Ttl;
  /** How much longer an old value may be given to those who would wait for a new one; default none. */
  readonly stale?: Duration;
  /**
   * How long after `ttl` the old value is still given to everyone at once, while one caller computes anew in the background;
   * default not at all: whoever finds the value out of date waits for the new one, or gets the old one by `stale`.
   */
  readonly staleWhileRevalidate?: Duration;
  /** How long before its end a value is computed anew, by one caller, in the background; default never. */
  readonly early?: Duration;
  /** Names under which `invalidateTag` invalidates the value, also while it is computed; at most 255, default none. */
  readonly tags?: readonly string[];
  /** How long other callers wait for the one that computes before they compute themselves; default 10 s. */
  readonly lease?: Duration;
  /** How long the whole may take, the loader included; default 30 s. */
  readonly timeout?: Duration;
}

/** What a loader is given: a signal that aborts when no caller waits any more. */
export interface LoadContext {
  readonly signal: AbortSignal;
}

/** Computes a value that is not in the cache. */
export type Loader<T> = (context: LoadContext) => T | Promise<T>;

/** What a loader rejects with that found out that there is no such thing: nothing is stored, and an old value is none any more. */
export const NOTHING_LOADED = new OperationError("CACHE_REFUSED", "The loader gave no value for the key");

/** The times of one fetch, in ms. */
interface FetchTimes {
  readonly freshMs: number;
  readonly staleMs: number;
  readonly earlyMs: number;
  readonly leaseMs: number;
  readonly deadlineMs: number;
}

type Found<T> = { readonly value: T } | undefined;

/** What a flight works with: that of the caller who began it. */
interface FlightContext<T> {
  readonly wireKey: string;
  readonly key: Key;
  readonly codec: Codec<T>;
  readonly load: () => Promise<T>;
  readonly times: FetchTimes;
  /** Ids of tags. */
  readonly tags: readonly string[];
  readonly signal: AbortSignal;
  /** Told when another computes the value. */
  readonly waits: () => void;
}

/** One read or computation that callers of a key share, until this client changes the key or the lease is lost. */
export interface Flight<T> {
  readonly result: Promise<T>;
  readonly abort: AbortController;
  /** Ids of the tags that the value gets. */
  readonly tags: readonly string[];
  /** Callers. */
  waiting: number;
}

export class Fetcher {
  readonly #dispatch: Dispatch;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #claims = new SeenClaims();

  constructor(dispatch: Dispatch, random: Random) {
    this.#dispatch = dispatch;
    this.#clock = dispatch.clock;
    this.#random = random;
  }

  /** @param waits told when another computes the value, in this process or elsewhere */
  async fetch<T>(
    key: Key,
    codec: Codec<T>,
    loader: Loader<T>,
    options: FetchOptions = {},
    waits: () => void = () => {},
  ): Promise<T> {
    const wireKey = this.#dispatch.toWireKey(key);
    const times = this.#times(options);
    const tags = this.#dispatch.tags.ids(options.tags);
    if (options.signal?.aborted) throw aborted(options.signal);
    const near = this.#dispatch.near?.fresh(wireKey, true);
    if (near) {
      const found = decoded(codec, near.bytes, near.flags);
      if (found) return found.value;
    }
    const shared = this.#dispatch.flights.get(wireKey) as Flight<T> | undefined;
    if (shared) waits();
    const flight = shared ?? this.#begin(wireKey, { key, codec, loader, times, tags, waits });
    flight.waiting += 1;
    try {
      return await within(this.#clock, flight.result, { deadlineMs: times.deadlineMs, signal: options.signal }, late);
    } catch (error) {
      if (error !== NOTHING_LOADED || !shared) throw error; // a fetchMany found nothing, with another loader than this one
    } finally {
      flight.waiting -= 1;
      if (flight.waiting === 0) this.#end(wireKey, flight);
    }
    return this.fetch(key, codec, loader, options, waits);
  }

  #begin<T>(
    wireKey: string,
    {
      loader,
      ...context
    }: Pick<FlightContext<T>, "key" | "codec" | "times" | "tags" | "waits"> & { readonly loader: Loader<T> },
  ): Flight<T> {
    const abort = new AbortController();
    const load = async (): Promise<T> => {
      this.#dispatch.closing.throwIfAborted(); // who waited for another that computes does not begin to because the client was closed
      return loader({ signal: abort.signal });
    };
    const result = this.#run({ ...context, wireKey, load, signal: abort.signal });
    const flight: Flight<T> = { result, abort, tags: context.tags, waiting: 0 };
    this.#dispatch.flights.set(wireKey, flight);
    return flight;
  }

  /** No caller waits any more: a loader still at work is told to stop, and the next caller begins a flight of its own. */
  #end(wireKey: string, flight: Flight<unknown>): void {
    if (this.#dispatch.flights.get(wireKey) === flight) this.#dispatch.flights.delete(wireKey);
    flight.abort.abort(new OperationError("ABORTED", "No caller waits for the value any more"));
  }

  async #run<T>(context: FlightContext<T>): Promise<T> {
    const { wireKey, times, load, signal } = context;
    await this.#dispatch.limits.started({ deadlineMs: times.deadlineMs, signal: undefined });
    const poolServer = this.#dispatch.pool.route(wireKey);
    if (!poolServer) return load(); // without a lease nothing may be stored: the server may be back by then, and others have stored there
    if (!poolServer.meta) return this.#runWithoutLease(context);
    const waitUntilMs = this.#clock.now() + times.leaseMs;
    for (let attempt = 0; ; attempt += 1) {
      const askedMs = this.#clock.now();
      const asked = this.#dispatch.pool.route(wireKey);
      const leased = await this.#read(context);
      if (!leased) return (await this.#copy(context, asked))?.value ?? load(); // the cache does not answer: the value is computed without a lease
      const { claimed, held, stale, leftS = Infinity } = leased;
      const counts = leased.tags
        ? await this.#dispatch.tags.areCurrent(leased.server, leased.tags, undefined).catch(ignored)
        : true;
      if (counts === undefined) return load();
      const found = counts ? leased.found : undefined;
      const version: ToldVersion = { cas: leased.cas, connection: this.#dispatch.connectionOf(wireKey) };
      const isThere = version.cas !== 0n;
      const standingMs = this.#standingMs(context, leased, askedMs);
      const taken = claimed && standingMs >= times.leaseMs;
      if (taken) this.#claims.ended(wireKey);
      const won = taken || (leased.won && !held);
      if (found && won && leftS * 1000 > times.staleMs && !stale) {
        this.#recompute(context, this.#itemLease(context, version), found).catch(ignored); // in the background; after a failure the next reader tries
        return found.value;
      }
      if (found && !won) return found.value;
      if (!counts && !won && !claimed) {
        // Its tags were invalidated: now the item is too, so that one is chosen to compute it anew.
        await this.#dispatch
          .errand(wireKey, metaDone, false, invalidation(wireKey, undefined, version), undefined)
          .catch(ignored);
        continue;
      }
      if (won || (isThere && !claimed && !held)) return this.#recompute(context, this.#itemLease(context, version), found);
      const copy = isThere ? undefined : await this.#copy(context, asked);
      if (copy) return copy.value;
      // A placeholder that was invalidated has lost its holder's version.
      if (!isThere || (held && (stale || standingMs >= STANDING_MS_MAX))) {
        const lease = await this.#take(context, isThere ? version : undefined);
        if (lease === undefined) return load();
        if (lease) return this.#recompute(context, lease, undefined);
      }
      if (this.#clock.now() >= waitUntilMs || signal.aborted)
        return this.#recompute(context, this.#itemLease(context, version), found);
      context.waits();
      await this.#pause(attempt);
    }
  }

  /** What another server of the key has, where the first has nothing or does not answer. It must be fresh. */
  async #copy<T>({ wireKey, codec, times }: FlightContext<T>, asked: PoolServer | undefined): Promise<Found<T>> {
    const dispatch = this.#dispatch;
    if (dispatch.pool.copies === 1) return undefined;
    for (const poolServer of dispatch.pool.readers(wireKey)) {
      if (poolServer === asked) continue; // which may have been ejected by that, so that another is the first now
      const reply = leasedReply(codec, poolServer.server.name);
      const copy = await dispatch
        .errandAt(poolServer, reply, undefined, leasedRead(wireKey, { recacheS: 0 }), undefined)
        .catch(ignored);
      if (!copy?.found || copy.won || copy.claimed || copy.stale || (copy.leftS ?? 0) * 1000 <= times.staleMs) continue;
      const counts = !copy.tags || (await dispatch.tags.areCurrent(copy.server, copy.tags, undefined).catch(ignored));
      if (counts) return copy.found;
    }
    return undefined;
  }

  /** How long another has held or claimed the item without a sign of life. */
  #standingMs<T>({ wireKey }: FlightContext<T>, { held, claimed, cas }: LeasedItem<T>, askedMs: number): number {
    if (held || claimed) return this.#claims.standingMs(wireKey, cas, { askedMs, nowMs: this.#clock.now() });
    this.#claims.ended(wireKey);
    return 0;
  }

  /** For servers without the meta protocol: one loader a process, no lease between processes. What others stored meanwhile counts. */
  async #runWithoutLease<T>({ key, codec, load, times, tags }: FlightContext<T>): Promise<T> {
    const dispatch = this.#dispatch;
    if (tags.length > 0) return load(); // which such a server cannot invalidate
    const found = await dispatch.lookup("get", key, codec, readFound as ValueReader<{ value: T }>, undefined).catch(ignored);
    if (found) return found.value;
    const value = await load();
    const { bytes, flags } = checked(codec.encode(value));
    await dispatch
      .command("add", key, undefined, storedOrNot, false, (poolServer) => ({
        body: bytes,
        flags,
        exptime: dispatch.exptimeOfMs(poolServer, times.freshMs + times.staleMs),
      }))
      .catch(ignored);
    return value;
  }

  async #read<T>({ wireKey, key, codec, times }: FlightContext<T>): Promise<LeasedItem<T> | undefined> {
    const recacheS = times.freshMs === Infinity ? 0 : Math.ceil((times.staleMs + times.earlyMs) / 1000);
    let kept: RawItem | undefined;
    // A value that is soon to be computed anew must be read from its server, which chooses who does.
    const aheadMs = recacheS === 0 ? 0 : recacheS * 1000;
    const filled = this.#dispatch.near?.filling(wireKey, aheadMs);
    const request = (): CommandFields => leasedRead(wireKey, { recacheS });
    const server = this.#dispatch.pool.route(wireKey)?.server.name ?? "";
    const reply = leasedReply(codec, server, filled && ((found) => (kept = readRaw(found, codec, server))));
    try {
      return await this.#dispatch.command("meta", key, undefined, reply, undefined, request, "read").catch(ignored);
    } finally {
      filled?.(kept);
    }
  }

  /**
   * Tries to become the one who computes: the lease, false where another is, undefined where the cache does not answer.
   *
   * @param over the version of the placeholder to take over; left out: nothing is there
   */
  async #take<T>(
    { wireKey, key, signal }: FlightContext<T>,
    over: ToldVersion | undefined,
  ): Promise<RenewedLease | false | undefined> {
    const dispatch = this.#dispatch;
    const token = this.#token();
    const put = async (last?: ToldVersion): Promise<ToldVersion | false | undefined> => {
      const request = (): CommandFields => placeholder(wireKey, token, last);
      const cas = await dispatch.command("meta", key, undefined, placed, 0n, request, "read").catch(ignored);
      return cas === undefined ? undefined : cas !== 0n && { cas, connection: dispatch.connectionOf(wireKey) };
    };
    const lease = await put(over);
    if (!lease) return lease;
    const renew = async (last: ToldVersion): Promise<ToldVersion | undefined> => {
      const renewed = await put(last);
      // Somebody deleted or stored, or may have: who comes now asks the server.
      if (!renewed) dispatch.flights.delete(wireKey);
      if (renewed === undefined) return last; // no answer: it is tried again while the placeholder lives
      return renewed || undefined;
    };
    return new RenewedLease(this.#clock, lease, renew, signal);
  }

  #token(): string {
    return Math.floor(this.#random() * 2 ** 48).toString(36) + "-lease";
  }

  /** The lease of an item that is there, which its version is. */
  #itemLease<T>({ wireKey, signal }: FlightContext<T>, version: ToldVersion): RenewedLease {
    const check = async (): Promise<ToldVersion | undefined> => {
      const seen = await this.#dispatch.look(wireKey, undefined);
      if (isItem(seen) && seen.cas === version.cas && seen.connection === version.connection) return version;
      this.#dispatch.flights.delete(wireKey);
      return undefined;
    };
    return new RenewedLease(this.#clock, version, check, signal);
  }

  /** Computes and stores. When the loader fails, an old value is given if there is one, and the lease goes to the next reader. */
  async #recompute<T>(
    { wireKey, key, codec, load, times, tags, signal }: FlightContext<T>,
    lease: RenewedLease,
    old: Found<T>,
  ): Promise<T> {
    const dispatch = this.#dispatch;
    const copies = dispatch.pool.copies > 1 ? new CopyLeases(dispatch, wireKey, this.#token(), signal) : undefined;
    // Versions from before the loader began: what is invalidated while it runs invalidates what it gives.
    const versions = tags.length === 0 ? NO_VERSIONS : await dispatch.tags.versionsFor(key, tags, undefined).catch(ignored);
    const send = async (
      fields: (version: ToldVersion, poolServer: PoolServer | undefined) => CommandFields,
    ): Promise<boolean> => {
      const version = await lease.end();
      if (!version) return false; // lost: a later store or delete counts
      return dispatch.command("meta", key, undefined, metaDone, false, (poolServer) => fields(version, poolServer), "first");
    };
    const drop = async (): Promise<void> => {
      await Promise.all([send((version) => leaseDropped(wireKey, version)).catch(ignored), copies?.drop()]);
    };
    let value: T;
    let encoded: Encoded;
    try {
      value = await load();
      encoded = checked(codec.encode(value));
    } catch (error) {
      if (!old || error === NOTHING_LOADED) {
        await drop();
        throw error;
      }
      await Promise.all([send((version) => invalidation(wireKey, undefined, version)).catch(ignored), copies?.drop()]);
      return old.value;
    }
    if (!versions) {
      await drop();
      return value;
    }
    const itemFor = (poolServer: PoolServer | undefined): StoredItem => {
      const { bytes, flags } = withTags(encoded, versions(poolServer));
      return { exptime: dispatch.exptimeOfMs(poolServer, times.freshMs + times.staleMs), flags, body: bytes };
    };
    await copies?.begun;
    const store = send((version, poolServer) => leasedStore(wireKey, version, itemFor(poolServer)));
    const stored = await store.catch(() => undefined);
    if (stored) await copies?.store(itemFor);
    else if (stored === undefined) await drop();
    else await copies?.drop();
    return value;
  }

  async #pause(attempt: number): Promise<void> {
    const waitMs = backoffDelayMs({ minMs: POLL_MS_MIN, maxMs: POLL_MS_MAX, jitter: 0.5 }, attempt + 1, this.#random);
    await new Promise<void>((resolve) => this.#clock.at(this.#clock.now() + waitMs, resolve));
  }

  #times(options: FetchOptions): FetchTimes {
    const ms = (value: Duration | undefined, otherwise: number, name: string): number =>
      value === undefined ? otherwise : boundedMs(value, name);
    const wallMs = this.#clock.wallMs();
    const revalidateMs = ms(options.staleWhileRevalidate, 0, "staleWhileRevalidate");
    const freshMs = ttlMs(options.ttl, wallMs) + revalidateMs;
    const staleMs = ms(options.stale, 0, "stale");
    this.#dispatch.exptimeOfMs(undefined, freshMs + staleMs); // refused before a loader runs whose value could not be stored
    checkSignal(options.signal);
    return {
      freshMs,
      staleMs,
      earlyMs: ms(options.early, 0, "early") + revalidateMs,
      leaseMs: ms(options.lease, LEASE_MS_DEFAULT, "lease"),
      deadlineMs: this.#clock.now() + ms(options.timeout, FETCH_TIMEOUT_MS_DEFAULT, "timeout"),
    };
  }
}

const readFound: ValueReader<{ value: unknown }> = (reply, codec, server) => ({ value: readValue(reply, codec, server) });

/** The dispatch has counted and reported the failure; here it counts as a miss. */
function ignored(): undefined {
  return undefined;
}

function late(): never {
  throw new OperationError("CACHE_TIMEOUT", "No value before the deadline");
}
