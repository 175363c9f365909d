/** ○ The cache client's events, its counters, and what it publishes on `diagnostics_channel`. */
import type { HoldfastError } from "../../../core/errors.ts";
import type { OperationOutcome, Verb } from "../operations/operation.ts";

/** Events of a `CacheClient`, each with one argument. None is named "error", which without a listener would end the process. */
export interface CacheEvents {
  /** A server failed too often in a row and gets no more requests; `whenDown` says what happens to its keys meanwhile. */
  ejected: [{ readonly server: string; readonly error: HoldfastError | undefined }];
  /** An ejected server answers again and has its keys back. */
  restored: [{ readonly server: string }];
  /** Discovery found another list of servers. */
  servers: [{ readonly added: readonly string[]; readonly removed: readonly string[] }];
  /** A call failed, also where `onError: "miss"` hides it from the caller. */
  failed: [{ readonly verb: Verb; readonly key: string; readonly server: string | undefined; readonly error: HoldfastError }];
}

/** Totals since the client was made. */
export interface CacheCounts {
  /** Keys found by get, gets and their many-forms. */
  hits: number;
  /** Those of them that the near cache answered. */
  nearHits: number;
  /** Keys not found, or not requested because their server is ejected. */
  misses: number;
  /** Calls settled; a getMany counts once for each server it asks. */
  calls: number;
  /** Calls that failed, under `onError: "miss"` too. */
  errors: number;
}

/** Published on the channel "holdfast:cache:call" when a call has settled. */
export interface CallEvent {
  readonly verb: Verb;
  /** The key as it stands on the wire; empty for getMany and what concerns a whole server. */
  readonly key: string;
  /** The server asked; undefined when none answers for the key. */
  readonly server: string | undefined;
  readonly outcome: OperationOutcome;
  readonly hits: number;
  readonly misses: number;
  /** From the call to its settling. */
  readonly durationMs: number;
}
