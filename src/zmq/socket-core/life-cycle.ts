/**
 * ○ The lives of a socket and of its connections: tables of states and events. What a table does not list cannot happen. A test
 * compares the tables with these pictures.
 *
 * SOCKET: a socket; in the same words a connected endpoint (Dialer) and an inproc connection. Leaving, it was closed while a bind or
 * unbind was under way, and closes once that is done. Closing, it takes no calls, but what is queued still goes out within `linger`:
 *
 *     open --close--> closing --gone--> closed
 *     open --closeLater--> leaving --close--> closing
 *
 * DIALED: one address connected to, over one stream after another. Closing, it connects again for as long as something is queued
 * that may linger; `gone` also when the name has lost the address:
 *
 *     connecting --connected--> connected --lost--> waiting --retry--> connecting
 *     connecting --lost--> waiting
 *     connecting --close--> closing        connected --close--> closing        waiting --close--> closing
 *     closing --connected--> closing       closing --lost--> closing           closing --retry--> closing
 *     connecting --gone--> closed          closing --gone--> closed
 *
 * CONNECTION: one stream, made or accepted. Closing, it takes nothing more from the peer, writes what it still has, and waits for
 * the peer to close too; so it ends as well after an error of the protocol, or when its authenticator refused the peer:
 *
 *     handshaking --ready--> up --finish--> closing --gone--> closed
 *     handshaking --finish--> closing
 *     handshaking --gone--> closed         up --gone--> closed
 */
import { assert } from "../../core/assert.ts";

type Table<State extends string, Event extends string> = Readonly<Record<State, Partial<Record<Event, State>>>>;

export type SocketState = "open" | "leaving" | "closing" | "closed";

export const SOCKET: Table<SocketState, "close" | "closeLater" | "gone"> = {
  open: { close: "closing", closeLater: "leaving" },
  leaving: { close: "closing" },
  closing: { gone: "closed" },
  closed: {},
};

export type DialedState = "connecting" | "connected" | "waiting" | "closing" | "closed";

export type DialedEvent = "connected" | "lost" | "retry" | "close" | "gone";

export const DIALED: Table<DialedState, DialedEvent> = {
  connecting: { connected: "connected", lost: "waiting", close: "closing", gone: "closed" },
  connected: { lost: "waiting", close: "closing" },
  waiting: { retry: "connecting", close: "closing" },
  closing: { connected: "closing", lost: "closing", retry: "closing", gone: "closed" },
  closed: {},
};

export type ZmqConnectionState = "handshaking" | "up" | "closing" | "closed";

export type ZmqConnectionEvent = "ready" | "finish" | "gone";

export const CONNECTION: Table<ZmqConnectionState, ZmqConnectionEvent> = {
  handshaking: { ready: "up", finish: "closing", gone: "closed" },
  up: { finish: "closing", gone: "closed" },
  closing: { gone: "closed" },
  closed: {},
};

/** The state after an event. */
export function after<State extends string, Event extends string>(
  table: Table<State, Event>,
  state: State,
  event: Event,
): State {
  const next = table[state][event];
  assert(next !== undefined, `'${event}' does not happen when ${state}`);
  return next;
}
