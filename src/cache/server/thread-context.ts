/** ○ What the parts of one server thread share. */
import type { Clock } from "../../core/clock.ts";
import type { ReplyBuffer } from "../../memcached/reply-buffer.ts";
import type { ItemStore } from "../store/item-store.ts";
import type { StoreLock } from "../store/store-lock.ts";
import type { CacheServerOptions } from "./cache-server-options.ts";
import type { CommandTrace } from "./command-trace.ts";
import type { ThreadBus } from "./thread-bus.ts";

export interface ThreadContext {
  readonly store: ItemStore;
  readonly options: CacheServerOptions;
  readonly clock: Clock;
  /** Held while a session runs; undefined with one thread. */
  readonly lock: StoreLock | undefined;
  /** The reply buffer of all sessions, empty between two turns. */
  readonly out: ReplyBuffer;
  readonly trace: CommandTrace;
  /** Number of the connection whose commands are being executed, as in `stats conns`; 0 for a datagram. */
  executingId: number;
  /** The other threads; undefined when there are none. */
  bus: ThreadBus | undefined;
}
