/**
 * ● One connected address: makes the connection, makes it again when it breaks, and keeps the pipe in between. Invariant: at most
 * one stream at a time; after `close` none is made. The wait grows as libzmq's: interval + chance × interval, or doubling up to
 * `reconnectMaxInterval` when that is set.
 */
import type { NetConnectOpts, Socket as Stream } from "node:net";
import { backoffDelayMs } from "../../core/backoff.ts";
import type { Cancel, Clock } from "../../core/clock.ts";
import { OperationError } from "../../core/errors.ts";
import type { Random } from "../../core/random.ts";
import type { Event } from "../socket-core/observer.ts";
import { connectOnRead, type OnReadStream } from "./onread-stream.ts";

/** Where to connect to. */
export type Target =
  | { readonly path: string }
  | {
      readonly host: string;
      readonly port: number;
      readonly source?: { readonly host: string; readonly port: number } | undefined;
    };

export interface ConnecterSettings {
  readonly reconnectInterval: number;
  readonly reconnectMaxInterval: number;
  readonly connectTimeout: number;
}

export interface ConnecterOptions {
  /** Where to connect to now; asked before each attempt. Undefined: nowhere any more. May reject: the name has no address now. */
  readonly target: () => Promise<Target | undefined>;
  readonly address: string;
  readonly settings: ConnecterSettings;
  readonly clock: Clock;
  readonly random: Random;
  readonly tell: (event: Event) => void;
  /** A stream is connected; the owner calls `lost` when it is over. */
  readonly connected: (stream: OnReadStream, target: Target) => void;
  /** There is nothing to connect to any more. */
  readonly gone: () => void;
  /** Whether to try again; asked each time. */
  readonly wanted: () => boolean;
}

export class Connecter {
  readonly #options: ConnecterOptions;
  #stream: Stream | undefined;
  #cancelRetry: Cancel | undefined;
  #cancelTimeout: Cancel | undefined;
  #failures = 0;
  #closed = false;

  constructor(options: ConnecterOptions) {
    this.#options = options;
    void this.#start();
  }

  /** A handshake succeeded: the next wait is the shortest again. */
  succeeded(): void {
    this.#failures = 0;
  }

  /** The stream is over: make the next. */
  lost(): void {
    this.#stream = undefined;
    this.#retry();
  }

  /** Makes no more connections; one that is being made is given up, one that stands is its owner's. */
  close(): void {
    this.#closed = true;
    this.#cancelRetry?.();
    this.#cancelTimeout?.();
    if (this.#stream?.connecting) this.#stream.destroy();
  }

  async #start(): Promise<void> {
    const { address, target, tell, gone } = this.#options;
    let found: Target | undefined;
    try {
      found = await target();
    } catch (error) {
      tell({ type: "connect:delay", address, error: error as Error });
      if (!this.#closed) this.#retry();
      return;
    }
    if (this.#closed) return;
    if (found === undefined) gone();
    else this.#connect(found);
  }

  #connect(target: Target): void {
    const { address, settings, clock, tell, connected } = this.#options;
    const reading = connectOnRead(connectOptions(target));
    const { stream } = reading;
    this.#stream = stream;
    tell({ type: "connect:delay", address });
    if (settings.connectTimeout > 0) {
      this.#cancelTimeout = clock.at(clock.now() + settings.connectTimeout, () =>
        stream.destroy(new OperationError("EAGAIN", `No connection to ${address} within ${settings.connectTimeout} ms`)),
      );
    }
    const onFailed = (): void => {
      this.#cancelTimeout?.();
      tell({ type: "close", address });
      this.lost();
    };
    const onError = (): void => {}; // "close" follows and is handled
    stream.on("error", onError);
    stream.once("close", onFailed);
    stream.once("connect", () => {
      this.#cancelTimeout?.();
      stream.off("close", onFailed);
      stream.setNoDelay(true);
      stream.off("error", onError);
      tell({ type: "connect", address });
      connected(reading, target);
    });
  }

  #retry(): void {
    const { address, settings, clock, tell, wanted } = this.#options;
    if (this.#closed || settings.reconnectInterval < 0 || !wanted()) return;
    const waitMs = this.#nextInterval();
    tell({ type: "connect:retry", address, interval: waitMs });
    this.#cancelRetry = clock.at(clock.now() + waitMs, () => {
      if (!this.#closed && wanted()) void this.#start();
    });
  }

  #nextInterval(): number {
    const { settings, random } = this.#options;
    const { reconnectInterval, reconnectMaxInterval } = settings;
    if (reconnectMaxInterval <= reconnectInterval) return Math.round(reconnectInterval + random() * reconnectInterval);
    this.#failures += 1;
    return backoffDelayMs({ minMs: reconnectInterval, maxMs: reconnectMaxInterval, jitter: 0 }, this.#failures, random);
  }
}

function connectOptions(target: Target): NetConnectOpts {
  if ("path" in target) return { path: target.path };
  const { host, port, source } = target;
  return { host, port, ...(source && { localAddress: source.host, localPort: source.port }) };
}
