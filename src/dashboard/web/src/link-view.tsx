/** ● The links: every connection with its countdown, and one opened as two lifelines. */
import { useState } from "preact/hooks";
import type { ConnectionNumbers } from "../../parts.ts";
import type { Snapshot } from "../../snapshot.ts";
import { Forecast, givenUpMs } from "./forecast.tsx";
import { showCount, showDuration, showSize } from "./format.ts";
import { LabCard } from "./lab.tsx";
import { act } from "./live.ts";
import type { Lab } from "./live.ts";
import { Card, Empty, Off, Stat, Stats, Table, useAction } from "./parts.tsx";

export function LinkView({ link, lab }: { link: Snapshot["link"]; lab: Lab | undefined }) {
  return (
    <div class="grid">
      {link ? <Now link={link} /> : <Off name="Link" flag="--link" />}
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
    <Card title="Now">
      <p class="address">{link.address}</p>
      <Stats>
        <Stat name="Open" value={showCount(link.open)} />
        <Stat name="Silent" value={showCount(link.silent)} note="probes unanswered" />
        <Stat name="Accepted" value={showCount(link.accepted)} />
        <Stat name="In" value={`${showSize(link.bytesInPerSecond)}/s`} />
        <Stat name="Out" value={`${showSize(link.bytesOutPerSecond)}/s`} />
      </Stats>
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
    </Card>
  );
}

function Connections({ link, opened }: { link: NonNullable<Snapshot["link"]>; opened: number | undefined }) {
  const { run, said } = useAction();
  const open = (id: number): void => run(() => act("/api/lab/watch", { id }));
  const { connections } = link;
  const hidden = link.open - connections.length;
  return (
    <Card title="Connections" wide>
      {connections.length === 0 ? (
        <Empty>
          No peer is connected. Try <code>holdfast connect {link.address}</code> in a terminal.
        </Empty>
      ) : (
        <Table
          caption={hidden > 0 ? `The ${connections.length} nearest their next probe; ${showCount(hidden)} more` : "Connections"}
          head={["Peer", "Open for", "In", "Out", "Keep-alive", "Next probe in", "Unanswered", "Actions"]}
        >
          {connections.map((row) => (
            <Row key={row.id} row={row} isOpen={row.id === opened} open={() => open(row.id)} />
          ))}
        </Table>
      )}
      {said}
    </Card>
  );
}

function Row({ row, isOpen, open }: { row: ConnectionNumbers; isOpen: boolean; open: () => void }) {
  const { peer, sinceMs, bytesIn, bytesOut, keepAlive, nextProbeInMs, probesUnanswered = 0 } = row;
  return (
    <tr class={isOpen ? "chosen" : undefined}>
      <th scope="row" class="key">
        {peer}
      </th>
      <td>{showDuration(Math.max(0, Date.now() - sinceMs))}</td>
      <td>{showSize(bytesIn)}</td>
      <td>{showSize(bytesOut)}</td>
      <td>{keepAlive?.on ? `${keepAlive.idleMs / 1000} / ${keepAlive.intervalMs / 1000} / ${keepAlive.count}` : "off"}</td>
      <td>{nextProbeInMs === undefined ? "–" : `${(nextProbeInMs / 1000).toFixed(1)} s`}</td>
      <td class={probesUnanswered > 0 ? "bad" : undefined}>
        {probesUnanswered} of {keepAlive?.count ?? "?"}
      </td>
      <td>
        <button type="button" onClick={open} aria-label={`Open the connection of ${peer}`}>
          Open
        </button>
      </td>
    </tr>
  );
}

const SLIDERS = [
  { name: "idle", label: "Silence before the first probe", min: 1, max: 30, unit: "s" },
  { name: "interval", label: "Between probes", min: 1, max: 30, unit: "s" },
  { name: "count", label: "Unanswered probes until it is given up", min: 1, max: 9, unit: "" },
] as const;

function Demonstrate({ lab }: { lab: Lab | undefined }) {
  const [chosen, setChosen] = useState({ idle: 5, interval: 10, count: 3 });
  const { run, said } = useAction();
  const times = { idleMs: chosen.idle * 1000, intervalMs: chosen.interval * 1000, count: chosen.count };
  const start = (): void => run(() => act("/api/lab/demonstrate", times));
  return (
    <Card title="Try it">
      <p class="dim">
        A real connection of its own, to a peer that you can freeze, cut off and mend. These are the kernel's timers, not a
        film.
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
      <Forecast times={times} />
      <p>
        Predicted: a silent peer is found after <b>{showDuration(givenUpMs(times))}</b>; a living one is probed every{" "}
        {showDuration(Math.max(times.idleMs, times.intervalMs))}.
      </p>
      <button type="button" onClick={start}>
        {lab?.kind === "demonstration" ? "Start anew" : "Start the demonstration"}
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
