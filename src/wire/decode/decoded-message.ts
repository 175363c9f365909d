/** ○ The decoders' interface: one text per message, in the protocol's own terms. */
import type { Piece } from "../tcp/tcp-reassembler.ts";

export type Protocol = "memcached" | "zmtp" | "queue" | "link" | "bytes";

export interface DecodedMessage {
  readonly protocol: Protocol;
  /** "get user:42", "READY (DEALER)"; safe to print. Keys are shown, values never. */
  readonly text: string;
  /** Set for bytes that violate the protocol: the text says how, starting with "unreadable". */
  readonly unreadable?: true;
  /** The numbers of the tasks that it is about, where it is a batch; of a single message the text has the id. */
  readonly tasks?: readonly number[];
}

/** The side that opened the connection is the client. */
export type Side = "client" | "server";

/** Decodes both directions of one conversation. Never throws, whatever the bytes are. */
export interface ProtocolDecoder {
  /** Takes the next bytes of one side, or the number of missing bytes; returns the messages that they complete. */
  feed(side: Side, piece: Piece): DecodedMessage[];
}

export function unreadable(protocol: Protocol, what: string): DecodedMessage {
  return { protocol, text: `unreadable: ${what}`, unreadable: true };
}

/** Reported once for a gap; decoding continues when the following bytes can be read. */
export function missing(protocol: Protocol, count: number): DecodedMessage {
  return unreadable(protocol, `${count} B missing`);
}
