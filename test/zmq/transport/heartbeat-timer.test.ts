import assert from "node:assert/strict";
import { test } from "node:test";
import type { Clock } from "../../../src/core/clock.ts";
import { HeartbeatTimer } from "../../../src/zmq/transport/heartbeat-timer.ts";

/** A clock whose timers ring when they are told to: late, when the process stood still. */
class LateClock implements Clock {
  nowMs = 0;
  #timers: { atMs: number; fire: () => void }[] = [];

  now(): number {
    return this.nowMs;
  }

  wallMs(): number {
    return this.nowMs;
  }

  afterInput(call: () => void): () => void {
    call();
    return () => {};
  }

  at(atMs: number, fire: () => void): () => void {
    const timer = { atMs, fire };
    this.#timers.push(timer);
    return () => (this.#timers = this.#timers.filter((each) => each !== timer));
  }

  /** Time jumps; then what is due rings. */
  jumpTo(nowMs: number): void {
    this.nowMs = nowMs;
    const due = this.#timers.filter(({ atMs }) => atMs <= nowMs);
    this.#timers = this.#timers.filter(({ atMs }) => atMs > nowMs);
    for (const { fire } of due) fire();
  }
}

function start(): { clock: LateClock; heartbeatTimer: HeartbeatTimer; told: string[] } {
  const clock = new LateClock();
  const told: string[] = [];
  const host = { ping: () => void told.push("ping"), dead: () => void told.push("dead") };
  const heartbeatTimer = new HeartbeatTimer(clock, { intervalMs: 1000, timeoutMs: 2000, ttlMs: 0 }, host);
  heartbeatTimer.start();
  clock.jumpTo(1000);
  assert.deepEqual(told, ["ping"]);
  return { clock, heartbeatTimer, told };
}

test("a process that stood still longer than a peer may be silent reads what came meanwhile before it gives the peer up", () => {
  const { clock, heartbeatTimer, told } = start();
  clock.jumpTo(9000);
  heartbeatTimer.heard();
  for (const nowMs of [9050, 9100, 10_050]) clock.jumpTo(nowMs);
  assert.ok(!told.includes("dead"), told.join());
  assert.ok(told.filter((each) => each === "ping").length > 1, "it goes on pinging");
});

test("a peer that is silent is given up all the same, 50 ms later when the process stood still", () => {
  const { clock, told } = start();
  clock.jumpTo(9000);
  assert.ok(!told.includes("dead"));
  clock.jumpTo(9050);
  assert.deepEqual(told.at(-1), "dead");
});

test("a peer that is silent is given up when its time is over", () => {
  const { clock, told } = start();
  for (const nowMs of [2000, 2999]) clock.jumpTo(nowMs);
  assert.ok(!told.includes("dead"));
  clock.jumpTo(3000);
  assert.deepEqual(told.at(-1), "dead");
});
