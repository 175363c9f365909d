/**
 * ● One broker of a group: follows the log and leads its peers to the leader's broker core, or leads and has the broker core here. Which of both is
 * decided by the election and the log. Invariant: a broker core is open only during a term of this broker's.
 */
import { type Cancel, type Clock } from "../../core/clock.ts";
import { messageOf } from "../../core/errors.ts";
import type { Random } from "../../core/random.ts";
import type { TaskServiceStats } from "../service/task-service-stats.ts";
import { type BrokerCore, ID_SETTING } from "../broker/broker-core.ts";
import type { FollowerState } from "../stores/follower-state.ts";
import type { Store } from "../stores/store.ts";
import type { NatsConnectionEvent } from "./nats/cluster-connection.ts";
import { type ClusterStats, NO_SERVICE_STATS } from "./cluster-stats.ts";
import { PeerRelay } from "./relay/peer-relay.ts";
import { durability } from "./nats/durability.ts";
import { GROUP_HEARTBEAT_MS, Election, SURE_MS } from "./election.ts";
import { type BrokerHeartbeat, GroupBus } from "./group-bus.ts";
import type { LeaderLog } from "./log/leader-log.ts";
import { LogFollower } from "./log/log-follower.ts";
import type { NatsUrl } from "./nats/nats-url.ts";
import { RelayServer, RelayClient } from "./relay/relay.ts";
import { encodeChunk, RESET } from "./relay/relay-codec.ts";
import { Term } from "./term.ts";

export interface ClusterNodeOptions {
  readonly url: NatsUrl;
  /** Where the local copy of the log lies; without one it is temporary. */
  readonly folder?: string | undefined;
  readonly clock: Clock;
  readonly random: Random;
  /** Holds all tasks while another leads, as the broker core's store will give them. */
  makeFollowerState(): FollowerState;
  /** A broker core on a store, which gives tasks out only when it may. */
  makeCore(store: Store, mayGiveOut: () => boolean): BrokerCore;
  /** Where clients find this broker, for people. */
  address(): string;
  log(event: string, facts: Readonly<Record<string, unknown>>): void;
}

interface Relay {
  readonly leader: string;
  readonly session: number;
  readonly channel: RelayClient;
}

/** 1 KiB of a message's allowance is for NATS' own. */
const HEADER_BYTES = 1024;
const CHUNK_BYTES_MAX = 512 * 1024;
/** 500 ms until a log that could not be read is tried again. */
const READ_AGAIN_MS = 500;
/** 2 s without a broker core: a takeover is over by then, and peers are better served at another peer relay, if there is one. */
const SEND_AWAY_MS = 2000;

export class ClusterNode {
  readonly #peerRelay: PeerRelay;
  readonly #options: ClusterNodeOptions;
  readonly #clock: Clock;
  readonly #election: Election;
  #follower: LogFollower | undefined;
  #bus: GroupBus | undefined;
  #term: Term | undefined;
  #relay: Relay | undefined;
  #leader: BrokerHeartbeat | undefined;
  #sessions = 0;
  #cancelTimer: Cancel = () => {};
  #cancelHeartbeat: Cancel = () => {};
  #cancelReading: Cancel = () => {};
  #cancelSendAway: Cancel = () => {};
  #entered = Promise.withResolvers<void>();
  #closing = false;

  constructor(options: ClusterNodeOptions) {
    this.#options = options;
    this.#clock = options.clock;
    this.#peerRelay = new PeerRelay({ name: Math.floor(options.random() * 2 ** 48).toString(36) });
    this.#election = new Election({ random: options.random, nowMs: this.#clock.now() });
  }

  /** Joins the group; resolves when peers can be led to a broker core. Errors are those of LogFollower.open. */
  async open(): Promise<void> {
    const { url, folder, clock, log, makeFollowerState } = this.#options;
    const follower = await LogFollower.open(
      { url, folder, clock, makeFollowerState, log: (message) => log("queue.log", { message }) },
      { led: (epoch) => this.#election.read(epoch, clock.now()) },
    );
    this.#follower = follower;
    await follower.follow();
    follower.connection.listen((event) => this.#connected(event));
    this.#bus = new GroupBus(follower.connection, url.group, follower.writer, {
      heartbeat: (heartbeat) => this.#heard(heartbeat),
      // A broker core that is not open yet knows no session: it is asked again.
      toCore: (chunk) => this.#term?.ready && this.#term.host.heard(chunk),
      toPeerRelay: (chunk) => {
        if (chunk.sender === this.#relay?.leader) this.#relay.channel.heard(chunk);
      },
      trouble: (error) => log("queue.group", { message: messageOf(error) }),
    });
    this.#bus.heartbeat(this.#heartbeatOf("asking"));
    this.#heartbeats();
    this.#election.connected(clock.now(), { first: true });
    this.#arm();
    void durability(follower.connection, follower.info.replicas).then((facts) => log("queue.durability", facts));
    await this.#entered.promise;
  }

  /** The first part of task ids, the same for the whole group. */
  get id(): string {
    return this.#follower?.replica.settings.get(ID_SETTING) ?? this.#term?.core.id ?? this.#leader?.broker ?? "";
  }

  get sink(): PeerRelay {
    return this.#peerRelay;
  }

  /** The broker core's numbers, while it is here, and of all its peers. */
  stats(): TaskServiceStats & { peers: number; cluster: ClusterStats } {
    const core = this.#term?.ready ? this.#term.core : undefined;
    const cluster = this.#clusterStats();
    return {
      peers: core?.peerCount ?? this.#peerRelay.peerCount,
      ...(core ? core.stats() : this.#noServiceStats(cluster)),
      cluster,
    };
  }

  #noServiceStats({ connected }: ClusterStats): TaskServiceStats {
    return connected ? NO_SERVICE_STATS : { ...NO_SERVICE_STATS, storeTrouble: "no NATS server is connected" };
  }

  #clusterStats(): ClusterStats {
    const follower = this.#follower;
    const sequence = this.#term?.lead.lastSequence ?? follower?.seen ?? 0;
    return {
      group: this.#options.url.group,
      role: this.#election.role,
      epoch: this.#election.epoch,
      sequence,
      lag: this.#term ? 0 : Math.max(0, (this.#leader?.sequence ?? sequence) - sequence),
      leader: this.#term ? this.#options.address() : (this.#leader?.address ?? ""),
      server: follower?.connection.serverVersion ?? "",
      connected: follower?.connection.isUp ?? false,
    };
  }

  /** Leaves the group; a leader finishes what it was asked, so that the next can lead at once. */
  async close(): Promise<void> {
    if (this.#closing) return;
    this.#closing = true;
    this.#cancelTimer();
    this.#cancelHeartbeat();
    this.#cancelReading();
    this.#cancelSendAway();
    const term = this.#term;
    if (term) {
      if (this.#follower?.connection.isUp) await Promise.race([term.core.close(), term.over]);
      else term.core.abandon();
      this.#bus?.heartbeat(this.#heartbeatOf("resigned"));
    } else this.#dropRelay({ tell: true });
    await this.#bus?.flush().catch(() => {});
    this.#bus?.close();
    await this.#follower?.close();
    this.#entered.resolve();
  }

  // ---- the election

  #arm(): void {
    this.#cancelTimer();
    const atMs = this.#election.deadlineMs;
    if (this.#closing || atMs === Infinity) return;
    this.#cancelTimer = this.#clock.at(atMs, () => {
      const what = this.#election.due(this.#clock.now());
      if (what === "beat" && !this.#term?.isStuck) this.#bus!.heartbeat(this.#heartbeatOf("leading"));
      if (what === "stand") void this.#stand();
      this.#arm();
    });
  }

  async #stand(): Promise<void> {
    const { log, address } = this.#options;
    const follower = this.#follower!;
    try {
      const before = follower.replica.leader;
      const lead = await follower.lead({ address: address() }, () => this.#term?.lead === lead && this.#lost());
      if (lead && !this.#closing) {
        await this.#begin(lead, before);
        return;
      }
    } catch (error) {
      log("queue.group", { message: messageOf(error) });
    }
    if (!this.#closing) await this.#follow();
  }

  async #begin(lead: LeaderLog, before: string): Promise<void> {
    const { makeCore, log, url } = this.#options;
    const follower = this.#follower!;
    const nowMs = this.#clock.now();
    this.#election.won(follower.replica.epoch, nowMs);
    this.#dropRelay({ tell: false });
    this.#leaveCore();
    // One that has left in good order gives out no more, and the very first leader of a log succeeds nobody.
    const free = follower.replica.epoch === 1 || (this.#leader?.kind === "resigned" && this.#leader.writer === before);
    const fromMs = free ? nowMs : follower.readMs + SURE_MS;
    const { epoch } = follower.replica;
    const makeRelayServer = (core: BrokerCore): RelayServer =>
      new RelayServer({
        core,
        term: epoch,
        sender: follower.writer,
        chunkBytesMax: this.#chunkBytesMax,
        send: (peerRelay, chunk) => this.#bus!.toPeerRelay(peerRelay, chunk),
        nowMs: () => this.#clock.now(),
        log,
      });
    const term = new Term({ epoch, lead, fromMs, clock: this.#clock, peerRelay: this.#peerRelay, makeCore, makeRelayServer });
    this.#term = term;
    this.#arm();
    try {
      await term.core.open();
    } catch (error) {
      // Lost meanwhile: then it follows already.
      if (this.#term !== term) return;
      this.#endTerm("its hall could not be opened");
      throw error;
    }
    if (this.#term !== term || this.#closing) return;
    term.ready = true;
    this.#bus!.heartbeat(this.#heartbeatOf("leading"));
    this.#peerRelay.enter(term.channel);
    this.#clock.at(fromMs, () => term.core.flush());
    this.#entered.resolve();
    log("queue.leading", { group: url.group, epoch: this.#election.epoch, sequence: lead.lastSequence });
  }

  /** Another has written "I lead" after this one. */
  #lost(): void {
    this.#options.log("queue.leader-lost", { group: this.#options.url.group, epoch: this.#election.epoch });
    this.#endTerm("another leads");
    if (!this.#closing) void this.#follow();
  }

  #endTerm(why: string): void {
    const term = this.#term;
    this.#term = undefined;
    term?.end(why);
    this.#leaveCore();
  }

  /** The peers have no broker core for now; when that lasts, they are told to look elsewhere. */
  #leaveCore(): void {
    this.#peerRelay.leave();
    this.#cancelSendAway();
    if (this.#closing) return;
    this.#cancelSendAway = this.#clock.at(this.#clock.now() + SEND_AWAY_MS, () => {
      this.#peerRelay.sendAway();
    });
  }

  async #follow(): Promise<void> {
    this.#election.lost(this.#clock.now());
    this.#arm();
    await this.#readLog();
  }

  /** While another leads, too: whoever has not read the log cannot lead when that is needed. */
  async #readLog(): Promise<void> {
    try {
      await this.#follower!.follow();
    } catch (error) {
      this.#options.log("queue.group", { message: messageOf(error) });
      this.#cancelReading();
      this.#cancelReading = this.#clock.at(this.#clock.now() + READ_AGAIN_MS, () => {
        if (this.#election.role === "following" && !this.#closing) void this.#readLog();
      });
    }
  }

  // ---- the others

  #heard(heartbeat: BrokerHeartbeat): void {
    if (heartbeat.writer === this.#follower!.writer || this.#closing) return;
    const nowMs = this.#clock.now();
    if (heartbeat.kind === "asking") {
      if (this.#term && !this.#term.isStuck) this.#bus!.heartbeat(this.#heartbeatOf("leading"));
      return;
    }
    if (heartbeat.kind === "resigned") {
      this.#election.resigned(heartbeat.epoch, nowMs);
      if (heartbeat.epoch >= this.#election.epoch) this.#leader = heartbeat;
      this.#dropRelay({ tell: false });
      this.#arm();
      return;
    }
    if (this.#term) {
      // A later term: this one stood still. The next append says so, but its peers must not wait until there is one, or for ever.
      if (heartbeat.epoch <= this.#term.epoch) return;
      if (this.#term.isStuck) this.#lost();
      else this.#term.confirm();
      return;
    }
    if (!this.#election.heard(heartbeat.epoch, nowMs)) return;
    this.#arm();
    this.#leader = heartbeat;
    this.#follower!.reaches(heartbeat.sequence);
    if (!heartbeat.ready) this.#dropRelay({ tell: false });
    else if (this.#relay?.leader !== heartbeat.writer) this.#enter(heartbeat.writer);
  }

  /** Peers go to the leader's broker core. */
  #enter(leader: string): void {
    this.#dropRelay({ tell: false });
    this.#sessions += 1;
    const session = this.#sessions;
    const channel: RelayClient = new RelayClient(
      {
        session,
        sender: this.#follower!.writer,
        chunkBytesMax: this.#chunkBytesMax,
        send: (chunk) => this.#bus!.toCore(leader, chunk),
        nowMs: () => this.#clock.now(),
      },
      {
        channel: this.#peerRelay.channelOf(() => channel),
        broken: () => this.#relay?.channel === channel && this.#dropRelay({ tell: false }),
      },
    );
    this.#relay = { leader, session, channel };
    this.#peerRelay.enter(channel);
    // Not before: a leader that reads its own tasks must not wait for others that read theirs.
    this.#follower!.loadFollowerState();
    this.#entered.resolve();
    this.#options.log("queue.following", { group: this.#options.url.group, leader: this.#leader?.address });
  }

  /** The next heartbeat of a leader that is ready begins a new session. @param tell the broker core is to forget the peers at once */
  #dropRelay({ tell }: { tell: boolean }): void {
    const relay = this.#relay;
    if (!relay) return;
    this.#relay = undefined;
    relay.channel.end();
    this.#leaveCore();
    if (!tell) return;
    const sender = this.#follower!.writer;
    this.#bus!.toCore(relay.leader, encodeChunk({ kind: RESET, session: relay.session, number: 0, taken: 0, sender }, []));
  }

  #connected(event: NatsConnectionEvent): void {
    const { log } = this.#options;
    if (event.kind === "error") log("queue.nats", { error: messageOf(event.error) });
    else log(event.kind === "up" ? "queue.nats-up" : "queue.nats-down", { server: event.server });
    if (this.#closing || event.kind === "error") return;
    // What was said meanwhile is lost, in both directions.
    this.#dropRelay({ tell: false });
    this.#term?.host.endAll("this broker was cut off from NATS");
    if (event.kind === "up") {
      this.#election.connected(this.#clock.now(), { first: false });
      this.#arm();
    }
  }

  #heartbeats(): void {
    this.#cancelHeartbeat = this.#clock.at(this.#clock.now() + GROUP_HEARTBEAT_MS, () => {
      this.#relay?.channel.heartbeat();
      this.#term?.host.heartbeat();
      if (!this.#closing) this.#heartbeats();
    });
  }

  #heartbeatOf(kind: BrokerHeartbeat["kind"]): BrokerHeartbeat {
    return {
      kind,
      writer: this.#follower!.writer,
      epoch: this.#election.epoch,
      ready: this.#term?.ready ?? false,
      sequence: this.#term?.lead.lastSequence ?? this.#follower!.seen,
      broker: this.id,
      address: this.#options.address(),
    };
  }

  get #chunkBytesMax(): number {
    return Math.min(CHUNK_BYTES_MAX, this.#follower!.connection.messageBytesMax - HEADER_BYTES);
  }
}
