/** ● The list of all queues: searched, ordered and filtered by what is wrong, at the server. */
import type { ListPage } from "../../snapshot/list-page.ts";
import type { QueueRow } from "../../snapshot/queue-rows.ts";
import { Card, useAction } from "./components.tsx";
import { showCount, showDuration, showRate } from "./format.ts";
import { act } from "./live.ts";
import { LongTable } from "./long-table.tsx";
import { go, hrefOf, replace, type ViewRoute } from "./route.ts";
import type { Column } from "./table.tsx";

const POLL_MS = 1000;

/** What the list can be narrowed down to, by the words of queue-rows.ts. */
const ONLY = {
  "": "all queues",
  "no-worker": "without a worker, though tasks wait",
  paused: "paused, though tasks wait",
  stalled: "that finish nothing",
  dead: "with dead tasks",
} as const;

interface QueuesProps {
  readonly route: ViewRoute;
  readonly chosen: string | undefined;
  /** The time by the server's clock. */
  readonly nowMs: number;
  readonly loaded: (page: ListPage<QueueRow>) => void;
}

export function Queues({ route, chosen, nowMs, loaded }: QueuesProps) {
  const { run, said } = useAction();
  const { search = "", only = "", sort = "depth", order } = route.query;
  const pause = ({ name, paused }: QueueRow): void =>
    run(() => act(`/api/v1/queues/${encodeURIComponent(name)}/${paused ? "resume" : "pause"}`));
  const number = (head: string, state: keyof QueueRow["states"]): Column<QueueRow> => [
    head,
    ({ states }) => showCount(states[state]),
    { number: true, sort: state, ...(state === "dead" && { isBad: ({ states }) => states.dead > 0 }) },
  ];
  const columns: readonly Column<QueueRow>[] = [
    [
      "Queue",
      (row) => <QueueName row={row} href={hrefOf({ ...route, name: row.name, query: kept(route) })} />,
      { sort: "name" },
    ],
    number("Waiting", "waiting"),
    [
      "Oldest waits",
      ({ waitingSinceMs }) => (waitingSinceMs === undefined ? "–" : showDuration(Math.max(0, nowMs - waitingSinceMs))),
      { number: true, sort: "oldest" },
    ],
    number("Delayed", "delayed"),
    number("Blocked", "blocked"),
    number("Active", "active"),
    number("Retrying", "retrying"),
    number("Dead", "dead"),
    ["Workers", ({ workers }) => showCount(workers), { number: true, sort: "workers" }],
    ["Added", ({ addedPerSecond }) => showRate(addedPerSecond), { number: true, sort: "added" }],
    ["Completed", ({ finishedPerSecond }) => showRate(finishedPerSecond), { number: true, sort: "completed" }],
    ["Delivery", (row) => <PauseButton row={row} pause={pause} />],
  ];
  const sorting = {
    by: sort,
    descending: order !== undefined ? order === "desc" : sort !== "name",
    choose: (by: string, descending: boolean) => go(route, { sort: by, order: descending ? "desc" : "asc" }),
  };
  return (
    <Card
      title="Queues"
      wide
      beside={
        <div class="filters">
          <input
            type="search"
            aria-label="Search queues"
            placeholder="Search"
            value={search}
            onInput={(event) => replace(route, { search: event.currentTarget.value })}
          />
          <select aria-label="Show queues" value={only} onChange={(event) => go(route, { only: event.currentTarget.value })}>
            {Object.entries(ONLY).map(([value, label]) => (
              <option key={value} value={value}>
                {label}
              </option>
            ))}
          </select>
        </div>
      }
    >
      <LongTable<QueueRow>
        caption="Queues"
        path="/api/queues"
        query={{ search, only, sort, ...(order && { order }) }}
        everyMs={POLL_MS}
        columns={columns}
        sorting={sorting}
        keyOf={({ name }) => name}
        toneOf={({ name }) => (name === chosen ? "chosen" : undefined)}
        loaded={loaded}
        countOf={({ matched, total }) =>
          matched === total
            ? `${showCount(total)} ${total === 1 ? "queue" : "queues"}`
            : `${showCount(matched)} of ${showCount(total)} queues`
        }
        empty={search || only ? "No queue is like this." : "No queues yet. A queue is created when its first task is added."}
      />
      {said}
    </Card>
  );
}

/** What stays when another queue is chosen: the list's own filters. */
function kept({ query }: ViewRoute): ViewRoute["query"] {
  const { search, only, sort, order } = query;
  return JSON.parse(JSON.stringify({ search, only, sort, order })) as ViewRoute["query"];
}

function QueueName({ row, href }: { row: QueueRow; href: string }) {
  return (
    <>
      <a href={href}>{row.name}</a>
      {row.paused ? <small> paused</small> : null}
    </>
  );
}

function PauseButton({ row, pause }: { row: QueueRow; pause: (row: QueueRow) => void }) {
  const verb = row.paused ? "Resume" : "Pause";
  return (
    <button type="button" onClick={() => pause(row)} aria-label={`${verb} queue ${row.name}`}>
      {verb}
    </button>
  );
}
