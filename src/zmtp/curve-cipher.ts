/**
 * ○ CURVE after the handshake: every frame, one a message part, becomes `\x07MESSAGE` + 8-octet nonce + box (RFC 26, section 2.1).
 * Invariants: a nonce is never used twice (it only counts up), and a received one is above every one before it.
 *
 * Two shapes make it fast. The nonces of one direction share their first 16 octets, so HSalsa20 runs once a connection and each
 * frame costs plain Salsa20. And the 32 octets that Salsa20 spends on the Poly1305 key are as many as MESSAGE has before its
 * ciphertext (8 name, 8 nonce, 16 authenticator): a MESSAGE is built, enciphered and sent in one buffer.
 */
import { Buffer } from "node:buffer";
import { poly1305 } from "@noble/ciphers/_poly1305.js";
import { salsa20 } from "@noble/ciphers/salsa.js";
import { equalBytes } from "@noble/ciphers/utils.js";
import { assert } from "../core/assert.ts";
import { ProtocolError } from "../core/errors.ts";
import { subkey } from "./curve-box.ts";
import { nonceOctets } from "./curve-command.ts";
import type { TrafficCipher } from "./mechanism.ts";

/** `\x07MESSAGE`. */
const NAME = Uint8Array.of(0x07, 0x4d, 0x45, 0x53, 0x53, 0x41, 0x47, 0x45);

const NONCE_AT = 8;
const TAG_AT = 16;

/** Where the ciphertext starts in a MESSAGE, and as many octets as Salsa20 spends on the Poly1305 key. */
const CIPHERTEXT_AT = 32;

/** What a part grows by on the wire, beside its frame header: name, nonce, authenticator and the octet of flags. */
const MESSAGE_OVERHEAD_BYTES = CIPHERTEXT_AT + 1;

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
}

export class CurveCipher implements TrafficCipher {
  readonly overheadBytes = MESSAGE_OVERHEAD_BYTES;
  readonly #sendKey: Uint8Array;
  readonly #receiveKey: Uint8Array;
  #sent: number;
  #receivedHigh: number;
  #receivedLow: number;

  constructor({ role, key, noncesSent, lastNonceReceived }: CurveCipherOptions) {
    const peer = role === "client" ? "server" : "client";
    this.#sendKey = subkey(key, Buffer.from(NONCE_PREFIX[role], "latin1"));
    this.#receiveKey = subkey(key, Buffer.from(NONCE_PREFIX[peer], "latin1"));
    this.#sent = noncesSent;
    this.#receivedHigh = word(lastNonceReceived, 0);
    this.#receivedLow = word(lastNonceReceived, 4);
  }

  /**
   * A whole MESSAGE. Its frame goes out with COMMAND and MORE clear, whatever the part is: libzmq sends it so, and drops a MESSAGE
   * whose frame has COMMAND set (it ORs the outer flags into the opened part), though RFC 37 reads otherwise.
   */
  seal(flags: number, part: Uint8Array): Uint8Array {
    const message = Buffer.allocUnsafe(MESSAGE_OVERHEAD_BYTES + part.length);
    message.fill(0, 0, CIPHERTEXT_AT);
    message[CIPHERTEXT_AT] = flags;
    message.set(part, CIPHERTEXT_AT + 1);

    this.#sent += 1;
    assert(this.#sent <= Number.MAX_SAFE_INTEGER, "a nonce is never used twice");
    const nonce = nonceOctets(this.#sent);
    salsa20(this.#sendKey, nonce, message, message);
    const tag = poly1305(message.subarray(CIPHERTEXT_AT), message.subarray(0, CIPHERTEXT_AT));
    message.set(NAME);
    message.set(nonce, NONCE_AT);
    message.set(tag, TAG_AT);
    return message;
  }

  /**
   * The flags and the part in a MESSAGE. The octets are the caller's to keep.
   *
   * @throws ProtocolError ERR_ZMTP_MALFORMED_COMMAND_MESSAGE when it is none, ERR_ZMTP_INVALID_SEQUENCE when its nonce is not above
   * the last (a replay), ERR_ZMTP_CRYPTOGRAPHIC when its box does not open (changed on the way, or sealed with other keys)
   */
  open(body: Uint8Array): Uint8Array {
    if (body.length < MESSAGE_OVERHEAD_BYTES || !isMessage(body)) throw noMessage(body);
    this.#countUp(word(body, NONCE_AT), word(body, NONCE_AT + 4));

    const plain = Buffer.allocUnsafe(body.length);
    plain.fill(0, 0, CIPHERTEXT_AT);
    plain.set(body.subarray(CIPHERTEXT_AT), CIPHERTEXT_AT);
    salsa20(this.#receiveKey, body.subarray(NONCE_AT, TAG_AT), plain, plain);
    const tag = poly1305(body.subarray(CIPHERTEXT_AT), plain.subarray(0, CIPHERTEXT_AT));
    if (!equalBytes(tag, body.subarray(TAG_AT, CIPHERTEXT_AT))) {
      throw new ProtocolError(
        "ERR_ZMTP_CRYPTOGRAPHIC",
        "Cannot open MESSAGE: it was changed on the way or sealed with other keys",
      );
    }
    return plain.subarray(CIPHERTEXT_AT);
  }

  #countUp(high: number, low: number): void {
    if (high < this.#receivedHigh || (high === this.#receivedHigh && low <= this.#receivedLow)) {
      throw new ProtocolError(
        "ERR_ZMTP_INVALID_SEQUENCE",
        "Cannot accept MESSAGE: its nonce is not above the one before; a replay",
      );
    }
    this.#receivedHigh = high;
    this.#receivedLow = low;
  }
}

function word(bytes: Uint8Array, at: number): number {
  return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;
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
