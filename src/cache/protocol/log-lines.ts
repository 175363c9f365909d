/** ○ The lines of `watch`, in memcached's form: what happened to an item or a connection, when, and who did it. */
import { percentEncode } from "../../memcached/key-encoding.ts";
import type { CloseReason } from "./cache-session.ts";
import type { StoreLog } from "../store/store-log.ts";

/** A line of a log, with its kind. */
export type LogLine = readonly [kind: string, line: string];

/** The beginning of every line. */
export interface LogStamp {
  /** Milliseconds since 1970-01-01 UTC, whole or not. */
  readonly wallMs: number;
  /** Numbers the lines of a server. */
  readonly id: number;
}

/** Number of the connection whose command it was, as in `stats conns`. */
type ConnectionId = number;

/** What the lines of a connection name. */
export interface LoggedConnection {
  readonly id: ConnectionId;
  /** The client: "127.0.0.1:5001", "[::1]:5001", "unix:/path". */
  readonly remote: string;
}

type EventOf<Name extends keyof StoreLog> = Parameters<NonNullable<StoreLog[Name]>>[0];

export function fetchLine(at: LogStamp, { key, status, slabClass, valueBytes }: EventOf<"fetched">, id: ConnectionId): string {
  return line(
    at,
    `type=item_get key=${percentEncode(key)} status=${status} clsid=${slabClass} cfd=${id} size=${sizeOf(valueBytes)}`,
  );
}

/** @param ttlSeconds how long the item has to live; 0 for ever */
export function storeLine(
  at: LogStamp,
  { key, status, command, slabClass, valueBytes }: EventOf<"stored">,
  { ttlSeconds, id }: { ttlSeconds: number; id: ConnectionId },
): string {
  const what = `type=item_store key=${percentEncode(key)} status=${status} cmd=${command} ttl=${ttlSeconds}`;
  return line(at, `${what} clsid=${slabClass} cfd=${id} size=${sizeOf(valueBytes)}`);
}

export function evictionLine(at: LogStamp, event: EventOf<"evicted">): string {
  const { key, fetched, ttlSeconds, idleSeconds, slabClass, valueBytes } = event;
  const what = `type=eviction key=${percentEncode(key)} fetch=${fetched ? "yes" : "no"} ttl=${ttlSeconds} la=${idleSeconds}`;
  return line(at, `${what} clsid=${slabClass} size=${sizeOf(valueBytes)}`);
}

export function deletionLine(at: LogStamp, { key, command, slabClass, valueBytes }: EventOf<"deleted">): string {
  return line(at, `type=deleted key=${percentEncode(key)} cmd=${command} clsid=${slabClass} size=${sizeOf(valueBytes)}`);
}

export function changeLine(at: LogStamp, { key, command }: EventOf<"changed">): string {
  return line(at, `type=item_change key=${percentEncode(key)} cmd=${command}`);
}

export function flushLine(at: LogStamp): string {
  return line(at, "type=flush_all");
}

export function openedLine(at: LogStamp, connection: LoggedConnection): string {
  return line(at, `type=conn_new ${endpoint(connection)} cfd=${connection.id}`);
}

export function closedLine(at: LogStamp, connection: LoggedConnection, reason: CloseReason): string {
  return line(at, `type=conn_close ${endpoint(connection)} reason=${reason} cfd=${connection.id}`);
}

function line({ wallMs, id }: LogStamp, what: string): string {
  const seconds = Math.floor(wallMs / 1000);
  return `ts=${seconds}.${Math.floor((wallMs - seconds * 1000) * 1000)} gid=${id} ${what}\n`;
}

function endpoint({ remote }: LoggedConnection): string {
  if (remote.startsWith("unix:")) return "rip=unix rport=0 transport=local";
  const colon = remote.lastIndexOf(":");
  return `rip=${remote.slice(0, colon).replace(/^\[|\]$/g, "")} rport=${remote.slice(colon + 1)} transport=tcp`;
}

/** The value without the CR LF that it is kept with. */
function sizeOf(valueBytes: number): number {
  return Math.max(0, valueBytes - 2);
}
