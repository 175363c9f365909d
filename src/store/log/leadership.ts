/**
 * ● One process's part in a group that shares a log on NATS, for parts that serve only while they lead: it follows the log, tries to lead
 * when no leader is heard (election.ts), and hands its owner the log as a store for as long as it leads. Invariant: of two that believe to
 * lead one can write; what the other has written stays unanswered, until it hears of the first and has to stop.
 */
import type { Cancel, Clock } from "../../core/clock.ts";
import { messageOf, OperationError } from "../../core/errors.ts";
import type { Random } from "../../core/random.ts";
import type { NatsConnectionEvent } from "../nats/cluster-connection.ts";
import type { NatsUrl } from "../nats/nats-url.ts";
import { Election } from "./election.ts";
import { type GroupHeartbeat, Heartbeats } from "./heartbeats.ts";
import type { LeaderLog } from "./leader-log.ts";
import { LogFollower } from "./log-follower.ts";

export interface LeadershipOptions {
  readonly url: NatsUrl;
  /** Where the local copy of the log lies; without one it is temporary. */
  readonly folder?: string | undefined;
  readonly clock: Clock;
  readonly random: Random;
}

export interface LeadershipOwner {
  /** It leads: the store is its own. Resolves when it serves; what it throws ends the term. */
  leads(store: LeaderLog): Promise<void>;
  /** Another leads, or may: nothing more can be written. */
  lost(): void;
  /** Where it listens for clients, for people. */
  address(): string;
  trouble(error: OperationError): void;
}

/** 2 s without NATS: others lead by then, if they have it. */
const CUT_OFF_MS = 2000;
/** 10 s: a cluster that lost the log's leader has another within 4 to 9 s, and then any process can write or none. */
const STUCK_MS = 10_000;
/** 500 ms before reading the log is tried again. */
const READ_AGAIN_MS = 500;

export class Leadership {
  readonly #options: LeadershipOptions;
  readonly #owner: LeadershipOwner;
  readonly #clock: Clock;
  readonly #election: Election;
  #follower: LogFollower | undefined;
  #heartbeats: Heartbeats | undefined;
  #store: LeaderLog | undefined;
  #epoch = 0;
  #isReady = false;
  #told = "";
  #cancelTimer: Cancel = () => {};
  #cancelCutOff: Cancel = () => {};
  #cancelReading: Cancel = () => {};
  #closing = false;

  constructor(options: LeadershipOptions, owner: LeadershipOwner) {
    this.#options = options;
    this.#owner = owner;
    this.#clock = options.clock;
    this.#election = new Election({ random: options.random, nowMs: options.clock.now() });
  }

  /** Joins the group; resolves when it follows the log. Errors are those of LogFollower.open. */
  async open(): Promise<void> {
    const { url, folder } = this.#options;
    const clock = this.#clock;
    const follower = await LogFollower.open(
      { url, folder, clock },
      { led: (epoch) => this.#election.read(epoch, clock.now()) },
    );
    if (this.#closing) return follower.close(); // closed meanwhile
    this.#follower = follower;
    await follower.follow();
    follower.connection.listen((event) => this.#connected(event));
    this.#heartbeats = new Heartbeats(follower.connection, url.group, {
      heard: (heartbeat) => this.#heard(heartbeat),
      trouble: (error) => this.#tell(error),
    });
    this.#say("asking");
    this.#election.connected(clock.now(), { first: true });
    this.#arm();
  }

  /** Leaves the group, so that the next can lead at once. The owner has written what it had to. May be called twice. */
  async close(): Promise<void> {
    if (this.#closing) return;
    this.#closing = true;
    this.#cancelTimer();
    this.#cancelCutOff();
    this.#cancelReading();
    const { connection } = this.#follower ?? {};
    if (this.#store && connection?.isUp) {
      await this.#store.close();
      this.#say("resigned");
      await connection.nats.flush().catch((error: unknown) => this.#tell(error)); // the others find out by themselves
    }
    this.#heartbeats?.close();
    await this.#follower?.close();
  }

  #arm(): void {
    this.#cancelTimer();
    const atMs = this.#election.deadlineMs;
    if (this.#closing || atMs === Infinity) return;
    this.#cancelTimer = this.#clock.at(atMs, () => {
      const what = this.#election.due(this.#clock.now());
      if (what === "heartbeat" && !this.#isStuck) this.#say("leading");
      if (what === "stand") void this.#stand();
      this.#arm();
    });
  }

  async #stand(): Promise<void> {
    try {
      const store = await this.#follower!.lead({ address: this.#owner.address() }, () => this.#end());
      if (store && !this.#closing) return await this.#begin(store);
    } catch (error) {
      this.#tell(error);
    }
    if (!this.#closing) this.#follow();
  }

  async #begin(store: LeaderLog): Promise<void> {
    this.#store = store;
    this.#epoch = this.#follower!.replica.epoch;
    this.#election.won(this.#epoch, this.#clock.now());
    this.#arm();
    try {
      await this.#owner.leads(store);
      this.#isReady = true;
      this.#told = "";
    } catch (error) {
      this.#tell(error);
      // The next one may be able to.
      if (this.#store === store) this.#say("resigned");
      this.#end();
    }
  }

  /** Nothing is written any more; from now on another's log is followed. */
  #end(): void {
    const store = this.#store;
    if (!store) return;
    this.#store = undefined;
    this.#isReady = false;
    store.end();
    this.#owner.lost();
    if (!this.#closing) this.#follow();
  }

  #follow(): void {
    this.#election.lost(this.#clock.now());
    this.#arm();
    void this.#readLog();
  }

  /** Also while another leads: only who has read the log can lead when it is needed. */
  async #readLog(): Promise<void> {
    try {
      await this.#follower!.follow();
    } catch (error) {
      this.#tell(error);
      this.#cancelReading();
      this.#cancelReading = this.#clock.at(this.#clock.now() + READ_AGAIN_MS, () => {
        if (!this.#store && !this.#closing) void this.#readLog();
      });
    }
  }

  #heard({ kind, writer, epoch, sequence }: GroupHeartbeat): void {
    if (writer === this.#follower!.writer || this.#closing) return;
    const nowMs = this.#clock.now();
    if (kind === "asking") {
      if (this.#store && !this.#isStuck) this.#say("leading");
    } else if (kind === "resigned") this.#election.resigned(epoch, nowMs);
    else if (this.#store) {
      // A later term: this process stood still. Its next append would find out, but its clients must not wait for that.
      if (epoch <= this.#epoch) return;
      if (this.#isStuck) this.#end();
      else void this.#store.confirm();
    } else if (this.#election.heard(epoch, nowMs)) this.#follower!.reaches(sequence);
    this.#arm();
  }

  #connected(event: NatsConnectionEvent): void {
    if (this.#closing) return;
    if (event.kind === "error") return this.#tell(event.error);
    this.#cancelCutOff();
    if (event.kind === "down") {
      this.#cancelCutOff = this.#clock.at(this.#clock.now() + CUT_OFF_MS, () => this.#end());
      return;
    }
    if (!this.#store) this.#election.connected(this.#clock.now(), { first: false });
    this.#arm();
  }

  /** An append has no outcome. Only this process's connection to the log may be broken, so others should try. */
  get #isStuck(): boolean {
    return this.#store !== undefined && this.#clock.now() - this.#store.unansweredMs > STUCK_MS;
  }

  #say(kind: GroupHeartbeat["kind"]): void {
    this.#heartbeats!.send({
      kind,
      writer: this.#follower!.writer,
      epoch: this.#election.epoch,
      ready: this.#isReady,
      sequence: this.#store?.lastSequence ?? this.#follower!.seen,
      broker: "",
      address: this.#owner.address(),
    });
  }

  /** Once for the same trouble in a row. */
  #tell(error: unknown): void {
    if (this.#closing || messageOf(error) === this.#told) return;
    this.#told = messageOf(error);
    const isOurs = error instanceof OperationError;
    this.#owner.trouble(isOurs ? error : new OperationError("QUEUE_STORE_UNAVAILABLE", messageOf(error), { cause: error }));
  }
}
