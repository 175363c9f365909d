/**
 * ● One term of this broker as the leader: the broker core that is open for as long as it lasts, and the channels into it.
 * Invariant: tasks are given out only while no other can lead (election.ts), and none once the term is over.
 */
import type { Clock } from "../../core/clock.ts";
import type { BrokerCore } from "../broker/broker-core.ts";
import type { FollowerState, TaskStore } from "../stores/follower-state.ts";
import { GROUP_HEARTBEAT_MS, mayGiveOut } from "../../store/log/election.ts";
import type { LeaderLog } from "../../store/log/leader-log.ts";
import { LocalCoreChannel, type PeerRelay } from "./relay/peer-relay.ts";
import type { RelayServer } from "./relay/relay.ts";

export interface TermOptions {
  readonly epoch: number;
  readonly log: LeaderLog<FollowerState>;
  /** When the term before has certainly run out. */
  readonly fromMs: number;
  readonly clock: Clock;
  readonly peerRelay: PeerRelay;
  /** A broker core on a store; it gives tasks out only while `mayGiveOut`. */
  makeCore(store: TaskStore, mayGiveOut: () => boolean): BrokerCore;
  makeRelayServer(core: BrokerCore): RelayServer;
}

/** 10 s: a cluster that lost the log's leader has another within 4 to 9 s, and then any broker can write or none. */
const STUCK_MS = 10_000;

export class Term {
  readonly epoch: number;
  readonly log: LeaderLog<FollowerState>;
  readonly fromMs: number;
  readonly core: BrokerCore;
  readonly relayServer: RelayServer;
  readonly channel: LocalCoreChannel;
  readonly #clock: Clock;
  /** Its broker core is open. */
  ready = false;
  #confirming = false;
  /** An append has just succeeded: during this turn of the event loop tasks may be given out, however long the append took. */
  #confirmed = false;
  #isOver = false;
  readonly #over = Promise.withResolvers<void>();

  constructor({ epoch, log, fromMs, clock, peerRelay, makeCore, makeRelayServer }: TermOptions) {
    this.epoch = epoch;
    this.log = log;
    this.fromMs = fromMs;
    this.#clock = clock;
    this.core = makeCore(log, () => this.#mayGiveOut());
    this.relayServer = makeRelayServer(this.core);
    this.channel = new LocalCoreChannel(
      this.core,
      peerRelay.channelOf(() => this.channel),
      epoch,
    );
  }

  /** Resolves when the term is over: what its broker core still waits for never comes. */
  get over(): Promise<void> {
    return this.#over.promise;
  }

  /** Its append has no outcome. Only this broker's connection to the log may be broken, so others should try. */
  get isStuck(): boolean {
    return this.#clock.now() - this.log.unansweredMs > STUCK_MS;
  }

  /** Makes sure that this broker still leads, then gives out what there is; when another leads, the term is over. */
  confirm(): void {
    if (!this.#confirming) void this.#confirm();
  }

  /** As after a crash: nothing more is written, given out or answered. */
  end(why: string): void {
    this.#isOver = true;
    this.log.end();
    this.core.abandon();
    this.relayServer.endAll(why);
    this.#over.resolve();
  }

  #mayGiveOut(): boolean {
    const { fromMs } = this;
    const nowMs = this.#clock.now();
    if (this.#isOver || nowMs < fromMs) return false;
    if (this.#confirmed || mayGiveOut(nowMs, { fromMs, surelyLedMs: this.log.surelyLedMs })) return true;
    this.confirm();
    return false;
  }

  async #confirm(): Promise<void> {
    this.#confirming = true;
    const confirmed = await this.log.confirm().then(
      () => true,
      () => false,
    );
    // NATS refuses, perhaps because it is full: nothing is given out until it accepts.
    if (!confirmed) await new Promise<void>((resolve) => void this.#clock.at(this.#clock.now() + GROUP_HEARTBEAT_MS, resolve));
    this.#confirming = false;
    if (this.#isOver) return;
    this.#confirmed = confirmed;
    this.core.flush();
    this.#confirmed = false;
  }
}
