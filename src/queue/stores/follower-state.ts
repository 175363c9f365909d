/**
 * ○ The tasks of a store that another broker writes, in an engine that does nothing yet: kept as the store is, change by change, so that
 * whoever takes over need not read a million tasks first. Invariant: once `complete`, it holds what reading the whole store would give.
 */
import { Engine, type EngineListener, type EngineOptions } from "../tasks/task-state-machine.ts";
import { decodeHead, decodeState } from "../tasks/task-record.ts";
import type { StoredTask, StoreOp } from "./store.ts";
import { NONE } from "../tasks/task-columns.ts";

export type StandbyOptions = Omit<EngineOptions, "listener" | "firstToken" | "firstId">;

/** What an engine learns when its broker begins to lead. */
export type TermOptions = Pick<EngineOptions, "listener" | "firstToken" | "firstId">;

const NOBODY: EngineListener = {
  changed() {},
  ended() {},
  revoked() {},
  removed() {},
  noted() {},
  ready() {},
};

export class Standby {
  readonly #engine: Engine;
  readonly #listener: EngineListener = { ...NOBODY };
  /** Changes that came while the store was being read. */
  #behind: (readonly StoreOp[])[] | undefined = [];

  constructor(options: StandbyOptions) {
    this.#engine = new Engine({ ...options, listener: this.#listener, firstToken: 0, firstId: 1 });
  }

  get isComplete(): boolean {
    return this.#behind === undefined;
  }

  /** Tasks as the store has them, in ascending order of their numbers. Not after `complete`. */
  take(tasks: readonly StoredTask[]): void {
    for (const task of tasks) this.#restore(task);
  }

  /** All tasks were taken. What was read may be older or newer than each change that came meanwhile; the last ones have the last word. */
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

  /** The engine, from now on its caller's: it listens to it, puts in the settings and wakes it. */
  begin({ listener, firstToken, firstId }: TermOptions): Engine {
    Object.assign(this.#listener, listener);
    this.#engine.countFrom({ firstToken, firstId });
    return this.#engine;
  }

  #apply(op: StoreOp): void {
    switch (op.kind) {
      case "add":
        this.#engine.forget(op.id);
        this.#restore(op);
        return;
      case "keep":
        if (this.#engine.find(op.id) === NONE) this.#restore(op);
        return;
      case "state":
      case "end":
        this.#engine.restate(op.id, decodeState(op.state));
        return;
      case "remove":
        this.#engine.forget(op.id);
        return;
      case "note":
      case "set":
    }
  }

  #restore({ id, head, state }: StoredTask): void {
    this.#engine.restore(id, decodeHead(head), decodeState(state));
  }
}
