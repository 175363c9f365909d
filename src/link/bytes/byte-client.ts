/**
 * ● The client of byte mode: one TCP connection at a time to one server, made again after it ended where asked to.
 * What was sent and not read by the peer when a connection ended is lost; session mode loses nothing.
 */
import { EventEmitter } from "node:events";
import type { Cancel, Clock } from "../../core/clock.ts";
import { systemClock } from "../../core/clock.ts";
import { OperationError } from "../../core/errors.ts";
import type { Random } from "../../core/random.ts";
import { sizeBytes } from "../../core/units.ts";
import type { Size } from "../../core/units.ts";
import { Backoff } from "../backoff.ts";
import type { BackoffOptions } from "../backoff.ts";
import { ByteLink } from "./byte-link.ts";
import type { LinkStats } from "./byte-link.ts";
import { dialSocket } from "./dial-socket.ts";
import type { DialOptions } from "./dial-socket.ts";
import { endOf, endOfError } from "../end.ts";
import type { LinkEnd } from "../end.ts";
import { readKeepAlive } from "../keep-alive/keep-alive.ts";
import type { KeepAlive, KeepAliveOptions } from "../keep-alive/keep-alive.ts";
import { UNSENT_BYTES_MAX } from "../limits.ts";
import { kernelTimers } from "../keep-alive/proc-net.ts";
import type { TuneReport } from "../keep-alive/tune.ts";

/** One day: the timer only has to exist. */
const AWAKE_MS = 86_400_000;

/** Options of `connect`. */
export interface ConnectOptions extends KeepAliveOptions, DialOptions {
  /** Connect again after an end: true, or the waiting times. Default false. */
  readonly reconnect?: boolean | BackoffOptions;
  /** Bytes that may wait for the peer to read them. Default 1 MiB. */
  readonly unsentMax?: Size;
  /** Ends the client when it fires. */
  readonly signal?: AbortSignal;
  /** For tests: the clock. */
  readonly clock?: Clock;
  /** For tests: chance. */
  readonly random?: Random;
}

/** What a byte client emits. */
export interface LinkClientEvents {
  open: [link: ByteLink, report: TuneReport];
  bytes: [bytes: Buffer];
  /** A connection ended or could not be made. */
  end: [end: LinkEnd];
  /** The next attempt comes in `inMs`. */
  waiting: [inMs: number];
  /** The client is done: closed, or its connection ended and `reconnect` is off. */
  close: [end: LinkEnd];
}

/** A connection in byte mode, and its successors. */
export class LinkClient extends EventEmitter<LinkClientEvents> {
  /** @internal */
  readonly clock: Clock;
  /** The keep-alive values that every connection is set to. */
  readonly keepAlive: KeepAlive;
  /** @internal */
  readonly unsentBytesMax: number;
  readonly #target: DialOptions;
  readonly #backoff: Backoff | undefined;
  #link: ByteLink | undefined;
  #connections = 0;
  #last: LinkEnd | undefined;
  #cancelWait: Cancel | undefined;
  #closed = false;
  #finished = false;
  #connecting: AbortController | undefined;
  /** Keeps the process alive while it waits to connect again: timers of the clock do not. */
  #awake: NodeJS.Timeout | undefined;
  readonly #done = Promise.withResolvers<LinkEnd>();

  /** @internal Use `connect`. */
  constructor(options: ConnectOptions) {
    super();
    this.clock = options.clock ?? systemClock;
    this.keepAlive = readKeepAlive(options).values;
    this.unsentBytesMax = sizeBytes(options.unsentMax ?? UNSENT_BYTES_MAX, "unsentMax");
    this.#target = options;
    const { reconnect = false, random = Math.random } = options;
    if (reconnect !== false) this.#backoff = new Backoff(reconnect === true ? {} : reconnect, random);
    const { signal } = options;
    const abort = (): void => {
      void this.close();
    };
    signal?.addEventListener("abort", abort, { once: true });
    void this.closed.then(() => signal?.removeEventListener("abort", abort));
  }

  /** The connection there is, or undefined between two. */
  get link(): ByteLink | undefined {
    return this.#link;
  }

  /** Resolves with the last end when the client is done. */
  get closed(): Promise<LinkEnd> {
    return this.#done.promise;
  }

  /**
   * Sends bytes over the connection there is.
   *
   * @returns resolves when the kernel has taken them
   * @throws OperationError LINK_ENDED, LINK_FULL
   */
  async send(bytes: Uint8Array | string): Promise<void> {
    if (!this.#link) {
      throw new OperationError("LINK_ENDED", `Cannot send: ${this.#last?.message ?? "not connected yet"}`);
    }
    await this.#link.send(typeof bytes === "string" ? Buffer.from(bytes) : bytes);
  }

  /** The connection's numbers, or undefined between two. */
  stats(): LinkStats | undefined {
    return this.#link?.stats(kernelTimers());
  }

  /** Sends what waits, then FIN; resolves when the connection is gone. May be called twice. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#cancelWait?.();
    if (this.#link) this.#link.close("closed");
    else if (this.#connecting) this.#connecting.abort();
    else this.#finish(this.#last ?? endOf("closed"));
    await this.#done.promise;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** @internal One attempt; resolves when connected. */
  async attempt(): Promise<void> {
    clearInterval(this.#awake);
    this.#connecting = new AbortController();
    const { clock } = this;
    const { signal } = this.#connecting;
    const socket = await dialSocket(this.#target, { clock, signal });
    this.#connecting = undefined;
    this.#connections += 1;
    this.#link = new ByteLink(socket, { id: this.#connections, owner: this });
    const report = this.#link.tune();
    this.#backoff?.connected(this.clock.now());
    this.emit("open", this.#link, report);
    if (this.#closed) this.#link.close("closed");
  }

  /** @internal */
  bytes(_link: ByteLink, bytes: Buffer): void {
    this.emit("bytes", bytes);
  }

  /** @internal */
  ended(_link: ByteLink, end: LinkEnd): void {
    this.#link = undefined;
    this.#next(end);
  }

  #next(end: LinkEnd): void {
    this.#last = end;
    this.emit("end", end);
    if (this.#closed || !this.#backoff) return this.#finish(end);
    const inMs = this.#backoff.next(this.clock.now());
    this.emit("waiting", inMs);
    this.#awake = setInterval(() => {}, AWAKE_MS);
    this.#cancelWait = this.clock.at(this.clock.now() + inMs, () => this.retry());
  }

  /** @internal An attempt whose failure leads to the next. */
  retry(): void {
    this.attempt().catch((error: unknown) => {
      this.#connecting = undefined;
      this.#next(endOfError(error));
    });
  }

  #finish(end: LinkEnd): void {
    if (this.#finished) return;
    this.#finished = true;
    clearInterval(this.#awake);
    this.emit("close", end);
    this.#done.resolve(end);
  }
}
