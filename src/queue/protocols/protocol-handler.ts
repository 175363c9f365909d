/** ○ What every protocol of the broker is: it hears the messages of one connection and says what it must on the same. */
import type { Frames } from "./messages.ts";

/** In a group of brokers: how a peer comes to the broker core. */
export interface Route {
  /** The leader's term. */
  readonly term: number;
  /** Through another broker's broker. */
  readonly isRelayed: boolean;
}

/** The broker's side of one connection. */
export interface PeerConnection {
  /** Who is at the other end, as people can read it. */
  readonly peer?: string | undefined;
  /**
   * A key for the submission that is being handed in, if it has none of its own: said again at another broker it is still one task.
   * "" or undefined = none.
   */
  readonly idempotencyKey?: string | undefined;
  readonly route?: Route | undefined;
  /** Queues a message; a peer that does not read is cut off rather than let grow. */
  send(frames: Frames): void;
  /** Ends the connection. */
  close(reason: string): void;
}

export interface ProtocolHandler {
  /** @param frames without the routing id and without the empty frame of a REQ envelope */
  receive(frames: Frames): void;
  /** The connection is gone. */
  gone(): void;
  /** Called about once a second, with the clock's ms. */
  tick?(nowMs: number): void;
}
