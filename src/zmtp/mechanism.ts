/**
 * ○ What every security mechanism of ZMTP offers: a handshake of commands, then (CURVE only) a cipher for the traffic.
 * A mechanism is one side of one connection and is never reused. It holds no socket and no clock: `peer.ts` feeds it the commands
 * received and sends those it wants sent. Invariant: after `status` is "ready" or "refused" neither `receive` nor `next` may be
 * called, but for draining `next` once more.
 *
 * Life: handshaking → (authenticating →) handshaking → ready, or → refused.
 */
import { OperationError } from "../core/errors.ts";
import type { Properties } from "./properties.ts";

/** Names as in the greeting. */
export type MechanismName = "NULL" | "PLAIN" | "CURVE";

/**
 * - `handshaking`: send what `next()` gives, feed what arrives to `receive()`
 * - `authenticating`: `credentials` are there; nothing goes on until `authenticated(verdict)` is called
 * - `ready`: traffic may flow, after the last commands of `next()` have been sent
 * - `refused`: send the last commands of `next()` (an ERROR, or nothing), then close
 */
export type MechanismStatus = "handshaking" | "authenticating" | "ready" | "refused";

/** What a peer sent to show who it is, for the authenticator. */
export type MechanismCredentials =
  | { readonly mechanism: "NULL" }
  | { readonly mechanism: "PLAIN"; readonly username: string; readonly password: string }
  | { readonly mechanism: "CURVE"; readonly publicKey: Uint8Array };

/** The answer to credentials, in the words of ZAP (RFC 27): 200 let in, 300 try later, 400 refused, 500 the authenticator failed. */
export interface Verdict {
  readonly status: 200 | 300 | 400 | 500;
  /** Who the peer is; shown with its messages and events. */
  readonly userId?: string;
}

/** Seals and opens the frames of a connection whose handshake is done. Any exception of `open` is fatal to the connection. */
export interface TrafficCipher {
  /** Octets that a sealed body has before the part's. */
  readonly overheadBytes: number;
  /**
   * Writes the body of the wire frame for one message part: `overheadBytes + part.length` octets of `target` from `at` on. The frame
   * goes out with COMMAND and MORE clear.
   *
   * @param flags `SEALED_MORE` and/or `SEALED_COMMAND`: the flags inside the box, which differ from the wire's
   */
  seal(flags: number, part: Uint8Array, target: Uint8Array, at: number): void;
  /**
   * Opens the body of a wire frame where it lies, whatever that frame's own flags were: the part is what comes after
   * `overheadBytes`.
   *
   * @returns the flags inside the box
   * @throws ProtocolError when the box does not open or its nonce does not increase
   */
  open(body: Uint8Array): number;
}

/** Inside a CURVE box: more parts follow. */
export const SEALED_MORE = 1;
/** Inside a CURVE box: a command (SUBSCRIBE, CANCEL, PING, PONG), not a message part. */
export const SEALED_COMMAND = 2;

export interface Mechanism {
  readonly name: MechanismName;
  /** Whether this side holds the server's role: what the `as-server` octet of the greeting would say. */
  readonly asServer: boolean;
  readonly status: MechanismStatus;
  /** The peer's metadata; complete once `status` is "ready". */
  readonly peerProperties: Properties | undefined;
  /** Set while `status` is "authenticating". */
  readonly credentials: MechanismCredentials | undefined;
  /** The user that the verdict named. */
  readonly userId: string | undefined;
  /** Undefined when frames go as they are. */
  readonly cipher: TrafficCipher | undefined;
  /** The next command body to send (name length, name, data) with the COMMAND flag; undefined: nothing now. Call until then. */
  next(): Uint8Array | undefined;
  /**
   * Takes a command body received.
   *
   * @throws ProtocolError when the mechanism forbids it here; HandshakeRefused when it is the peer's ERROR
   */
  receive(command: Uint8Array): void;
  /** Answers `credentials`; allowed in "authenticating" only. */
  authenticated(verdict: Verdict): void;
}

/** What all mechanisms share: commands go by turns, so that at most one waits to be sent. */
export abstract class HandshakeSide {
  protected outgoing: Uint8Array | undefined;

  next(): Uint8Array | undefined {
    const command = this.outgoing;
    this.outgoing = undefined;
    return command;
  }
}

/** The peer answered the handshake with ERROR. */
export class HandshakeRefused extends OperationError {
  /** The ZAP status when the reason is one, as libzmq sends it; else undefined. */
  readonly status: 300 | 400 | 500 | undefined;

  constructor(reason: string) {
    super("ERR_ZMTP_REFUSED", `Peer refused the handshake: ${reason === "" ? "no reason given" : reason}`);
    const status = Number(reason);
    this.status = status === 300 || status === 400 || status === 500 ? status : undefined;
  }
}
