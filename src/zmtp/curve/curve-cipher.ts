/**
 * ○ CURVE after the handshake: every frame, one a message part, becomes `\x07MESSAGE` + 8-octet nonce + box (RFC 26, section 2.1).
 * Invariants: a nonce is never used twice (it only counts up), and a received one is above every one before it.
 *
 * The nonces of one direction share their first 16 octets, which is what makes it fast: see secretbox.ts.
 */
import { Buffer } from "node:buffer";
import { assert } from "../../core/assert.ts";
import { ProtocolError } from "../../core/errors.ts";
import type { TrafficCipher } from "../mechanism.ts";
import type { NativeSecretbox } from "./curve-box.ts";
import { makeSecretbox, type Secretbox, TAG_BYTES } from "./secretbox.ts";

/** `\x07MESSAGE`. */
const NAME = Uint8Array.of(0x07, 0x4d, 0x45, 0x53, 0x53, 0x41, 0x47, 0x45);

const NONCE_AT = 8;
const BOX_AT = 16;
const FLAGS_AT = BOX_AT + TAG_BYTES;

/** What a part grows by on the wire, beside its frame header: name, nonce, authenticator and the octet of flags. */
const MESSAGE_OVERHEAD_BYTES = FLAGS_AT + 1;

/** Which end of a connection: decides the nonce prefixes, so that no nonce serves both directions. */
export type CurveRole = "client" | "server";

const NONCE_PREFIX: Readonly<Record<CurveRole, string>> = { client: "CurveZMQMESSAGEC", server: "CurveZMQMESSAGES" };

export interface CurveCipherOptions {
  readonly role: CurveRole;
  /** The key shared by both ends' transient keys. */
  readonly key: Uint8Array;
  /** How many nonces the handshake used of this end's count. */
  readonly noncesSent: number;
  /** The last nonce of the peer in the handshake. */
  readonly lastNonceReceived: Uint8Array;
  /** A library of the machine's own for long parts, if it has one. */
  readonly native?: (() => NativeSecretbox | undefined) | undefined;
}

export class CurveCipher implements TrafficCipher {
  readonly overheadBytes = MESSAGE_OVERHEAD_BYTES;
  readonly #sending: Secretbox;
  readonly #receiving: Secretbox;
  #sent: number;
  #receivedHigh: number;
  #receivedLow: number;

  constructor({ role, key, noncesSent, lastNonceReceived, native }: CurveCipherOptions) {
    const peer = role === "client" ? "server" : "client";
    this.#sending = makeSecretbox(key, Buffer.from(NONCE_PREFIX[role], "latin1"), native);
    this.#receiving = makeSecretbox(key, Buffer.from(NONCE_PREFIX[peer], "latin1"), native);
    this.#sent = noncesSent;
    this.#receivedHigh = word(lastNonceReceived, 0);
    this.#receivedLow = word(lastNonceReceived, 4);
  }

  /**
   * Writes a whole MESSAGE. Its frame goes out with COMMAND and MORE clear, whatever the part is: libzmq sends it so, and drops a
   * MESSAGE whose frame has COMMAND set (it ORs the outer flags into the opened part), though RFC 37 reads otherwise.
   */
  seal(flags: number, part: Uint8Array, target: Uint8Array, at: number): void {
    this.#sent += 1;
    assert(this.#sent <= Number.MAX_SAFE_INTEGER, "a nonce is never used twice");
    const high = Math.floor(this.#sent / 2 ** 32);
    const low = this.#sent >>> 0;
    for (let index = 0; index < NAME.length; index += 1) target[at + index] = NAME[index]!;
    writeWord(high, target, at + NONCE_AT);
    writeWord(low, target, at + NONCE_AT + 4);
    this.#sending.seal(high, low, flags, part, target, at + BOX_AT);
  }

  /**
   * Opens a MESSAGE in place.
   *
   * @throws ProtocolError ERR_ZMTP_MALFORMED_COMMAND_MESSAGE when it is none, ERR_ZMTP_INVALID_SEQUENCE when its nonce is not above
   * the last (a replay), ERR_ZMTP_CRYPTOGRAPHIC when its box does not open (changed on the way, or sealed with other keys)
   */
  open(body: Uint8Array): number {
    if (body.length < MESSAGE_OVERHEAD_BYTES || !isMessage(body)) throw noMessage(body);
    const high = word(body, NONCE_AT);
    const low = word(body, NONCE_AT + 4);
    this.#countUp(high, low);
    if (!this.#receiving.open(high, low, body, BOX_AT)) {
      throw new ProtocolError(
        "ERR_ZMTP_CRYPTOGRAPHIC",
        "Cannot decrypt MESSAGE: it was modified in transit or encrypted with other keys",
      );
    }
    return body[FLAGS_AT]!;
  }

  #countUp(high: number, low: number): void {
    if (high < this.#receivedHigh || (high === this.#receivedHigh && low <= this.#receivedLow)) {
      throw new ProtocolError(
        "ERR_ZMTP_INVALID_SEQUENCE",
        "Cannot accept MESSAGE: its nonce does not increase, so it may be a replay",
      );
    }
    this.#receivedHigh = high;
    this.#receivedLow = low;
  }
}

function word(bytes: Uint8Array, at: number): number {
  return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;
}

function writeWord(value: number, target: Uint8Array, at: number): void {
  target[at] = value >>> 24;
  target[at + 1] = value >>> 16;
  target[at + 2] = value >>> 8;
  target[at + 3] = value;
}

function isMessage(body: Uint8Array): boolean {
  for (let index = 0; index < NAME.length; index += 1) if (body[index] !== NAME[index]) return false;
  return true;
}

function noMessage(body: Uint8Array): ProtocolError {
  return new ProtocolError(
    "ERR_ZMTP_MALFORMED_COMMAND_MESSAGE",
    `Cannot read a frame of ${body.length} octets: CURVE allows only MESSAGE here`,
  );
}
