/**
 * ● What happens to the tasks of a queue, as programs hear of it: each broker is asked for what came after the last that was heard, so
 * nothing is missed over reconnects, restarts and takeovers, or a gap is told. Invariant: a broker is asked for more only when all that it
 * told was taken.
 */
import { codeOf } from "../../core/errors.ts";
import { cursorOf, cursorsIn, type ToldEvent } from "../operations/events.ts";
import type { QueueEventName } from "../service/event-entry.ts";
import { brokersOf } from "./administration.ts";
import type { QueueClient } from "./queue-client.ts";

/** What is listened to, and from where on. */
export interface EventsOptions {
  /** Which events; default all but `active` and `progress`, which are live only. */
  readonly events?: readonly QueueEventName[];
  /** The cursor of the last event that was taken, or "oldest"; default: what comes from now on. */
  readonly after?: string;
  /** Aborting it ends the listening. */
  readonly signal?: AbortSignal;
}

/** Events that came before are lost to this listener: they have left the ring, or the store is another than the cursor's. */
export interface EventGap {
  readonly event: "gap";
  readonly cursor: string;
}

/** What happened to a task, with the place from which to go on after it. */
export type QueueEvent = Omit<ToldEvent, "n" | "live" | "queue"> & { readonly queue: string; readonly cursor: string };

/** What happened to a task, as one who listens to its queue hears it. */
export type HeardEvent = Omit<QueueEvent, "progress"> & {
  /** progress: what the worker said. */
  readonly progress?: unknown;
};

/** 30 s: by then it is looked whether other brokers came. */
const WAIT_MS = 30_000;
/** 5 min with a broker in this process, which is the only one. */
const LOCAL_WAIT_MS = 300_000;
/** 10 s beyond that for a broker that is away. */
const PATIENCE_MS = 10_000;
/** 1 s until a broker that cannot tell now is asked again. */
const AGAIN_MS = 1000;

/** From the first event that is kept. */
const OLDEST = "oldest";

/** What is told the caller: nothing will help. */
const FATAL: ReadonlySet<unknown> = new Set(["CLOSED", "QUEUE_OPTIONS_INVALID", "QUEUE_PROTOCOL", "ACCESS_DENIED", "ABORTED"]);

/** One broker's pages, one at a time. */
interface Page {
  readonly broker: string;
  readonly events: readonly ToldEvent[];
  readonly epoch: string;
  readonly isGap: boolean;
  /** All of it was taken: the broker is asked for more. */
  taken(): void;
}

/** One who listens to a queue, or to all. @internal */
export class QueueListener {
  readonly #client: QueueClient;
  readonly #queue: string | undefined;
  readonly #options: EventsOptions;
  /** By broker what was heard last. */
  readonly #cursors: Map<string, string>;
  readonly #known = new Set<string>();
  readonly #stop = new AbortController();
  #pages: Page[] = [];
  #wake = (): void => {};
  #failure: unknown;
  readonly #heard = Promise.withResolvers<void>();

  /** @throws UsageError QUEUE_OPTIONS_INVALID */
  constructor(client: QueueClient, queue: string | undefined, options: EventsOptions) {
    this.#client = client;
    this.#queue = queue;
    this.#options = options;
    const { after, signal } = options;
    this.#cursors = after === undefined || after === "oldest" ? new Map() : cursorsIn(after);
    this.#heard.promise.catch(() => {}); // Told to who waits for it, and by `events`.
    if (signal?.aborted) this.stop();
    signal?.addEventListener("abort", () => this.stop(), { once: true, signal: this.#stop.signal });
    void this.#begin();
  }

  /** Resolves once what happens from now on is heard, whatever comes between. */
  get ready(): Promise<void> {
    return this.#heard.promise;
  }

  /** After all that was taken. */
  get cursor(): string {
    return [...this.#cursors.values()].join();
  }

  /** Nothing is heard any more. @internal */
  stop(): void {
    this.#stop.abort();
    this.#heard.resolve();
    this.#wake();
  }

  /** What is heard. @internal */
  async *events(): AsyncGenerator<QueueEvent | EventGap, void> {
    try {
      while (!this.#stop.signal.aborted) {
        const page = this.#pages.shift();
        if (!page) {
          if (this.#failure) throw this.#failure;
          await new Promise<void>((resolve) => (this.#wake = resolve));
          continue;
        }
        if (page.isGap) yield { event: "gap", cursor: this.cursor };
        for (const { n, live, queue = this.#queue ?? "", ...event } of page.events) {
          this.#cursors.set(page.broker, cursorOf(page.epoch, n, live));
          yield { ...event, queue, cursor: this.cursor };
          if (this.#stop.signal.aborted) return;
        }
        page.taken();
      }
    } finally {
      this.stop();
    }
  }

  async #begin(): Promise<void> {
    try {
      const { signal } = this.#stop;
      const brokers = await brokersOf(this.#client, { timeoutMs: WAIT_MS + PATIENCE_MS, signal });
      const { after } = this.#options;
      // With a cursor of none of them the brokers are others than then, and say that there is a gap.
      const from = after === undefined || brokers.some((broker) => this.#cursors.has(broker)) ? OLDEST : after;
      await Promise.all(brokers.map((broker) => this.#meet(broker, after === undefined ? undefined : from)));
      this.#heard.resolve();
    } catch (error) {
      if (codeOf(error) === "QUEUE_UNREACHABLE") void this.#begin();
      else this.#fail(error);
    }
  }

  /** @param from where to begin at a broker of which nothing was heard; undefined: now */
  async #meet(broker: string, from: string | undefined): Promise<void> {
    if (this.#known.has(broker)) return;
    this.#known.add(broker);
    let next = this.#cursors.get(broker) ?? from;
    if (next === undefined) {
      const page = await this.#ask(broker, undefined, 0);
      if (!page) return;
      this.#cursors.set(broker, (next = page.cursor));
    }
    void this.#follow(broker, next);
  }

  async #follow(broker: string, from: string): Promise<void> {
    let next = from;
    const waitMs = this.#client.options.broker ? LOCAL_WAIT_MS : WAIT_MS;
    while (!this.#stop.signal.aborted) {
      const page = await this.#ask(broker, next, waitMs);
      if (!page) return;
      if (page.events.length > 0 || page.gap) {
        await new Promise<void>((taken) => {
          this.#pages.push({ broker, events: page.events, epoch: page.epoch, isGap: page.gap ?? false, taken });
          this.#wake();
        });
      }
      this.#cursors.set(broker, (next = page.cursor));
      // What a broker has told before it was met is new to this listener.
      for (const { broker: other } of this.#client.links()) if (other !== undefined) void this.#meet(other, OLDEST);
    }
  }

  /** Asks until there is an answer; undefined: it is over. */
  async #ask(broker: string, after: string | undefined, waitMs: number) {
    const { signal } = this.#stop;
    const input = { queue: this.#queue, events: this.#options.events, after, waitMs };
    while (!signal.aborted) {
      try {
        const wait = { timeoutMs: waitMs + PATIENCE_MS, signal, broker };
        return (await this.#client.operate("events", input, wait)).value;
      } catch (error) {
        const code = codeOf(error);
        if (FATAL.has(code) || code === undefined) {
          this.#fail(error);
          return undefined;
        }
        if (code === "QUEUE_UNREACHABLE") continue;
        const { clock } = this.#client;
        await new Promise<void>((resolve) => void clock.at(clock.now() + AGAIN_MS, resolve));
      }
    }
    return undefined;
  }

  #fail(error: unknown): void {
    if (!this.#stop.signal.aborted) {
      this.#failure ??= error;
      this.#heard.reject(error);
    }
    this.#wake();
  }
}

/** A function that is called with events, made by `queue.on`. */
export class EventSubscription {
  readonly #listener: QueueListener;

  /** @internal */
  constructor(listener: QueueListener) {
    this.#listener = listener;
  }

  /**
   * Resolves once what happens from now on is heard.
   *
   * @throws OperationError ACCESS_DENIED, UsageError QUEUE_OPTIONS_INVALID, CLOSED
   */
  get ready(): Promise<void> {
    return this.#listener.ready;
  }

  /** After the last event that was heard: `after` for the next time. */
  get cursor(): string {
    return this.#listener.cursor;
  }

  /** Nothing is heard any more. May be called twice. */
  stop(): void {
    this.#listener.stop();
  }
}
