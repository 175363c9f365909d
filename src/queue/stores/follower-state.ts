/**
 * ○ The tasks of a store that another broker writes, in a state machine that does nothing yet: kept as the store is, change by
 * change, so that the broker that takes over need not read a million tasks first. Invariant: once `complete`, it holds what
 * reading the whole store would give.
 */
import { TaskStateMachine, type TaskStateMachineOptions } from "../tasks/task-state-machine.ts";
import type { TaskStateMachineListener } from "../tasks/task-state-machine-listener.ts";
import { decodeHead, decodeState } from "../tasks/task-record.ts";
import type { Store, StoredTask, StoreOp } from "../../store/store.ts";
import { NONE } from "../tasks/task-columns.ts";

/** What a state machine learns when its broker begins to lead. */
export type TakeoverOptions = Pick<TaskStateMachineOptions, "listener" | "firstToken" | "firstId">;

/** What a store that followed another broker's has ready for its own broker. */
export interface Standby {
  /** The state machine with all tasks, from now on the caller's: it tells this listener, and waits for the settings and `wake`. */
  begin(takeover: TakeoverOptions): TaskStateMachine;
}

/** A store of tasks, which may be a standby's. */
export type TaskStore = Store<Standby>;

export type FollowerStateOptions = Omit<TaskStateMachineOptions, "listener" | "firstToken" | "firstId">;

const NOBODY: TaskStateMachineListener = {
  changed() {},
  ended() {},
  evicted() {},
  revoked() {},
  removed() {},
  errorRecorded() {},
  ready() {},
  startsForgotten() {},
  due() {},
  broken() {},
};

export class FollowerState implements Standby {
  readonly #stateMachine: TaskStateMachine;
  readonly #listener: TaskStateMachineListener = { ...NOBODY };
  /** Changes that came while the store was being read. */
  #behind: (readonly StoreOp[])[] | undefined = [];

  constructor(options: FollowerStateOptions) {
    this.#stateMachine = new TaskStateMachine({ ...options, listener: this.#listener, firstToken: 0, firstId: 1 });
  }

  get isComplete(): boolean {
    return this.#behind === undefined;
  }

  /** Tasks as the store has them, in ascending order of their numbers. Not after `complete`. */
  take(tasks: readonly StoredTask[]): void {
    for (const task of tasks) this.#restore(task);
  }

  /** All tasks were taken. What was read may be older or newer than each change that came meanwhile; applied now, the changes win. */
  complete(): void {
    const behind = this.#behind ?? [];
    this.#behind = undefined;
    for (const ops of behind) this.apply(ops);
  }

  /** What the store has written. */
  apply(ops: readonly StoreOp[]): void {
    if (this.#behind) {
      this.#behind.push(ops);
      return;
    }
    for (const op of ops) this.#apply(op);
  }

  begin({ listener, firstToken, firstId }: TakeoverOptions): TaskStateMachine {
    Object.assign(this.#listener, listener);
    this.#stateMachine.countFrom({ firstToken, firstId });
    return this.#stateMachine;
  }

  #apply(op: StoreOp): void {
    switch (op.kind) {
      case "add":
        this.#stateMachine.forget(op.id);
        this.#restore(op);
        return;
      case "rewrite":
        if (this.#stateMachine.find(op.id) === NONE) return;
        this.#stateMachine.forget(op.id);
        this.#restore(op);
        return;
      case "keep":
        if (this.#stateMachine.find(op.id) === NONE) this.#restore(op);
        return;
      case "state":
      case "end":
        this.#stateMachine.restate(op.id, decodeState(op.state));
        return;
      case "remove":
        this.#stateMachine.forget(op.id);
        return;
      case "fact":
      case "events":
      case "set":
    }
  }

  #restore({ id, head, state }: StoredTask): void {
    this.#stateMachine.restore(id, decodeHead(head), decodeState(state));
  }
}
