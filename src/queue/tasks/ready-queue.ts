/**
 * ○ The tasks of one queue that wait for a worker, in the order they will go: highest priority first; within a priority the
 * groups take turns; within a group first come, first served. A group at its concurrency or rate bound is parked and costs
 * nothing until it may run again. Taking and adding cost the same with ten tasks as with ten million.
 */
import { assert } from "../../core/assert.ts";
import { type Bounds, Limiter } from "./rate-limiter.ts";
import { LANE, NONE, RowList, type TaskTable } from "./task-columns.ts";
import type { TaskQueue } from "./task-queue.ts";

/** The tasks of one group at one priority. Lives while a row names it. */
export class Lane {
  readonly index: number;
  readonly group: Group;
  readonly priority: number;
  readonly ready: RowList;
  /** Rows, in whatever state, whose LANE field is this lane. */
  rows = 0;
  /** Neighbours in the ring of its priority; both undefined = in no ring. */
  ringNext: Lane | undefined;
  ringPrevious: Lane | undefined;

  constructor(index: number, group: Group, priority: number, table: TaskTable) {
    this.index = index;
    this.group = group;
    this.priority = priority;
    this.ready = new RowList(table);
  }
}

export class Group {
  readonly key: string;
  readonly queue: ReadyQueue;
  readonly limiter = new Limiter();
  readonly lanes: Lane[] = [];
  /** Parked: may start again at this time; Infinity = when one of its tasks stops. Undefined = not parked. */
  parkedUntilMs: number | undefined;

  constructor(key: string, queue: ReadyQueue) {
    this.key = key;
    this.queue = queue;
  }
}

/** Names lanes by small numbers, so that a row needs four bytes to say queue, group and priority. */
export class LaneTable {
  readonly #lanes: (Lane | undefined)[] = [undefined];
  readonly #free: number[] = [];

  get(index: number): Lane {
    const lane = this.#lanes[index];
    assert(lane !== undefined, "a row's lane exists");
    return lane;
  }

  add(group: Group, priority: number, table: TaskTable): Lane {
    const index = this.#free.pop() ?? this.#lanes.length;
    const lane = new Lane(index, group, priority, table);
    this.#lanes[index] = lane;
    return lane;
  }

  remove(lane: Lane): void {
    this.#lanes[lane.index] = undefined;
    this.#free.push(lane.index);
  }
}

export class ReadyQueue {
  readonly owner: TaskQueue;
  readonly #table: TaskTable;
  readonly #lanes: LaneTable;
  readonly #groups = new Map<string, Group>();
  /** Per priority the lane whose turn it is. */
  readonly #turn: (Lane | undefined)[] = new Array<Lane | undefined>(256).fill(undefined);
  /** Bit p is set while priority p has a lane in its ring. */
  readonly #levels = new Uint32Array(8);
  #count = 0;

  constructor(owner: TaskQueue, table: TaskTable, lanes: LaneTable) {
    this.owner = owner;
    this.#table = table;
    this.#lanes = lanes;
  }

  /** Ready tasks, those of parked groups included. */
  get count(): number {
    return this.#count;
  }

  get groupCount(): number {
    return this.#groups.size;
  }

  groups(): IterableIterator<Group> {
    return this.#groups.values();
  }

  group(key: string): Group | undefined {
    return this.#groups.get(key);
  }

  /** Binds a row to its lane; the lane and its group come into being when new. */
  bind(row: number, groupKey: string, priority: number): Lane {
    let group = this.#groups.get(groupKey);
    if (!group) {
      group = new Group(groupKey, this);
      this.#groups.set(groupKey, group);
    }
    let lane = group.lanes.find((candidate) => candidate.priority === priority);
    if (!lane) {
      lane = this.#lanes.add(group, priority, this.#table);
      group.lanes.push(lane);
    }
    lane.rows += 1;
    this.#table.setU(row, LANE, lane.index);
    return lane;
  }

  /** Forgets a row that is in no list any more; lane and group go with their last row. */
  unbind(row: number): void {
    const lane = this.#lanes.get(this.#table.u(row, LANE));
    lane.rows -= 1;
    this.#table.setU(row, LANE, 0);
    if (lane.rows > 0) return;
    assert(lane.ready.count === 0, "a lane without rows has no ready rows");
    const { group } = lane;
    group.lanes.splice(group.lanes.indexOf(lane), 1);
    this.#lanes.remove(lane);
    if (group.lanes.length === 0) this.#groups.delete(group.key);
  }

  /** The row waits for a worker: behind the others, or (`returned`) where its id belongs among the first. */
  push(row: number, { returned = false }: { returned?: boolean } = {}): void {
    const lane = this.#lanes.get(this.#table.u(row, LANE));
    if (returned) lane.ready.pushInOrder(row);
    else lane.ready.pushBack(row);
    this.#count += 1;
    if (lane.ready.count === 1 && lane.group.parkedUntilMs === undefined) this.#enter(lane);
  }

  /** The row no longer waits (cancelled, expired). */
  remove(row: number): void {
    const lane = this.#lanes.get(this.#table.u(row, LANE));
    lane.ready.remove(row);
    this.#count -= 1;
    if (lane.ready.count === 0 && lane.ringNext) this.#leave(lane);
  }

  /**
   * Takes the row whose turn it is, counts it as running in its group, and gives the turn to the next group. 0 when none may
   * start; groups found to be at a bound are parked, and `parked` is told until when.
   */
  take(bounds: Bounds, nowMs: number, parked: (group: Group, untilMs: number) => void): number {
    for (;;) {
      const priority = this.#highest();
      if (priority < 0) return NONE;
      const lane = this.#turn[priority]!;
      const opensMs = lane.group.limiter.opensMs(bounds, nowMs);
      if (opensMs > nowMs) {
        this.#park(lane.group, opensMs);
        parked(lane.group, opensMs);
        continue;
      }
      const row = lane.ready.head;
      lane.ready.remove(row);
      this.#count -= 1;
      lane.group.limiter.started(bounds);
      if (lane.ready.count === 0) this.#leave(lane);
      else this.#turn[priority] = lane.ringNext;
      return row;
    }
  }

  /** Whether `take` could find a row, were no bound reached meanwhile. */
  get open(): boolean {
    return this.#highest() >= 0;
  }

  /** The group may start tasks again (as far as it knows: `take` looks anew). */
  unpark(group: Group): void {
    if (group.parkedUntilMs === undefined) return;
    group.parkedUntilMs = undefined;
    for (const lane of group.lanes) if (lane.ready.count > 0) this.#enter(lane);
  }

  #park(group: Group, untilMs: number): void {
    group.parkedUntilMs = untilMs;
    for (const lane of group.lanes) if (lane.ringNext) this.#leave(lane);
  }

  #enter(lane: Lane): void {
    const turn = this.#turn[lane.priority];
    if (turn) {
      // Before the lane whose turn it is: the newcomer comes last in this round.
      lane.ringNext = turn;
      lane.ringPrevious = turn.ringPrevious!;
      turn.ringPrevious!.ringNext = lane;
      turn.ringPrevious = lane;
    } else {
      lane.ringNext = lane;
      lane.ringPrevious = lane;
      this.#turn[lane.priority] = lane;
      this.#levels[lane.priority >>> 5]! |= 1 << (lane.priority & 31);
    }
  }

  #leave(lane: Lane): void {
    const following = lane.ringNext!;
    if (following === lane) {
      this.#turn[lane.priority] = undefined;
      this.#levels[lane.priority >>> 5]! &= ~(1 << (lane.priority & 31));
    } else {
      lane.ringPrevious!.ringNext = following;
      following.ringPrevious = lane.ringPrevious;
      if (this.#turn[lane.priority] === lane) this.#turn[lane.priority] = following;
    }
    lane.ringNext = undefined;
    lane.ringPrevious = undefined;
  }

  /** The highest priority with a lane in its ring, or -1. */
  #highest(): number {
    for (let word = 7; word >= 0; word -= 1) {
      const bits = this.#levels[word]!;
      if (bits !== 0) return word * 32 + 31 - Math.clz32(bits);
    }
    return -1;
  }
}
