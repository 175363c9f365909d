/** ○ What every protocol of the broker is: it receives the messages of one connection and answers on the same. */
import { Buffer } from "node:buffer";
import type { AskedRights } from "../../access/access-table.ts";
import type { Frames } from "./messages.ts";

/** In a group of brokers: how a peer reaches the broker core. */
export interface Route {
  /** The leader's term. */
  readonly term: number;
  /** Through another broker of the group. */
  readonly isRelayed: boolean;
}

/** The broker's side of one connection. */
export interface PeerConnection {
  /** Who is at the other end, for people. */
  readonly peer?: string | undefined;
  /**
   * A key for the submission that is being handed in, if it has none of its own: submitted again at another broker it is still one
   * task. "" or undefined = none.
   */
  readonly idempotencyKey?: string | undefined;
  readonly route?: Route | undefined;
  /** Who it is, as the authenticator said. */
  readonly user?: string | undefined;
  /** What it may do; undefined: everything. */
  readonly rights?: AskedRights | undefined;
  /** Queues a message; a peer that does not read is cut off rather than let grow. */
  send(frames: Frames): void;
  /** Ends the connection. */
  close(reason: string): void;
}

/** The broker's end of a connection inside the process. */
export interface LocalPort {
  receive(frames: Frames): void;
  gone(): void;
}

/** A routing id as people can read it: as text where it is printable, else in hex. */
export function showPeer(id: Uint8Array): string {
  const printable = id.length > 0 && id.every((byte) => byte > 0x20 && byte < 0x7f);
  return printable ? String.fromCharCode(...id) : Buffer.from(id).toString("hex");
}

export interface ProtocolHandler {
  /** @param frames without the routing id and without the empty frame of a REQ envelope */
  receive(frames: Frames): void;
  /** The connection is gone. */
  gone(): void;
  /** Called about once a second, with the clock's ms. */
  tick?(nowMs: number): void;
}
