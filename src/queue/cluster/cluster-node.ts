/**
 * ● One broker of a group: follows the log and relays its peers to the leader's broker core, or leads and has the broker core
 * itself. Which of both is decided by the election and the log. Invariant: a broker core is open only during a term of this
 * broker.
 */
import { type Cancel, type Clock } from "../../core/clock.ts";
import { messageOf } from "../../core/errors.ts";
import type { AccessControl } from "../../access/access-control.ts";
import type { Log } from "../../core/log.ts";
import type { Random } from "../../core/random.ts";
import { NO_TASKS, type TaskServiceStats } from "../service/task-service.ts";
import { type BrokerCore, ID_SETTING } from "../broker/broker-core.ts";
import type { FollowerState } from "../stores/follower-state.ts";
import type { TaskStore } from "../stores/follower-state.ts";
import type { NatsConnectionEvent } from "../../store/nats/cluster-connection.ts";
import { PeerRelay } from "./relay/peer-relay.ts";
import { durability } from "../../store/nats/durability.ts";
import { GROUP_HEARTBEAT_MS, Election, type Role, SURE_MS } from "../../store/log/election.ts";
import { GroupBus } from "./group-bus.ts";
import type { GroupHeartbeat } from "../../store/log/heartbeats.ts";
import type { LeaderLog } from "../../store/log/leader-log.ts";
import { LogFollower } from "../../store/log/log-follower.ts";
import type { NatsUrl } from "../../store/nats/nats-url.ts";
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
  /** A broker core on a store; it gives tasks out only while `mayGiveOut`. */
  makeCore(store: TaskStore, mayGiveOut: () => boolean): BrokerCore;
  /** Where clients connect to this broker, for people. */
  address(): string;
  /** Who may what: a leader asks it for the peers of all brokers of the group, by the users that these say they are. */
  readonly access?: AccessControl | undefined;
  readonly log: Log;
}

/** A broker's part in its group. */
export interface ClusterStats {
  readonly group: string;
  readonly role: Role;
  /** Of the term that is known. */
  readonly epoch: number;
  /** Where this broker's copy of the log ends. */
  readonly sequence: number;
  /** Entries that the leader was ahead at its last heartbeat. */
  readonly lag: number;
  /** The leader's address; "" when none is known. */
  readonly leader: string;
  readonly server: string;
  readonly connected: boolean;
  /** What the other brokers of the group told of their processes lately, and how long ago: those that have a page do. */
  readonly others: readonly { readonly writer: string; readonly about: unknown; readonly agoMs: number }[];
}

interface Relay {
  readonly leader: string;
  readonly session: number;
  readonly channel: RelayClient;
}

/** 1 KiB of the longest message that NATS takes is left for headers. */
const HEADER_BYTES = 1024;
const CHUNK_BYTES_MAX = 512 * 1024;
/** 500 ms before reading the log is tried again. */
const READ_AGAIN_MS = 500;
/** 30 s after its last word a broker is left out: it tells one every few seconds. */
const NEWS_MS = 30_000;
/** 256 brokers of a group tell of themselves: more are no group. */
const NEWS_MAX = 256;
/** 2 s without a broker core: a takeover takes less, and peers are better served by another broker, if there is one. */
const SEND_AWAY_MS = 2000;

export class ClusterNode {
  readonly #peerRelay: PeerRelay;
  readonly #options: ClusterNodeOptions;
  readonly #clock: Clock;
  readonly #election: Election;
  #follower: LogFollower<FollowerState> | undefined;
  #bus: GroupBus | undefined;
  #term: Term | undefined;
  #relay: Relay | undefined;
  #leader: GroupHeartbeat | undefined;
  readonly #news = new Map<string, { readonly about: unknown; readonly atMs: number }>();
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

  /** Joins the group; resolves when peers can be connected to a broker core. Errors are those of LogFollower.open. */
  async open(): Promise<void> {
    const { url, folder, clock, log, makeFollowerState } = this.#options;
    const follower = await LogFollower.open(
      { url, folder, clock, makeFollowerState, log: (message) => log("queue.log", { message }) },
      { led: (epoch) => this.#election.read(epoch, clock.now()) },
    );
    // Closed meanwhile.
    if (this.#closing) return follower.close();
    this.#follower = follower;
    await follower.follow();
    follower.connection.listen((event) => this.#connected(event));
    this.#bus = new GroupBus(follower.connection, url.group, follower.writer, {
      heartbeat: (heartbeat) => this.#heard(heartbeat),
      news: ({ writer, about }) => {
        if (writer !== follower.writer && (this.#news.has(writer) || this.#news.size < NEWS_MAX))
          this.#news.set(writer, { about, atMs: clock.now() });
      },
      // While its broker core is not open yet, a leader ignores sessions: the followers ask again.
      toCore: (chunk) => this.#term?.ready && this.#term.relayServer.heard(chunk),
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

  /** The broker core's numbers while this broker leads, and those of this broker itself. */
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
    return connected ? NO_TASKS : { ...NO_TASKS, storeTrouble: "no NATS server is connected" };
  }

  #clusterStats(): ClusterStats {
    const follower = this.#follower;
    const sequence = this.#term?.log.lastSequence ?? follower?.seen ?? 0;
    return {
      group: this.#options.url.group,
      role: this.#election.role,
      epoch: this.#election.epoch,
      sequence,
      lag: this.#term ? 0 : Math.max(0, (this.#leader?.sequence ?? sequence) - sequence),
      leader: this.#term ? this.#options.address() : (this.#leader?.address ?? ""),
      server: follower?.connection.serverVersion ?? "",
      connected: follower?.connection.isUp ?? false,
      others: this.#others(),
    };
  }

  /** Tells the other brokers of the group of this process. What is lost is told again. */
  tellGroup(about: unknown): void {
    if (!this.#closing && this.#follower) this.#bus?.news({ writer: this.#follower.writer, about });
  }

  #others(): ClusterStats["others"] {
    const nowMs = this.#clock.now();
    for (const [writer, { atMs }] of this.#news) if (nowMs - atMs > NEWS_MS) this.#news.delete(writer);
    return Array.from(this.#news, ([writer, { about, atMs }]) => ({ writer, about, agoMs: nowMs - atMs }));
  }

  /** Leaves the group; a leader first finishes what it was asked, so that the next can lead at once. */
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
    await this.#bus?.flush().catch(() => {}); // Without NATS nobody can be told that this broker leaves: they find out.
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
      if (what === "heartbeat" && !this.#term?.isStuck) this.#bus!.heartbeat(this.#heartbeatOf("leading"));
      if (what === "stand") void this.#stand();
      this.#arm();
    });
  }

  async #stand(): Promise<void> {
    const follower = this.#follower!;
    try {
      const before = follower.replica.leader;
      const about = { address: this.#options.address() };
      const log = await follower.lead(about, () => this.#term?.log === log && this.#lost());
      if (log && !this.#closing) {
        await this.#begin(log, before);
        return;
      }
    } catch (error) {
      this.#options.log("queue.group", { message: messageOf(error) });
    }
    if (!this.#closing) await this.#follow();
  }

  /** @param before who led last */
  async #begin(log: LeaderLog<FollowerState>, before: string): Promise<void> {
    const { makeCore, url } = this.#options;
    const follower = this.#follower!;
    const nowMs = this.#clock.now();
    this.#election.won(follower.replica.epoch, nowMs);
    this.#dropRelay({ tell: false });
    this.#leaveCore();
    // A leader that resigned gives out no more, and the very first leader of a log has none before it.
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
        access: this.#options.access,
        log: this.#options.log,
      });
    const term = new Term({ epoch, log, fromMs, clock: this.#clock, peerRelay: this.#peerRelay, makeCore, makeRelayServer });
    this.#term = term;
    this.#arm();
    try {
      await term.core.open();
    } catch (error) {
      // The term was lost meanwhile: this broker follows already.
      if (this.#term !== term) return;
      this.#endTerm("its broker core could not be opened");
      throw error;
    }
    if (this.#term !== term || this.#closing) return;
    term.ready = true;
    this.#bus!.heartbeat(this.#heartbeatOf("leading"));
    this.#peerRelay.enter(term.channel);
    this.#clock.at(fromMs, () => term.core.flush());
    this.#entered.resolve();
    const { log: tell } = this.#options;
    tell("queue.leading", { group: url.group, epoch: this.#election.epoch, sequence: log.lastSequence });
    if (!free) tell("queue.takeover", { group: url.group, epoch, from: this.#leader?.address });
  }

  /** Another broker has written "I lead" after this one. */
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

  /** There is no broker core for the peers now; when that lasts, they are told to try another broker. */
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

  /** Also while another leads: only a broker that has read the log can lead when it is needed. */
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

  #heard(heartbeat: GroupHeartbeat): void {
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
      // A later term: this broker stood still. Its next append would find out, but its peers must not wait for that.
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

  /** Relays the peers to the leader's broker core. */
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
    // Not before: the leader must not wait for its tasks because others read theirs.
    this.#follower!.loadFollowerState();
    this.#entered.resolve();
    this.#options.log("queue.following", { group: this.#options.url.group, leader: this.#leader?.address });
  }

  /** The next heartbeat of a leader that is ready begins a new session. @param tell the leader is told to forget the peers at once */
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
    // What was sent meanwhile is lost, in both directions.
    this.#dropRelay({ tell: false });
    this.#term?.relayServer.endAll("this broker was cut off from NATS");
    if (event.kind === "up") {
      this.#election.connected(this.#clock.now(), { first: false });
      this.#arm();
    }
  }

  #heartbeats(): void {
    this.#cancelHeartbeat = this.#clock.at(this.#clock.now() + GROUP_HEARTBEAT_MS, () => {
      this.#relay?.channel.heartbeat();
      this.#term?.relayServer.heartbeat();
      if (!this.#closing) this.#heartbeats();
    });
  }

  #heartbeatOf(kind: GroupHeartbeat["kind"]): GroupHeartbeat {
    return {
      kind,
      writer: this.#follower!.writer,
      epoch: this.#election.epoch,
      ready: this.#term?.ready ?? false,
      sequence: this.#term?.log.lastSequence ?? this.#follower!.seen,
      broker: this.id,
      address: this.#options.address(),
    };
  }

  get #chunkBytesMax(): number {
    return Math.min(CHUNK_BYTES_MAX, this.#follower!.connection.messageBytesMax - HEADER_BYTES);
  }
}
