/** ○ What keeps a session client's messages beyond its process: what the core tells it, and what it found. */
import type { OutgoingMessage } from "../outgoing-message.ts";

/** A message that a process before this one was given. */
export interface SpooledMessage {
  /** 0 when it may not have been written under a number that holds. */
  readonly number: number;
  readonly isTopic: boolean;
  readonly urgent: boolean;
  /** How much longer it is kept. */
  readonly keepForMs: number;
  readonly bytes: Uint8Array;
}

export interface Spool {
  /** What was found. */
  readonly left: {
    readonly sessionId: Uint8Array | undefined;
    readonly serverKnows: boolean;
    /** Up to this number the server's messages are handled. */
    readonly handled: number;
    /** In the order in which they were given. */
    readonly messages: readonly SpooledMessage[];
  };
  restored(messages: readonly OutgoingMessage[]): void;
  /** A session begins, under this id. */
  began(id: Uint8Array): void;
  /** The server knows the session. */
  opened(): void;
  pushed(message: OutgoingMessage): void;
  /** It has its number; 0: it has none any more. */
  numbered(message: OutgoingMessage): void;
  /** Its sender knows what became of it. */
  settled(message: OutgoingMessage): void;
  /** The server's messages up to this number are handled. */
  handled(done: number): void;
  /** Called before bytes are written to a connection: what was told is kept when it returns. */
  flush(): void;
  close(): void;
}
