/** ● All processes of the farm on one page: who leads, what share of the keys each cache has, the links by server; who is down. */
import type { CacheMember, FarmRow, QueueMember } from "../../farm/member.ts";
import { Bar, Card } from "./components.tsx";
import { usePolled } from "./components.tsx";
import { showAge, showCount, showRate, showShare, showSize } from "./format.ts";
import { read } from "./live.ts";
import { type Column, Table } from "./table.tsx";

const POLL_MS = 2000;

export function FarmView({ wallMs }: { wallMs: number }) {
  const { value: rows, failed } = usePolled(() => read<FarmRow[]>("/api/farm"), POLL_MS, "farm");
  const down = rows?.filter(({ state }) => state === "down").length ?? 0;
  return (
    <div class="grid">
      <Card title="Processes" wide beside={<span class="address">{rows ? `${rows.length}, ${down} down` : ""}</span>}>
        {failed === undefined ? null : <p class="said bad">{failed}</p>}
        <Table
          caption="Processes"
          columns={processColumns(wallMs)}
          rows={rows}
          keyOf={({ url }) => url}
          toneOf={({ state }) => (state === "down" ? "gone" : undefined)}
          empty="No process."
        />
      </Card>
      <Brokers rows={rows} />
      <Caches rows={rows} />
      <Links rows={rows} />
      <Workers rows={rows} />
    </div>
  );
}

function processColumns(wallMs: number): Column<FarmRow>[] {
  return [
    ["Process", (row) => <Process row={row} />],
    [
      "State",
      ({ state, why, sinceMs }) =>
        state === "down" ? `down for ${showAge(wallMs - (sinceMs ?? wallMs))}: ${why}` : state === "up" ? "up" : "being asked",
      { isBad: ({ state }) => state === "down" },
    ],
    ["Runs", ({ member }) => (member ? PARTS.filter((part) => member[part] !== undefined).join(", ") : "")],
    ["Up", ({ member }) => (member ? showAge(member.upMs) : ""), { number: true }],
    ["Memory", ({ member }) => (member ? showSize(member.residentBytes) : ""), { number: true }],
    ["CPU", ({ member }) => (member ? showShare(member.cpuShare) : ""), { number: true }],
    ["Worst problem", ({ state, member }) => (state === "up" ? (member?.problems[0]?.text ?? "none") : "")],
  ];
}

const PARTS = ["cache", "queue", "link", "worker"] as const;

function Process({ row: { url, member } }: { row: FarmRow }) {
  // A broker of the group, which does not say where its page is.
  if (url.startsWith("group:")) return <>{member?.queue?.address ?? url}</>;
  return url === "" ? <>this one</> : <a href={url}>{url.replace(/^https?:\/\/|\/$/g, "")}</a>;
}

/** The members that have a part, those that are down with what they last said. */
function having<Part extends (typeof PARTS)[number]>(rows: readonly FarmRow[] | undefined, part: Part) {
  return (rows ?? []).flatMap((row) => {
    const numbers = row.member?.[part];
    return numbers === undefined ? [] : [{ row, numbers: numbers as NonNullable<typeof numbers> }];
  });
}

const toneOf = ({ row }: { row: FarmRow }): string | undefined => (row.state === "down" ? "gone" : undefined);

function Brokers({ rows }: { rows: readonly FarmRow[] | undefined }) {
  const brokers = having(rows, "queue");
  if (brokers.length === 0) return null;
  const part = ({ role, group, leader }: QueueMember): string => {
    if (role === undefined || role === "") return "alone";
    return role === "leading" ? `leads ${group}` : `${role} in ${group}; leader ${leader || "unknown"}`;
  };
  return (
    <Card title="Brokers" wide>
      <Table
        caption="Brokers"
        columns={[
          ["Broker", ({ numbers }) => numbers.address],
          ["Process", ({ row }) => <Process row={row} />],
          [
            "Part",
            ({ row, numbers }) => (row.state === "down" ? "down" : part(numbers)),
            { isBad: ({ row }) => row.state === "down" },
          ],
          ["Waiting", ({ numbers }) => showCount(numbers.waiting), { number: true }],
          ["Active", ({ numbers }) => showCount(numbers.active), { number: true }],
          ["Dead", ({ numbers }) => showCount(numbers.dead), { number: true, isBad: ({ numbers }) => numbers.dead > 0 }],
          ["Workers", ({ numbers }) => showCount(numbers.workers), { number: true }],
        ]}
        rows={brokers}
        keyOf={({ row }) => row.url}
        toneOf={toneOf}
        empty=""
      />
    </Card>
  );
}

function Caches({ rows }: { rows: readonly FarmRow[] | undefined }) {
  const caches = having(rows, "cache");
  if (caches.length === 0) return null;
  const items = caches.reduce((sum, { row, numbers }) => sum + (row.state === "up" ? numbers.items : 0), 0);
  const share = ({ row, numbers }: { row: FarmRow; numbers: CacheMember }): number =>
    row.state === "up" && items > 0 ? numbers.items / items : 0;
  return (
    <Card title="Cache servers" wide>
      <Table
        caption="Cache servers"
        columns={[
          ["Server", ({ numbers }) => numbers.address],
          ["Process", ({ row }) => <Process row={row} />],
          [
            "Share of the keys",
            (each) => (
              <span class="usage">
                <Bar share={share(each)} label={`Share of the keys at ${each.numbers.address}`} /> {showShare(share(each))}
              </span>
            ),
          ],
          ["Items", ({ numbers }) => showCount(numbers.items), { number: true }],
          ["Memory", ({ numbers }) => `${showSize(numbers.bytes)} of ${showSize(numbers.limitBytes)}`, { number: true }],
          ["Gets", ({ numbers }) => showRate(numbers.getsPerSecond), { number: true }],
        ]}
        rows={caches}
        keyOf={({ row }) => row.url}
        toneOf={toneOf}
        empty=""
      />
    </Card>
  );
}

function Links({ rows }: { rows: readonly FarmRow[] | undefined }) {
  const links = having(rows, "link");
  if (links.length === 0) return null;
  return (
    <Card title="Link servers">
      <Table
        caption="Link servers"
        columns={[
          ["Server", ({ numbers }) => numbers.address],
          ["Process", ({ row }) => <Process row={row} />],
          ["Open", ({ numbers }) => showCount(numbers.open), { number: true }],
          ["Silent", ({ numbers }) => showCount(numbers.silent), { number: true, isBad: ({ numbers }) => numbers.silent > 0 }],
        ]}
        rows={links}
        keyOf={({ row }) => row.url}
        toneOf={toneOf}
        empty=""
      />
    </Card>
  );
}

function Workers({ rows }: { rows: readonly FarmRow[] | undefined }) {
  const workers = having(rows, "worker");
  if (workers.length === 0) return null;
  return (
    <Card title="Workers">
      <Table
        caption="Workers"
        columns={[
          ["Queue", ({ numbers }) => numbers.queues],
          ["Process", ({ row }) => <Process row={row} />],
          ["Busy", ({ numbers }) => `${showCount(numbers.running)} of ${showCount(numbers.concurrency)}`, { number: true }],
          ["Completed", ({ numbers }) => showCount(numbers.completed), { number: true }],
          ["Failed", ({ numbers }) => showCount(numbers.failed), { number: true }],
          [
            "Brokers",
            ({ numbers }) => showCount(numbers.brokers),
            { number: true, isBad: ({ numbers }) => numbers.brokers === 0 },
          ],
        ]}
        rows={workers}
        keyOf={({ row }) => row.url}
        toneOf={toneOf}
        empty=""
      />
    </Card>
  );
}
