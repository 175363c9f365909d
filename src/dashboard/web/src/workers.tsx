/** ● The workers: the connected ones, newest first, and those that disconnected within the last minute. */
import type { QueueSnapshot } from "../../snapshot/snapshot.ts";
import { showCount, showDuration } from "./format.ts";
import { Card } from "./components.tsx";
import { type Column, Table } from "./table.tsx";

/** A worker that connected within the last 30 s is marked as new. */
const NEW_MS = 30_000;

type Row = QueueSnapshot["workerRows"][number] & Partial<QueueSnapshot["workersLeft"][number]>;

export function Workers({ queue, nowMs }: { queue: QueueSnapshot; nowMs: number }) {
  const { workerRows, workersLeft, workers } = queue;
  const hidden = workers - workerRows.length;
  const columns: readonly Column<Row>[] = [
    ["Worker", ({ peer }) => peer],
    ["Queue", (row) => row.queue],
    ["Protocol", ({ dialect }) => dialect],
    ["Active", ({ held }) => showCount(held)],
    ["Concurrency", ({ slots }) => showCount(slots)],
    ["Connected for", ({ sinceMs, leftMs = nowMs }) => showAge(leftMs - sinceMs)],
    ["State", (row) => <State row={row} nowMs={nowMs} />, ({ lost }) => lost === true],
  ];
  return (
    <Card title="Workers" wide>
      <Table<Row>
        caption={hidden > 0 ? `The newest ${workerRows.length} workers; ${showCount(hidden)} more` : "Workers, newest first"}
        columns={columns}
        rows={[...workersLeft, ...workerRows]}
        keyOf={({ peer, queue, sinceMs, leftMs = 0 }) => `${peer} ${queue} ${sinceMs} ${leftMs}`}
        toneOf={({ leftMs }) => (leftMs === undefined ? undefined : "gone")}
        empty="No worker is connected: tasks wait until a worker connects."
      />
    </Card>
  );
}

function State({ row, nowMs }: { row: Row; nowMs: number }) {
  if (row.leftMs !== undefined) return `${row.lost ? "connection lost" : "disconnected"} ${showAge(nowMs - row.leftMs)} ago`;
  return nowMs - row.sinceMs < NEW_MS ? <span class="badge joined">new</span> : stateOf(row);
}

function stateOf({ held, slots }: QueueSnapshot["workerRows"][number]): string {
  if (held > 0) return "active";
  return slots > 0 ? "idle" : "not requesting tasks";
}

function showAge(ms: number): string {
  return showDuration(Math.max(0, Math.round(ms / 1000) * 1000));
}
