/**
 * What was done to each key and when, and which answers that allows. An operation takes effect at some moment between its start and its
 * end; one whose answer never came may take effect at any later time too. Judged is an answer, by the interval in which it was asked for.
 */

/** When something took place, in ms. `endMs` is Infinity while, or if, nobody knows. */
export interface Span {
  startMs: number;
  endMs: number;
}

/** A value that some operation stored, or may have. Each is unlike all others. */
export interface Write extends Span {
  readonly value: string;
  readonly client: string;
  /** The life it was given ends between these. */
  endsAtLeastMs: number;
  endsAtMostMs: number;
  /** `invalidateTag` of one of these is as a removal. */
  readonly tags: readonly string[];
  /** Where there are copies: it is confirmed once all have it. */
  readonly copied?: boolean;
  /** A loader computed it: what is done to the key meanwhile keeps it from being stored. */
  readonly loader?: Span;
}

/** delete, flush, a server that lost its memory; or the invalidation of a tag, of what has it. */
export interface Removal extends Span {
  readonly client: string;
  readonly tag?: string;
}

/** A removal of many keys at once, of such too as are first used while it lasts. */
export interface SharedRemoval extends Removal {
  readonly appliesTo: (key: string) => boolean;
}

/** A server that lost its memory while another has a copy of what was there. */
export interface Loss extends Span {
  readonly server: number;
}

interface KeyHistory {
  writes: Write[];
  removals: Removal[];
  invalidations: (Span & { readonly client: string })[];
  /** Of all loaders, those that failed too. */
  loaders: (Span & { readonly client: string })[];
}

/** An answer: who asked, and when. */
export interface Asked extends Span {
  readonly client: string;
}

/** What is tolerated, in ms. */
export interface Tolerances {
  /** Beyond its end: memcached's clock ticks whole seconds, and late on a busy machine. */
  readonly afterEndMs: number;
  /** Of a client with a near cache, for what others changed: beyond its `ttl`. */
  readonly nearMs: number;
}

export interface HistoryOptions {
  readonly tolerances: Tolerances;
  /** The servers of a key, in the order of placement; as many as there are copies. */
  readonly owners: (key: string) => readonly number[];
}

/** memcached counts whole seconds: an item may end nearly a second before its time. */
const TICK_MS = 1000;

/** The holder of a lease learns within a second that it has lost it; until then its flight is shared. */
const SHARED_FLIGHT_MS = 1500;

/** Something may be stored with a tag's version that was invalidated so long before: it is a miss then. */
const TAG_KNOWN_MS = 1500;

/** A plain read by a meta command takes the turn of who shall compute, and gives it back; meanwhile the old value is given. */
const TURN_BACK_MS = 1500;

/** A client finds out that a server is back after its longest wait, and its first connections fail until then. */
export const RECOVERY_MS = 2500;

/** An operation without an answer has taken effect by then, or never will: its server was killed, or goes on. */
const RESOLVED_MS = 30_000;
const FORGOTTEN_MS = 60_000;

export class History {
  readonly #keys = new Map<string, KeyHistory>();
  readonly #tolerances: Tolerances;
  /** The servers of a key, in the order of placement. */
  readonly owners: (key: string) => readonly number[];
  readonly shared: SharedRemoval[] = [];
  /** Only where there are copies; else a loss is a removal. */
  readonly losses: Loss[] = [];
  /** Clients that have a near cache, and for how long they keep what others may have changed. */
  readonly near = new Map<string, number>();
  /** While servers were killed, stopped or started. */
  readonly faults: Span[] = [];
  /** While the event loop was held. */
  readonly holds: Span[] = [];
  /** When servers did not answer a client in time, though nothing was done to them: on a busy machine. */
  readonly silences: Span[] = [];
  /** How late timers fired, and servers' clocks ticked. */
  readonly lags: (Span & { readonly lagMs: number })[] = [];
  /** When clients were closed, which may have had the turn to compute. */
  readonly departures: (Span & { readonly client: string })[] = [];

  constructor({ tolerances, owners }: HistoryOptions) {
    this.#tolerances = tolerances;
    this.owners = owners;
  }

  of(key: string): KeyHistory {
    let history = this.#keys.get(key);
    if (!history) this.#keys.set(key, (history = { writes: [], removals: [], invalidations: [], loaders: [] }));
    return history;
  }

  /** Whether something was wrong with a server in that time, or shortly before. */
  faulty({ startMs, endMs }: Span, beforeMs = 0): boolean {
    return overlaps(this.faults, { startMs: startMs - beforeMs, endMs });
  }

  held(span: Span): boolean {
    return overlaps(this.holds, span);
  }

  /**
   * What is wrong with a value as an answer; undefined: nothing.
   *
   * @param shared it may come from a flight that others of the client began before
   */
  wrongValue(key: string, value: string, asked: Asked, shared = false): string | undefined {
    const write = this.of(key).writes.find((each) => each.value === value);
    if (!write) return "was never stored there";
    if ((write.loader?.endMs ?? write.startMs) > asked.endMs) return "was not stored yet";
    const lateMs = asked.startMs - write.endsAtMostMs;
    // A server that was stopped reads on before it looks at the clock.
    const isLate = lateMs > this.#tolerances.afterEndMs + this.#lagMsAt(asked) && !this.faulty(asked, TICK_MS);
    if (isLate) return `ended ${lateMs.toFixed(0)} ms before`;
    const killer = this.#killer(key, write, asked, shared ? this.#sharedMs(key, asked) : 0);
    if (!killer) return undefined;
    return `was replaced or deleted ${(asked.startMs - killer.endMs).toFixed(0)} ms before, by ${killer.client}`;
  }

  /** The same of a value that `fetch` gave: nor may it be one invalidated before, unless someone computes meanwhile. */
  wrongFetch(key: string, value: string, asked: Asked): string | undefined {
    const wrong = this.wrongValue(key, value, asked, true);
    if (wrong !== undefined) return wrong;
    const { writes, invalidations, loaders } = this.of(key);
    const write = writes.find((each) => each.value === value)!;
    const invalidated = invalidations.find(
      (each) =>
        each.startMs > write.endMs &&
        each.endMs + this.#lagMs(each.client, asked, this.#sharedMs(key, asked)) + TURN_BACK_MS < asked.startMs,
    );
    if (!invalidated) return undefined;
    const since = { startMs: invalidated.startMs, endMs: asked.endMs };
    if (this.faulty(since, RECOVERY_MS) || overlaps(this.departures, since) || this.held(since)) return undefined;
    const computed = loaders.some(({ startMs, endMs }) => startMs <= asked.endMs && endMs >= invalidated.startMs);
    return computed
      ? undefined
      : `was invalidated ${(asked.startMs - invalidated.endMs).toFixed(0)} ms before, and nobody computes`;
  }

  /**
   * Whether there surely is an item, all the time that was asked in.
   *
   * @param from "any" where the answer may come from any of its servers, so that a server that is away or has lost it is no excuse
   */
  mustExist(key: string, asked: Asked, from: "any" | "first" = "first"): boolean {
    const { writes, loaders, invalidations } = this.of(key);
    const removals = this.#removals(key);
    const owners = this.owners(key);
    const hasCopies = from === "any" && owners.length > 1;
    return writes.some((write) => {
      if (!(write.endMs < asked.startMs)) return false;
      const later = writes.filter((each) => each.endMs >= write.startMs && each.startMs <= asked.endMs);
      const begins = [write, ...later].map((each) => each.startMs - (each.tags.length > 0 ? TAG_KNOWN_MS : 0));
      const fromMs = Math.min(...begins);
      const since = (each: Span): boolean => each.endMs >= fromMs && each.startMs <= asked.endMs;
      // Who stores while the server's clock is late gives it as much less time.
      const lives = (each: Write): boolean => each.endsAtLeastMs - this.#lagMsAt(each) > asked.endMs;
      if (removals.some(since) || !writes.every((each) => !since(each) || lives(each))) return false;
      // Where there are copies, who finds nothing to invalidate at the first deletes what is, or comes, at the others.
      if (owners.length > 1 && invalidations.some((each) => since(each) && each.startMs <= write.endMs)) return false;
      if (!hasCopies || !write.copied || write.tags.length > 0)
        return !this.faulty({ startMs: fromMs, endMs: asked.endMs }, TICK_MS);
      // Whoever computes takes the copies away first.
      if (loaders.some((each) => each.endMs >= fromMs && each.startMs <= asked.endMs + TICK_MS)) return false;
      const lost = new Set(
        this.losses.filter((each) => since(each) && owners.includes(each.server)).map((each) => each.server),
      );
      return lost.size === 0 || (lost.size < owners.length && !this.faulty(asked, RECOVERY_MS));
    });
  }

  /**
   * Whether there can be an item at some time that was asked in.
   *
   * @param withInvalid one whose tags were invalidated counts: to delete, touch and their like it is one
   */
  mayExist(key: string, asked: Asked, withInvalid: boolean): boolean {
    return this.of(key).writes.some(
      (write) =>
        (write.loader?.endMs ?? write.startMs) <= asked.endMs &&
        write.endsAtMostMs + this.#tolerances.afterEndMs + this.#lagMsAt(asked) >= asked.startMs &&
        !this.#killer(key, withInvalid ? { ...write, tags: [] } : write, { ...asked, client: "" }),
    );
  }

  /** Another loader that runs where one begins now, though its lease was never disturbed. */
  secondLoader(key: string, client: string, nowMs: number): string | undefined {
    const { loaders, writes, invalidations } = this.of(key);
    const removals = this.#removals(key);
    const other = loaders.find((each) => each.client !== client && each.endMs === Infinity);
    if (!other) return undefined;
    const since: Span = { startMs: other.startMs - TICK_MS, endMs: nowMs };
    const disturbs = (each: Span): boolean => each.startMs <= since.endMs && each.endMs >= since.startMs;
    const computed = writes.some((each) => each.loader === undefined && disturbs(each));
    if (computed || removals.some(disturbs) || invalidations.some(disturbs)) return undefined;
    const stored = writes.filter((each) => each.loader?.endMs !== Infinity);
    if (stored.some((each) => each.endsAtLeastMs <= nowMs && each.endsAtMostMs >= since.startMs)) return undefined;
    if (this.faulty(since, 3000) || this.held(since) || overlaps(this.silences, since)) return undefined;
    if (this.departures.some((each) => each.client === other.client && disturbs(each))) return undefined;
    return `a loader of ${other.client} runs for ${(nowMs - other.startMs).toFixed(0)} ms already`;
  }

  /** Takes what has no answer for done, and forgets what can matter no more. */
  prune(nowMs: number): void {
    const settle = (each: Span): void => {
      if (each.endMs === Infinity && each.startMs < nowMs - RESOLVED_MS) each.endMs = nowMs;
    };
    const recent = (each: Span): boolean => each.endMs > nowMs - FORGOTTEN_MS;
    for (const each of this.shared) settle(each);
    for (const [key, history] of this.#keys) {
      for (const each of [...history.writes, ...history.removals, ...history.loaders]) settle(each);
      const asked = { startMs: nowMs - FORGOTTEN_MS, endMs: nowMs, client: "" };
      history.writes = history.writes.filter(
        (write) => recent(write) || (write.endsAtMostMs > asked.startMs && !this.#killer(key, write, asked)),
      );
      for (const kind of ["removals", "invalidations", "loaders"] as const) {
        (history[kind] as Span[]) = history[kind].filter(recent);
      }
      if (Object.values(history).every((kind: readonly Span[]) => kind.length === 0)) this.#keys.delete(key);
    }
    const { faults, holds, departures, silences, lags, shared, losses } = this;
    for (const spans of [faults, holds, departures, silences, lags, shared, losses])
      spans.splice(0, Math.max(0, spans.findIndex(recent)));
  }

  /** What surely ended a write's value before it was asked for. */
  #killer(key: string, write: Write, asked: Asked, sharedMs = 0): (Span & { client: string }) | undefined {
    const { writes } = this.of(key);
    const removals = this.#removals(key);
    const { loader } = write;
    const ends = (each: Span & { client: string }): boolean => {
      const after = each.startMs > write.endMs;
      const while_ = loader !== undefined && each.startMs > loader.startMs && each.endMs < loader.endMs;
      return (after || while_) && each.endMs + this.#lagMs(each.client, asked, sharedMs) < asked.startMs;
    };
    const removes = ({ tag }: Removal): boolean => tag === undefined || write.tags.includes(tag);
    return (
      removals.find((each) => removes(each) && ends(each)) ??
      writes.find((each) => each.value !== write.value && each.loader === undefined && ends(each))
    );
  }

  /** How late a server's clock may be, which ticks whole seconds. */
  #lagMsAt({ startMs, endMs }: Span): number {
    const around = { startMs: startMs - 2 * TICK_MS, endMs };
    return Math.max(0, ...this.lags.filter((lag) => overlaps([lag], around)).map(({ lagMs }) => lagMs));
  }

  /**
   * How long what others changed may be unknown to who asks. One's own changes are known at once. What a server told while the loop stood
   * still is read only after the first answers.
   */
  #lagMs(changer: string, asked: Asked, sharedMs: number): number {
    if (changer === asked.client) return 0;
    const nearTtlMs = this.near.get(asked.client);
    if (nearTtlMs === undefined) return sharedMs;
    return Math.max(nearTtlMs + this.#tolerances.nearMs + this.#lagMsAt(asked), sharedMs);
  }

  #removals(key: string): readonly Removal[] {
    const { writes, removals } = this.of(key);
    const concerns = ({ tag, appliesTo }: SharedRemoval): boolean =>
      appliesTo(key) && (tag === undefined || writes.some(({ tags }) => tags.includes(tag)));
    return [...removals, ...this.shared.filter(concerns)];
  }

  /** A flight is shared for a second after its lease is lost; one that
   * began when no server answered, or that could not renew because the loop was held, as long as its loader runs. */
  #sharedMs(key: string, { client, startMs, endMs }: Asked): number {
    // Of many keys one may have been answered long before the call ended.
    const mine = this.of(key).loaders.filter((each) => each.client === client && each.endMs >= startMs - SHARED_FLIGHT_MS);
    const blind = mine.filter(
      (each) => this.faulty({ startMs: each.startMs, endMs: each.startMs }, RECOVERY_MS) || this.held({ ...each, endMs }),
    );
    return Math.max(SHARED_FLIGHT_MS, ...blind.map((each) => endMs - each.startMs));
  }
}

function overlaps(spans: readonly Span[], { startMs, endMs }: Span): boolean {
  return spans.some((each) => each.startMs <= endMs && each.endMs >= startMs);
}
