/**
 * ○ Who leads a group of brokers that share a log. A pure machine: it is given the time and what was heard, and answers what to
 * do and when to ask again. The log decides (only one can write "I lead" at its end); this decides when to try, and for how long
 * a leader may be sure that it leads. Invariant: at no time may two give out tasks. A leader may for SURE_MS after it sent an
 * append that succeeded. Its successor has read all of those before it wrote its own, so it waits until SURE_MS after it read the
 * last: after a death that time is over already.
 */
import type { Random } from "../../core/random.ts";

/** 200 ms between a leader's heartbeats: five may be lost before another broker tries to lead. */
export const GROUP_HEARTBEAT_MS = 200;
/** 1 s without a heartbeat: a pause of the leader's for garbage or a large commit is shorter. With the other times a takeover then takes 2 s at most. */
export const PATIENCE_MS = 1000;
/** 700 ms: how long a leader goes on without an append that succeeds. Less than PATIENCE_MS by more than a heartbeat. */
export const SURE_MS = 700;
/** 150 ms: two that try at once cost no more than a failed try. */
const JITTER_MS = 150;
/** 400 ms at the start: a leader answers the question who leads at once. */
const FIRST_MS = 400;
/** 300 ms: a broker that wakes up that late was not listening, and does not know whether the leader was silent. */
const LATE_MS = 300;
/** 30 ms after a leader has left in good order. */
const RESIGNED_MS = 30;

export type Role = "following" | "standing" | "leading";

export interface ElectionOptions {
  readonly random: Random;
  readonly nowMs: number;
}

export class Election {
  readonly #random: Random;
  #role: Role = "following";
  /** The newest term that was heard of. */
  #epoch = 0;
  #standMs: number;
  #heartbeatMs = Infinity;

  constructor({ random, nowMs }: ElectionOptions) {
    this.#random = random;
    this.#standMs = nowMs + FIRST_MS + random() * JITTER_MS;
  }

  get role(): Role {
    return this.#role;
  }

  get epoch(): number {
    return this.#epoch;
  }

  /** When to ask `due` next. */
  get deadlineMs(): number {
    if (this.#role === "leading") return this.#heartbeatMs;
    return this.#role === "following" ? this.#standMs : Infinity;
  }

  /** What there is to do now. `heartbeat`: send one, this broker leads. `stand`: try to lead, then call `won` or `lost`. */
  due(nowMs: number): "heartbeat" | "stand" | undefined {
    if (nowMs < this.deadlineMs) return undefined;
    if (this.#role === "leading") {
      this.#heartbeatMs = nowMs + GROUP_HEARTBEAT_MS;
      return "heartbeat";
    }
    if (nowMs > this.#standMs + LATE_MS) {
      // This broker stood still: heartbeats may wait to be read.
      this.#wait(nowMs);
      return undefined;
    }
    this.#role = "standing";
    return "stand";
  }

  /** A leader's heartbeat. @returns false when it is a leader of the past */
  heard(epoch: number, nowMs: number): boolean {
    if (epoch < this.#epoch) return false;
    this.#newer(epoch, nowMs);
    return true;
  }

  /** The log says that somebody leads. */
  read(epoch: number, nowMs: number): void {
    if (epoch > this.#epoch) this.#newer(epoch, nowMs);
  }

  /** The leader has left in good order. */
  resigned(epoch: number, nowMs: number): void {
    if (epoch < this.#epoch || this.#role !== "following") return;
    this.#standMs = nowMs + this.#random() * RESIGNED_MS;
  }

  /** This broker is connected, for the first time or again: until now it could hear nobody. */
  connected(nowMs: number, { first }: { first: boolean }): void {
    if (first) this.#standMs = nowMs + FIRST_MS + this.#random() * JITTER_MS;
    else this.#wait(nowMs);
  }

  won(epoch: number, nowMs: number): void {
    this.#role = "leading";
    this.#epoch = epoch;
    this.#heartbeatMs = nowMs;
  }

  /** It could not lead, or no longer does. */
  lost(nowMs: number): void {
    this.#role = "following";
    this.#wait(nowMs);
  }

  #newer(epoch: number, nowMs: number): void {
    this.#epoch = epoch;
    if (this.#role === "following") this.#wait(nowMs);
  }

  #wait(nowMs: number): void {
    this.#standMs = nowMs + PATIENCE_MS + this.#random() * JITTER_MS;
  }
}

/** When a leader may give out: it is sure of its own term, and the one before has run out. */
export function mayGiveOut(nowMs: number, { fromMs, surelyLedMs }: { fromMs: number; surelyLedMs: number }): boolean {
  return nowMs >= fromMs && nowMs < surelyLedMs + SURE_MS;
}
