/** ● The links: all connections with their countdown to the next probe, and one of them as two lifelines. */
import { useState } from "preact/hooks";
import type { ConnectionNumbers } from "../../snapshot/monitored-parts.ts";
import type { Columns } from "../../snapshot/history.ts";
import type { Snapshot } from "../../snapshot/snapshot.ts";
import { Chart } from "./chart.tsx";
import { KeepAlivePrediction, detectionMs, idleDetectionMs } from "./keep-alive-prediction.tsx";
import { showAge, showCount, showDuration, showSize } from "./format.ts";
import { LabCard } from "./lab.tsx";
import { act, type Lab } from "./live.ts";
import { Card, NotRunning, PartCard, useAction } from "./components.tsx";
import { LongTable } from "./long-table.tsx";
import type { Column } from "./table.tsx";

interface LinkViewProps {
  readonly link: Snapshot["link"];
  readonly columns: Columns;
  readonly lab: Lab | undefined;
}

export function LinkView({ link, columns, lab }: LinkViewProps) {
  const opened = lab?.kind === "connection" && !lab.ended ? lab.connection.id : undefined;
  return (
    <div class="grid">
      {link ? <Now link={link} columns={columns} /> : <NotRunning name="Link" flag="--link" />}
      <Demonstrate lab={lab} />
      {lab ? <LabCard lab={lab} /> : null}
      {link ? <Connections link={link} opened={opened} /> : null}
    </div>
  );
}

function Now({ link, columns }: { link: NonNullable<Snapshot["link"]>; columns: Columns }) {
  const ended = Object.entries(link.ended);
  return (
    <PartCard
      title="Link"
      address={link.address}
      wide
      stats={[
        ["Open", showCount(link.open)],
        ["Silent", showCount(link.silent)],
        ["Accepted", showCount(link.accepted)],
        ["In", `${showSize(link.bytesInPerSecond)}/s`],
        ["Out", `${showSize(link.bytesOutPerSecond)}/s`],
      ]}
    >
      <p class="usage">
        {ended.length === 0 ? "None has ended yet" : "Ended: "}
        {ended.map(([reason, count]) => (
          <span key={reason} class="badge">
            {reason} {showCount(count)}
          </span>
        ))}
      </p>
      <div class="charts">
        <Chart
          title="Open"
          time={columns.time}
          lines={[{ label: "open", values: columns.linkOpen, colour: "one" }]}
          show={showCount}
          whole
        />
        <Chart
          title="Bytes"
          time={columns.time}
          lines={[{ label: "bytes", values: columns.linkBytes, colour: "two" }]}
          show={(bytes) => `${showSize(bytes)}/s`}
          binary
        />
      </div>
    </PartCard>
  );
}

const POLL_MS = 1000;

function Connections({ link, opened }: { link: NonNullable<Snapshot["link"]>; opened: number | undefined }) {
  const { run, said } = useAction();
  const [search, setSearch] = useState("");
  const [sort, setSort] = useState({ by: "urgency", descending: true });
  const open = (id: number): void => run(() => act("/api/lab/watch", { id }));
  const columns: readonly Column<ConnectionNumbers>[] = [
    ["Peer", ({ peer }) => <a href={`#/link/${encodeURIComponent(peer)}`}>{peer}</a>, { sort: "peer" }],
    ["Open for", ({ sinceMs }) => showAge(Date.now() - sinceMs), { number: true, sort: "opened" }],
    ["In", ({ bytesIn }) => showSize(bytesIn), { number: true, sort: "in" }],
    ["Out", ({ bytesOut }) => showSize(bytesOut), { number: true, sort: "out" }],
    ["Keep-alive", ({ keepAlive }) => showKeepAlive(keepAlive)],
    ["Found dead within", ({ keepAlive }) => showDetection(keepAlive)],
    [
      "Next probe in",
      ({ nextProbeInMs }) => (nextProbeInMs === undefined ? "–" : `${(nextProbeInMs / 1000).toFixed(1)} s`),
      { number: true, sort: "probe" },
    ],
    [
      "Unanswered",
      ({ probesUnanswered = 0, keepAlive }) => `${probesUnanswered} of ${keepAlive?.count ?? "?"}`,
      { number: true, sort: "unanswered", isBad: ({ probesUnanswered = 0 }) => probesUnanswered > 0 },
    ],
    [
      "Actions",
      ({ id, peer }) => (
        <button type="button" onClick={() => open(id)} aria-label={`Open the connection of ${peer}`}>
          Open
        </button>
      ),
    ],
  ];
  return (
    <Card
      title="Connections"
      wide
      beside={
        <div class="filters">
          <input
            type="search"
            aria-label="Search peers"
            placeholder="Search"
            value={search}
            onInput={(event) => setSearch(event.currentTarget.value)}
          />
        </div>
      }
    >
      <LongTable<ConnectionNumbers>
        caption="Connections"
        path="/api/connections"
        query={{ search, sort: sort.by, order: sort.descending ? "desc" : "asc" }}
        everyMs={POLL_MS}
        columns={columns}
        sorting={{ ...sort, choose: (by, descending) => setSort({ by, descending }) }}
        keyOf={({ id }) => id}
        toneOf={({ id }) => (id === opened ? "chosen" : undefined)}
        countOf={({ matched, total }) =>
          matched === total
            ? `${showCount(total)} open, those that need attention first`
            : `${showCount(matched)} of ${showCount(total)}`
        }
        empty={
          search ? (
            "No peer is like this."
          ) : (
            <>
              No peer is connected. Try <code>holdfast connect {link.address}</code> in a terminal.
            </>
          )
        }
      />
      {said}
    </Card>
  );
}

function showKeepAlive(keepAlive: ConnectionNumbers["keepAlive"]): string {
  return keepAlive?.on ? `${keepAlive.idleMs / 1000} s, ${keepAlive.count} × ${keepAlive.intervalMs / 1000} s` : "off";
}

/** After activity, and at most. */
function showDetection(keepAlive: ConnectionNumbers["keepAlive"]): string {
  if (!keepAlive?.on) return "–";
  const [first, most] = [detectionMs(keepAlive), idleDetectionMs(keepAlive)].map(showDuration);
  return first === most ? `${most}` : `${most}, ${first} after activity`;
}

const SLIDERS = [
  { name: "idle", label: "Idle time before the first probe", min: 1, max: 30, unit: "s" },
  { name: "interval", label: "Interval between probes", min: 1, max: 30, unit: "s" },
  { name: "count", label: "Unanswered probes before the connection is closed", min: 1, max: 9, unit: "" },
] as const;

function Demonstrate({ lab }: { lab: Lab | undefined }) {
  const [chosen, setChosen] = useState({ idle: 5, interval: 10, count: 3 });
  const { run, said } = useAction();
  const times = { idleMs: chosen.idle * 1000, intervalMs: chosen.interval * 1000, count: chosen.count };
  const start = (): void => run(() => act("/api/lab/demonstrate", times));
  return (
    <Card title="Keep-alive demonstration" wide>
      <p class="dim">
        Opens a real connection to a peer process that you can suspend, disconnect and reconnect. The timers are the kernel's
        own; nothing is simulated.
      </p>
      <div class="charts">
        <div>
          {SLIDERS.map(({ name, label, min, max, unit }) => (
            <label key={name} class="slider">
              {label}: <b>{`${chosen[name]} ${unit}`}</b>
              <input
                type="range"
                min={min}
                max={max}
                value={chosen[name]}
                onInput={(event) => setChosen({ ...chosen, [name]: Number(event.currentTarget.value) })}
              />
            </label>
          ))}
        </div>
        <div>
          <KeepAlivePrediction times={times} />
          <p>
            Predicted: a peer that does not answer is detected <b>{showDuration(detectionMs(times))}</b> after its last data, at
            most <b>{showDuration(idleDetectionMs(times))}</b> after its last answer to a probe; a peer that answers is probed
            every {showDuration(Math.max(times.idleMs, times.intervalMs))}.
          </p>
        </div>
      </div>
      <details>
        <summary>A server of your own sends no probe?</summary>
        <p class="dim">
          Keep-alive is off until a program asks for it. In Python, after <code>from socket import socket</code>, the question{" "}
          <code>hasattr(socket, 'SO_KEEPALIVE')</code> asks the class <code>socket</code>, which has no such name: the answer is
          always no, nothing is set, and the wire stays silent. Write <code>import socket</code> and{" "}
          <code>socket.socket(…)</code>, or drop the question. <code>ss -tno</code> shows <code>timer:(keepalive,…)</code>{" "}
          beside a connection that is kept alive.
        </p>
      </details>
      <div class="buttons">
        <button type="button" onClick={start}>
          {lab?.kind === "demonstration" ? "Restart the demonstration" : "Start the demonstration"}
        </button>
        {lab ? (
          <button type="button" onClick={() => run(() => act("/api/lab/stop"))}>
            Stop watching
          </button>
        ) : null}
      </div>
      {said}
    </Card>
  );
}
