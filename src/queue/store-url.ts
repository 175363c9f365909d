/**
 * ● A store by its address: what `--store`, `--from` and `--to` take. The kinds are listed here and nowhere else; a store is made, not
 * opened, so that a wrong address is told before anything is touched.
 */
import { UsageError } from "../core/errors.ts";
import { MemoryStore } from "../store/memory-store.ts";
import { SqliteStore, type SyncMode } from "../store/sqlite/sqlite-store.ts";
import { JetstreamStore } from "./cluster/jetstream-store.ts";
import { parseNatsUrl, withoutPassword } from "../store/nats/nats-url.ts";
import type { Store } from "../store/store.ts";

/** What a store's address does not say. */
export interface StoreUrlOptions {
  /** When a write counts as done, for stores that let one choose; default "group". */
  readonly sync?: SyncMode;
  /** Told what went wrong where nobody waits for an answer. */
  log?(message: string): void;
}

type Make = (rest: string, options: StoreUrlOptions, url: string) => Store;

/** Scheme, with all that belongs to it → how such a store is made from what follows. */
const KINDS: Readonly<Record<string, Make>> = {
  "sqlite:": (folder, options, url) => {
    if (folder === "") throw invalid(url, "the folder is missing, as in sqlite:./.holdfast");
    return new SqliteStore({ folder, ...options });
  },
  "memory:": (rest, _, url) => {
    if (rest !== "") throw invalid(url, "nothing follows memory:");
    return new MemoryStore();
  },
  "nats:": makeNats,
  "tls:": makeNats,
};

/**
 * The store at an address: `sqlite:FOLDER`, `memory:`, or `nats://HOST:4222[,HOST…]` (cluster/nats/nats-url.ts).
 *
 * @throws UsageError QUEUE_OPTIONS_INVALID when it is no such address
 */
export function makeStore(url: string, options: StoreUrlOptions = {}): Store {
  const scheme = Object.keys(KINDS).find((each) => url.startsWith(each));
  if (scheme === undefined) throw invalid(url, `it must begin with ${Object.keys(KINDS).join(" or ")}`);
  return KINDS[scheme]!(url.slice(scheme.length), options, url);
}

/**
 * The local copy of the log is temporary: whoever opens a log by its address reads it whole or writes it anew. A log that a broker
 * leads is in use.
 */
function makeNats(_: string, { log }: StoreUrlOptions, url: string): Store {
  return new JetstreamStore({ url: parseNatsUrl(url), refuseLed: true, ...(log && { log }) });
}

function invalid(url: string, why: string): UsageError {
  return new UsageError("QUEUE_OPTIONS_INVALID", `Cannot use the store ${withoutPassword(url)}: ${why}`);
}
