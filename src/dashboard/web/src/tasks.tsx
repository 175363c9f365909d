/** ● The tasks of one queue, page by page, and the history of one task. */
import { useState } from "preact/hooks";
import { isEnded, TASK_STATES, type TaskState } from "../../../queue/tasks/life-cycle.ts";
import { showCount, showDuration, showSize, showTime } from "./format.ts";
import { act, read } from "./live.ts";
import { Card, useAction, usePolled } from "./components.tsx";
import { type Column, Table } from "./table.tsx";

const STATES = ["all", ...TASK_STATES] as const;
const POLL_MS = 2000;

interface Task {
  readonly id: string;
  readonly state: TaskState;
  /** Why a dead task is dead. */
  readonly reason?: string;
  readonly queue: string;
  readonly priority: number;
  readonly failures: number;
  readonly lost: number;
  readonly attempts?: number;
  readonly createdMs: number;
  readonly atMs?: number;
  readonly expiresMs?: number;
  readonly bodyBytes: number;
  readonly resultBytes: number;
}

interface TaskDetail {
  readonly task: Task & {
    readonly key?: string;
    readonly after?: readonly string[];
    readonly errors?: readonly string[];
    /** The time of each error; null where it was not recorded. */
    readonly errorsMs?: readonly (number | null)[];
    /** The attempt that failed; null if none did, for example when the task expired. */
    readonly errorsAttempt?: readonly (number | null)[];
    readonly waits?: string;
  };
  readonly body?: string;
  readonly bodyBytes: number;
}

interface Page {
  readonly tasks: readonly Task[];
  readonly next?: number;
}

export function Tasks({ queue }: { queue: string }) {
  const [state, setState] = useState<(typeof STATES)[number]>("all");
  const [after, setAfter] = useState(0);
  const [open, setOpen] = useState<string>();
  const query = new URLSearchParams({ queue, ...(state !== "all" && { state }), ...(after > 0 && { after: String(after) }) });
  const { value, failed, again } = usePolled(() => read<Page>(`/api/queue/tasks?${query}`), POLL_MS, query.toString());
  const { run, said } = useAction();
  const purge = (): void =>
    run(async () => {
      const { removed } = await act<{ removed: number }>("/api/queue/purge", { queue, state });
      again();
      return `${removed} tasks deleted.`;
    });
  const choose = (next: (typeof STATES)[number]): void => {
    setState(next);
    setAfter(0);
  };
  const columns: readonly Column<Task>[] = [
    [
      "Task",
      ({ id }) => (
        <button type="button" class="plain" aria-pressed={open === id} onClick={() => setOpen(open === id ? undefined : id)}>
          {id}
        </button>
      ),
    ],
    ["State", (task) => <StateBadge task={task} />],
    ["Added", ({ createdMs }) => showTime(createdMs)],
    ["Failures", ({ failures }) => showCount(failures)],
    ["Body", ({ bodyBytes }) => showSize(bodyBytes)],
    ["Actions", (task) => <TaskActions task={task} changed={again} />],
  ];
  return (
    <>
      <Card title={`Tasks of ${queue}`} wide>
        <label>
          State{" "}
          <select value={state} onChange={(event) => choose(event.currentTarget.value as (typeof STATES)[number])}>
            {STATES.map((each) => (
              <option key={each} value={each}>
                {each}
              </option>
            ))}
          </select>
        </label>
        {state !== "all" && isEnded(state) ? (
          <button type="button" onClick={purge}>
            Delete all {state}
          </button>
        ) : null}
        {failed ? <p class="bad">{failed}</p> : null}
        <Table
          caption="Tasks, oldest first"
          columns={columns}
          rows={value?.tasks}
          keyOf={({ id }) => id}
          toneOf={({ id }) => (id === open ? "chosen" : undefined)}
          empty={state === "all" ? "No tasks." : `No ${state} tasks.`}
        />
        {value?.next === undefined ? null : (
          <button type="button" onClick={() => setAfter(value.next!)}>
            Next page
          </button>
        )}
        {after > 0 ? (
          <button type="button" onClick={() => setAfter(0)}>
            First page
          </button>
        ) : null}
        {said}
      </Card>
      {open === undefined ? null : <TaskCard key={open} id={open} changed={again} />}
    </>
  );
}

function StateBadge({ task: { state, reason } }: { task: Task }) {
  return <span class={`badge ${state}`}>{reason ? `${state} (${reason})` : state}</span>;
}

function TaskActions({ task: { id, state }, changed }: { task: Task; changed: () => void }) {
  const { run, said } = useAction();
  const call = (action: "retry" | "cancel"): void =>
    run(async () => {
      await act(`/api/queue/task/${action}`, { id });
      changed();
    });
  return (
    <>
      {state === "dead" ? (
        <button type="button" onClick={() => call("retry")} aria-label={`Retry task ${id}`}>
          Retry
        </button>
      ) : null}
      {isEnded(state) ? null : (
        <button type="button" onClick={() => call("cancel")} aria-label={`Cancel task ${id}`}>
          Cancel
        </button>
      )}
      {said}
    </>
  );
}

function TaskCard({ id, changed }: { id: string; changed: () => void }) {
  const { value, failed } = usePolled(() => read<TaskDetail>(`/api/queue/task?id=${encodeURIComponent(id)}`), POLL_MS, id);
  const [body, setBody] = useState<string>();
  const { run, said } = useAction();
  const show = (): void =>
    run(async () => setBody((await read<TaskDetail>(`/api/queue/task?id=${encodeURIComponent(id)}&body=1`)).body ?? ""));
  return (
    <Card title={`Task ${id}`} wide>
      {failed ? <p class="bad">{failed}</p> : null}
      {value ? (
        <>
          <p>
            <StateBadge task={value.task} /> {value.task.waits ? `Waiting because: ${value.task.waits}.` : null}
          </p>
          <TaskHistory task={value.task} />
          {value.bodyBytes > 0 ? (
            <button type="button" onClick={show}>
              Show {value.task.state === "completed" ? "result" : "body"} ({showSize(value.bodyBytes)})
            </button>
          ) : null}
          {body === undefined ? null : (
            <pre tabIndex={0} aria-label="Body">
              {body}
            </pre>
          )}
          <TaskActions task={value.task} changed={changed} />
        </>
      ) : null}
      {said}
    </Card>
  );
}

/** The events of a task in order, with the time between them. */
function TaskHistory({ task }: { task: TaskDetail["task"] }) {
  const steps = [
    { atMs: task.createdMs, text: "added", tone: "" },
    ...(task.errors ?? []).map((text, index) => ({
      atMs: task.errorsMs?.[index] ?? undefined,
      text: task.errorsAttempt?.[index] ? `attempt ${task.errorsAttempt[index]} failed: ${text}` : text,
      tone: "bad",
    })),
    ...(task.atMs === undefined
      ? []
      : [{ atMs: task.atMs, text: whatAt(task.state), tone: task.state === "dead" ? "bad" : "" }]),
  ];
  return (
    <ol class="life">
      {steps.map(({ atMs, text, tone }, index) => {
        const before = steps[index - 1]?.atMs;
        return (
          <li key={`${index} ${text}`} class={tone}>
            {atMs === undefined ? null : <time>{showTime(atMs)}</time>} {text}
            {atMs === undefined || before === undefined ? null : (
              <small> after {showDuration(Math.max(0, atMs - before))}</small>
            )}
          </li>
        );
      })}
    </ol>
  );
}

function whatAt(state: TaskState): string {
  if (state === "active") return "attempt timeout";
  if (state === "delayed" || state === "blocked" || state === "retrying") return "due";
  return state;
}
