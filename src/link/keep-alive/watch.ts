/**
 * ● Watches the kernel's keep-alive of one connection, without root and without capturing: by asking TCP_INFO a few times a second,
 * or, without node:ffi and koffi, by reading /proc/net/tcp. Linux; elsewhere it says so.
 */
import type { Socket } from "node:net";
import type { Cancel, Clock } from "../../core/clock.ts";
import { systemClock } from "../../core/clock.ts";
import { OperationError } from "../../core/errors.ts";
import { descriptorOf } from "../../core/socket-handle.ts";
import { durationMs } from "../../core/units.ts";
import type { Duration } from "../../core/units.ts";
import { endOf, endOfError } from "../end.ts";
import type { EndReason, Unanswered } from "../end.ts";
import { readKeepAlive } from "./keep-alive.ts";
import type { KeepAliveOptions } from "./keep-alive.ts";
import { kernel } from "./kernel.ts";
import type { Kernel } from "./kernel.ts";
import { ProbeTracker } from "./probe-tracker.ts";
import type { ProbeEvent } from "./probe-tracker.ts";
import { WATCH_EVENTS_MAX, WATCH_MS } from "../limits.ts";
import { kernelTimer } from "./proc-net.ts";
import { parseTcpInfo } from "./tcp-info.ts";
import type { TcpInfo } from "./tcp-info.ts";
import { TimerReader } from "./timer-reader.ts";

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

/** Options of `watch`. The keep-alive values are needed only where the kernel cannot be asked for them: without ffi and koffi. */
export interface WatchOptions extends KeepAliveOptions {
  /** Time between two samples. Default 250 ms; a call of about 2 µs, but without ffi a read of the kernel's whole table. */
  readonly every?: Duration;
  /** For tests: the clock. */
  readonly clock?: Clock;
}

/**
 * Watches a connected socket.
 *
 * @throws OperationError LINK_WATCH_UNSUPPORTED where the kernel cannot be asked, LINK_ENDED when the socket has no connection
 * @example
 * for await (const event of watch(socket)) console.log(event.kind, event);
 */
export function watch(socket: Socket, options: WatchOptions = {}): Watch {
  return watchThrough(kernel(), socket, options);
}

/** `watch` with the access to the kernel given. */
export function watchThrough(access: Kernel | undefined, socket: Socket, options: WatchOptions): Watch {
  const { every = WATCH_MS, clock = systemClock } = options;
  const fd = descriptorOf(socket);
  if (fd === undefined) throw new OperationError("LINK_ENDED", "Cannot watch a socket that is not connected");
  const everyMs = durationMs(every, "every");
  const keepAlive = access?.keepAlive(fd);
  if (access && keepAlive && access.tcpInfo(fd)) {
    const look = (): TcpInfo | undefined => {
      const now = descriptorOf(socket);
      const bytes = now === undefined ? undefined : access.tcpInfo(now);
      return bytes && parseTcpInfo(bytes);
    };
    return new KernelWatch(socket, { everyMs, clock, tracker: new ProbeTracker(keepAlive), look });
  }
  if (!kernelTimer(socket)) {
    throw new OperationError("LINK_WATCH_UNSUPPORTED", "Cannot watch keep-alive on this machine: it needs Linux");
  }
  const { values } = readKeepAlive(options);
  const reader = new TimerReader(values, everyMs);
  const look = (): TcpInfo | undefined => {
    const timer = kernelTimer(socket);
    return timer && reader.read(timer, clock.now());
  };
  return new KernelWatch(socket, { everyMs, clock, tracker: new ProbeTracker(values), look });
}

class KernelWatch implements Watch {
  readonly #clock: Clock;
  readonly #everyMs: number;
  readonly #tracker: ProbeTracker;
  readonly #look: () => TcpInfo | undefined;
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
    }: { everyMs: number; clock: Clock; tracker: ProbeTracker; look: () => TcpInfo | undefined },
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
    const info = this.#look();
    if (this.#done || !info) return;
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
