/** ○ What all parts of the task service need of it; task-service.ts makes it. */
import type { Log } from "../../core/log.ts";
import type { BodyReads } from "./body-reads.ts";
import type { BodyCache } from "./body-cache.ts";
import type { CommittedEvent } from "./event-entry.ts";
import type { EventRing } from "./event-ring.ts";
import type { GroupCommit } from "../../store/group-commit.ts";
import type { Guard } from "./guard.ts";
import type { TaskEvents } from "./task-events.ts";
import type { TaskStore } from "../stores/follower-state.ts";
import type { TaskStateMachine } from "../tasks/task-state-machine.ts";

export interface ServiceContext {
  /** @throws UsageError CLOSED before the store is open */
  stateMachine(): TaskStateMachine;
  /** Queue time (`TaskService.nowMs`). */
  nowMs(): number;
  readonly store: TaskStore;
  readonly commits: GroupCommit<CommittedEvent>;
  /** Through it goes every callback to a peer, which may have left. */
  readonly guard: Guard;
  readonly log: Log;
  readonly events: TaskEvents;
  /** What listeners are told. */
  readonly ring: EventRing;
  readonly bodies: BodyCache;
  readonly reads: BodyReads;
  /** What the store keeps of a waiting, active or completed task is not what was written. @param what which part of it */
  damaged(row: number, what: string): void;
  /** Gives out what can be given out and hands the store what has changed. */
  flush(): void;
}
