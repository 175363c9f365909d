/** ● The watched connection: what it is, what can be done to it, its two lifelines, and the same in words. */
import { useState } from "preact/hooks";
import type { LifelineEvent } from "../../link-lab/lab-state.ts";
import { showTime } from "./format.ts";
import { Lifelines } from "./lifelines.tsx";
import { act, read } from "./live.ts";
import type { Lab } from "./live.ts";
import { Card, useAction } from "./components.tsx";

export function LabCard({ lab }: { lab: Lab }) {
  const { connection, kind, packets, whyNotCaptured } = lab;
  const [chosen, setChosen] = useState<LifelineEvent>();
  return (
    <Card title={kind === "demonstration" ? "The demonstration" : `The connection of ${connection.peer}`} wide>
      <p class="address">
        server {connection.local} · client {connection.peer}
      </p>
      <p class="dim">
        {packets === "captured"
          ? "Packets are captured from the network. "
          : `Packets cannot be captured here (${whyNotCaptured ?? "no permission"}): bytes are tapped in the server, probes read off the kernel's counters. `}
        Grey is predicted.
      </p>
      {kind === "demonstration" ? <Actions lab={lab} /> : null}
      <p role="status">{stateOf(lab)}</p>
      <Lifelines lab={lab} choose={setChosen} />
      {chosen ? <PacketBytes event={chosen} /> : null}
      <p>
        <a href="/api/lab/session.pcapng" download>
          Save as pcapng
        </a>{" "}
        for Wireshark
      </p>
      <details>
        <summary>The same in words</summary>
        <ol class="life" reversed>
          {lab.events.toReversed().map((event) => (
            <li key={event.number} class={event.kind === "reset" || event.kind === "end" ? "bad" : ""}>
              <time>{showTime(event.wallMs)}</time> {whoOf(event)} {event.text} <small>{event.source}</small>
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
  const peer = peerState === "frozen" ? "The peer's process is frozen. " : peerState === "cut" ? "The cable is cut. " : "";
  const missed = probesUnanswered > 0 ? `${probesUnanswered} of ${keepAlive?.count ?? "?"} probes are unanswered. ` : "";
  return `${peer}${missed}${nextProbeInMs === undefined ? "Data is in flight: keep-alive stands still." : "The fuse burns."}`;
}

function whoOf({ from }: LifelineEvent): string {
  return from === "none" ? "" : `${from}:`;
}

function Actions({ lab: { peerState, cannotCut, ended } }: { lab: Lab }) {
  const { run, said } = useAction();
  const [text, setText] = useState("hello");
  const over = ended || peerState === "gone";
  const button = (action: string, words: string) => (
    <button type="button" disabled={over} onClick={() => run(() => act("/api/lab/act", { action }))}>
      {words}
    </button>
  );
  const send = (from: "server" | "client") => (
    <button type="button" disabled={over} onClick={() => run(() => act("/api/lab/send", { from, text }))}>
      Send from the {from}
    </button>
  );
  return (
    <div class="actions">
      {peerState === "frozen" ? button("thaw", "Let the peer go on") : button("freeze", "Freeze the peer")}
      {peerState === "cut" ? button("heal", "Mend the cable") : button("cut", "Cut the cable")}
      {button("kill", "Kill the peer")}
      <label>
        Text <input value={text} maxLength={200} onInput={(event) => setText(event.currentTarget.value)} />
      </label>
      {send("server")}
      {send("client")}
      {cannotCut === undefined ? null : <p class="bad">The cable cannot be cut here: {cannotCut}.</p>}
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
        <time>{showTime(event.wallMs)}</time> {whoOf(event)} {event.text} <small>({event.source})</small>{" "}
        {event.source === "captured" || event.source === "tapped" ? (
          <button type="button" onClick={look}>
            Show its bytes
          </button>
        ) : null}
      </p>
      {shown?.number === event.number ? (
        <pre tabIndex={0} aria-label="Bytes of the packet">
          {shown.hex.replaceAll(/(..)/g, "$1 ").replaceAll(/(.{48})/g, "$1\n")}
        </pre>
      ) : null}
      {said}
    </div>
  );
}
