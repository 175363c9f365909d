/**
 * ○ One named queue (`TaskQueue`) and its tasks that wait for a worker (`ReadyQueue`), in the order in which they are given out:
 * highest priority first, but one of every AGED_STARTS for those below that have waited too long; within a priority the groups take
 * turns; within a group first come, first served. A group at its bound
 * of concurrency or rate is parked and costs nothing until it may run again. Tasks that are suspected to kill their workers wait
 * apart, in the same order. Taking and adding cost the same with ten tasks as with ten million.
 */
import { assert } from "../../core/assert.ts";
import { LatencyHistogram } from "../../core/latency-histogram.ts";
import { type TaskState, stateCode, TASK_STATES } from "./life-cycle.ts";
import { AGED_STARTS, AGING_MS_DEFAULT } from "../limits.ts";
import type { StateCounts } from "./state-words.ts";
import type { GroupSettings, QueueSettings } from "./queue-settings.ts";
import { type Bounds, RateLimiter } from "./rate-limiter.ts";
import { Retention } from "./retention.ts";
import { AT, CREATED, GROUP_QUEUE, NONE, RowList, type TaskColumns } from "./task-columns.ts";

/** Suspects (SUSPECT_LOSSES) are taken apart from all other tasks. */
export type ReadyKind = "suspects" | "others";

export class TaskQueue {
  readonly name: string;
  readonly ready: ReadyQueue;
  readonly limiter = new RateLimiter();
  settings: QueueSettings = {};
  bounds: Bounds = {};
  groupBounds: Bounds = {};
  /** Of groups that have bounds of their own. */
  #namedBounds: ReadonlyMap<string, Bounds> | undefined;
  #isNamedRated = false;
  /** Completed and dead tasks in the order in which they ended, where only so many are kept: retention.ts. */
  readonly retention = new Retention();
  agingMs = AGING_MS_DEFAULT;
  /** Closed by its own bounds until this time; Infinity = until one of its tasks stops. Undefined = open. */
  closedUntilMs: number | undefined;
  /** Bytes of tasks that have not ended. */
  bytes = 0;
  added = 0;
  finished = 0;
  failures = 0;
  /** How long tasks waited for a worker, each time that one took them. */
  readonly waits = new LatencyHistogram();
  /** How long attempts ran that completed or failed. */
  readonly runs = new LatencyHistogram();
  /** How many workers take tasks from it now. */
  consumers = 0;
  readonly #counts = new Array<number>(TASK_STATES.length).fill(0);

  constructor(name: string, table: TaskColumns, groupQueues: GroupQueueTable) {
    this.name = name;
    this.ready = new ReadyQueue(this, table, groupQueues);
  }

  count(state: TaskState): number {
    return this.#counts[stateCode(state)]!;
  }

  counted(state: TaskState, by: 1 | -1): void {
    this.#counts[stateCode(state)]! += by;
  }

  /** Nothing would be missed without it: no task, no consumer, no setting. */
  get isUnused(): boolean {
    if (this.consumers > 0 || this.bytes > 0) return false;
    for (const count of this.#counts) if (count > 0) return false;
    for (const _ in this.settings) return false;
    return true;
  }

  /** Tasks in each state. */
  counts(): StateCounts {
    return Object.fromEntries(TASK_STATES.map((state) => [state, this.count(state)])) as StateCounts;
  }

  /** Its starts, or those of its groups, are counted. */
  get isRated(): boolean {
    return this.bounds.rate !== undefined || this.groupBounds.rate !== undefined || this.#isNamedRated;
  }

  /** Of one group: its own, else those of all. */
  boundsOf({ key }: Pick<Group, "key">): Bounds {
    return this.#namedBounds === undefined ? this.groupBounds : (this.#namedBounds.get(key) ?? this.groupBounds);
  }

  /** Without a rate the starts of before are forgotten. */
  configure(settings: QueueSettings, nowMs: number): void {
    this.settings = settings;
    this.bounds = { concurrency: settings.concurrency ?? undefined, rate: settings.rate ?? undefined };
    this.groupBounds = { concurrency: settings.groupConcurrency ?? undefined, rate: settings.groupRate ?? undefined };
    const named = Object.entries(settings.groups ?? {}).map(
      ([key, own]) => [key, boundsFrom(own ?? {}, this.groupBounds)] as const,
    );
    this.#namedBounds = named.length > 0 ? new Map(named) : undefined;
    this.#isNamedRated = named.some(([, { rate }]) => rate !== undefined);
    this.agingMs = settings.agingMs ?? AGING_MS_DEFAULT;
    this.limiter.forget(this.bounds.rate, nowMs);
    for (const group of this.ready.groups()) group.limiter.forget(this.boundsOf(group).rate, nowMs);
  }
}

/** What one group says of its own, else what is said of all. */
function boundsFrom(own: GroupSettings, ofAll: Bounds): Bounds {
  const { concurrency = ofAll.concurrency, rate = ofAll.rate } = own;
  return { concurrency: concurrency ?? undefined, rate: rate ?? undefined };
}

/** Levels of a ready queue: its priorities, and above them those of its suspects. */
const SUSPECT_LEVEL = 256;
/** Words of 32 levels each. */
const SUSPECT_WORD = SUSPECT_LEVEL / 32;

/** The tasks of one group at one priority, suspects apart from the others. Lives while a row names it. */
export class GroupQueue {
  readonly index: number;
  readonly group: Group;
  /** Its priority; that of suspects plus SUSPECT_LEVEL. */
  readonly level: number;
  readonly ready: RowList;
  /** Rows, in whatever state, whose GROUP_QUEUE field is this group queue. */
  rows = 0;
  /** Neighbours in the ring of its priority; both undefined = in no ring. */
  ringNext: GroupQueue | undefined;
  ringPrevious: GroupQueue | undefined;

  constructor(index: number, group: Group, level: number, table: TaskColumns) {
    this.index = index;
    this.group = group;
    this.level = level;
    this.ready = new RowList(table);
  }

  get priority(): number {
    return this.level % SUSPECT_LEVEL;
  }

  get isOfSuspects(): boolean {
    return this.level >= SUSPECT_LEVEL;
  }
}

export class Group {
  readonly key: string;
  readonly queue: ReadyQueue;
  readonly limiter = new RateLimiter();
  readonly groupQueues: GroupQueue[] = [];
  /** Parked: may start again at this time; Infinity = when one of its tasks stops. Undefined = not parked. */
  parkedUntilMs: number | undefined;
  /** It is looked at again when its starts no longer count (throttle.ts). */
  isRemembered = false;

  constructor(key: string, queue: ReadyQueue) {
    this.key = key;
    this.queue = queue;
  }
}

/** Names group queues by small numbers, so that a row needs four bytes to say queue, group and priority. */
export class GroupQueueTable {
  readonly #groupQueues: (GroupQueue | undefined)[] = [undefined];
  readonly #free: number[] = [];
  /** How many groups there are, in all queues. */
  groups = 0;

  get(index: number): GroupQueue {
    const groupQueue = this.#groupQueues[index];
    assert(groupQueue !== undefined, "a row's group queue exists");
    return groupQueue;
  }

  add(group: Group, level: number, table: TaskColumns): GroupQueue {
    const index = this.#free.pop() ?? this.#groupQueues.length;
    const groupQueue = new GroupQueue(index, group, level, table);
    this.#groupQueues[index] = groupQueue;
    return groupQueue;
  }

  remove(groupQueue: GroupQueue): void {
    this.#groupQueues[groupQueue.index] = undefined;
    this.#free.push(groupQueue.index);
  }
}

export class ReadyQueue {
  readonly owner: TaskQueue;
  readonly #table: TaskColumns;
  readonly #groupQueues: GroupQueueTable;
  readonly #groups = new Map<string, Group>();
  /** Per level the group queue whose turn it is. */
  readonly #turn: (GroupQueue | undefined)[] = [];
  /** Bit n is set while level n has a group queue in its ring. */
  readonly #levels = new Uint32Array(2 * SUSPECT_WORD);
  #count = 0;
  /** Takes since one was for those that have waited too long. */
  #takes = 0;
  /** Until this time nothing is known of the groups' starts. */
  lostMs = -Infinity;

  constructor(owner: TaskQueue, table: TaskColumns, groupQueues: GroupQueueTable) {
    this.owner = owner;
    this.#table = table;
    this.#groupQueues = groupQueues;
  }

  /** Ready tasks, those of parked groups included. */
  get count(): number {
    return this.#count;
  }

  /** Since when the row that has waited longest waits; undefined without one. Costs as much as there are groups. */
  waitingSinceMs(): number | undefined {
    let sinceMs = Infinity;
    for (const { groupQueues } of this.#groups.values()) {
      for (const { ready } of groupQueues) {
        if (ready.count === 0) continue;
        sinceMs = Math.min(sinceMs, this.#sinceMs(ready.head));
      }
    }
    return sinceMs === Infinity ? undefined : sinceMs;
  }

  groups(): IterableIterator<Group> {
    return this.#groups.values();
  }

  group(key: string): Group | undefined {
    return this.#groups.get(key);
  }

  /** The group of this key, made when new. */
  groupOf(key: string): Group {
    let group = this.#groups.get(key);
    if (!group) {
      group = new Group(key, this);
      this.#groups.set(key, group);
      this.#groupQueues.groups += 1;
    }
    return group;
  }

  /** A group that has neither rows nor starts that count goes. */
  forget(group: Group): void {
    if (group.groupQueues.length > 0 || group.limiter.remembers || !this.#groups.delete(group.key)) return;
    this.#groupQueues.groups -= 1;
  }

  /** Binds a row to its group queue; the group queue and its group come into being when new. */
  bind(row: number, groupKey: string, { priority, isSuspect }: { priority: number; isSuspect: boolean }): GroupQueue {
    const group = this.groupOf(groupKey);
    const level = isSuspect ? priority + SUSPECT_LEVEL : priority;
    let groupQueue = group.groupQueues.find((candidate) => candidate.level === level);
    if (!groupQueue) {
      groupQueue = this.#groupQueues.add(group, level, this.#table);
      group.groupQueues.push(groupQueue);
    }
    groupQueue.rows += 1;
    this.#table.setU(row, GROUP_QUEUE, groupQueue.index);
    return groupQueue;
  }

  /** Forgets a row that is in no list any more; its group queue goes with its last row. */
  unbind(row: number): void {
    const groupQueue = this.#groupQueues.get(this.#table.u(row, GROUP_QUEUE));
    this.#table.setU(row, GROUP_QUEUE, 0);
    this.#unbound(groupQueue);
  }

  /** A row that is in no list belongs to the suspects from now on, or no longer. */
  rebind(row: number, isSuspect: boolean): void {
    const before = this.#groupQueues.get(this.#table.u(row, GROUP_QUEUE));
    if (before.isOfSuspects === isSuspect) return;
    this.bind(row, before.group.key, { priority: before.priority, isSuspect });
    this.#unbound(before);
  }

  /** A row that is in no list has another priority from now on. */
  prioritize(row: number, priority: number): void {
    const before = this.#groupQueues.get(this.#table.u(row, GROUP_QUEUE));
    if (before.priority === priority) return;
    this.bind(row, before.group.key, { priority, isSuspect: before.isOfSuspects });
    this.#unbound(before);
  }

  #unbound(groupQueue: GroupQueue): void {
    groupQueue.rows -= 1;
    if (groupQueue.rows > 0) return;
    assert(groupQueue.ready.count === 0, "a group queue without rows has no ready rows");
    const { group } = groupQueue;
    group.groupQueues.splice(group.groupQueues.indexOf(groupQueue), 1);
    this.#groupQueues.remove(groupQueue);
    this.forget(group);
  }

  /** The row waits for a worker: behind the others, or (`returned`) where its id belongs among the first. */
  push(row: number, { returned = false }: { returned?: boolean } = {}): void {
    const groupQueue = this.#groupQueues.get(this.#table.u(row, GROUP_QUEUE));
    if (returned) groupQueue.ready.pushInOrder(row);
    else groupQueue.ready.pushBack(row);
    this.#count += 1;
    if (groupQueue.ready.count === 1 && groupQueue.group.parkedUntilMs === undefined) this.#enter(groupQueue);
  }

  /** The row no longer waits (cancelled, expired). */
  remove(row: number): void {
    const groupQueue = this.#groupQueues.get(this.#table.u(row, GROUP_QUEUE));
    groupQueue.ready.remove(row);
    this.#count -= 1;
    if (groupQueue.ready.count === 0 && groupQueue.ringNext) this.#leave(groupQueue);
  }

  /**
   * Takes the row whose turn it is, of the suspects or of the others, counts it as running in its group, and gives the turn to the
   * next group. 0 when none may start; groups found to be at a bound are parked, and `parked` is told until when.
   */
  take(which: ReadyKind, nowMs: number, parked: (group: Group, untilMs: number) => void): number {
    for (let level = this.#levelInTurn(which, nowMs); ; level = this.#highest(which)) {
      if (level < 0) return NONE;
      const groupQueue = this.#turn[level]!;
      const bounds = this.owner.boundsOf(groupQueue.group);
      const knownMs = bounds.rate ? this.lostMs + bounds.rate.perMs : -Infinity;
      const opensMs = Math.max(groupQueue.group.limiter.opensMs(bounds, nowMs), knownMs);
      if (opensMs > nowMs) {
        this.#park(groupQueue.group, opensMs);
        parked(groupQueue.group, opensMs);
        continue;
      }
      const row = groupQueue.ready.head;
      groupQueue.ready.remove(row);
      this.#count -= 1;
      groupQueue.group.limiter.started();
      if (groupQueue.ready.count === 0) this.#leave(groupQueue);
      else this.#turn[level] = groupQueue.ringNext;
      return row;
    }
  }

  /** Whether `take` could find a row, were no bound reached meanwhile. */
  isOpen(which: ReadyKind): boolean {
    return this.#highest(which) >= 0;
  }

  /** The group may start tasks again (as far as it knows: `take` looks anew). */
  unpark(group: Group): void {
    if (group.parkedUntilMs === undefined) return;
    group.parkedUntilMs = undefined;
    for (const groupQueue of group.groupQueues) if (groupQueue.ready.count > 0) this.#enter(groupQueue);
  }

  #park(group: Group, untilMs: number): void {
    group.parkedUntilMs = untilMs;
    for (const groupQueue of group.groupQueues) if (groupQueue.ringNext) this.#leave(groupQueue);
  }

  #enter(groupQueue: GroupQueue): void {
    const { level } = groupQueue;
    const turn = this.#turn[level];
    if (turn) {
      // Before the group queue whose turn it is: the newcomer comes last in this round.
      groupQueue.ringNext = turn;
      groupQueue.ringPrevious = turn.ringPrevious!;
      turn.ringPrevious!.ringNext = groupQueue;
      turn.ringPrevious = groupQueue;
    } else {
      groupQueue.ringNext = groupQueue;
      groupQueue.ringPrevious = groupQueue;
      this.#turn[level] = groupQueue;
      this.#levels[level >>> 5]! |= 1 << (level & 31);
    }
  }

  #leave(groupQueue: GroupQueue): void {
    const { level } = groupQueue;
    const following = groupQueue.ringNext!;
    if (following === groupQueue) {
      this.#turn[level] = undefined;
      this.#levels[level >>> 5]! &= ~(1 << (level & 31));
    } else {
      groupQueue.ringPrevious!.ringNext = following;
      following.ringPrevious = groupQueue.ringPrevious;
      if (this.#turn[level] === groupQueue) this.#turn[level] = following;
    }
    groupQueue.ringNext = undefined;
    groupQueue.ringPrevious = undefined;
  }

  /** The highest level; now and then one below it whose task has waited too long. */
  #levelInTurn(which: ReadyKind, nowMs: number): number {
    const highest = this.#highest(which);
    const { agingMs } = this.owner;
    if (highest <= 0 || agingMs === 0 || which === "suspects") return highest;
    this.#takes += 1;
    if (this.#takes < AGED_STARTS) return highest;
    this.#takes = 0;
    let chosen = highest;
    let sinceMs = nowMs - agingMs;
    for (let level = 0; level < highest; level += 1) {
      if (!(this.#levels[level >>> 5]! & (1 << (level & 31)))) continue;
      const waitsSinceMs = this.#sinceMs(this.#turn[level]!.ready.head);
      if (waitsSinceMs > sinceMs) continue;
      chosen = level;
      sinceMs = waitsSinceMs;
    }
    return chosen;
  }

  /** Since when a waiting row waits. */
  #sinceMs(row: number): number {
    return Math.max(this.#table.f(row, CREATED), this.#table.f(row, AT));
  }

  /** The highest level of these with a group queue in its ring, or -1. */
  #highest(which: ReadyKind): number {
    const first = which === "suspects" ? SUSPECT_WORD : 0;
    for (let word = first + SUSPECT_WORD - 1; word >= first; word -= 1) {
      const bits = this.#levels[word]!;
      if (bits !== 0) return word * 32 + 31 - Math.clz32(bits);
    }
    return -1;
  }
}
