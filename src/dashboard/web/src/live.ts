/** ● The page's state: the newest snapshot, the chart history, and whether the server is connected. Updated by one event stream. */
import { useEffect, useState } from "preact/hooks";
import { History, type Columns } from "../../snapshot/history.ts";
import type { LabState } from "../../link-lab/lab-state.ts";
import type { Snapshot } from "../../snapshot/snapshot.ts";

export interface Live {
  readonly connected: boolean;
  readonly snapshot: Snapshot | undefined;
  readonly columns: Columns | undefined;
  /** The watched connection. */
  readonly lab: Lab | undefined;
}

export interface Lab extends LabState {
  /** The page's own time at which this was received, for the countdown between two updates. */
  readonly receivedMs: number;
}

const RETRY_MS = 2000;

let state: Live = { connected: false, snapshot: undefined, columns: undefined, lab: undefined };
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
    const hello = await fetch("/api/hello");
    if (!hello.ok) throw new Error(await hello.text());
    const begin = (await hello.json()) as { token: string; columns: Columns; snapshot: Snapshot; lab?: LabState };
    token = begin.token;
    history = new History(begin.columns);
    change({ connected: true, columns: begin.columns, snapshot: begin.snapshot, lab: labOf(begin.lab) });
    follow();
  } catch {
    change({ connected: false });
    setTimeout(() => void startLive(), RETRY_MS);
  }
}

function follow(): void {
  const source = new EventSource("/api/live");
  source.addEventListener("snapshot", (event) => {
    const snapshot = JSON.parse(event.data as string) as Snapshot;
    history.add(snapshot);
    change({ connected: true, snapshot, columns: history.columns() });
  });
  source.addEventListener("lab", (event) => {
    const { lab } = JSON.parse(event.data as string) as { lab: LabState | null };
    change({ lab: labOf(lab ?? undefined) });
  });
  source.addEventListener("error", () => {
    source.close();
    change({ connected: false });
    setTimeout(() => void startLive(), RETRY_MS);
  });
}

function labOf(state: LabState | undefined): Lab | undefined {
  return state && { ...state, receivedMs: performance.now() };
}

function change(part: Partial<Live>): void {
  state = { ...state, ...part };
  for (const listener of listeners) listener();
}

/** Sends an action to the server. Returns the answer's data, or throws its error message. */
export async function act<T>(path: string, body: unknown = {}): Promise<T> {
  const headers = { "Content-Type": "application/json", "X-Holdfast-Token": token };
  const response = await fetch(path, { method: "POST", headers, body: JSON.stringify(body) });
  const answer = (await response.json()) as T & { error?: string };
  if (!response.ok) throw new Error(answer.error ?? `The server answered ${response.status}`);
  return answer;
}

/** Reads data from the server. */
export async function read<T>(path: string): Promise<T> {
  const response = await fetch(path);
  const answer = (await response.json()) as T & { error?: string };
  if (!response.ok) throw new Error(answer.error ?? `The server answered ${response.status}`);
  return answer;
}
