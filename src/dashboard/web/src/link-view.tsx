/** ● The links: all connections with their countdown to the next probe, and one of them as two lifelines. */
import { useState } from "preact/hooks";
import type { ConnectionNumbers } from "../../snapshot/monitored-parts.ts";
import type { Snapshot } from "../../snapshot/snapshot.ts";
import { KeepAlivePrediction, detectionMs } from "./keep-alive-prediction.tsx";
import { showCount, showDuration, showSize } from "./format.ts";
import { LabCard } from "./lab.tsx";
import { act, type Lab } from "./live.ts";
import { Card, NotRunning, PartCard, useAction } from "./components.tsx";
import { type Column, Table } from "./table.tsx";

export function LinkView({ link, lab }: { link: Snapshot["link"]; lab: Lab | undefined }) {
  return (
    <div class="grid">
      {link ? <Now link={link} /> : <NotRunning name="Link" flag="--link" />}
      <Demonstrate lab={lab} />
      {lab ? <LabCard lab={lab} /> : null}
      {link ? (
        <Connections link={link} opened={lab?.kind === "connection" && !lab.ended ? lab.connection.id : undefined} />
      ) : null}
    </div>
  );
}

function Now({ link }: { link: NonNullable<Snapshot["link"]> }) {
  const ended = Object.entries(link.ended);
  return (
    <PartCard
      title="Now"
      address={link.address}
      stats={[
        ["Open", showCount(link.open)],
        ["Silent", showCount(link.silent), "probes unanswered"],
        ["Accepted", showCount(link.accepted)],
        ["In", `${showSize(link.bytesInPerSecond)}/s`],
        ["Out", `${showSize(link.bytesOutPerSecond)}/s`],
      ]}
    >
      {ended.length === 0 ? null : (
        <p>
          Ended:{" "}
          {ended.map(([reason, count]) => (
            <span key={reason} class="badge">
              {reason} {showCount(count)}
            </span>
          ))}
        </p>
      )}
    </PartCard>
  );
}

function Connections({ link, opened }: { link: NonNullable<Snapshot["link"]>; opened: number | undefined }) {
  const { run, said } = useAction();
  const open = (id: number): void => run(() => act("/api/lab/watch", { id }));
  const { connections } = link;
  const hidden = link.open - connections.length;
  const columns: readonly Column<ConnectionNumbers>[] = [
    ["Peer", ({ peer }) => peer],
    ["Open for", ({ sinceMs }) => showDuration(Math.max(0, Date.now() - sinceMs))],
    ["In", ({ bytesIn }) => showSize(bytesIn)],
    ["Out", ({ bytesOut }) => showSize(bytesOut)],
    [
      "Keep-alive",
      ({ keepAlive }) =>
        keepAlive?.on ? `${keepAlive.idleMs / 1000} / ${keepAlive.intervalMs / 1000} / ${keepAlive.count}` : "off",
    ],
    ["Next probe in", ({ nextProbeInMs }) => (nextProbeInMs === undefined ? "–" : `${(nextProbeInMs / 1000).toFixed(1)} s`)],
    [
      "Unanswered",
      ({ probesUnanswered = 0, keepAlive }) => `${probesUnanswered} of ${keepAlive?.count ?? "?"}`,
      ({ probesUnanswered = 0 }) => probesUnanswered > 0,
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
    <Card title="Connections" wide>
      <Table
        caption={
          hidden > 0
            ? `The ${connections.length} connections whose next probe is due first; ${showCount(hidden)} more`
            : "Connections"
        }
        columns={columns}
        rows={connections}
        keyOf={({ id }) => id}
        toneOf={({ id }) => (id === opened ? "chosen" : undefined)}
        empty={
          <>
            No peer is connected. Try <code>holdfast connect {link.address}</code> in a terminal.
          </>
        }
      />
      {said}
    </Card>
  );
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
    <Card title="Keep-alive demonstration">
      <p class="dim">
        Opens a real connection to a peer process that you can suspend, disconnect and reconnect. The timers are the kernel's
        own; nothing is simulated.
      </p>
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
      <KeepAlivePrediction times={times} />
      <p>
        Predicted: a peer that does not answer is detected after <b>{showDuration(detectionMs(times))}</b>; a peer that answers
        is probed every {showDuration(Math.max(times.idleMs, times.intervalMs))}.
      </p>
      <button type="button" onClick={start}>
        {lab?.kind === "demonstration" ? "Restart the demonstration" : "Start the demonstration"}
      </button>
      {lab ? (
        <button type="button" onClick={() => run(() => act("/api/lab/stop"))}>
          Stop watching
        </button>
      ) : null}
      {said}
    </Card>
  );
}
