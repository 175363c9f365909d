/** ● What sockets of one program share: the inproc names, defaults for new sockets, and how many there may be. */
import { systemClock, type Clock } from "../../core/clock.ts";
import { zmqError } from "../errors.ts";
import { InprocNames } from "../transport/inproc.ts";
import { SOCKETS_MAX } from "../limits.ts";
import type { Authenticator } from "../socket-core/settings.ts";
import { ZAP_NAME, ZapClient } from "../transport/zap.ts";

/** 1 hour: the timer that keeps the process alive while a socket waits to connect again does nothing when it fires. */
const HOLD_MS = 3_600_000;

/** Options of a `Context`. */
export interface ContextOptions {
  /** Default of `ipv6` for new sockets: false. */
  ipv6?: boolean;
  /** False: new sockets drop what is unsent when closed (`linger` 0). Default true. */
  blocky?: boolean;
  /** How many sockets may be open at once. Default 1023. */
  maxSockets?: number;
  /** Default of `maxMessageSize` for new sockets, in bytes; -1: none of its own. */
  maxMessageSize?: number;
}

/** What sockets share. There is one by default (`context`); a second one has inproc names of its own. */
export class Context {
  /** Default of `ipv6` for new sockets. */
  ipv6: boolean;
  /** False: new sockets drop what is unsent when closed. */
  blocky: boolean;
  /** How many sockets may be open at once. */
  maxSockets: number;
  /** Default of `maxMessageSize` for new sockets; -1: none of its own. */
  maxMessageSize: number;
  /** Kept for programs that set it: there are no I/O threads here. */
  ioThreads = 1;
  /** The largest `maxSockets`: as many as the system allows. */
  readonly maxSocketsLimit: number = 65_535;
  /** @internal */
  readonly names = new InprocNames();
  /** @internal */
  readonly clock: Clock;
  #zap: ZapClient | undefined;
  #open = 0;
  #holding = 0;
  #hold: NodeJS.Timeout | undefined;

  /** @param clock for tests: the time that its sockets go by */
  constructor(
    { ipv6 = false, blocky = true, maxSockets = SOCKETS_MAX, maxMessageSize = -1 }: ContextOptions = {},
    clock: Clock = systemClock,
  ) {
    this.clock = clock;
    this.ipv6 = ipv6;
    this.blocky = blocky;
    this.maxSockets = maxSockets;
    this.maxMessageSize = maxMessageSize;
  }

  /** @internal The authenticator behind inproc://zeromq.zap.01, if one is bound. */
  zap(): Authenticator | null {
    if (!this.names.has(ZAP_NAME)) return null;
    this.#zap ??= new ZapClient(this.names, this.clock);
    const zap = this.#zap;
    return (request) => zap.ask(request);
  }

  /** @internal A socket was made. @throws OperationError EMFILE */
  enter(): void {
    if (this.#open >= this.maxSockets)
      throw zmqError("EMFILE", `Cannot create socket: the limit of ${this.maxSockets} open sockets is reached`);
    this.#open += 1;
  }

  /** @internal A socket is closed. */
  leave(): void {
    this.#open -= 1;
  }

  /** @internal Keeps the process alive while a socket connects, or waits to connect again. */
  hold(): void {
    this.#holding += 1;
    this.#hold ??= setInterval(() => {}, HOLD_MS);
  }

  /** @internal */
  release(): void {
    this.#holding -= 1;
    if (this.#holding > 0) return;
    clearInterval(this.#hold);
    this.#hold = undefined;
  }
}

/** The context of sockets that are given none. */
export const context: Context = new Context();
