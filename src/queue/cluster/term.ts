/**
 * ● One term of this broker's: the hall that is open for as long as it lasts, and the ways into it. Invariant: tasks are given out only
 * while no other can lead (election.ts), and none once the term is over.
 */
import type { Clock } from "../../core/clock.ts";
import type { Hall } from "../broker/broker-core.ts";
import type { Store } from "../stores/store.ts";
import type { Door } from "./relay/peer-relay.ts";
import { BEAT_MS, mayGiveOut } from "./election.ts";
import type { LeadTerm } from "./log/leader-log.ts";
import { LocalHallPort } from "./relay/local-core-channel.ts";
import type { RelayHost } from "./relay/relay.ts";

export interface TermOptions {
  readonly epoch: number;
  readonly lead: LeadTerm;
  /** When the term before has surely run out. */
  readonly fromMs: number;
  readonly clock: Clock;
  readonly door: Door;
  /** A hall on a store, which gives tasks out only when it may. */
  makeHall(store: Store, mayGiveOut: () => boolean): Hall;
  makeHost(hall: Hall): RelayHost;
}

/** 10 s: a cluster that lost the log's leader has another within 4 to 9 s, and then any broker can write or none. */
const STUCK_MS = 10_000;

export class Term {
  readonly epoch: number;
  readonly lead: LeadTerm;
  readonly fromMs: number;
  readonly hall: Hall;
  readonly host: RelayHost;
  readonly port: LocalHallPort;
  readonly #clock: Clock;
  /** Its hall is open. */
  ready = false;
  #confirming = false;
  /** An append has just come back: for as long as this turn lasts it may give out, however long that took. */
  #confirmed = false;
  #isOver = false;
  readonly #over = Promise.withResolvers<void>();

  constructor({ epoch, lead, fromMs, clock, door, makeHall, makeHost }: TermOptions) {
    this.epoch = epoch;
    this.lead = lead;
    this.fromMs = fromMs;
    this.#clock = clock;
    this.hall = makeHall(lead, () => this.#mayGiveOut());
    this.host = makeHost(this.hall);
    this.port = new LocalHallPort(
      this.hall,
      door.portOf(() => this.port),
      epoch,
    );
  }

  /** Resolves when it is over: what its hall still waits for never comes. */
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
    this.hall.abandon();
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
    if (!confirmed) await new Promise<void>((resolve) => void this.#clock.at(this.#clock.now() + BEAT_MS, resolve));
    this.#confirming = false;
    if (this.#isOver) return;
    this.#confirmed = confirmed;
    this.hall.flush();
    this.#confirmed = false;
  }
}
