/** ● The watched connection: its addresses, actions on the peer, its two lifelines, and the list of events. */
import { useState } from "preact/hooks";
import type { LifelineEvent } from "../../link-lab/lab-state.ts";
import { eventText, showTimeMs } from "./format.ts";
import { Lifelines } from "./lifelines.tsx";
import { act, read, type Lab, urlOf } from "./live.ts";
import { Card, useAction } from "./components.tsx";

export function LabCard({ lab }: { lab: Lab }) {
  const { connection, kind, packets, whyNotCaptured } = lab;
  const [chosen, setChosen] = useState<LifelineEvent>();
  return (
    <Card title={kind === "demonstration" ? "Demonstration" : `Connection of ${connection.peer}`} wide>
      <p class="address">
        server {connection.local} · client {connection.peer}
      </p>
      <p class="dim">
        {packets === "captured"
          ? "Packets are captured from the network. "
          : `Packets cannot be captured (${whyNotCaptured ?? "no permission"}): payload is recorded inside the server process, and probes are derived from the kernel's counters. `}
        Predicted packets are drawn in grey.
      </p>
      {kind === "demonstration" ? <Actions lab={lab} /> : null}
      <p role="status">{stateOf(lab)}</p>
      <Lifelines lab={lab} choose={setChosen} />
      {chosen ? <PacketBytes event={chosen} /> : null}
      <p>
        For Wireshark:{" "}
        <a href={urlOf("/api/lab/session.pcapng")} download>
          Save as pcapng
        </a>{" "}
        without what was said, or{" "}
        <a href={urlOf("/api/lab/session.pcapng?payload=1")} download>
          save with payload
        </a>
      </p>
      <details>
        <summary>Event list</summary>
        <ol class="life" reversed>
          {lab.events.toReversed().map((event) => (
            <li
              key={event.number}
              value={event.number}
              class={event.lost || event.kind === "reset" || event.kind === "end" ? "bad" : ""}
            >
              <time>{showTimeMs(event.wallMs)}</time> {whoOf(event)} {eventText(event)} <small>{event.source}</small>
            </li>
          ))}
        </ol>
      </details>
    </Card>
  );
}

function stateOf({ connection, ended, peerState }: Lab): string {
  const { nextProbeInMs, probesUnanswered = 0, keepAlive } = connection;
  if (ended) return "The connection has ended.";
  const peer = peerState === "frozen" ? "The peer process is suspended. " : peerState === "cut" ? "The network is cut. " : "";
  const missed = probesUnanswered > 0 ? `${probesUnanswered} of ${keepAlive?.count ?? "?"} probes are unanswered. ` : "";
  return `${peer}${missed}${nextProbeInMs === undefined ? "Data is unacknowledged: the keep-alive timer is suspended." : probesUnanswered >= (keepAlive?.count ?? Infinity) ? "The connection will be closed." : "Waiting for the next keep-alive probe."}`;
}

function whoOf({ from }: LifelineEvent): string {
  return from === "none" ? "" : `${from}:`;
}

function Actions({ lab: { peerState, cannotCut, ended } }: { lab: Lab }) {
  const { run, said } = useAction();
  const [text, setText] = useState("hello");
  const over = ended || peerState === "gone";
  const button = (action: string, label: string) => (
    <button type="button" disabled={over} onClick={() => run(() => act("/api/lab/act", { action }))}>
      {label}
    </button>
  );
  const send = (from: "server" | "client") => (
    <button type="button" disabled={over} onClick={() => run(() => act("/api/lab/send", { from, text }))}>
      Send from the {from}
    </button>
  );
  return (
    <div class="actions">
      {peerState === "frozen"
        ? button("thaw", "Resume the peer process")
        : button("freeze", "Suspend the peer process (SIGSTOP)")}
      {peerState === "cut" ? button("heal", "Restore the network") : button("cut", "Cut the network")}
      {button("kill", "Kill the peer process")}
      <label>
        Text <input value={text} maxLength={200} onInput={(event) => setText(event.currentTarget.value)} />
      </label>
      {send("server")}
      {send("client")}
      {cannotCut === undefined ? null : <p class="bad">The network cannot be cut on this machine: {cannotCut}.</p>}
      {said}
    </div>
  );
}

function PacketBytes({ event }: { event: LifelineEvent }) {
  const [shown, setShown] = useState<{ number: number; hex: string; length: number }>();
  const { run, said } = useAction();
  const look = (): void =>
    run(async () => {
      const { hex, length } = await read<{ hex: string; length: number }>(`/api/lab/packet?number=${event.number}`);
      setShown({ number: event.number, hex, length });
    });
  return (
    <div class="packet">
      <p>
        <time>{showTimeMs(event.wallMs)}</time> {whoOf(event)} {eventText(event)} <small>({event.source})</small>{" "}
        {event.source === "captured" || event.source === "tapped" ? (
          <button type="button" onClick={look}>
            Show bytes
          </button>
        ) : null}
      </p>
      {shown?.number === event.number ? (
        <pre tabIndex={0} aria-label="Packet bytes">
          {shown.hex.replaceAll(/(..)/g, "$1 ").replaceAll(/(.{48})/g, "$1\n")}
        </pre>
      ) : null}
      {said}
    </div>
  );
}
