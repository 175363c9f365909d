/**
 * What the interop tests ask of either end of a connection, whoever implements it: Holdfast in this process, libzmq through
 * pyzmq, libzmq through the `zeromq` package. One vocabulary, so that one table of cases drives them all.
 */

/** Octets of the shared file, as [offset, size], or literal latin1 text. */
export type Frame = readonly [offset: number, size: number] | string;

/** What an end does with a socket, in order. */
export type Step =
  | readonly ["send", readonly Frame[]]
  /** As `send`, again and again until a mandatory ROUTER knows the peer. */
  | readonly ["sendOnceRouted", readonly Frame[]]
  /** Takes the next message that is not the one-frame text given. */
  | readonly ["receive", skipped?: string]
  /** Sends the first `prefix` frames of the message received last, then these. */
  | readonly ["reply", prefix: number, frames: readonly Frame[]]
  /** Takes what has arrived. libzmq's PAIR lets go of a lost peer only while receiving, and refuses a new one until then. */
  | readonly ["drain"]
  | readonly ["subscribe" | "unsubscribe", prefix: string];

/** "LENGTH:first 12 digits of SHA-1" for each frame of a message. */
export type Shown = string[];

export const SOCKET_TYPES = [
  "Request",
  "Reply",
  "Dealer",
  "Router",
  "Push",
  "Pull",
  "Publisher",
  "Subscriber",
  "XPublisher",
  "XSubscriber",
  "Pair",
] as const;
export type SocketType = (typeof SOCKET_TYPES)[number];

/** Options by the names of the `zeromq` package. */
export type Options = Readonly<Record<string, string | number | boolean>>;

export interface Peer {
  /** Lets in these users with PLAIN, and the owners of these public keys (Z85) with CURVE; everybody else is refused. */
  authenticate(passwords: Readonly<Record<string, string>>, keys: readonly string[]): Promise<void>;
  open(name: string, type: SocketType, options: Options): Promise<void>;
  /** @returns the endpoint bound, with its port */
  bind(name: string, endpoint: string): Promise<string>;
  connect(name: string, endpoint: string): Promise<void>;
  /** @returns the messages of the `receive` steps */
  run(name: string, steps: readonly Step[]): Promise<Shown[]>;
  /** Waits for an event ("handshake", "disconnect" …) that no `wait` before has seen. */
  wait(name: string, event: string): Promise<void>;
  /** @returns all events of the socket's life; those of failed handshakes with libzmq's number after them */
  close(name: string): Promise<string[]>;
  /** Closes all and ends the process, if it is one. */
  end(): Promise<void>;
}

/** 8 s: longer than any single operation takes on a loaded machine, so that a broken case fails with its own words. */
export const WAIT_MS = 8000;
