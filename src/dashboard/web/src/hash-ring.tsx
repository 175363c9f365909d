/** ● The ring: servers on a circle, where a key lands, and which keys move when a server goes. Computed by the client's own placement. */
import { useMemo, useState } from "preact/hooks";
import { ketamaHash, ketamaPoints, placementOf } from "../../../cache/client/pool/placement.ts";
import { parseServer } from "../../../cache/client/operations/server-address.ts";
import { showShare } from "./format.ts";
import { Card } from "./components.tsx";

const EXAMPLES = ["10.0.0.2:11211", "10.0.0.3:11211", "10.0.0.4:11211"];
const SERVERS_MAX = 12;
const SAMPLE_KEYS = 5000;
const PLACES = 2 ** 32;
const RADIUS = 90;

export function HashRing({ address }: { address: string }) {
  const [servers, setServers] = useState(() => [address, ...EXAMPLES]);
  const [gone, setGone] = useState<string>();
  const [key, setKey] = useState("user:42");
  const there = useMemo(() => servers.filter((server) => server !== gone), [servers, gone]);
  const points = useMemo(() => ketamaPoints(there.map(parseServer)), [there]);
  const { shares, moved } = useMemo(() => compare(servers, there), [servers, there]);
  const owner = key === "" ? undefined : there[placementOf("ketama", there.map(parseServer)).pick(key)];
  const colourOf = (server: string): string => `s${servers.indexOf(server) % 6}`;
  const add = (): void => setServers([...servers, `10.0.0.${servers.length + 1}:11211`]);
  return (
    <Card title="The ring" wide>
      <p class="dim">
        The client decides which server has a key: both are hashed onto one circle, and a key belongs to the next server's point
        clockwise (ketama, as libmemcached has it). Take a server away, and only its keys move.
      </p>
      <div class="ring">
        <svg
          viewBox="-110 -110 220 220"
          role="img"
          aria-label={`A circle with the points of ${there.length} servers; ${key} lands on ${owner ?? "none"}`}
        >
          <circle r={RADIUS} class="circle" />
          {points.map(({ at, owner: index }) => (
            <line key={at} class={`point ${colourOf(there[index]!)}`} {...tick(at / PLACES, RADIUS - 6, RADIUS + 6)} />
          ))}
          {owner === undefined ? null : (
            <circle class={`key ${colourOf(owner)}`} r={7} {...centre(ketamaHash(key) / PLACES, RADIUS)} />
          )}
        </svg>
        <div>
          <label>
            Type a key <input value={key} maxLength={250} onInput={(event) => setKey(event.currentTarget.value)} />
          </label>
          <p role="status">{owner === undefined ? "Type a key to see where it lands." : `It lands on ${owner}.`}</p>
          <ul class="servers">
            {servers.map((server) => (
              <li key={server}>
                <i class={`swatch ${colourOf(server)}`} aria-hidden="true" /> <code>{server}</code>{" "}
                {server === gone ? "is away" : `has ${showShare(shares[there.indexOf(server)])}`}{" "}
                <button
                  type="button"
                  onClick={() => setGone(server === gone ? undefined : server)}
                  disabled={gone !== undefined && server !== gone}
                >
                  {server === gone ? "Bring back" : "Take away"}
                  <span class="hidden"> {server}</span>
                </button>
              </li>
            ))}
          </ul>
          <button type="button" onClick={add} disabled={servers.length >= SERVERS_MAX}>
            Add a server
          </button>
          {gone === undefined ? null : (
            <p>{showShare(moved)} of the keys have moved, all of them from the server that is away.</p>
          )}
        </div>
      </div>
    </Card>
  );
}

/** Shares of the servers that are there, and of keys that lie elsewhere than with all of them. */
function compare(all: readonly string[], there: readonly string[]): { shares: number[]; moved: number } {
  const [before, now] = [placementOf("ketama", all.map(parseServer)), placementOf("ketama", there.map(parseServer))];
  const counts = there.map(() => 0);
  let moved = 0;
  for (let index = 0; index < SAMPLE_KEYS; index += 1) {
    const owner = now.pick(`sample:${index}`);
    counts[owner]! += 1;
    if (there[owner] !== all[before.pick(`sample:${index}`)]) moved += 1;
  }
  return { shares: counts.map((count) => count / SAMPLE_KEYS), moved: moved / SAMPLE_KEYS };
}

/** @param at from 0 to 1, clockwise from the top */
function centre(at: number, radius: number): { cx: number; cy: number } {
  const angle = at * 2 * Math.PI - Math.PI / 2;
  return { cx: radius * Math.cos(angle), cy: radius * Math.sin(angle) };
}

function tick(at: number, from: number, to: number): { x1: number; y1: number; x2: number; y2: number } {
  const [inner, outer] = [centre(at, from), centre(at, to)];
  return { x1: inner.cx, y1: inner.cy, x2: outer.cx, y2: outer.cy };
}
