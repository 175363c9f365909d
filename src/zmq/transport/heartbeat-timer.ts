/**
 * ● A connection's heartbeat on the clock: PINGs when they are due, and a call when the peer is dead. Invariant: at most one timer is
 * set, never later than the heartbeat's deadline; after `stop` nothing is called.
 */
import type { Cancel, Clock } from "../../core/clock.ts";
import { Heartbeat, type HeartbeatOptions } from "../../zmtp/heartbeat.ts";

export interface HeartbeatTimerHost {
  /** Time to send a PING that asks the peer to end the connection after `ttlMs` of silence; 0: asks nothing. */
  ping(ttlMs: number): void;
  /** Nothing came for too long. */
  dead(): void;
}

/** 20 ms: a check that comes later than that was delayed by this process, not by the clock. */
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
  /** This process was busy or stopped: what the peer sent may not have been read yet. */
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
    if (deadlineMs < this.#atMs) this.#checkAt(deadlineMs); // else an earlier check will do
  }

  #checkAt(atMs: number): void {
    this.#cancel?.();
    this.#atMs = atMs;
    this.#cancel = this.#clock.at(atMs, () => this.#check());
  }

  #check(): void {
    const nowMs = this.#clock.now();
    const isLate = nowMs > this.#atMs + LATE_MS;
    this.#atMs = Number.POSITIVE_INFINITY;
    const due = this.#heartbeat.due(nowMs);
    if (due === "dead") {
      if (isLate && !this.#heldUp) {
        this.#heldUp = true;
        this.#checkAt(nowMs + READ_MS);
      } else this.#host.dead();
      return;
    }
    if (due === "ping") this.#host.ping(this.#options.ttlMs);
    this.#arm();
  }
}
