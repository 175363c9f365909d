/**
 * ● One broker's use of the log: the connection, the log, the replica, and the reader that keeps the replica at the log's end
 * while another leads. `lead` ends the following and begins a term; `follow` resumes it. Invariant: at most one reader reads, and
 * none while this broker leads: what it appends is in the replica already.
 */
import { randomBytes } from "node:crypto";
import { hostname } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { crc32 } from "node:zlib";
import { type Clock, systemClock } from "../../core/clock.ts";
import { messageOf } from "../../core/errors.ts";
import type { StoredTask, StoreOp } from "../store.ts";
import { ClusterConnection } from "../nats/cluster-connection.ts";
import { LeaderLog } from "./leader-log.ts";
import { decodeEntry, type EntryHead, LEAD, EntryAssembler } from "./log-codec.ts";
import { type LogInfo, GroupLog } from "./log.ts";
import { LogReader } from "./log-reader.ts";
import type { NatsUrl } from "../nats/nats-url.ts";
import { Replica } from "./replica.ts";

/** 300 ms: less than others wait for a leader's first heartbeat. */
const INFO_MS = 300;

/** Holds all records in memory while another leads, ready for a term of this one. */
export interface StandbyState {
  readonly isComplete: boolean;
  /** Records as the store has them, in ascending order of their numbers. Not after `complete`. */
  take(records: readonly StoredTask[]): void;
  /** All records were taken. */
  complete(): void;
  /** What the store has written. */
  apply(ops: readonly StoreOp[]): void;
}

/** @typeParam State what holds all records while another leads */
export interface FollowerOptions<State extends StandbyState = never> {
  readonly url: NatsUrl;
  /** Where the local copy of the log lies; without one it is temporary. */
  readonly folder?: string | undefined;
  readonly clock?: Clock | undefined;
  readonly compactionFloorBytes?: number | undefined;
  /** Makes the state that holds all tasks in memory while another leads; without it they are read when this one begins to lead. */
  makeFollowerState?(): State;
  log?(message: string): void;
}

export interface FollowerListener {
  /** The replica is at the log's end, as far as is known. */
  caughtUp?(): void;
  /** Another began to lead, or this did. */
  led?(epoch: number): void;
}

export class LogFollower<State extends StandbyState = never> {
  readonly connection: ClusterConnection;
  readonly log: GroupLog;
  readonly replica: Replica;
  /** This run of this broker: 16 hex digits. */
  readonly writer: string;
  readonly #options: FollowerOptions<State>;
  readonly #listener: FollowerListener;
  readonly #parts = new EntryAssembler();
  #reader: LogReader | undefined;
  #term: LeaderLog<State> | undefined;
  #followerState: State | undefined;
  /** Resolves when the follower state is complete, or given up. */
  #loading: Promise<void> = Promise.resolve();
  /** Following and leading are begun one after the other: both may wait long for NATS. */
  #turn: Promise<unknown> = Promise.resolve();
  #closed = false;
  #info: LogInfo;
  /** The last message that was read, whole entry or part. */
  #seen = 0;
  #readMs = 0;
  #serial = 0;
  #trouble = "";

  private constructor(
    parts: { connection: ClusterConnection; log: GroupLog; replica: Replica; info: LogInfo },
    options: FollowerOptions<State>,
    listener: FollowerListener,
  ) {
    this.connection = parts.connection;
    this.log = parts.log;
    this.replica = parts.replica;
    this.#info = parts.info;
    this.writer = randomBytes(8).toString("hex");
    this.#options = options;
    this.#listener = listener;
  }

  /** Connects and opens all; follows nothing yet. Errors as of its parts. */
  static async open<State extends StandbyState = never>(
    options: FollowerOptions<State>,
    listener: FollowerListener,
  ): Promise<LogFollower<State>> {
    const { url, folder } = options;
    let written = (_ops: readonly StoreOp[]): void => {};
    const replica = new Replica({ folder, log: (message) => options.log?.(message), written: (ops) => written(ops) });
    await replica.open();
    let connection: ClusterConnection | undefined;
    try {
      connection = await ClusterConnection.open(url, `holdfast ${url.group} on ${hostname()}`);
      const log = new GroupLog(connection, url.group, (message) => options.log?.(message));
      const info = await log.open(url.replicas);
      const follower = new LogFollower<State>({ connection, log, replica, info }, options, listener);
      written = (ops) => {
        try {
          follower.#followerState?.apply(ops);
        } catch (error) {
          // It no longer says what the store says: a takeover reads the store instead.
          follower.#followerState = undefined;
          throw error;
        }
      };
      return follower;
    } catch (error) {
      await connection?.close();
      await replica.close();
      throw error;
    }
  }

  /** The log as it was when it was last asked for. */
  get info(): LogInfo {
    return this.#info;
  }

  /** When the last message was read, or the log was looked at first, in the clock's ms: no append of another's succeeded later. */
  get readMs(): number {
    return this.#readMs;
  }

  /** The sequence of the last message that was read. */
  get seen(): number {
    return this.#seen;
  }

  /** Keeps the replica at the log's end from now on. @throws OperationError QUEUE_STORE_UNAVAILABLE */
  follow(): Promise<void> {
    return this.#inTurn(() => this.#follow());
  }

  async #follow(): Promise<void> {
    if (this.#reader || this.#term?.isOver === false) return;
    this.#info = await this.log.info();
    if (this.#closed) return;
    const { created, firstSequence, lastSequence } = this.#info;
    const { replica } = this;
    const usable = replica.created === created && replica.applied <= lastSequence && replica.applied + 1 >= firstSequence;
    if (!usable) await this.#beginReplica(created, Math.max(0, firstSequence - 1));
    this.#seen = replica.applied;
    this.#readMs = this.#clock.now();
    this.#reader = new LogReader(this.connection, this.log, this.#seen + 1, {
      message: (sequence, bytes) => this.#message(sequence, bytes),
      caughtUp: () => this.#listener.caughtUp?.(),
      trouble: (error) => this.#say(`the log cannot be read: ${messageOf(error)}`),
    });
  }

  /** Holds all tasks in memory from now on: those that the replica has, and what it writes. Not while this broker leads. */
  loadFollowerState(): void {
    if (this.#followerState) return;
    const followerState = this.#options.makeFollowerState?.();
    this.#followerState = followerState;
    if (followerState) this.#loading = this.#readInto(followerState);
  }

  async #readInto(followerState: State): Promise<void> {
    const isGivenUp = (): boolean => this.#closed || followerState !== this.#followerState;
    try {
      for await (const portion of this.replica.tasks()) {
        if (isGivenUp()) return;
        followerState.take(portion);
      }
      followerState.complete();
    } catch (error) {
      if (isGivenUp()) return;
      this.#followerState = undefined;
      this.#say(`the local copy of the log cannot be read: ${messageOf(error)}`);
    }
  }

  /** All tasks, for a term that begins; undefined when they are to be read. */
  async #handOver(): Promise<State | undefined> {
    await this.#loading;
    await this.replica.write();
    const followerState = this.#followerState;
    this.#followerState = undefined;
    return followerState?.isComplete ? followerState : undefined;
  }

  /** The replica begins anew, and with it the follower state. */
  async #beginReplica(created: string, applied: number): Promise<void> {
    const hadFollowerState = this.#followerState !== undefined;
    this.#followerState = undefined;
    await this.replica.begin(created, applied);
    if (hadFollowerState) this.loadFollowerState();
  }

  /** The leader says that the log reaches this far. */
  reaches(sequence: number): void {
    this.#reader?.reaches(sequence);
  }

  async rest(): Promise<void> {
    const reader = this.#reader;
    this.#reader = undefined;
    await reader?.close();
  }

  /**
   * Tries to begin a term: writes that it leads where this broker believes the log to end.
   *
   * @returns undefined when another has written there: it is to be followed first
   */
  lead(about: Readonly<Record<string, unknown>>, lost: () => void): Promise<LeaderLog<State> | undefined> {
    return this.#inTurn(() => this.#lead(about, lost));
  }

  async #lead(about: Readonly<Record<string, unknown>>, lost: () => void): Promise<LeaderLog<State> | undefined> {
    await this.rest();
    const { replica, writer } = this;
    const epoch = replica.epoch + 1;
    const head: EntryHead = { kind: LEAD, epoch, serial: this.#nextSerial(), writer, lastId: replica.lastId };
    const appended = await this.log.append(head, Buffer.from(JSON.stringify(about)), this.#seen);
    if (appended.kind === "refused") throw appended.error;
    if (appended.kind === "fenced") return undefined;
    this.#seen = appended.sequence;
    // The log's size is wanted soon, but others try to lead when they hear no heartbeat from this broker.
    const info = this.log.info().catch(() => this.#info);
    this.#info = await Promise.race([info, sleep(INFO_MS, this.#info, { ref: false })]);
    replica.take(appended.sequence, head, []);
    this.#term = new LeaderLog({
      log: this.log,
      replica,
      clock: this.#clock,
      writer,
      epoch,
      lastSequence: appended.sequence,
      info: this.#info,
      compactionFloorBytes: this.#options.compactionFloorBytes,
      nextSerial: () => this.#nextSerial(),
      standby: () => this.#handOver(),
      lost,
      message: (text) => this.#say(text),
    });
    return this.#term;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.rest();
    this.log.close();
    await this.replica.close();
    await this.connection.close();
  }

  async #inTurn<T>(act: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(act);
    this.#turn = turn.catch(() => {}); // Whoever asked is told; the next has its turn anyway.
    return turn;
  }

  async #message(sequence: number, bytes: Uint8Array): Promise<void> {
    // Delivered again: it was taken, but there was no room for the next.
    if (sequence <= this.#seen) return this.replica.room();
    // What is missing was purged while this broker was away: the rest of the log holds everything that is alive.
    if (sequence > this.#seen + 1) await this.#beginReplica(this.#info.created, sequence - 1);
    const entry = this.#parts.push(decodeEntry(bytes, { checkSum: crc32, place: sequence }), sequence);
    if (entry) this.replica.apply(sequence, entry);
    this.#seen = sequence;
    this.#readMs = this.#clock.now();
    if (!entry) return;
    await this.replica.room();
    this.#trouble = "";
    if (entry.kind === LEAD) this.#listener.led?.(entry.epoch);
  }

  get #clock(): Clock {
    return this.#options.clock ?? systemClock;
  }

  #nextSerial(): number {
    this.#serial += 1;
    return this.#serial;
  }

  /** Once for the same trouble in a row. */
  #say(message: string): void {
    if (message === this.#trouble) return;
    this.#trouble = message;
    this.#options.log?.(message);
  }
}
