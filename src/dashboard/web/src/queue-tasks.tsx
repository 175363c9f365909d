/** ● The chosen queue: its tasks page by page, filtered by state and error, and one of them beside the list. */
import { useEffect, useRef } from "preact/hooks";
import { isEnded, TASK_STATES, type TaskState } from "../../../queue/tasks/life-cycle.ts";
import { TASKS_PAGE_MAX } from "../../limits.ts";
import type { ListPage } from "../../snapshot/list-page.ts";
import type { QueueRow } from "../../snapshot/queue-rows.ts";
import { Card, usePolled } from "./components.tsx";
import { DeadErrors } from "./dead-errors.tsx";
import { showCount, showSize, showWhen } from "./format.ts";
import { read } from "./live.ts";
import { go, hrefOf, type ViewRoute } from "./route.ts";
import { type Column, Table } from "./table.tsx";
import type { ErrorRow, TaskRow } from "./task.ts";
import { SelectionActions, StateBadge, TaskActions } from "./task-actions.tsx";
import { searchOf, TaskSearch } from "./task-search.tsx";
import { TaskDrawer } from "./task-drawer.tsx";

const POLL_MS = 2000;

interface QueueTasksProps {
  readonly queue: string;
  readonly route: ViewRoute;
  readonly nowMs: number;
}

interface Page {
  readonly tasks: readonly TaskRow[];
  readonly next?: string;
  /** With a field of the body: how many were looked at for this page, and how many there are. */
  readonly searched?: number;
  readonly of?: number;
}

export function QueueTasks({ queue, route, nowMs }: QueueTasksProps) {
  const { after, task: open, error } = route.query;
  const state = TASK_STATES.find((each) => each === route.query["state"]);
  const search = searchOf(route);
  const isNarrowed = Object.keys(search).length > 0;
  const row = useQueueRow(queue);
  const count = state === undefined ? sumOf(row?.states) : (row?.states[state] ?? 0);
  const asked = new URLSearchParams({
    queue,
    limit: `${TASKS_PAGE_MAX}`,
    ...(state && { state }),
    ...(error && { error }),
    ...(after && { after }),
    ...search,
  });
  const { value, failed, again } = usePolled(() => read<Page>(`/api/v1/tasks?${asked}`), POLL_MS, asked.toString());
  const errors = useErrors(queue, state === "dead");
  const changed = (): void => {
    again();
    errors.again();
  };
  const group = errors.groups.find((each) => each.error === error);
  const host = useChosenInSight(route);
  const choose = (next: string): void => go(route, { state: next, error: undefined, after: undefined });
  return (
    <div class="wide" ref={host}>
      <Card
        title={`Tasks of ${queue}`}
        wide
        beside={
          <div class="filters">
            <label>
              State{" "}
              <select value={state ?? ""} onChange={(event) => choose(event.currentTarget.value)}>
                <option value="">all</option>
                {TASK_STATES.map((each) => (
                  <option key={each} value={each}>
                    {each} ({showCount(row?.states[each] ?? 0)})
                  </option>
                ))}
              </select>
            </label>
            {state && isEnded(state) && count > 0 && !isNarrowed ? (
              <SelectionActions selection={{ queue, state, count }} changed={changed} />
            ) : null}
          </div>
        }
      >
        <TaskSearch route={route} />
        {state === "dead" && count > 0 && !isNarrowed ? (
          <DeadErrors queue={queue} route={route} groups={errors.groups} unread={errors.unread} changed={changed} />
        ) : null}
        <div class={open === undefined ? "beside" : "beside open"}>
          <div class="list">
            {failed ? <p class="bad">{failed}</p> : null}
            <Table
              caption="Tasks, oldest first"
              columns={columnsOf({ route, groups: errors.groups, state, changed })}
              rows={value?.tasks}
              keyOf={({ id }) => id}
              toneOf={({ id }) => (id === open ? "chosen" : undefined)}
              empty={isNarrowed ? "No task is like this." : state === undefined ? "No tasks." : `No ${state} tasks.`}
            />
            <Paging route={route} page={value} count={isNarrowed ? undefined : error === undefined ? count : group?.count} />
          </div>
          {open === undefined ? null : <TaskDrawer key={open} id={open} route={route} nowMs={nowMs} changed={changed} />}
        </div>
      </Card>
    </div>
  );
}

/** The numbers of one queue: the list of all may show others. */
function useQueueRow(queue: string): QueueRow | undefined {
  const path = `/api/queues?name=${encodeURIComponent(queue)}`;
  return usePolled(() => read<ListPage<QueueRow>>(path), POLL_MS, queue).value?.rows[0];
}

function useErrors(queue: string, wanted: boolean) {
  const nothing = Promise.resolve({ groups: [], unread: 0 });
  const { value, again } = usePolled(
    () =>
      wanted
        ? read<{ groups: readonly ErrorRow[]; unread: number }>(`/api/v1/queues/${encodeURIComponent(queue)}/errors`)
        : nothing,
    POLL_MS,
    `${queue} ${wanted}`,
  );
  return { groups: value?.groups ?? [], unread: value?.unread ?? 0, again };
}

/** Whoever chose a queue or came with a URL sees its tasks without scrolling. */
function useChosenInSight({ query }: ViewRoute) {
  const host = useRef<HTMLDivElement>(null);
  const isMeant = useRef(Object.keys(query).length > 0);
  useEffect(() => {
    if (isMeant.current) host.current?.scrollIntoView({ block: "nearest" });
  }, []);
  return host;
}

interface ColumnsOptions {
  readonly route: ViewRoute;
  readonly groups: readonly ErrorRow[];
  readonly state: TaskState | undefined;
  readonly changed: () => void;
}

/** What the drawer shows too. */
const MORE_COLUMNS: readonly Column<TaskRow>[] = [
  ["Group", ({ group }) => group ?? "–"],
  ["Priority", ({ priority }) => priority, { number: true }],
  ["Failures", ({ failures }) => showCount(failures), { number: true }],
  ["Body", ({ bodyBytes }) => showSize(bodyBytes), { number: true }],
];

function columnsOf({ route, groups, state, changed }: ColumnsOptions): readonly Column<TaskRow>[] {
  const textOf = (error: string | undefined): string => groups.find((group) => group.error === error)?.text ?? "–";
  const open = route.query["task"];
  const error: Column<TaskRow> = ["Error", (task) => <span class="cut">{textOf(task.error)}</span>];
  return [
    [
      "Task",
      ({ id }) => (
        <a href={hrefOf(route, { task: id === open ? undefined : id })} aria-current={id === open ? "true" : undefined}>
          {id}
        </a>
      ),
    ],
    ["State", (task) => <StateBadge task={task} />],
    ["Added", ({ createdMs }) => showWhen(createdMs, Date.now())],
    ...(state === "dead" ? [error] : []),
    ...(open === undefined ? MORE_COLUMNS : []),
    ["Actions", (task) => <TaskActions task={task} changed={changed} />],
  ];
}

function Paging({ route, page, count }: { route: ViewRoute; page: Page | undefined; count: number | undefined }) {
  const { after } = route.query;
  if (!page) return null;
  return (
    <p class="count">
      {page.searched === undefined ? "" : `Searched the bodies of ${showCount(page.searched)} of ${showCount(page.of ?? 0)}. `}
      {after === undefined && page.next === undefined
        ? ""
        : `${showCount(page.tasks.length)} of ${count === undefined ? "many" : showCount(count)}, oldest first. `}
      {after === undefined ? null : <a href={hrefOf(route, { after: undefined })}>First page</a>}{" "}
      {page.next === undefined ? null : <a href={hrefOf(route, { after: page.next })}>Next page</a>}
    </p>
  );
}

function sumOf(states: QueueRow["states"] | undefined): number {
  return Object.values(states ?? {}).reduce((sum, count) => sum + count, 0);
}
