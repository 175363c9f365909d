/**
 * ● Runs the store's background work by timers: LRU maintainer, crawler, slab rebalancer and automover. One timer each, set only
 * while there is something to do. A turn is as many steps as fit into its time; the lock is taken per step, so that other
 * threads' requests go on in between. Invariant: a turn ends at most one step after `TURN_MS_MAX`.
 */
import type { Cancel, Clock } from "../../core/clock.ts";
import { ReplyBuffer } from "../../memcached/reply-buffer.ts";
import { SlabAutomover } from "./slab-automover.ts";
import { BLOCK_SECONDS, type CrawlKind, CrawlPlan, LruCrawler, lruListsNamed } from "./lru-crawler.ts";
import type { StoreLock } from "../store/store-lock.ts";
import { LruMaintainer } from "./lru-maintainer.ts";
import { GLOBAL } from "../store/memory.ts";
import { SlabRebalancer, REASSIGN } from "./slab-rebalancer.ts";
import { TUNE } from "../store/settings.ts";
import type { ItemStore } from "../store/item-store.ts";

/** 0.5 ms: a quarter of the pause that a request may meet, so that three jobs due at once stay below it. */
const TURN_MS_MAX = 0.5;
/** 50: about 0.1 ms where each item must come from memory and becomes a line of a dump. */
const CRAWL_ITEMS_PER_STEP = 50;
/** 1000: what memcached's crawler looks at between two sleeps. */
const CRAWL_ITEMS_PER_TURN = 1000;
/** Between two turns of one job others get theirs; a timer cannot wait for less. */
const TURN_PAUSE_MS = 1;
/** A page with held items is tried again after this; memcached waits up to 5 ms. */
const BUSY_PAUSE_MS = 2;
const SECOND_MS = 1000;

/** The kinds of background work. */
export type BackgroundJob = "maintain" | "crawl" | "move" | "plan";

/** Runs a turn and may measure it. */
export type StepObserver = (job: BackgroundJob, turn: () => void) => void;

/** The connection that a dump is written to. */
export interface DumpSink {
  readonly closed: boolean;
  /** Answers no other command until released. */
  hold(): void;
  release(): void;
  /** False when the client reads too slowly: then `onceDrained` says when to go on. */
  send(bytes: Uint8Array): boolean;
  onceDrained(call: () => void): void;
}

export class BackgroundScheduler {
  readonly #store: ItemStore;
  readonly #clock: Clock;
  readonly #lock: StoreLock | undefined;
  readonly #lruMaintainer: LruMaintainer;
  readonly #crawler: LruCrawler;
  readonly #crawlPlan: CrawlPlan;
  readonly #rebalancer: SlabRebalancer;
  readonly #slabAutomover: SlabAutomover;
  readonly #observe: StepObserver;
  readonly #timers = new Map<BackgroundJob, Cancel>();
  readonly #dumpBuffer = new ReplyBuffer();
  #sink: DumpSink | undefined;
  #crawlPlannedSecond = -1;
  /** True while a page moves to the pool because the automover decided so. */
  #reclaiming = false;

  /** @param observe runs every turn; for those who measure turns */
  constructor(store: ItemStore, clock: Clock, lock: StoreLock | undefined, observe: StepObserver = (_job, turn) => turn()) {
    this.#store = store;
    this.#clock = clock;
    this.#lock = lock;
    this.#lruMaintainer = new LruMaintainer(store.items);
    this.#crawler = new LruCrawler(store.items);
    this.#crawlPlan = new CrawlPlan(store.items, this.#crawler);
    this.#rebalancer = new SlabRebalancer(store.items);
    this.#slabAutomover = new SlabAutomover(store.items);
    this.#observe = observe;
  }

  /** Starts the work that nobody has to ask for. Called in one thread only. */
  start(): void {
    if (this.#tune(TUNE.maintainer) !== 0) this.#maintain();
    if (this.#store.memory.settings.slabReassign) this.#planMoves();
  }

  stop(): void {
    for (const cancel of this.#timers.values()) cancel();
    this.#timers.clear();
  }

  /** `slabs reassign` */
  reassign(source: number, target: number): string {
    const answer = this.#rebalancer.start(source, target, true);
    if (answer === REASSIGN.ok) this.#soon("move", () => this.#move());
    return answer;
  }

  /** `lru_crawler crawl`, `metadump`, `mgdump`: the refusal, or undefined once it runs. */
  crawl(kind: CrawlKind, classes: string, sink: DumpSink): string | undefined {
    const { globals } = this.#store.memory;
    const hash = classes === "hash";
    const lruLists = hash ? [] : lruListsNamed(classes);
    if (lruLists === undefined) return "BADCLASS invalid class id";
    if (globals[GLOBAL.crawlerRunning] !== 0) {
      globals[GLOBAL.crawlBlockedUntil] = this.#store.now + BLOCK_SECONDS;
      return "BUSY currently processing crawler request";
    }
    if (kind === "expired") {
      if (hash) return "ERROR an unknown error happened";
      if (lruLists.length === 0) return "NOTSTARTED no items to crawl";
      this.#crawler.start(lruLists, this.#tune(TUNE.crawlerToCrawl));
    } else {
      const dump = { kind, out: this.#dumpBuffer };
      if (!hash && lruLists.length === 0) return "NOTSTARTED no items to crawl";
      this.#sink = sink;
      sink.hold();
      if (hash) this.#crawler.startHash(dump);
      else this.#crawler.start(lruLists, -1, dump);
    }
    this.#after("crawl", 0, () => this.#crawl());
    return undefined;
  }

  #maintain(): void {
    const startMs = this.#clock.now();
    let nextMs = startMs;
    this.#turn(() => {
      nextMs = this.#lruMaintainer.step(startMs);
      return nextMs <= startMs;
    });
    if (this.#tune(TUNE.crawlerEnabled) !== 0) this.#planCrawl();
    this.#at("maintain", Math.max(nextMs, startMs + TURN_PAUSE_MS), () => this.#maintain());
  }

  #planCrawl(): void {
    const { globals } = this.#store.memory;
    const { now } = this.#store;
    if (this.#crawlPlannedSecond === now) return;
    this.#crawlPlannedSecond = now;
    if (globals[GLOBAL.crawlerRunning] !== 0 || globals[GLOBAL.crawlBlockedUntil]! > now) return;
    const { lruLists, limit } = this.#crawlPlan.due();
    if (lruLists.length === 0) return;
    this.#locked(() => this.#crawler.start(lruLists, limit));
    this.#after("crawl", 0, () => this.#crawl());
  }

  #crawl(): void {
    const sink = this.#sink;
    if (sink?.closed) {
      this.#locked(() => this.#crawler.abort());
      this.#endDump();
      return;
    }
    let done = false;
    let items = 0;
    this.#turn(() => {
      done = this.#crawler.step(CRAWL_ITEMS_PER_STEP);
      items += CRAWL_ITEMS_PER_STEP;
      return !done && items < CRAWL_ITEMS_PER_TURN;
    });
    let flowing = true;
    if (sink && this.#dumpBuffer.length > 0) flowing = sink.send(this.#dumpBuffer.take());
    const pauseMs = Math.max(TURN_PAUSE_MS, this.#tune(TUNE.crawlerSleepUs) / 1000);
    if (done) this.#endDump();
    else if (flowing) this.#after("crawl", pauseMs, () => this.#crawl());
    else sink!.onceDrained(() => this.#after("crawl", 0, () => this.#crawl()));
  }

  #endDump(): void {
    this.#sink?.release();
    this.#sink = undefined;
  }

  #move(): void {
    let flowing = true;
    this.#turn(() => {
      flowing = this.#rebalancer.step();
      return flowing && this.#rebalancer.running;
    });
    if (!this.#rebalancer.running) {
      if (this.#reclaiming) this.#planMove();
    } else if (flowing) this.#soon("move", () => this.#move());
    else this.#after("move", BUSY_PAUSE_MS, () => this.#move());
  }

  #planMoves(): void {
    this.#after("plan", SECOND_MS, () => this.#planMoves());
    this.#planMove();
  }

  /** Starts a move that is due. Pages go to the pool one after the other, between classes one a second, as in memcached. */
  #planMove(): void {
    this.#reclaiming = false;
    const { globals } = this.#store.memory;
    if (this.#tune(TUNE.automove) === 0 || globals[GLOBAL.reassignRunning] !== 0) return;
    const starved = globals[GLOBAL.starvedClass]!;
    globals[GLOBAL.starvedClass] = 0;
    const move = starved === 0 ? this.#slabAutomover.decide() : { source: -1, target: starved };
    if (!move) return;
    if (this.#rebalancer.start(move.source, move.target, starved !== 0) !== REASSIGN.ok) return;
    this.#reclaiming = move.target === 0;
    this.#soon("move", () => this.#move());
  }

  /** Repeats a step, each time under the lock, while it returns true and the turn's time is not over. */
  #turn(step: () => boolean): void {
    const endMs = this.#clock.now() + TURN_MS_MAX;
    while (this.#locked(step) && this.#clock.now() < endMs);
  }

  #tune(place: number): number {
    return this.#store.memory.tune[place]!;
  }

  #after(job: BackgroundJob, ms: number, run: () => void): void {
    this.#at(job, this.#clock.now() + ms, run);
  }

  #at(job: BackgroundJob, deadlineMs: number, run: () => void): void {
    this.#timers.get(job)?.();
    this.#timers.set(
      job,
      this.#clock.at(deadlineMs, () => this.#observe(job, run)),
    );
  }

  /** Runs as soon as the requests that have already arrived are answered. */
  #soon(job: BackgroundJob, run: () => void): void {
    this.#timers.get(job)?.();
    const immediate = setImmediate(() => this.#observe(job, run));
    this.#timers.set(job, () => clearImmediate(immediate));
  }

  #locked<T>(run: () => T): T {
    this.#lock?.acquire();
    try {
      return run();
    } finally {
      this.#lock?.release();
    }
  }
}
