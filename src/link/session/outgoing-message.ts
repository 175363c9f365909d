/** ○ A message on its way: what it carries, how far it has come, and who is to be told. Invariant: it is settled once. */
import { OperationError } from "../../core/errors.ts";
import { UNCONFIRMED_BYTES_MAX } from "../limits.ts";
import { topicBody } from "./body.ts";
import type { OutgoingStream } from "./outgoing-stream.ts";

/** How a message travels. */
export interface MessageSettings {
  /** It passes those that are not. */
  readonly urgent?: boolean;
  readonly stream?: OutgoingStream | undefined;
  /** It carries a topic. */
  readonly isTopic?: boolean;
  /** It has a deadline of its own, earlier than others'. */
  readonly expires?: boolean;
}

const PLAIN: MessageSettings = {};
const URGENT: MessageSettings = { urgent: true };

/** How a message without a topic travels. */
export function messageSettings(urgent: boolean, expiresMs: number): MessageSettings {
  if (expiresMs > 0) return { urgent, expires: true };
  return urgent ? URGENT : PLAIN;
}

/**
 * The body of a NOTE.
 *
 * @throws OperationError LINK_MESSAGE_TOO_LARGE when it is too long to go unconfirmed
 */
export function noteOf(bytes: Uint8Array, topic?: string): Uint8Array {
  const verb = topic === undefined ? "message" : "publish";
  const note = topicBody.encode({ verb, keep: false, expiresMs: 0, topic: topic ?? "", bytes });
  if (note.length <= UNCONFIRMED_BYTES_MAX) return note;
  const why = `${note.length} bytes, at most ${UNCONFIRMED_BYTES_MAX} go unconfirmed`;
  throw new OperationError("LINK_MESSAGE_TOO_LARGE", `Cannot send a message: ${why}`);
}

/** A message on its way. `settle` tells once: nothing when the peer's application has it, an error when not, or in doubt. */
export class OutgoingMessage {
  bytes: Uint8Array;
  /** When it is given up. */
  readonly deadlineMs: number;
  readonly urgent: boolean;
  readonly stream: OutgoingStream | undefined;
  readonly isTopic: boolean;
  readonly expires: boolean;
  /** Where it lies among those that expire; -1 when it does not. */
  expiryPosition = -1;
  /** 0 until its first byte is written. */
  number = 0;
  /** How much of it was written on this connection, and of that what the peer has said it has (of a stream: its application). */
  writtenBytes = 0;
  toldBytes = 0;
  /** All of it was written: it may arrive. */
  complete = false;
  /** The peer is done with it. */
  acked = false;
  /** The number of its record in the server's store; 0 where there is none. */
  record = 0;
  #settle: ((error?: OperationError) => void) | undefined;

  constructor(
    bytes: Uint8Array,
    deadlineMs: number,
    settle: (error?: OperationError) => void,
    { urgent = false, stream, isTopic = false, expires = false }: MessageSettings = PLAIN,
  ) {
    this.bytes = bytes;
    this.deadlineMs = deadlineMs;
    this.#settle = settle;
    this.urgent = urgent;
    this.stream = stream;
    this.isTopic = isTopic;
    this.expires = expires;
  }

  /** False once its sender knows what became of it. */
  get open(): boolean {
    return this.#settle !== undefined;
  }

  /** True when a peer may have so much of it, and no more: it can be written from there on. */
  mayGoOn(offset: number): boolean {
    return this.stream ? this.stream.keeps(offset) : offset <= this.bytes.length;
  }

  settle(error?: OperationError): void {
    const settle = this.#settle;
    this.#settle = undefined;
    this.stream?.close();
    settle?.(error);
  }
}
