/** ● What sockets of one program share: the inproc names, defaults for new sockets, and how many there may be. */
import { type Account, PartBudget, PROCESS_BUDGET } from "../../core/budget.ts";
import { systemClock, type Cancel, type Clock } from "../../core/clock.ts";
import { wrongType, zmqError } from "../errors.ts";
import { flag, whole, type OptionRules } from "../socket-core/option-rules.ts";
import { InprocNames } from "../transport/inproc.ts";
import { CONTEXT_HIGH_WATER_BYTES, SOCKETS_MAX, STALLED_MS } from "../limits.ts";
import type { Authenticator } from "../socket-core/settings.ts";
import { ZAP_NAME, ZapClient } from "../transport/zap.ts";
import { defineOptions, OptionHolder } from "./option-holder.ts";

/** 65,535 sockets: as many as libzmq allows. */
const SOCKETS_LIMIT = 65_535;

/** The options of contexts and their defaults. */
class ContextFields {
  /** Default of `ipv6` for new sockets: false. */
  ipv6 = false;
  /** False: new sockets drop what is unsent when closed (`linger` 0). Default true. */
  blocky = true;
  /** How many sockets may be open at once. Default 1023. */
  maxSockets: number = SOCKETS_MAX;
  /** Default of `maxMessageSize` for new sockets, in bytes; -1 (default): none of its own. */
  maxMessageSize = -1;
  /**
   * Bytes that peers may make the sockets keep, all together: messages that wait either way, what is not whole, subscriptions,
   * connections; 0: no bound. Default 256 MiB. How it is kept: docs/zmq.md, Bounds.
   */
  highWaterBytes: number = CONTEXT_HIGH_WATER_BYTES;
  /** Kept for programs that set it: there are no I/O threads here. Default 1. */
  ioThreads = 1;
  /** Kept for programs that set it: there are no I/O threads here. */
  threadPriority = -1;
  /** Kept for programs that set it: there are no I/O threads here. */
  threadSchedulingPolicy = -1;
}

/** Options of a `Context`. */
export interface ContextOptions extends Partial<ContextFields> {}

const RULES: OptionRules<keyof ContextFields> = {
  ioThreads: whole(0, { id: 1 }),
  maxSockets: whole(1, { id: 2, most: SOCKETS_LIMIT }),
  threadPriority: whole(0),
  threadSchedulingPolicy: whole(0, { id: 4 }),
  maxMessageSize: whole(-1, { id: 5 }),
  highWaterBytes: whole(0, { most: Number.MAX_SAFE_INTEGER }),
  ipv6: flag({ id: 42 }),
  blocky: flag({ id: 70 }),
};

// oxlint-disable-next-line typescript/no-unsafe-declaration-merging -- defineOptions below makes it true
export interface Context extends ContextFields {}

/** What sockets share. There is one by default (`context`); a second one has inproc names of its own. */
// oxlint-disable-next-line typescript/no-unsafe-declaration-merging
export class Context extends OptionHolder {
  /** @internal */
  declare readonly settings: ContextFields;
  /** @internal */
  readonly names: InprocNames;
  /** @internal */
  readonly clock: Clock;
  /** @internal What peers make its sockets keep. */
  readonly budget = new PartBudget(PROCESS_BUDGET, { onFull: () => this.#watchStalled(undefined) });
  #zap: ZapClient | undefined;
  #cancelStalled: Cancel | undefined;
  #open = 0;

  /** @param clock for tests: the time that its sockets go by */
  constructor(options: ContextOptions = {}, clock: Clock = systemClock, isShared = false) {
    if (typeof options !== "object" || options === null) throw wrongType("Options must be an object");
    if (typeof clock !== "object") throw wrongType(`Expected 1 argument but received ${arguments.length}`);
    super(new ContextFields(), RULES);
    this.clock = clock;
    this.names = new InprocNames(isShared);
    this.budget.setBound(this.settings.highWaterBytes);
    this.setOptions(options);
  }

  protected override optionChanged(): void {
    this.budget.setBound(this.settings.highWaterBytes);
  }

  /** The largest `maxSockets`. */
  get maxSocketsLimit(): number {
    return SOCKETS_LIMIT;
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

  /** As long as the budget is full. */
  #watchStalled(chosen: Account | undefined): void {
    this.#cancelStalled?.();
    this.#cancelStalled = this.clock.at(this.clock.now() + STALLED_MS, () => {
      const next = this.budget.endStalled(chosen);
      if (this.budget.isFull) this.#watchStalled(next);
    });
  }
}

defineOptions(Context.prototype, Object.keys(RULES));

/** The context of sockets that are given none. All threads of a process know its inproc names; its options are each thread's own. */
export const context: Context = new Context({}, systemClock, true);
