/**
 * ○ The starts that count against rates, kept over restarts as settings: `starts:["QUEUE"]` and `starts:["QUEUE","GROUP"]`, each with the
 * history of its limiter (rate-limiter.ts). A queue with a rate has its row from the moment the rate is set; where there is none, or
 * none that can be read, nobody knows what was started, and a whole window counts as used. Invariant: what has changed is written
 * with the next commit, whatever that commit is for.
 */
import type { StoreOp } from "../../store/store.ts";
import type { TaskStateMachine } from "../tasks/task-state-machine.ts";
import type { RateLimiter } from "../tasks/rate-limiter.ts";
import type { Group, TaskQueue } from "../tasks/task-queue.ts";

const STARTS_SETTING = "starts:";

export class StartHistory {
  /** By their settings the limiters whose histories have changed; undefined: the setting is to go. */
  readonly #changed = new Map<string, RateLimiter | undefined>();
  /** Queues that have a row. */
  readonly #written = new Set<TaskQueue>();

  /** A start of this group was reserved or given out. */
  changed(group: Group): void {
    const queue = group.queue.owner;
    if (queue.bounds.rate || !this.#written.has(queue)) this.#write(queue);
    if (queue.boundsOf(group).rate) this.#changed.set(settingOf(queue, group), group.limiter);
  }

  /** Nothing of this group counts any more. */
  forgotten(group: Group): void {
    this.#changed.set(settingOf(group.queue.owner, group), undefined);
  }

  /** The queue's rates were set, or taken away. */
  configured(queue: TaskQueue): void {
    // While nobody knows what its groups have started a row would say that it is known.
    if (queue.isRated && queue.ready.lostMs === -Infinity) this.#write(queue);
    else if (!queue.isRated && this.#written.delete(queue)) this.#changed.set(settingOf(queue), undefined);
    for (const group of queue.ready.groups()) if (group.isRemembered && !queue.boundsOf(group).rate) this.forgotten(group);
  }

  addTo(ops: StoreOp[]): void {
    for (const [name, limiter] of this.#changed) {
      ops.push({ kind: "set", name, value: limiter && JSON.stringify(limiter.history) });
    }
    this.#changed.clear();
  }

  /** Goes on from the settings of a store. The queues are set up. */
  restore(settings: ReadonlyMap<string, string>, stateMachine: TaskStateMachine, nowMs: number): void {
    for (const queue of stateMachine.queues()) if (queue.isRated) this.#restoreQueue(queue, settings, nowMs);
    for (const [name, value] of settings) {
      if (name.startsWith(STARTS_SETTING)) this.#restoreGroup(name, value, stateMachine, nowMs);
    }
  }

  #write(queue: TaskQueue): void {
    this.#written.add(queue);
    this.#changed.set(settingOf(queue), queue.limiter);
  }

  #restoreQueue(queue: TaskQueue, settings: ReadonlyMap<string, string>, nowMs: number): void {
    const { bounds, limiter } = queue;
    const history = settings.get(settingOf(queue));
    if (history === undefined) queue.ready.lostMs = nowMs;
    else this.#written.add(queue);
    if (bounds.rate) limiter.restore(parsed(history), bounds.rate, nowMs);
  }

  #restoreGroup(name: string, value: string, stateMachine: TaskStateMachine, nowMs: number): void {
    const [queueName, key, ...rest] = namesIn(name);
    const queue = queueName === undefined ? undefined : stateMachine.findQueue(queueName);
    if (queue?.isRated && key === undefined) return;
    const rate = key === undefined ? undefined : queue?.boundsOf({ key }).rate;
    if (!queue || !rate || key === undefined || rest.length > 0) {
      this.#changed.set(name, undefined);
      return;
    }
    const group = queue.ready.groupOf(key);
    group.limiter.restore(parsed(value), rate, nowMs);
    stateMachine.remember(group, nowMs);
  }
}

function settingOf({ name }: TaskQueue, group?: Group): string {
  return STARTS_SETTING + JSON.stringify(group ? [name, group.key] : [name]);
}

function namesIn(setting: string): readonly string[] {
  const names = parsed(setting.slice(STARTS_SETTING.length));
  return Array.isArray(names) && names.every((each) => typeof each === "string") ? names : [];
}

function parsed(json: string | undefined): unknown {
  try {
    return json === undefined ? undefined : JSON.parse(json);
  } catch {
    // Damaged: as if it were not there.
    return undefined;
  }
}
