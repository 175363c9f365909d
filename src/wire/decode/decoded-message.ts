/** ○ What a decoder says about the bytes that pass: one sentence a message, in the protocol's own words. */
import type { Piece } from "../tcp/tcp-reassembler.ts";

export type Protocol = "memcached" | "zmtp" | "queue" | "link" | "bytes";

export interface DecodedMessage {
  readonly protocol: Protocol;
  /** "get user:42", "READY (DEALER)"; safe to print. Keys are shown, values never. */
  readonly text: string;
  /** Set when the bytes break the protocol: the sentence says how, starting with "unreadable". */
  readonly unreadable?: true;
}

/** Who opened the connection speaks as the client. */
export type Side = "client" | "server";

/** Understands one conversation, both directions. Never throws, whatever the bytes are. */
export interface ProtocolDecoder {
  /** Takes what came next from one side, or the news that bytes are missing; returns the messages complete with it. */
  feed(side: Side, piece: Piece): DecodedMessage[];
}

export function unreadable(protocol: Protocol, what: string): DecodedMessage {
  return { protocol, text: `unreadable: ${what}`, unreadable: true };
}

/** Said once where bytes are missing; what follows is read again as soon as it makes sense. */
export function missing(protocol: Protocol, count: number): DecodedMessage {
  return unreadable(protocol, `${count} B were not seen`);
}
