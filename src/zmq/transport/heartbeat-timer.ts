/**
 * ● A connection's heartbeat on the clock: PINGs when they are due, and word when the peer is dead. Invariant: at most one timer is
 * set, never later than the heartbeat's deadline; after `stop` nothing is told.
 */
import type { Cancel, Clock } from "../../core/clock.ts";
import { Heartbeat, type HeartbeatOptions } from "../../zmtp/heartbeat.ts";

export interface HeartbeatTimerHost {
  /** Time to send a PING that asks the peer to give this side up after `ttlMs` of silence; 0: to ask nothing. */
  ping(ttlMs: number): void;
  /** Nothing came for too long. */
  dead(): void;
}

/** 20 ms: a look that comes later than that was held up by this process, not by the clock. */
const LATE_MS = 20;
/** 50 ms: time to read what arrived meanwhile. */
const READ_MS = 50;

export class HeartbeatTimer {
  readonly #clock: Clock;
  readonly #options: HeartbeatOptions;
  readonly #host: HeartbeatTimerHost;
  readonly #heartbeat: Heartbeat;
  #cancel: Cancel | undefined;
  #atMs = Number.POSITIVE_INFINITY;
  /** This process stood still: what the peer said may not have been read yet. */
  #heldUp = false;

  constructor(clock: Clock, options: HeartbeatOptions, host: HeartbeatTimerHost) {
    this.#clock = clock;
    this.#options = options;
    this.#host = host;
    this.#heartbeat = new Heartbeat(options);
  }

  /** Pings from now on. The peer must know PING. */
  start(): void {
    this.#heartbeat.start(this.#clock.now());
    this.#arm();
  }

  /** Octets arrived. */
  heard(): void {
    this.#heldUp = false;
    this.#heartbeat.heard();
  }

  /** A PING arrived, with the peer's own demand. */
  pinged(ttlMs: number): void {
    this.#heartbeat.pinged(ttlMs, this.#clock.now());
    this.#arm();
  }

  stop(): void {
    this.#cancel?.();
  }

  #arm(): void {
    const { deadlineMs } = this.#heartbeat;
    if (deadlineMs < this.#atMs) this.#lookAt(deadlineMs); // else an earlier look will do
  }

  #lookAt(atMs: number): void {
    this.#cancel?.();
    this.#atMs = atMs;
    this.#cancel = this.#clock.at(atMs, () => this.#look());
  }

  #look(): void {
    const nowMs = this.#clock.now();
    const isLate = nowMs > this.#atMs + LATE_MS;
    this.#atMs = Number.POSITIVE_INFINITY;
    const due = this.#heartbeat.due(nowMs);
    if (due === "dead") {
      if (isLate && !this.#heldUp) {
        this.#heldUp = true;
        this.#lookAt(nowMs + READ_MS);
      } else this.#host.dead();
      return;
    }
    if (due === "ping") this.#host.ping(this.#options.ttlMs);
    this.#arm();
  }
}
