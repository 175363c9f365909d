/**
 * ● Clients that `watch`: each gets the lines of the kinds it asked for, and a bounded buffer of its own; what does not fit is
 * counted and reported as `skipped=N` once there is room. While nobody watches the store pays one comparison a command.
 */
import type { CacheConnection } from "./cache-connection.ts";
import { COUNT } from "../store/counters.ts";
import {
  changeLine,
  closedLine,
  deletionLine,
  evictionLine,
  fetchLine,
  flushLine,
  type LogLine,
  type LogStamp,
  openedLine,
  storeLine,
} from "../protocol/log-lines.ts";
import { ATOMIC } from "../store/memory.ts";
import { watcherBufferBytes } from "./cache-server-options.ts";
import type { ThreadContext } from "./thread-context.ts";
import type { CloseReason, CacheSession } from "../protocol/cache-session.ts";
import type { StoreLog } from "../store/store-log.ts";

/** memcached's WATCHER_LIMIT. */
const WATCHERS_MAX = 20;

interface Watcher {
  readonly connection: CacheConnection;
  readonly kinds: ReadonlySet<string>;
  /** Lines not yet handed to the socket. */
  text: string;
  skipped: number;
}

export class LogWatchers {
  readonly #thread: ThreadContext;
  readonly #bufferBytes: number;
  readonly #watchers = new Set<Watcher>();
  /** What watchers of other threads subscribe to, by thread. */
  readonly #elsewhere = new Map<number, readonly string[]>();
  /** Lines that other threads' watchers get. */
  #forOtherThreads: LogLine[] = [];
  #flushing = false;

  constructor(thread: ThreadContext) {
    this.#thread = thread;
    this.#bufferBytes = watcherBufferBytes(thread.options);
  }

  /** Makes a connection a watcher: from now on it is sent lines, and what it sends is ignored. Returns memcached's refusal, if any. */
  add(connection: CacheConnection, kinds: readonly string[]): string | undefined {
    const { atomics } = this.#thread.store.memory;
    if (atomics[ATOMIC.watchers]! >= WATCHERS_MAX) return "WATCHER_TOO_MANY log watcher limit reached";
    connection.session = new WatchingSession();
    Atomics.add(atomics, ATOMIC.watchers, 1);
    this.#watchers.add({ connection, kinds: new Set(kinds), text: "", skipped: 0 });
    this.#changed();
    return undefined;
  }

  opened(connection: CacheConnection): void {
    if (this.#wanted("connevents")) this.#tell("connevents", (at) => openedLine(at, connection));
  }

  closed(connection: CacheConnection, reason: CloseReason): void {
    for (const watcher of this.#watchers) {
      if (watcher.connection !== connection) continue;
      this.#watchers.delete(watcher);
      Atomics.sub(this.#thread.store.memory.atomics, ATOMIC.watchers, 1);
      this.#changed();
    }
    if (this.#wanted("connevents")) this.#tell("connevents", (at) => closedLine(at, connection, reason));
  }

  /** Watchers of another thread subscribe to these kinds from now on. */
  watchedElsewhere(thread: number, kinds: readonly string[]): void {
    this.#elsewhere.set(thread, kinds);
    this.#listen();
  }

  /** Lines that another thread made. */
  logged(lines: readonly LogLine[]): void {
    for (const [kind, line] of lines) this.#hand(kind, line);
    this.#flushSoon();
  }

  #changed(): void {
    this.#listen();
    this.#thread.bus?.watched([...new Set([...this.#watchers].flatMap(({ kinds }) => [...kinds]))]);
  }

  #wanted(kind: string): boolean {
    for (const { kinds } of this.#watchers) if (kinds.has(kind)) return true;
    return this.#wantedElsewhere(kind);
  }

  #wantedElsewhere(kind: string): boolean {
    for (const kinds of this.#elsewhere.values()) if (kinds.includes(kind)) return true;
    return false;
  }

  /** Makes the store report exactly the kinds that somebody subscribed to. */
  #listen(): void {
    const thread = this.#thread;
    const { store } = thread;
    const log: StoreLog = {
      ...(this.#wanted("fetchers") && {
        fetched: (event) => this.#tell("fetchers", (at) => fetchLine(at, event, thread.executingId)),
      }),
      ...(this.#wanted("mutations") && {
        stored: (event) => {
          const ttlSeconds = event.ttlSeconds === 0 ? 0 : event.ttlSeconds - store.now; // the event holds the second of expiry
          this.#tell("mutations", (at) => storeLine(at, event, { ttlSeconds, id: thread.executingId }));
        },
      }),
      ...(this.#wanted("evictions") && { evicted: (event) => this.#tell("evictions", (at) => evictionLine(at, event)) }),
      ...(this.#wanted("deletions") && { deleted: (event) => this.#tell("deletions", (at) => deletionLine(at, event)) }),
      ...(this.#wanted("changes") && {
        changed: (event) => this.#tell("changes", (at) => changeLine(at, event)),
        flushed: () => this.#tell("changes", flushLine),
      }),
    };
    store.log = Object.keys(log).length === 0 ? undefined : log;
  }

  #tell(kind: string, make: (at: LogStamp) => string): void {
    const { store, clock } = this.#thread;
    store.counters.add(COUNT.logWritten);
    const line = make({ wallMs: clock.wallMs(), id: Atomics.add(store.memory.atomics, ATOMIC.logLines, 1) + 1 });
    this.#hand(kind, line);
    if (this.#wantedElsewhere(kind)) this.#forOtherThreads.push([kind, line]); // at most what one turn of the loop makes
    this.#flushSoon();
  }

  #hand(kind: string, line: string): void {
    for (const watcher of this.#watchers) if (watcher.kinds.has(kind)) this.#append(watcher, line);
  }

  #flushSoon(): void {
    if (this.#flushing) return;
    this.#flushing = true;
    setImmediate(() => this.#flush()); // the lines of one turn go out in one write
  }

  #append(watcher: Watcher, line: string): void {
    if (watcher.connection.held) return; // it has not been told OK yet
    const waiting = watcher.text.length + watcher.connection.socket.writableLength;
    const note = watcher.skipped > 0 ? `skipped=${watcher.skipped}\n` : "";
    if (waiting + note.length + line.length > this.#bufferBytes) {
      watcher.skipped += 1;
      this.#thread.store.counters.add(COUNT.logSkipped);
      return;
    }
    watcher.text += note + line;
    watcher.skipped = 0;
    this.#thread.store.counters.add(COUNT.logSent);
  }

  #flush(): void {
    this.#flushing = false;
    for (const watcher of this.#watchers) {
      if (watcher.text === "") continue;
      watcher.connection.send(Buffer.from(watcher.text, "latin1"));
      watcher.text = "";
    }
    if (this.#forOtherThreads.length === 0) return;
    this.#thread.bus?.logged(this.#forOtherThreads);
    this.#forOtherThreads = [];
  }
}

/** Ignores whatever a watcher sends, as memcached does. */
class WatchingSession implements CacheSession {
  readonly ending = undefined;
  readonly blocked = false;
  readonly state = "conn_watch";

  consume(_input: Buffer, _start: number, end: number): number {
    return end;
  }

  release(): void {
    // holds nothing
  }
}
