/**
 * ○ What happens to each task the broker knows (the rows themselves: task-table.ts). It is told what happened and when, moves rows
 * through the table of life-cycle.ts, and tells one listener what must be written, given out or taken back. Invariant: a row is in
 * the ready list, or active under one owner, or neither, as its state says (`audit`).
 */
import { assert } from "../../core/assert.ts";
import type { Random } from "../../core/random.ts";
import { Dependencies } from "./dependencies.ts";
import { errorFingerprint } from "./error-fingerprint.ts";
import { DEAD_REASONS, type DeadReason, type EndedState, isEnded, type TaskEvent } from "./life-cycle.ts";
import { KEPT_MS_MAX, LOST_MAX, TASK_OVERHEAD_BYTES } from "../limits.ts";
import { backoffMs, type TaskSpec } from "./task-policy.ts";
import { Recovery, type RecoveryOptions } from "./recovery.ts";
import {
  AT,
  ATTEMPTS,
  BODY_BYTES,
  ERROR,
  EXPIRES,
  FLAG_DAMAGED,
  FLAG_AWAITED,
  FLAG_LEASE_WRITTEN,
  FLAG_ERRORS,
  FLAG_EVICTED,
  FLAG_SUSPENDED,
  FLAG_REDRIVEN,
  FLAG_REMEMBERED,
  FLAG_RUN_AT,
  FLAG_STEPS,
  FLAG_UNWRITTEN,
  FLAGS,
  FLAGS_REASON,
  ID,
  LOST,
  NONE,
  REASON_SHIFT,
  RESULT_BYTES,
  TOKEN,
} from "./task-columns.ts";
import type { TaskStateMachineListener } from "./task-state-machine-listener.ts";
import type { QueueSettings } from "./queue-settings.ts";
import type { RetainedState } from "./retention.ts";
import type { TaskQueue } from "./task-queue.ts";

export interface TaskStateMachineOptions extends RecoveryOptions {
  readonly listener: TaskStateMachineListener;
}

/** 100,000 are forgotten at once when a queue is told to keep fewer: one commit of half a second. The rest goes with those that end. */
const SURPLUS_AT_ONCE = 100_000;
/** 16 with each that ends: more than come. */
const SURPLUS_EACH = 16;

/** 1 s at least between two looks whether the bodies under a key are all forgotten. */
const KEYED_LOOK_MS = 1000;

export class TaskStateMachine extends Recovery {
  readonly #listener: TaskStateMachineListener;
  readonly #random: Random;
  readonly dependencies = new Dependencies(this, {
    free: (row) => {
      if (this.isSuspended(row)) this.#unsuspend(row);
      this.move(row, this.queueOf(row), "unblock");
      this.scheduleDue(row);
    },
    never: (row, why, nowMs) => {
      this.#recordError(row, why);
      this.#end(row, this.queueOf(row), "bury", { nowMs, reason: "parent" });
    },
    awaited: (row, isAwaited) => {
      const state = this.state(row);
      if (isEnded(state)) this.letGoEnded(row, state);
      this.setFlag(row, FLAG_AWAITED, isAwaited);
      if (isEnded(state)) this.keepEnded(row, state, this.table.f(row, AT));
    },
  });

  constructor(options: TaskStateMachineOptions) {
    super(options);
    this.#listener = options.listener;
    this.#random = options.random;
  }

  // ---- queues

  /** New settings; a bound that was lifted lets tasks go at once. */
  configure(queue: TaskQueue, settings: QueueSettings, nowMs: number): void {
    const before = queue.settings;
    queue.configure(settings, nowMs);
    this.throttle.openAll(queue);
    this.#retain(queue, before);
  }

  // ---- submission

  /** As of any table; from now on the tasks that it waits for stay known. */
  override reserve(queue: TaskQueue, spec: TaskSpec, bodyBytes: number, nowMs: number): number {
    const row = super.reserve(queue, spec, bodyBytes, nowMs);
    if (spec.after.length > 0) this.dependencies.hold(row, spec);
    return row;
  }

  /** The submission is on disk: the task may be given out. */
  admit(row: number, nowMs: number): void {
    const queue = this.queueOf(row);
    this.setFlag(row, FLAG_UNWRITTEN, false);
    if (this.isOfFlow(row)) this.dependencies.admitted(row);
    queue.added += 1;
    const state = this.state(row);
    if (state === "waiting") {
      this.scheduleExpiry(row);
      queue.ready.push(row);
      this.#listener.ready(queue);
    } else if (state === "blocked") this.#await(row, nowMs);
    else this.scheduleDue(row);
  }

  /** The submission could not be written: as if it had never been. */
  discard(row: number): void {
    const queue = this.queueOf(row);
    this.account(queue, -this.table.u(row, BODY_BYTES) - TASK_OVERHEAD_BYTES);
    this.deadlines.drop(row);
    this.dependencies.release(row);
    this.drop(row);
  }

  // ---- how a lease ends

  /** The worker has finished it. */
  finish(row: number, result: Uint8Array, nowMs: number): void {
    const queue = this.ran(row, nowMs);
    this.table.setU(row, RESULT_BYTES, result.length);
    queue.finished += 1;
    this.#end(row, queue, "finish", { nowMs, result });
  }

  /** The attempt failed. With attempts left the task waits out its backoff, or `pauseMs`; `final` says that no attempt will help. */
  fail(
    row: number,
    error: string,
    nowMs: number,
    { final = false, pauseMs }: { final?: boolean; pauseMs?: number | undefined } = {},
  ): void {
    const queue = this.ran(row, nowMs);
    const policy = this.policy(row);
    const attempts = this.table.u(row, ATTEMPTS) + 1;
    this.table.setU(row, ATTEMPTS, attempts);
    queue.failures += 1;
    this.#recordError(row, error, attempts);
    if (final || attempts >= policy.attempts) {
      this.#end(row, queue, "bury", { nowMs, reason: final ? "final" : "attempts" });
      return;
    }
    this.move(row, queue, "retry");
    this.table.setF(row, AT, nowMs + (pauseMs ?? backoffMs(policy, attempts, this.#random)));
    this.deadlines.set(row, Math.min(this.table.f(row, AT), this.table.f(row, EXPIRES)));
    this.#listener.changed(row);
  }

  /** The lease ends without an outcome: the worker gave it back, or (`lost`) is gone, which counts against what it had begun. */
  giveBack(row: number, nowMs: number, { lost = false }: { lost?: boolean } = {}): void {
    const queue = this.stopped(row);
    if (lost) {
      const losses = this.table.u(row, LOST) + 1;
      this.setLost(row, losses);
      if (losses >= LOST_MAX) {
        this.#recordError(row, `the connections of ${losses} workers broke while they had this task`);
        this.#end(row, queue, "bury", { nowMs, reason: "lost" });
        return;
      }
      this.#listener.changed(row);
    } else {
      this.notBegun(row);
      if (this.table.u(row, FLAGS) & FLAG_LEASE_WRITTEN) {
        this.setFlag(row, FLAG_LEASE_WRITTEN, false);
        this.#listener.changed(row);
      }
    }
    this.move(row, queue, "giveBack");
    // It keeps its place, and so its age.
    this.table.setF(row, AT, 0);
    this.scheduleExpiry(row);
    queue.ready.push(row, { returned: true });
    this.#listener.ready(queue);
  }

  /** Its body could not be read now, which is no failure of the attempt: it is taken again at this time. */
  postpone(row: number, atMs: number): void {
    this.move(row, this.stopped(row), "postpone");
    this.table.setF(row, AT, atMs);
    this.scheduleDue(row);
  }

  /** Its worker asks for it again at this time, which is no failure of the attempt. */
  again(row: number, atMs: number): void {
    this.postpone(row, atMs);
    this.#listener.changed(row);
  }

  // ---- durable steps

  /** Steps or signals of it are on record: from now on it does not expire. @returns whether the row is to be written */
  recorded(row: number): boolean {
    if ((this.table.u(row, FLAGS) & FLAG_STEPS) !== 0) return false;
    this.setFlag(row, FLAG_STEPS, true);
    this.table.setF(row, EXPIRES, Infinity);
    return true;
  }

  hasSteps(row: number): boolean {
    return (this.table.u(row, FLAGS) & FLAG_STEPS) !== 0;
  }

  /** Its handler sleeps until then: no attempt is spent, and its worker has its place back. */
  sleep(row: number, untilMs: number): void {
    this.#pauseRun(row, "sleep");
    this.table.setF(row, AT, untilMs);
    this.scheduleDue(row);
    this.#listener.changed(row);
  }

  /** Its handler waits: until `wakeRun`, until a task ends (`dependencies.await`), at the latest until then. */
  suspend(row: number, untilMs: number): void {
    this.#pauseRun(row, "wait");
    this.setFlag(row, FLAG_SUSPENDED, true);
    this.table.setF(row, AT, untilMs);
    this.deadlines.set(row, untilMs);
    this.#listener.changed(row);
  }

  /** What its handler waited for is there. */
  wakeRun(row: number, nowMs: number): void {
    this.#comeDue(row, this.queueOf(row), nowMs);
  }

  #pauseRun(row: number, event: "sleep" | "wait"): void {
    this.move(row, this.stopped(row), event);
    // A worker that does not hear of it would go on with its run, and keep others from the next.
    this.outdate(row);
    // It got this far: whatever workers it lost before count no more.
    this.setLost(row, 0);
    this.setFlag(row, FLAG_LEASE_WRITTEN, false);
  }

  /** The next run is due at once. */
  #unsuspend(row: number): void {
    this.setFlag(row, FLAG_SUSPENDED, false);
    this.table.setF(row, AT, 0);
    this.#listener.changed(row);
  }

  // ---- damage

  /** What the store keeps of a waiting, active or completed task is not what was written: it is dead, and stays so. */
  damage(row: number, what: string, nowMs: number): void {
    const state = this.state(row);
    const queue = this.queueOf(row);
    if (state === "waiting") this.#unready(row, queue);
    else if (state === "active") this.stopped(row);
    else if (isEnded(state)) {
      this.letGoEnded(row, state);
      this.table.setU(row, RESULT_BYTES, 0);
      this.account(queue, this.cost(row));
    }
    this.setFlag(row, FLAG_DAMAGED, true);
    this.#recordError(row, what);
    this.#end(row, queue, "damage", { nowMs, reason: "damaged" });
  }

  /** Why a dead task is. Rows of before that was written say it by what else they say. */
  deadReason(row: number): DeadReason {
    const { table } = this;
    const written = (table.u(row, FLAGS) & FLAGS_REASON) >>> REASON_SHIFT;
    if (written > 0) return DEAD_REASONS[written - 1]!;
    if (this.isDamaged(row)) return "damaged";
    if (table.u(row, LOST) >= LOST_MAX) return "lost";
    if (table.u(row, ATTEMPTS) >= this.policy(row).attempts) return "attempts";
    if (table.f(row, EXPIRES) <= table.f(row, AT)) return "expired";
    return table.f(row, TOKEN) === 0 ? "parent" : "attempts";
  }

  // ---- admin commands

  /** @returns false when the task has ended already */
  cancel(row: number, nowMs: number): boolean {
    const state = this.state(row);
    if (isEnded(state)) return false;
    const queue = this.queueOf(row);
    if (state === "active") {
      const leaseOwner = this.leaseOwner(row);
      this.stopped(row);
      if (leaseOwner !== 0) this.#listener.revoked(row, leaseOwner, "cancelled");
    } else if (state === "waiting") this.#unready(row, queue);
    this.#end(row, queue, "cancel", { nowMs });
    return true;
  }

  /**
   * A dead task is made ready again: with all its attempts, without expiry. One that died waiting for others waits for them again,
   * also for those that are dead and have not been retried yet.
   *
   * @returns false when it is not dead, has no body, or waited for one that will never be completed (`Dependencies.whyNever`)
   */
  redrive(row: number, nowMs: number): boolean {
    if (this.state(row) !== "dead" || this.isEvicted(row) || this.isDamaged(row)) return false;
    if (this.dependencies.whyNever(row) !== undefined) return false;
    const queue = this.queueOf(row);
    const isHeld = this.dependencies.holds(row);
    this.letGoEnded(row, "dead");
    this.move(row, queue, isHeld ? "redriveBlocked" : "redrive");
    this.account(queue, this.cost(row));
    this.table.setU(row, ATTEMPTS, 0);
    this.setLost(row, 0);
    this.table.setF(row, EXPIRES, Infinity);
    this.setFlag(row, FLAG_REDRIVEN, true);
    this.setFlag(row, FLAGS_REASON, false);
    this.table.setF(row, AT, nowMs);
    this.deadlines.drop(row);
    if (isHeld) this.#await(row, nowMs);
    else {
      queue.ready.push(row);
      this.#listener.ready(queue);
    }
    this.#listener.changed(row);
    return true;
  }

  /** What waits for its time, or for its next attempt, waits for a worker now. @returns false when it does neither */
  promote(row: number, nowMs: number): boolean {
    const state = this.state(row);
    if (state !== "delayed" && state !== "retrying") return false;
    this.#comeDue(row, this.queueOf(row), nowMs);
    this.#listener.changed(row);
    return true;
  }

  /**
   * Changes a task that has not begun: when it is due, its priority, how long its body is. Nothing is told: the caller writes it.
   *
   * @returns false when it has begun, or ended
   */
  change(
    row: number,
    {
      dueMs,
      priority,
      bodyBytes,
    }: { dueMs?: number | undefined; priority?: number | undefined; bodyBytes?: number | undefined },
    nowMs: number,
  ): boolean {
    const state = this.state(row);
    if (this.hasSteps(row) || (state !== "waiting" && state !== "delayed" && state !== "blocked")) return false;
    const queue = this.queueOf(row);
    if (state === "waiting") this.#unready(row, queue);
    if (priority !== undefined) queue.ready.prioritize(row, priority);
    if (bodyBytes !== undefined) {
      this.account(queue, bodyBytes - this.table.u(row, BODY_BYTES));
      this.table.setU(row, BODY_BYTES, bodyBytes);
      // A worker that has it since before a restart is at work on another body.
      if (state !== "blocked") this.outdate(row);
    }
    if (dueMs !== undefined) {
      this.#leaveWall(row);
      this.table.setF(row, AT, dueMs);
    }
    const isLater = dueMs !== undefined && dueMs > nowMs;
    if (state === "waiting" && isLater) this.move(row, queue, "delay");
    if (state === "waiting" && !isLater) {
      queue.ready.push(row, { returned: true });
      this.#listener.ready(queue);
    } else if (state !== "blocked" && isLater) this.scheduleDue(row);
    else if (state === "delayed" && dueMs !== undefined) this.#comeDue(row, queue, nowMs);
    return true;
  }

  /** Forgets an ended task. */
  remove(row: number): void {
    const state = this.state(row);
    assert(isEnded(state), "only an ended task is removed");
    this.letGoEnded(row, state);
    this.#listener.removed(row);
    this.deadlines.drop(row);
    this.dependencies.release(row);
    this.drop(row);
  }

  /** The rows of dead tasks, or of the others that have ended; those that ended first come first. */
  endedRows(state: EndedState): IterableIterator<number> {
    return this.ended.rows(state);
  }

  // ---- time

  /** When `tick` has something to do, or undefined. */
  get deadlineMs(): number | undefined {
    const wakeMs = this.throttle.deadlineMs;
    const rowMs = this.deadlines.deadlineMs;
    return wakeMs === undefined ? rowMs : Math.min(wakeMs, rowMs ?? Infinity);
  }

  /** When a delayed task is due by the wall clock, or undefined. */
  get wallDueMs(): number | undefined {
    return this.wall.deadlineMs;
  }

  /** Does what is due, at most `steps` of it, so that a million delayed tasks do not stop everything else. */
  tick(nowMs: number, wallMs = nowMs, steps = 1000): void {
    this.throttle.tick(nowMs);
    for (let step = 0; step < steps; step += 1) {
      const isForWall = this.deadlines.due(nowMs) === NONE;
      const row = isForWall ? this.wall.due(wallMs) : this.deadlines.due(nowMs);
      if (row === NONE) return;
      try {
        if (isForWall) {
          this.#comeDue(row, this.queueOf(row), nowMs);
          this.#listener.due(row, this.queueOf(row));
        } else this.#due(row, nowMs);
      } catch (error) {
        this.deadlines.drop(row);
        this.wall.drop(row);
        this.#listener.broken(row, error);
      }
    }
  }

  #due(row: number, nowMs: number): void {
    const queue = this.queueOf(row);
    const state = this.state(row);
    switch (state) {
      case "completed":
      case "dead":
      case "cancelled":
        // The key of several bodies is remembered for as long as one of them is known.
        if (this.hasKeyedMembers(row)) this.deadlines.set(row, nowMs + Math.max(this.policy(row).keepMs, KEYED_LOOK_MS));
        else this.remove(row);
        return;
      case "active":
        if (this.leaseOwner(row) === 0) this.giveBack(row, nowMs);
        else {
          this.#listener.revoked(row, this.leaseOwner(row), "timeout");
          this.fail(row, this.#late(row), nowMs);
        }
        return;
      case "waiting":
      case "delayed":
      case "blocked":
      case "retrying":
        if (this.table.f(row, EXPIRES) <= nowMs) {
          if (state === "waiting") this.#unready(row, queue);
          this.#recordError(row, "expired before a worker took it");
          this.#end(row, queue, "expire", { nowMs, reason: "expired" });
          return;
        }
        this.#comeDue(row, queue, nowMs);
        this.#listener.due(row, queue);
    }
  }

  /** Why its lease is over. */
  #late(row: number): string {
    const { timeoutMs } = this.policy(row);
    return timeoutMs > 0
      ? `no result within ${timeoutMs} ms`
      : `its worker has not answered for ${KEPT_MS_MAX} ms: something blocks its event loop`;
  }

  #comeDue(row: number, queue: TaskQueue, nowMs: number): void {
    this.move(row, queue, "due");
    this.#leaveWall(row);
    this.table.setF(row, AT, nowMs);
    this.scheduleExpiry(row);
    queue.ready.push(row);
    this.#listener.ready(queue);
    if (!this.isSuspended(row)) return;
    this.setFlag(row, FLAG_SUSPENDED, false);
    // What it waited for in vain is not to come true after the handler was told.
    this.#listener.changed(row);
  }

  /** It does not wait for the wall clock any more. */
  #leaveWall(row: number): void {
    this.wall.drop(row);
    this.setFlag(row, FLAG_RUN_AT, false);
  }

  // ---- recovery

  /** All tasks of the store have been restored, after the settings: what waits for its time or for others does so from now on. */
  wake(nowMs: number): void {
    const children = this.wakeAll(nowMs);
    for (const [row, parents] of children) {
      if (this.#waitsForParents(row)) this.dependencies.hold(row, parents);
      else this.dependencies.holdFree(row, parents);
    }
    for (const [id, { id: caller }] of this.callers) {
      const row = this.find(caller);
      if (row !== NONE && this.state(row) === "blocked" && this.isSuspended(row)) this.dependencies.await(row, id);
    }
    // One that another's end has ended meanwhile waits no more; it is not forgotten before the next turn.
    for (const [row] of children) if (this.state(row) === "blocked" && !this.isSuspended(row)) this.#await(row, nowMs);
  }

  /** It has not been free of them yet, or died before. */
  #waitsForParents(row: number): boolean {
    const state = this.state(row);
    if (state === "dead") return this.table.f(row, TOKEN) === 0;
    return state === "blocked" && !this.isSuspended(row);
  }

  // ---- helpers

  /** It waits no more. A worker that was kept free for it is to be told. */
  #unready(row: number, queue: TaskQueue): void {
    queue.ready.remove(row);
    if (this.isSuspect(row)) this.#listener.ready(queue);
  }

  #recordError(row: number, error: string, attempt?: number): void {
    this.setFlag(row, FLAG_ERRORS, true);
    this.table.setU(row, ERROR, errorFingerprint(error));
    this.#listener.errorRecorded(row, error, attempt);
  }

  #end(
    row: number,
    queue: TaskQueue,
    event: TaskEvent,
    { nowMs, result, reason }: { nowMs: number; result?: Uint8Array; reason?: DeadReason },
  ): void {
    const { table } = this;
    const state = this.move(row, queue, event) as EndedState;
    this.account(queue, -table.u(row, BODY_BYTES) - TASK_OVERHEAD_BYTES);
    if (state !== "dead") table.setU(row, BODY_BYTES, 0);
    if (reason) this.setFlag(row, (DEAD_REASONS.indexOf(reason) + 1) << REASON_SHIFT, true);
    this.#leaveWall(row);
    table.setF(row, AT, nowMs);
    this.setFlag(row, FLAG_LEASE_WRITTEN, false);
    if (this.isTraced(row)) this.traces.forget(table.f(row, ID));
    this.#listener.ended(row, state, result);
    this.keepEnded(row, state, nowMs);
    // A dead one may be retried, and then waits for them again, if it has not been free yet.
    if (state !== "dead") this.dependencies.release(row);
    this.dependencies.ended(row, state, nowMs);
    if (this.dependencies.telling) return;
    this.#bound();
    if (queue.retention.isBounded(state)) this.#forgetSurplus(queue, state, SURPLUS_EACH);
  }

  /** How long and how many ended tasks are kept has changed: of those that are there too. */
  #retain(queue: TaskQueue, before: QueueSettings): void {
    for (const state of ["completed", "dead"] as const) {
      const [count, age] =
        state === "dead" ? (["keepDead", "keepDeadMs"] as const) : (["keepCompleted", "keepCompletedMs"] as const);
      const { settings } = queue;
      if (settings[count] === before[count] && settings[age] === before[age]) continue;
      queue.retention.bound(state, settings[count] !== undefined);
      for (const row of this.endedRows(state)) {
        const now = this.state(row) as EndedState;
        if (this.queueOf(row) !== queue || (now === "dead") !== (state === "dead")) continue;
        this.retain(row, queue, this.endedTask(row, now), this.table.f(row, AT));
      }
      if (queue.retention.isBounded(state)) this.#forgetSurplus(queue, state, SURPLUS_AT_ONCE);
    }
  }

  /** More are there than the queue keeps: those that ended first go, unless others wait for them. */
  #forgetSurplus(queue: TaskQueue, state: RetainedState, most: number): void {
    const kept = queue.settings[state === "dead" ? "keepDead" : "keepCompleted"]!;
    for (let step = 0; step < most && queue.count(state) > kept; step += 1) {
      const id = queue.retention.oldest(state);
      if (id === undefined) return;
      const row = this.find(id);
      if (row === NONE || this.state(row) !== state || this.queueOf(row) !== queue || this.isAwaited(row)) continue;
      if (this.keyHeldUntilMs(row) > this.table.f(row, AT)) this.#evict(row);
      else this.remove(row);
    }
  }

  /** Keeps ended tasks within their bounds: the oldest go first. */
  #bound(): void {
    for (let row = this.ended.surplus(); row !== NONE; row = this.ended.surplus()) {
      const isRemembered = (this.table.u(row, FLAGS) & (FLAG_REMEMBERED | FLAG_AWAITED)) !== 0;
      if (isRemembered && !this.isEvicted(row)) this.#evict(row);
      else this.remove(row);
    }
  }

  /** Of a task whose key is to be remembered, or that others wait for, only that it has ended, and how, is kept. */
  #evict(row: number): void {
    const { table } = this;
    const state = this.state(row) as EndedState;
    this.letGoEnded(row, state);
    table.setU(row, BODY_BYTES, 0);
    table.setU(row, RESULT_BYTES, 0);
    this.setFlag(row, FLAG_EVICTED, true);
    this.#listener.evicted(row);
    this.keepEnded(row, state, table.f(row, AT));
  }

  #await(row: number, nowMs: number): void {
    if (this.dependencies.settle(row, nowMs)) this.scheduleExpiry(row);
  }
}
