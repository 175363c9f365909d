/**
 * ● One term of this broker's: the broker core that is open for as long as it lasts, and the ways into it. Invariant: tasks are given out only
 * while no other can lead (election.ts), and none once the term is over.
 */
import type { Clock } from "../../core/clock.ts";
import type { BrokerCore } from "../broker/broker-core.ts";
import type { Store } from "../stores/store.ts";
import type { PeerRelay } from "./relay/peer-relay.ts";
import { GROUP_HEARTBEAT_MS, mayGiveOut } from "./election.ts";
import type { LeaderLog } from "./log/leader-log.ts";
import { LocalCoreChannel } from "./relay/local-core-channel.ts";
import type { RelayServer } from "./relay/relay.ts";

export interface TermOptions {
  readonly epoch: number;
  readonly lead: LeaderLog;
  /** When the term before has surely run out. */
  readonly fromMs: number;
  readonly clock: Clock;
  readonly peerRelay: PeerRelay;
  /** A broker core on a store, which gives tasks out only when it may. */
  makeCore(store: Store, mayGiveOut: () => boolean): BrokerCore;
  makeRelayServer(core: BrokerCore): RelayServer;
}

/** 10 s: a cluster that lost the log's leader has another within 4 to 9 s, and then any broker can write or none. */
const STUCK_MS = 10_000;

export class Term {
  readonly epoch: number;
  readonly lead: LeaderLog;
  readonly fromMs: number;
  readonly core: BrokerCore;
  readonly host: RelayServer;
  readonly channel: LocalCoreChannel;
  readonly #clock: Clock;
  /** Its broker core is open. */
  ready = false;
  #confirming = false;
  /** An append has just come back: for as long as this turn lasts it may give out, however long that took. */
  #confirmed = false;
  #isOver = false;
  readonly #over = Promise.withResolvers<void>();

  constructor({ epoch, lead, fromMs, clock, peerRelay, makeCore, makeRelayServer }: TermOptions) {
    this.epoch = epoch;
    this.lead = lead;
    this.fromMs = fromMs;
    this.#clock = clock;
    this.core = makeCore(lead, () => this.#mayGiveOut());
    this.host = makeRelayServer(this.core);
    this.channel = new LocalCoreChannel(
      this.core,
      peerRelay.channelOf(() => this.channel),
      epoch,
    );
  }

  /** Resolves when it is over: what its broker core still waits for never comes. */
  get over(): Promise<void> {
    return this.#over.promise;
  }

  /** What it appends has no outcome. It may be this broker's way to the log that is broken, and others should try theirs. */
  get isStuck(): boolean {
    return this.#clock.now() - this.lead.unansweredMs > STUCK_MS;
  }

  /** Makes sure that this still leads, and gives out what there is; when another does, the term is over. */
  confirm(): void {
    if (!this.#confirming) void this.#confirm();
  }

  /** As after a crash: nothing more is written, given out or answered. */
  end(why: string): void {
    this.#isOver = true;
    this.lead.end();
    this.core.abandon();
    this.host.endAll(why);
    this.#over.resolve();
  }

  #mayGiveOut(): boolean {
    const { fromMs } = this;
    const nowMs = this.#clock.now();
    if (this.#isOver || nowMs < fromMs) return false;
    if (this.#confirmed || mayGiveOut(nowMs, { fromMs, surelyLedMs: this.lead.surelyLedMs })) return true;
    this.confirm();
    return false;
  }

  async #confirm(): Promise<void> {
    this.#confirming = true;
    const confirmed = await this.lead.confirm().then(
      () => true,
      () => false,
    );
    // NATS refuses, for want of room perhaps: nothing is given out until it does not.
    if (!confirmed) await new Promise<void>((resolve) => void this.#clock.at(this.#clock.now() + GROUP_HEARTBEAT_MS, resolve));
    this.#confirming = false;
    if (this.#isOver) return;
    this.#confirmed = confirmed;
    this.core.flush();
    this.#confirmed = false;
  }
}
