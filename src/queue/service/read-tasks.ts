/**
 * ○ Reads all tasks of a store into a state machine. A task that cannot be read as it was written is dead, and no other task is
 * affected by it.
 */
import { ProtocolError, readable } from "../../core/errors.ts";
import type { StoredTask } from "../../store/store.ts";
import { FLAG_DAMAGED } from "../tasks/task-columns.ts";
import { POLICY_DEFAULT } from "../tasks/task-policy.ts";
import { decodeHead, decodeState, type TaskHead, type TaskRecord } from "../tasks/task-record.ts";
import type { TaskStateMachine } from "../tasks/task-state-machine.ts";

/** The queue of a task of which not even the queue is known. */
export const DAMAGED_QUEUE = "damaged";

/** A task of which nothing is known: it dies as soon as it is restored. */
const UNKNOWN_RECORD: TaskRecord = {
  state: "waiting",
  flags: 0,
  atMs: 0,
  token: 0,
  attempts: 0,
  lost: 0,
  bodyBytes: 0,
  resultBytes: 0,
};

/**
 * @param portions all tasks of the store
 * @param damaged called for each task that is damaged, and not known to be, when all others are there
 */
export async function readTasks(
  portions: AsyncIterable<readonly StoredTask[]>,
  stateMachine: TaskStateMachine,
  damaged: (row: number, what: string) => void,
): Promise<void> {
  const aside: StoredTask[] = [];
  for await (const portion of portions) {
    for (const task of portion) if (!restored(stateMachine, task)) aside.push(task);
  }
  for (const task of aside) {
    const record = recordOf(task);
    const isKnown = record !== undefined && (record.flags & FLAG_DAMAGED) !== 0;
    stateMachine.restore(task.id, headOf(stateMachine, task), isKnown ? record : UNKNOWN_RECORD);
    if (isKnown) continue;
    const parts = [!task.damaged || task.damaged.head ? "head" : "", record ? "" : "state"].filter((part) => part !== "");
    damaged(stateMachine.find(task.id), `its ${parts.join(" and its ")} in the store`);
  }
}

function restored(stateMachine: TaskStateMachine, { id, head, state, damaged }: StoredTask): boolean {
  if (damaged) return false;
  try {
    stateMachine.restore(id, decodeHead(head), decodeState(state));
    return true;
  } catch (error) {
    if (error instanceof ProtocolError) return false;
    throw error;
  }
}

function recordOf({ state, damaged }: StoredTask): TaskRecord | undefined {
  return damaged?.state === true ? undefined : readable(() => decodeState(state));
}

/** A damaged head is believed in so far as its queue is one that there is. */
function headOf(stateMachine: TaskStateMachine, { head, damaged }: StoredTask): TaskHead {
  const read = readable(() => decodeHead(head));
  if (read && damaged?.head !== true) return read;
  const isKnown = read && stateMachine.findQueue(read.queue) !== undefined;
  return {
    queue: isKnown ? read.queue : DAMAGED_QUEUE,
    group: "",
    key: isKnown ? read.key : "",
    priority: 0,
    createdMs: 0,
    expiresMs: Infinity,
    after: [],
    policy: POLICY_DEFAULT,
  };
}
