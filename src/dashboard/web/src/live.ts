/** ● The page's state: the newest snapshot, the chart history, and whether the server is connected. Updated by one event stream. */
import { useEffect, useState } from "preact/hooks";
import { History, type Columns } from "../../snapshot/history.ts";
import type { ArchiveRange } from "../../snapshot/archive.ts";
import type { LabState, LabSummary, LifelineEvent } from "../../link-lab/lab-state.ts";
import { LIFELINE_EVENTS_MAX } from "../../limits.ts";
import type { Snapshot } from "../../snapshot/snapshot.ts";

export interface Live {
  readonly connected: boolean;
  /** Other processes are shown too. */
  readonly hasPeers: boolean;
  readonly snapshot: Snapshot | undefined;
  /** For the charts: the last five minutes, or what was chosen. */
  readonly columns: Columns | undefined;
  readonly range: ChartRange;
  /** The watched connection. */
  readonly lab: Lab | undefined;
}

/** How far back the charts go. */
export type ChartRange = "minutes" | ArchiveRange;

export interface Lab extends LabState {
  /** The page's own time at which this was received, for the countdown between two updates. */
  readonly receivedMs: number;
}

const RETRY_MS = 2000;

const here = import.meta.url;
/** Where the board is mounted: this file lies in its folder of assets. */
const ROOT = new URL("../", here);

let state: Live = {
  connected: false,
  hasPeers: false,
  snapshot: undefined,
  columns: undefined,
  range: "minutes",
  lab: undefined,
};
let token = "";
let history = new History();
const listeners = new Set<() => void>();

/** The page's state; redraws whenever it changes. */
export function useLive(): Live {
  const [, redraw] = useState({});
  useEffect(() => {
    const listener = (): void => redraw({});
    listeners.add(listener);
    return () => void listeners.delete(listener);
  }, []);
  return state;
}

/** Connects, and reconnects whenever the stream ends. */
export async function startLive(): Promise<void> {
  try {
    const hello = await fetch(urlOf("/api/hello"));
    if (!hello.ok) throw new Error(await hello.text());
    const begin = (await hello.json()) as Hello;
    token = begin.token;
    history = new History(begin.columns);
    change({
      connected: true,
      hasPeers: begin.hasPeers,
      ...(state.range === "minutes" && { columns: begin.columns }),
      snapshot: begin.snapshot,
    });
    follow();
  } catch {
    change({ connected: false });
    setTimeout(() => void startLive(), RETRY_MS);
  }
}

interface Hello {
  readonly token: string;
  readonly hasPeers: boolean;
  readonly columns: Columns;
  readonly snapshot: Snapshot;
}

function follow(): void {
  const source = new EventSource(urlOf("/api/live"));
  source.addEventListener("snapshot", (event) => {
    const snapshot = JSON.parse(event.data as string) as Snapshot;
    history.add(snapshot);
    change({ connected: true, snapshot, ...(state.range === "minutes" && { columns: history.columns() }) });
  });
  source.addEventListener("lab", (event) => {
    const { lab } = JSON.parse(event.data as string) as { lab: LabSummary | null };
    summary = lab ?? undefined;
    void catchUp();
  });
  source.addEventListener("error", () => {
    source.close();
    change({ connected: false });
    setTimeout(() => void startLive(), RETRY_MS);
  });
}

/** The newest that was told of the watched connection. */
let summary: LabSummary | undefined;
let isCatchingUp = false;

/** Shows the newest summary, with the events that it tells of: those that are not here yet are asked for, and no others. */
async function catchUp(): Promise<void> {
  if (isCatchingUp) return;
  isCatchingUp = true;
  try {
    let told: LabSummary | undefined;
    do {
      told = summary;
      const events = told ? await eventsOf(told) : [];
      change({ lab: told && { ...told, events, receivedMs: performance.now() } });
    } while (told !== summary);
  } catch {
    // The stream tells again, or it has ended.
  } finally {
    isCatchingUp = false;
  }
}

async function eventsOf({ edition, newest }: LabSummary): Promise<readonly LifelineEvent[]> {
  const { lab } = state;
  const here = lab?.edition === edition ? lab.events : [];
  const after = here.at(-1)?.number ?? 0;
  if (after >= newest) return here;
  const answer = await read<{ edition?: string; events: readonly LifelineEvent[] }>(`/api/lab/events?after=${after}`);
  return [...here, ...answer.events].slice(-LIFELINE_EVENTS_MAX);
}

function change(part: Partial<Live>): void {
  state = { ...state, ...part };
  for (const listener of listeners) listener();
}

/** A minute's point is new once a minute. */
const ARCHIVE_POLL_MS = 60_000;
let archivePoll: ReturnType<typeof setTimeout> | undefined;

/** Draws all charts over this time. */
export async function chooseRange(range: ChartRange): Promise<void> {
  clearTimeout(archivePoll);
  change({ range });
  if (range === "minutes") {
    change({ columns: history.columns() });
    return;
  }
  const columns = await read<Columns>(`/api/history?range=${range}`).catch(() => undefined);
  if (state.range !== range) return;
  if (columns) change({ columns });
  archivePoll = setTimeout(() => void chooseRange(range), ARCHIVE_POLL_MS);
}

/** The URL of a path of the board: "/api/hello". */
export function urlOf(path: string): string {
  return new URL(path.slice(1), ROOT).href;
}

/** Sends an action to the server. Returns the answer's data, or throws its error message. */
export async function act<T>(path: string, body: unknown = {}): Promise<T> {
  const headers = { "Content-Type": "application/json", "X-Holdfast-Token": token };
  return (await answered(path, { method: "POST", headers, body: JSON.stringify(body) })).json() as Promise<T>;
}

/** Reads data from the server. */
export async function read<T>(path: string): Promise<T> {
  return (await answered(path)).json() as Promise<T>;
}

export async function readBytes(path: string): Promise<Uint8Array> {
  return new Uint8Array(await (await answered(path)).arrayBuffer());
}

async function answered(path: string, init?: RequestInit): Promise<Response> {
  const response = await fetch(urlOf(path), init);
  if (response.ok) return response;
  const { error } = (await response.json()) as { error?: string };
  throw new Error(error ?? `The server answered ${response.status}`);
}
