/**
 * ● Watches the kernel's keep-alive of one connection, without root and without capturing: by asking TCP_INFO a few times a second.
 * Linux with node:ffi or koffi; elsewhere it says so.
 */
import type { Socket } from "node:net";
import type { Cancel, Clock } from "../core/clock.ts";
import { systemClock } from "../core/clock.ts";
import { OperationError } from "../core/errors.ts";
import { durationMs } from "../core/units.ts";
import type { Duration } from "../core/units.ts";
import { endOf, endOfError } from "./end.ts";
import type { EndReason, Unanswered } from "./end.ts";
import { descriptorOf, kernel } from "./kernel.ts";
import { ProbeTracker } from "./probe-tracker.ts";
import type { ProbeEvent } from "./probe-tracker.ts";
import { WATCH_EVENTS_MAX, WATCH_MS } from "./limits.ts";
import { parseTcpInfo } from "./tcp-info.ts";

/** What a watch reports; the last event is "dead". */
export type WatchEvent = (ProbeEvent | { readonly kind: "dead"; readonly reason: EndReason; readonly message: string }) & {
  /** When it was seen, in ms since 1970-01-01 UTC. */
  readonly wallMs: number;
};

/** A watched connection: events as they come, and the number of probes so far. */
export interface Watch extends AsyncIterable<WatchEvent> {
  /** Keep-alive probes that this side sent since the watch began. */
  readonly probes: number;
  /** Ends the watch, not the connection. */
  stop(): void;
}

/** Options of `watch`. */
export interface WatchOptions {
  /** Time between two looks. Default 250 ms; a call of about 2 µs. */
  readonly every?: Duration;
  readonly clock?: Clock;
}

/**
 * Watches a connected socket.
 *
 * @throws OperationError LINK_WATCH_UNSUPPORTED where the kernel cannot be asked, LINK_ENDED when the socket has no connection
 * @example
 * for await (const event of watch(socket)) console.log(event.kind, event);
 */
export function watch(socket: Socket, { every = WATCH_MS, clock = systemClock }: WatchOptions = {}): Watch {
  const access = kernel();
  const fd = descriptorOf(socket);
  if (fd === undefined) throw new OperationError("LINK_ENDED", "Cannot watch a socket that is not connected");
  const keepAlive = access?.keepAlive(fd);
  if (!keepAlive || access?.tcpInfo(fd) === undefined) {
    throw new OperationError(
      "LINK_WATCH_UNSUPPORTED",
      "Cannot watch keep-alive here: it needs Linux, and node:ffi (Node 26.1) or koffi",
    );
  }
  return new KernelWatch(socket, {
    everyMs: durationMs(every, "every"),
    clock,
    tracker: new ProbeTracker(keepAlive),
    look: () => {
      const now = descriptorOf(socket);
      return now === undefined ? undefined : access.tcpInfo(now);
    },
  });
}

class KernelWatch implements Watch {
  readonly #clock: Clock;
  readonly #everyMs: number;
  readonly #tracker: ProbeTracker;
  readonly #look: () => Uint8Array | undefined;
  readonly #events: WatchEvent[] = [];
  #wake: (() => void) | undefined;
  #cancel: Cancel | undefined;
  #done = false;
  #unanswered: Unanswered = "probes";
  #error: Error | undefined;

  constructor(
    socket: Socket,
    {
      everyMs,
      clock,
      tracker,
      look,
    }: { everyMs: number; clock: Clock; tracker: ProbeTracker; look: () => Uint8Array | undefined },
  ) {
    this.#clock = clock;
    this.#everyMs = everyMs;
    this.#tracker = tracker;
    this.#look = look;
    socket.once("error", (error) => (this.#error = error));
    socket.once("end", () => (this.#error ??= new Error("fin", { cause: "fin" })));
    socket.once("close", () => this.#dead());
    this.#sample();
  }

  get probes(): number {
    return this.#tracker.probes;
  }

  stop(): void {
    this.#done = true;
    this.#cancel?.();
    this.#wake?.();
  }

  async *[Symbol.asyncIterator](): AsyncIterator<WatchEvent> {
    try {
      for (;;) {
        for (let event = this.#events.shift(); event; event = this.#events.shift()) yield event;
        if (this.#done) return;
        await new Promise<void>((resolve) => (this.#wake = resolve));
      }
    } finally {
      this.stop();
    }
  }

  #sample(): void {
    const bytes = this.#look();
    if (this.#done || !bytes) return;
    const info = parseTcpInfo(bytes);
    this.#unanswered = info.unacked > 0 ? "data" : info.notSentBytes > 0 ? "window" : "probes";
    for (const event of this.#tracker.sample(info, this.#clock.now())) this.#tell(event);
    this.#cancel = this.#clock.at(this.#clock.now() + this.#everyMs, () => this.#sample());
  }

  #dead(): void {
    if (this.#done) return;
    const fin = this.#error?.cause === "fin";
    const end = !this.#error || fin ? endOf(fin ? "fin" : "closed") : endOfError(this.#error, this.#unanswered);
    this.#tell({ kind: "dead", reason: end.reason, message: end.message });
    this.stop();
  }

  /** A reader that does not keep up loses the oldest events, not this process its memory. */
  #tell(event: ProbeEvent | { kind: "dead"; reason: EndReason; message: string }): void {
    if (this.#events.length >= WATCH_EVENTS_MAX) this.#events.shift();
    this.#events.push({ ...event, wallMs: this.#clock.wallMs() });
    this.#wake?.();
  }
}
