/** A cache without a socket: a session over a store whose clock stands still until told to move. */
import { Buffer } from "node:buffer";
import { Memory } from "../../src/cache/store/memory.ts";
import type { SessionContext, Features, ServerControl, CacheSession } from "../../src/cache/protocol/cache-session.ts";
import { STORE_DEFAULTS, type StoreSettings } from "../../src/cache/store/settings.ts";
import { ItemStore } from "../../src/cache/store/item-store.ts";
import { TextSession } from "../../src/cache/protocol/text/text-session.ts";
import { ReplyBuffer } from "../../src/memcached/reply-buffer.ts";

/** Wall seconds at which the store's second 0 lies. */
const STARTED_SECONDS = 1_767_225_600;

export class DirectCache {
  readonly store: ItemStore;
  readonly context: SessionContext;
  session: CacheSession;

  constructor(settings: Partial<StoreSettings> = {}, features: Partial<Features> = {}) {
    this.store = new ItemStore(Memory.create({ ...STORE_DEFAULTS, startedSeconds: STARTED_SECONDS, ...settings }));
    this.store.now = 62;
    this.context = {
      store: this.store,
      out: new ReplyBuffer(),
      server: serverFor(features),
      commandsPerTurn: Number.POSITIVE_INFINITY,
      answersMax: Number.POSITIVE_INFINITY,
    };
    this.session = new TextSession(this.context);
  }

  /** Sends a request whole and returns all replies as text. */
  say(request: string): string {
    return this.feed([Buffer.from(request, "latin1")]);
  }

  /** Sends a request in the given pieces, keeping what is not consumed as a connection does. */
  feed(pieces: readonly Buffer[]): string {
    let waiting = Buffer.alloc(0);
    let replies = "";
    const { out } = this.context;
    for (const piece of pieces) {
      waiting = Buffer.concat([waiting, piece]);
      for (;;) {
        const rest = this.session.consume(waiting, 0, waiting.length);
        waiting = waiting.subarray(rest);
        replies += out.bytes.toString("latin1", 0, out.length);
        out.reset();
        if (!this.session.blocked) break;
      }
    }
    return replies;
  }

  advance(seconds: number): void {
    this.store.now += seconds;
  }

  /** A second client of the same store. */
  reconnect(): void {
    this.session.release();
    this.session = new TextSession(this.context);
  }

  get items(): number {
    return Number(/curr_items (\d+)/.exec(this.say("stats\r\n"))![1]);
  }
}

function serverFor(features: Partial<Features>): ServerControl {
  return {
    version: "test",
    serverStats: () => [],
    settingsStats: () => [],
    connectionStats: () => [],
    resetStats: () => {},
    shutdown: () => features.shutdown === true,
    watch: () => undefined,
    crawl: () => undefined,
    askOthers: () => false,
    reassign: () => "OK",
    refreshCertificates: () => undefined,
    clusterConfig: () => undefined,
    debugTime: () => {},
    features: { flush: true, dump: true, watch: true, shutdown: false, debug: false, ...features },
  };
}
