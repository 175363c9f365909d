/** ● The workers: those that disconnected within the last minute, and the connected ones, newest first. */
import { useState } from "preact/hooks";
import type { WorkerRow } from "../../snapshot/worker-rows.ts";
import { Card } from "./components.tsx";
import { showAge, showCount } from "./format.ts";
import { LongTable } from "./long-table.tsx";
import type { Column } from "./table.tsx";

/** A worker that connected within the last 30 s is marked as new. */
const NEW_MS = 30_000;
const POLL_MS = 2000;

export function Workers({ nowMs }: { nowMs: number }) {
  const [search, setSearch] = useState("");
  const [sort, setSort] = useState({ by: "newest", descending: true });
  const columns: readonly Column<WorkerRow>[] = [
    ["Worker", ({ peer }) => peer, { sort: "worker" }],
    ["Queue", (row) => row.queue, { sort: "queue" }],
    ["Protocol", ({ dialect }) => dialect],
    ["Active", ({ held }) => showCount(held), { number: true, sort: "active" }],
    ["Concurrency", ({ slots }) => showCount(slots), { number: true, sort: "concurrency" }],
    ["Connected for", ({ sinceMs, leftMs = nowMs }) => showAge(leftMs - sinceMs), { number: true, sort: "connected" }],
    ["State", (row) => <State row={row} nowMs={nowMs} />, { isBad: ({ lost }) => lost === true }],
  ];
  return (
    <Card
      title="Workers"
      wide
      beside={
        <div class="filters">
          <input
            type="search"
            aria-label="Search workers"
            placeholder="Search"
            value={search}
            onInput={(event) => setSearch(event.currentTarget.value)}
          />
        </div>
      }
    >
      <LongTable<WorkerRow>
        caption="Workers"
        path="/api/workers"
        query={{ search, sort: sort.by, order: sort.descending ? "desc" : "asc" }}
        everyMs={POLL_MS}
        columns={columns}
        sorting={{ ...sort, choose: (by, descending) => setSort({ by, descending }) }}
        keyOf={({ peer, queue, sinceMs, leftMs = 0 }) => `${peer} ${queue} ${sinceMs} ${leftMs}`}
        toneOf={({ leftMs }) => (leftMs === undefined ? undefined : "gone")}
        countOf={({ matched }) => (matched === 1 ? "1 worker" : `${showCount(matched)} workers`)}
        empty={search ? "No worker is like this." : "No worker is connected: tasks wait until one connects."}
      />
    </Card>
  );
}

function State({ row, nowMs }: { row: WorkerRow; nowMs: number }) {
  if (row.leftMs !== undefined) return `${row.lost ? "connection lost" : "disconnected"} ${showAge(nowMs - row.leftMs)} ago`;
  return nowMs - row.sinceMs < NEW_MS ? <span class="badge joined">new</span> : stateOf(row);
}

function stateOf({ held, slots }: WorkerRow): string {
  if (held > 0) return "active";
  return slots > 0 ? "idle" : "not requesting tasks";
}
