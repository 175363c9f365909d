/**
 * ● The hash ring: the servers' points, the server of a key, and the keys that move when a server is removed, by the client's code.
 */
import { useMemo, useState } from "preact/hooks";
import { ketamaHash, ketamaPoints, placementOf } from "../../../cache/client/pool/placement.ts";
import { parseServer } from "../../../cache/client/operations/server-address.ts";
import { showShare } from "./format.ts";
import { Card, useAction } from "./components.tsx";

const SERVERS_MAX = 12;
const SAMPLE_KEYS = 5000;
const PLACES = 2 ** 32;
const RADIUS = 90;

export function HashRing({ address }: { address: string }) {
  const [servers, setServers] = useState(() => [address]);
  const [removed, setRemoved] = useState<string>();
  const [key, setKey] = useState("user:42");
  const present = useMemo(() => servers.filter((server) => server !== removed), [servers, removed]);
  const points = useMemo(() => ketamaPoints(present.map(parseServer)), [present]);
  const { shares, moved } = useMemo(() => compare(servers, present), [servers, present]);
  const owner = key === "" ? undefined : present[placementOf("ketama", present.map(parseServer)).pick(key)];
  const colourOf = (server: string): string => `s${servers.indexOf(server) % 6}`;
  const [name, setName] = useState("");
  const { run, said } = useAction();
  const add = (event: Event): void => {
    event.preventDefault();
    run(async () => {
      parseServer(name);
      if (servers.includes(name)) throw new Error(`${name} is on the ring already`);
      setServers([...servers, name]);
      setName("");
    });
  };
  return (
    <Card title="Hash ring" wide>
      <p class="dim">
        The client chooses the server of a key: servers and keys are hashed onto one circle, and a key is assigned to the next
        server point clockwise (ketama, compatible with libmemcached). Removing a server moves only its own keys.
      </p>
      <div class="ring">
        <svg
          viewBox="-110 -110 220 220"
          role="img"
          aria-label={`Hash ring with the points of ${present.length} servers; ${key} is assigned to ${owner ?? "none"}`}
        >
          <circle r={RADIUS} class="circle" />
          {points.map(({ at, owner: index }) => (
            <line key={at} class={`point ${colourOf(present[index]!)}`} {...tick(at / PLACES, RADIUS - 6, RADIUS + 6)} />
          ))}
          {owner === undefined ? null : (
            <circle class={`key ${colourOf(owner)}`} r={7} {...centre(ketamaHash(key) / PLACES, RADIUS)} />
          )}
        </svg>
        <div>
          <label>
            Key to assign <input value={key} maxLength={250} onInput={(event) => setKey(event.currentTarget.value)} />
          </label>
          <p role="status">{owner === undefined ? "Enter a key to see its server." : `Assigned to ${owner}.`}</p>
          <ul class="servers">
            {servers.map((server) => (
              <li key={server}>
                <i class={`swatch ${colourOf(server)}`} aria-hidden="true" /> <code>{server}</code>{" "}
                {server === removed ? "removed" : `has ${showShare(shares[present.indexOf(server)])}`}{" "}
                <button
                  type="button"
                  onClick={() => setRemoved(server === removed ? undefined : server)}
                  disabled={(removed !== undefined && server !== removed) || (servers.length === 1 && server !== removed)}
                >
                  {server === removed ? "Add again" : "Remove"}
                  <span class="hidden"> {server}</span>
                </button>
              </li>
            ))}
          </ul>
          <form onSubmit={add}>
            <label>
              Another server of yours{" "}
              <input value={name} placeholder="HOST:PORT" required onInput={(event) => setName(event.currentTarget.value)} />
            </label>
            <button type="submit" disabled={servers.length >= SERVERS_MAX}>
              Add server
            </button>
          </form>
          {said}
          {removed === undefined ? null : (
            <p>{showShare(moved)} of the keys have moved, all of them from the removed server.</p>
          )}
        </div>
      </div>
    </Card>
  );
}

/** The fraction of keys on each present server, and the fraction assigned differently than with all servers. */
function compare(all: readonly string[], present: readonly string[]): { shares: number[]; moved: number } {
  const [before, now] = [placementOf("ketama", all.map(parseServer)), placementOf("ketama", present.map(parseServer))];
  const counts = present.map(() => 0);
  let moved = 0;
  for (let index = 0; index < SAMPLE_KEYS; index += 1) {
    const owner = now.pick(`sample:${index}`);
    counts[owner]! += 1;
    if (present[owner] !== all[before.pick(`sample:${index}`)]) moved += 1;
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
