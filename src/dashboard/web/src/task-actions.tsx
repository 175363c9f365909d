/** ● What can be done to tasks, one or many: what cannot be taken back is asked once more, with how many it is about. */
import { UNDO_TASKS_MAX } from "../../../queue/limits.ts";
import { UNDO_MS } from "../../limits.ts";
import { isEnded } from "../../../queue/tasks/life-cycle.ts";
import { useAction } from "./components.tsx";
import { confirmed, notify } from "./dialogs.tsx";
import { showTasks } from "./format.ts";
import { act } from "./live.ts";
import type { TaskRow } from "./task.ts";

/** How long it is said what was done. */
const NOTICE_MS = 6000;

/** Which tasks of a queue, and how many they are. */
export interface Selection {
  readonly queue: string;
  readonly state: string;
  /** Only those with this kind of error. */
  readonly error?: string | undefined;
  readonly count: number;
}

export function StateBadge({ task: { state, reason } }: { task: Pick<TaskRow, "state" | "reason"> }) {
  return <span class={`badge ${state}`}>{reason ? `${state} (${reason})` : state}</span>;
}

export function TaskActions({ task: { id, state }, changed }: { task: TaskRow; changed: () => void }) {
  const { run, said } = useAction();
  const retry = (): void =>
    run(async () => {
      await act(`/api/v1/tasks/${encodeURIComponent(id)}/retry`);
      changed();
    });
  const cancel = (): void =>
    run(async () => {
      const text =
        state === "active"
          ? "Its handler is told to stop, and its body is gone. This cannot be undone."
          : "It is not run, and its body is gone. This cannot be undone.";
      if (!(await confirmed({ title: `Cancel task ${id}?`, text, verb: "Cancel the task", keep: "Keep it" }))) return;
      await act(`/api/v1/tasks/${encodeURIComponent(id)}/cancel`);
      changed();
    });
  return (
    <>
      {state === "dead" ? (
        <button type="button" onClick={retry} aria-label={`Retry task ${id}`}>
          Retry
        </button>
      ) : null}
      {isEnded(state) ? null : (
        <button type="button" onClick={cancel} aria-label={`Cancel task ${id}`}>
          Cancel
        </button>
      )}
      {said}
    </>
  );
}

/** Retry and removal of all tasks of a selection. */
export function SelectionActions({ selection, changed }: { selection: Selection; changed: () => void }) {
  const { run, said } = useAction();
  const { queue, state, error, count } = selection;
  const path = `/api/v1/queues/${encodeURIComponent(queue)}`;
  const kind = `${state} `;
  const which = error === undefined ? "" : " with this error";
  const retry = (): void =>
    run(async () => {
      const title = `Retry ${showTasks(count, kind)} of ${queue}${which}?`;
      const text = "They wait for a worker again, with all their attempts.";
      if (!(await confirmed({ title, text, verb: `Retry ${showTasks(count)}`, keep: "Leave them" }))) return;
      const { retried } = await act<{ retried: number }>(`${path}/retry`, { error });
      changed();
      notify({ text: `${showTasks(retried)} ${retried === 1 ? "waits" : "wait"} again.`, forMs: NOTICE_MS });
    });
  const remove = (): void =>
    run(async () => {
      const title = `Remove ${showTasks(count, kind)} of ${queue}${which}?`;
      const text =
        count <= UNDO_TASKS_MAX
          ? "They are removed with their bodies, results and errors. Within 10 seconds that can be undone."
          : "They are removed with their bodies, results and errors. So many cannot be brought back.";
      if (!(await confirmed({ title, text, verb: `Remove ${showTasks(count)}`, keep: "Keep them" }))) return;
      const { removed, undo } = await act<{ removed: number; undo: string[] }>(`${path}/remove`, {
        state,
        error,
        undoMs: UNDO_MS,
      });
      changed();
      const done = `${showTasks(removed, kind)} of ${queue} ${removed === 1 ? "was" : "were"} removed.`;
      if (undo.length === 0) return notify({ text: done, forMs: NOTICE_MS });
      notify({
        text: done,
        forMs: UNDO_MS,
        undo: async () => {
          const { restored } = await act<{ restored: number }>("/api/v1/undo", { undo });
          changed();
          return `${showTasks(restored)} ${restored === 1 ? "is" : "are"} back.`;
        },
      });
    });
  return (
    <>
      {state === "dead" ? (
        <button type="button" onClick={retry}>
          {count === 1 ? "Retry 1" : `Retry all ${count.toLocaleString("en")}`}
        </button>
      ) : null}
      <button type="button" class="danger" onClick={remove}>
        {count === 1 ? "Remove 1" : `Remove all ${count.toLocaleString("en")}`}
      </button>
      {said}
    </>
  );
}
