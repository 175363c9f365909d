/**
 * ○ The greeting: 64 octets from each side, or fewer from a peer older than ZMTP 3.0 (RFC 37 and 23, "greeting", "backwards
 * interoperability"). Ours is sent in three pieces, each once the peer's octets allow it, so that a 1.0 or 2.0 peer reads a
 * greeting of its own version: signature; then the major version; then the rest. Invariant: octets beyond the greeting are
 * handed back untouched, and for a 1.0 peer all octets are, since its greeting is an ordinary frame.
 */
import { Buffer } from "node:buffer";
import type { MechanismName } from "./mechanism.ts";
import type { SocketTypeName } from "./socket-type.ts";
import { SOCKET_TYPES } from "./socket-type.ts";

export type ZmtpVersion = "1.0" | "2.0" | "3.0" | "3.1";

const SIGNATURE_BYTES = 10;
const MAJOR_AT = 10;
const MINOR_AT = 11;
const MECHANISM_AT = 12;
const MECHANISM_BYTES = 20;
const AS_SERVER_AT = 32;
const GREETING_BYTES = 64;
/** Octet 10 of a ZMTP 2.0 greeting; 0 is 1.0's framing with a signature. */
const REVISION_2 = 1;

export interface GreetingOptions {
  readonly socketType: SocketTypeName;
  readonly routingId: Uint8Array;
  readonly mechanism: MechanismName;
  readonly asServer: boolean;
}

/** Both sides' greeting on one connection. Feed `receive` until `version` is set; send what `take` gives after each call. */
export class Greeting {
  readonly #options: GreetingOptions;
  readonly #received = Buffer.alloc(GREETING_BYTES);
  #length = 0;
  #outgoing: Uint8Array[];
  #majorSent = false;
  #restSent = false;
  /** Set when the greeting is complete. */
  version: ZmtpVersion | undefined;
  /** The peer's mechanism as text, for versions 3.x. */
  mechanism: string | undefined;
  /** The peer's socket type octet, for version 2.0. */
  socketTypeOctet: number | undefined;
  /** Whether frames are framed as in 1.0. */
  oldFraming = false;

  constructor(options: GreetingOptions) {
    this.#options = options;
    this.#outgoing = [signature(options.routingId)];
  }

  /** The octets to send now, in order; empty when none. */
  take(): readonly Uint8Array[] {
    const outgoing = this.#outgoing;
    this.#outgoing = [];
    return outgoing;
  }

  /** Takes octets received. @returns the octets behind the greeting, once `version` is set; else undefined */
  receive(chunk: Uint8Array): Uint8Array | undefined {
    let at = 0;
    while (this.version === undefined && at < chunk.length) {
      this.#received[this.#length] = chunk[at]!;
      this.#length += 1;
      at += 1;
      this.#step();
    }
    if (this.version === undefined) return undefined;
    const rest = chunk.subarray(at);
    return this.version === "1.0" ? this.#withGreeting(rest) : rest;
  }

  #step(): void {
    const received = this.#received;
    const unversioned = received[0] !== 0xff || (this.#length === SIGNATURE_BYTES && (received[9]! & 1) === 0);
    if (unversioned) {
      this.version = "1.0";
      this.oldFraming = true;
      this.#outgoing.push(this.#options.routingId); // the signature was the header of this frame
      return;
    }
    if (this.#length === SIGNATURE_BYTES && !this.#majorSent) {
      this.#majorSent = true;
      this.#outgoing.push(Uint8Array.of(3));
      return;
    }
    if (this.#length <= MAJOR_AT) return;
    if (received[MAJOR_AT]! < 3) this.#stepOld(received[MAJOR_AT]!);
    else this.#stepNew();
  }

  #stepOld(revision: number): void {
    if (!this.#restSent) {
      this.#restSent = true;
      const { socketType, routingId } = this.#options;
      const identity = revision >= REVISION_2 ? Uint8Array.of(0, routingId.length) : Uint8Array.of(routingId.length + 1, 0);
      this.#outgoing.push(Uint8Array.of(SOCKET_TYPES.indexOf(socketType)), identity, routingId);
    }
    if (this.#length <= MINOR_AT) return;
    this.socketTypeOctet = this.#received[MINOR_AT]!;
    this.oldFraming = revision < REVISION_2;
    this.version = "2.0";
  }

  #stepNew(): void {
    if (!this.#restSent) {
      this.#restSent = true;
      this.#outgoing.push(rest(this.#options));
    }
    if (this.#length < GREETING_BYTES) return;
    const name = this.#received.subarray(MECHANISM_AT, MECHANISM_AT + MECHANISM_BYTES).toString("latin1");
    this.mechanism = name.replace(/\0+$/, "");
    this.version = this.#received[MAJOR_AT] === 3 && this.#received[MINOR_AT] === 0 ? "3.0" : "3.1";
  }

  #withGreeting(rest: Uint8Array): Uint8Array {
    return Buffer.concat([this.#received.subarray(0, this.#length), rest]);
  }
}

/** Octets 0 to 9. To a 1.0 peer they are the header of a frame that carries our routing id. */
function signature(routingId: Uint8Array): Uint8Array {
  const octets = Buffer.alloc(SIGNATURE_BYTES);
  octets[0] = 0xff;
  octets.writeUInt32BE(routingId.length + 1, 5);
  octets[9] = 0x7f;
  return octets;
}

/** Octets 11 to 63. */
function rest({ mechanism, asServer }: GreetingOptions): Uint8Array {
  const octets = Buffer.alloc(GREETING_BYTES - MINOR_AT);
  octets[0] = 1;
  octets.write(mechanism, MECHANISM_AT - MINOR_AT, "latin1");
  octets[AS_SERVER_AT - MINOR_AT] = asServer ? 1 : 0;
  return octets;
}
