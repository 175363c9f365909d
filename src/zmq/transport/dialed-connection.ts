/**
 * ● One address connected to: connects, connects again when the connection breaks, and keeps the pipe in between. Invariant: at
 * most one stream at a time; once closed none is made. The wait grows as libzmq's: interval + chance × interval, or doubling up to
 * `reconnectMaxInterval` when that is set. Its states: DIALED in socket-core/life-cycle.ts.
 */
import { backoffDelayMs } from "../../core/backoff.ts";
import type { Buffer } from "node:buffer";
import type { NetConnectOpts, Socket as Stream } from "node:net";
import type { Cancel } from "../../core/clock.ts";
import { OperationError } from "../../core/errors.ts";
import { CLOSE_MS_MAX } from "../limits.ts";
import type { Pipe } from "../patterns/pipe.ts";
import { after, DIALED, type DialedEvent, type DialedState } from "../socket-core/life-cycle.ts";
import { type SourceAddress, tcpEndpoint } from "./endpoint.ts";
import { connectOnRead } from "./onread-stream.ts";
import { ZmqConnection, type ConnectionOwner, type EndpointContext } from "./zmq-connection.ts";

/** Where to connect to. */
export type Target =
  | { readonly path: string }
  | {
      readonly host: string;
      readonly port: number;
      readonly source?: SourceAddress | undefined;
    };

export interface DialedConnectionOptions {
  /** Where to connect to now; asked before each attempt. Undefined: nowhere any more. Rejects when the name has no address now. */
  readonly target: () => Promise<Target | undefined>;
  readonly address: string;
  /** ROUTER: the id under which to know the peer. */
  readonly routingId?: Buffer | undefined;
  readonly onEnded: () => void;
}

export class DialedConnection implements ConnectionOwner {
  readonly #context: EndpointContext;
  readonly #options: DialedConnectionOptions;
  #state: DialedState = "connecting";
  #pipe: Pipe | undefined;
  /** The stream that is being made. */
  #stream: Stream | undefined;
  #connection: ZmqConnection | undefined;
  /** Of the timeout while connecting, of the next attempt while waiting. */
  #cancelTimer: Cancel | undefined;
  #cancelLinger: Cancel | undefined;
  #failures = 0;

  constructor(context: EndpointContext, options: DialedConnectionOptions) {
    this.#context = context;
    this.#options = options;
    if (!context.settings.immediate) this.#pipe = context.core.attach(options.routingId, options.address);
    void this.#attempt();
  }

  ready(connection: ZmqConnection): Pipe | undefined {
    const { core } = this.#context;
    this.#failures = 0;
    if (this.#state === "closing" && this.#pipe) {
      this.#pipe.peer ??= connection.info;
      process.nextTick(() => connection.finish(-1)); // once the connection has its pipe
      return this.#pipe;
    }
    this.#pipe ??= core.attach(this.#options.routingId, this.#options.address);
    return core.connected(this.#pipe, connection.info) ? this.#pipe : undefined;
  }

  ended(reason: Error | undefined): void {
    this.#connection = undefined;
    if (this.#state === "closed") return;
    const { core, settings } = this.#context;
    if (this.#pipe !== undefined) {
      if (settings.immediate || (this.#state === "closing" && !this.#hasQueued)) {
        core.detach(this.#pipe, reason);
        this.#pipe = undefined;
      } else {
        core.disconnected(this.#pipe);
      }
    }
    this.#retry();
  }

  /** What is queued goes out first, over the connection there is or, should it break, the next. -1: however long that takes. */
  close(lingerMs: number): void {
    this.#enter("close");
    if (this.#pipe) this.#context.core.retire(this.#pipe);
    const isUp = this.#connection?.pipe !== undefined;
    if (isUp) this.#connection!.finish(lingerMs);
    else if (lingerMs === 0 || !this.#hasQueued) return this.#end();
    const waitMs = isUp ? Math.max(lingerMs, CLOSE_MS_MAX) : lingerMs;
    if (lingerMs >= 0) this.#cancelLinger = this.#in(waitMs, () => this.#lingerOver());
  }

  /** What is still queued is dropped. */
  #lingerOver(): void {
    this.#pipe?.dropOutbound();
    if (this.#connection) this.#connection.drop();
    else this.#end();
  }

  get #hasQueued(): boolean {
    return (this.#pipe?.outboundCount ?? 0) > 0;
  }

  async #attempt(): Promise<void> {
    let target: Target | undefined;
    try {
      target = await this.#options.target();
    } catch (error) {
      this.#context.core.tell({ type: "connect:delay", address: this.#options.address, error: error as Error });
      this.#retry();
      return;
    }
    if (this.#state === "closed") return;
    if (target === undefined) this.#end();
    else this.#connect(target);
  }

  #connect(target: Target): void {
    const { address } = this.#options;
    const { core, settings } = this.#context;
    const reading = connectOnRead(connectOptions(target));
    const { stream } = reading;
    this.#stream = stream;
    core.tell({ type: "connect:delay", address });
    if (settings.connectTimeout > 0) {
      this.#cancelTimer = this.#in(settings.connectTimeout, () =>
        stream.destroy(new OperationError("EAGAIN", `No connection to ${address} within ${settings.connectTimeout} ms`)),
      );
    }
    const onFailed = (): void => {
      this.#cancelTimer?.();
      this.#stream = undefined;
      core.tell({ type: "close", address });
      this.#retry();
    };
    const onError = (): void => {}; // "close" follows and is handled
    stream.on("error", onError);
    stream.once("close", onFailed);
    stream.once("connect", () => {
      this.#cancelTimer?.();
      this.#stream = undefined;
      stream.off("close", onFailed);
      stream.off("error", onError);
      stream.setNoDelay(true);
      this.#enter("connected");
      core.tell({ type: "connect", address });
      const remoteAddress = "path" in target ? address : tcpEndpoint(stream.remoteAddress ?? target.host, target.port);
      this.#connection = new ZmqConnection(reading, {
        context: this.#context,
        owner: this,
        address,
        remoteAddress,
        host: address,
      });
    });
  }

  /** The attempt failed or the connection broke. Closing, it goes on only while something is queued and may be connected. */
  #retry(): void {
    if (this.#state === "closed") return;
    const { reconnectInterval } = this.#context.settings;
    if (this.#state === "closing" && (reconnectInterval < 0 || !this.#hasQueued)) return this.#end();
    this.#enter("lost");
    if (reconnectInterval < 0) return;
    const interval = this.#nextInterval();
    this.#context.core.tell({ type: "connect:retry", address: this.#options.address, interval });
    this.#cancelTimer = this.#in(interval, () => {
      this.#enter("retry");
      void this.#attempt();
    });
  }

  #nextInterval(): number {
    const { settings, random } = this.#context;
    const { reconnectInterval, reconnectMaxInterval } = settings;
    if (reconnectMaxInterval <= reconnectInterval) return Math.round(reconnectInterval + random() * reconnectInterval);
    this.#failures += 1;
    return backoffDelayMs({ minMs: reconnectInterval, maxMs: reconnectMaxInterval, jitter: 0 }, this.#failures, random);
  }

  #end(): void {
    this.#enter("gone");
    this.#cancelTimer?.();
    this.#cancelLinger?.();
    if (this.#stream !== undefined) abandon(this.#stream);
    this.#stream = undefined;
    this.#connection?.drop();
    if (this.#pipe) this.#context.core.detach(this.#pipe, undefined);
    this.#pipe = undefined;
    this.#options.onEnded();
  }

  #in(ms: number, fire: () => void): Cancel {
    const { clock } = this.#context.core;
    return clock.at(clock.now() + ms, fire);
  }

  #enter(event: DialedEvent): void {
    this.#state = after(DIALED, this.#state, event);
  }
}

/** A stream whose connection is not made: nothing of this side is kept until the kernel has let go of it. */
function abandon(stream: Stream): void {
  stream.removeAllListeners();
  stream.on("error", () => {});
  stream.destroy();
}

function connectOptions(target: Target): NetConnectOpts {
  if ("path" in target) return { path: target.path };
  const { host, port, source } = target;
  return { host, port, ...(source && { localAddress: source.host, localPort: source.port }) };
}
