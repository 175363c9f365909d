/**
 * ● Clients that `watch`: each gets the lines of the kinds it asked for, and a bounded buffer of its own; what does not fit is
 * counted and told as `skipped=N` once there is room. Nobody watching costs the store one comparison a command.
 */
import type { Clock } from "../core/clock.ts";
import type { Connection } from "./connection.ts";
import { closedLine, deletionLine, evictionLine, fetchLine, type LogStamp, openedLine, storeLine } from "./log-lines.ts";
import type { EndReason, Session } from "./session.ts";
import type { StoreLog } from "./store-log.ts";
import type { Store } from "./store.ts";

/** memcached's WATCHER_LIMIT. */
const WATCHERS_MAX = 20;

interface Watcher {
  readonly connection: Connection;
  readonly kinds: ReadonlySet<string>;
  /** Lines not yet handed to the socket. */
  text: string;
  skipped: number;
}

/** What a thread's watchers need to know. */
export interface WatchersParts {
  readonly store: Store;
  readonly clock: Clock;
  /** Bytes that may wait for one watcher. */
  readonly bufferBytes: number;
  /** Number of the connection whose command is being executed. */
  readonly running: () => number;
}

export class Watchers {
  readonly #parts: WatchersParts;
  readonly #watchers = new Set<Watcher>();
  #lines = 0;
  #flushing = false;
  /** Lines made, lines handed to watchers, and lines that did not fit. */
  readonly counts = { written: 0, sent: 0, skipped: 0 };

  constructor(parts: WatchersParts) {
    this.#parts = parts;
  }

  get size(): number {
    return this.#watchers.size;
  }

  /** Makes a connection a watcher: from now on it is sent lines, and what it sends is ignored. Returns memcached's refusal, if any. */
  add(connection: Connection, kinds: readonly string[]): string | undefined {
    if (this.#watchers.size >= WATCHERS_MAX) return "WATCHER_TOO_MANY log watcher limit reached";
    connection.session = new WatchingSession();
    this.#watchers.add({ connection, kinds: new Set(kinds), text: "", skipped: 0 });
    this.#listen();
    return undefined;
  }

  opened(connection: Connection): void {
    if (this.#wanted("connevents")) this.#tell("connevents", (at) => openedLine(at, connection));
  }

  closed(connection: Connection, reason: EndReason): void {
    for (const watcher of this.#watchers) {
      if (watcher.connection !== connection) continue;
      this.#watchers.delete(watcher);
      this.#listen();
    }
    if (this.#wanted("connevents")) this.#tell("connevents", (at) => closedLine(at, connection, reason));
  }

  #wanted(kind: string): boolean {
    for (const { kinds } of this.#watchers) if (kinds.has(kind)) return true;
    return false;
  }

  /** Hears of the store exactly what somebody asked for. */
  #listen(): void {
    const { store, running } = this.#parts;
    const log: StoreLog = {
      ...(this.#wanted("fetchers") && {
        fetched: (event) => this.#tell("fetchers", (at) => fetchLine(at, event, running())),
      }),
      ...(this.#wanted("mutations") && {
        stored: (event) => {
          const ttlSeconds = event.ttlSeconds === 0 ? 0 : event.ttlSeconds - store.now; // the store tells when it expires
          this.#tell("mutations", (at) => storeLine(at, event, { ttlSeconds, id: running() }));
        },
      }),
      ...(this.#wanted("evictions") && { evicted: (event) => this.#tell("evictions", (at) => evictionLine(at, event)) }),
      ...(this.#wanted("deletions") && { deleted: (event) => this.#tell("deletions", (at) => deletionLine(at, event)) }),
    };
    store.log = Object.keys(log).length === 0 ? undefined : log;
  }

  #tell(kind: string, make: (at: LogStamp) => string): void {
    this.#lines += 1;
    this.counts.written += 1;
    const line = make({ wallMs: this.#parts.clock.wallMs(), id: this.#lines });
    for (const watcher of this.#watchers) if (watcher.kinds.has(kind)) this.#append(watcher, line);
    if (this.#flushing) return;
    this.#flushing = true;
    setImmediate(() => this.#flush()); // the lines of one turn go out in one write
  }

  #append(watcher: Watcher, line: string): void {
    const waiting = watcher.text.length + watcher.connection.socket.writableLength;
    const note = watcher.skipped > 0 ? `skipped=${watcher.skipped}\n` : "";
    if (waiting + note.length + line.length > this.#parts.bufferBytes) {
      watcher.skipped += 1;
      this.counts.skipped += 1;
      return;
    }
    watcher.text += note + line;
    watcher.skipped = 0;
    this.counts.sent += 1;
  }

  #flush(): void {
    this.#flushing = false;
    for (const watcher of this.#watchers) {
      if (watcher.text === "") continue;
      watcher.connection.send(Buffer.from(watcher.text, "latin1"));
      watcher.text = "";
    }
  }
}

/** Passes over whatever a watcher sends, as memcached does. */
class WatchingSession implements Session {
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
