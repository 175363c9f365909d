/**
 * ○ The four commands of CURVE's handshake as octets (RFC 26, section 2.1): where each field lies, and the nonce prefix of each
 * box. Knows no key and no state; every decoder refuses a length that the command cannot have.
 */
import { ByteWriter } from "../../core/byte-writer.ts";
import { ProtocolError } from "../../core/errors.ts";
import { decodeCommand, decodeErrorReason } from "../command.ts";
import { BOX_OVERHEAD_BYTES, KEY_BYTES } from "./curve-box.ts";
import { HandshakeRefused } from "../mechanism.ts";

/** Text before the octets that travel, in the 24 octets of each box's nonce. */
export const NONCE_PREFIX = {
  hello: "CurveZMQHELLO---",
  welcome: "WELCOME-",
  cookie: "COOKIE--",
  initiate: "CurveZMQINITIATE",
  vouch: "VOUCH---",
  ready: "CurveZMQREADY---",
} as const;

/** Octets of a nonce that counts, and of one drawn at random. */
const SHORT_NONCE_BYTES = 8;
export const LONG_NONCE_BYTES = 16;

/** Zeros that make HELLO longer than WELCOME, so that a server amplifies nobody's traffic. */
const HELLO_PADDING = new Uint8Array(72);
const HELLO_SIGNATURE_BYTES = 64;

/** The server's memory of HELLO, given to the client to keep: nonce and secretbox of C' and s'. */
export const COOKIE_BYTES = LONG_NONCE_BYTES + BOX_OVERHEAD_BYTES + 2 * KEY_BYTES;

/** Box[C',S](C->S'): proves that the owner of C vouches for C'. */
const VOUCH_BYTES = BOX_OVERHEAD_BYTES + 2 * KEY_BYTES;

const HELLO_BYTES = 200;
const WELCOME_BYTES = 168;
const INITIATE_BYTES_MIN = 257;
const READY_BYTES_MIN = 30;

export interface CurveHello {
  /** C', the client's transient public key. */
  readonly transientKey: Uint8Array;
  readonly nonce: Uint8Array;
  /** Box[64 zeros](C'->S). */
  readonly box: Uint8Array;
}

/** What the box of HELLO holds. */
export const HELLO_PLAIN = new Uint8Array(HELLO_SIGNATURE_BYTES);

export function encodeHello({ transientKey, nonce, box }: CurveHello): Uint8Array {
  return command("HELLO").u8(1).u8(0).bytes(HELLO_PADDING).bytes(transientKey).bytes(nonce).bytes(box).take();
}

export function decodeHello(octets: Uint8Array): CurveHello {
  const data = dataOf(octets, "HELLO", { exactly: HELLO_BYTES });
  if (data[0] !== 1 || data[1] !== 0) {
    throw malformed("HELLO", `it announces CurveZMQ ${data[0]}.${data[1]}, only 1.0 is known`);
  }
  const [transientKey, nonce, box] = split(data.subarray(2 + HELLO_PADDING.length), [KEY_BYTES, SHORT_NONCE_BYTES]);
  return { transientKey: transientKey!, nonce: nonce!, box: box! };
}

export interface CurveWelcome {
  readonly nonce: Uint8Array;
  /** Box[S' + cookie](S->C'). */
  readonly box: Uint8Array;
}

export function encodeWelcome({ nonce, box }: CurveWelcome): Uint8Array {
  return command("WELCOME").bytes(nonce).bytes(box).take();
}

export function decodeWelcome(octets: Uint8Array): CurveWelcome {
  const [nonce, box] = split(dataOf(octets, "WELCOME", { exactly: WELCOME_BYTES }), [LONG_NONCE_BYTES]);
  return { nonce: nonce!, box: box! };
}

export interface CurveInitiate {
  readonly cookie: Uint8Array;
  readonly nonce: Uint8Array;
  /** Box[C + vouch nonce + vouch + metadata](C'->S'). */
  readonly box: Uint8Array;
}

export function encodeInitiate({ cookie, nonce, box }: CurveInitiate): Uint8Array {
  return command("INITIATE").bytes(cookie).bytes(nonce).bytes(box).take();
}

export function decodeInitiate(octets: Uint8Array): CurveInitiate {
  const data = dataOf(octets, "INITIATE", { atLeast: INITIATE_BYTES_MIN });
  const [cookie, nonce, box] = split(data, [COOKIE_BYTES, SHORT_NONCE_BYTES]);
  return { cookie: cookie!, nonce: nonce!, box: box! };
}

/** What the box of INITIATE holds. */
export interface CurveInitiatePlain {
  /** C, the client's long-term public key. */
  readonly publicKey: Uint8Array;
  readonly vouchNonce: Uint8Array;
  readonly vouch: Uint8Array;
  readonly metadata: Uint8Array;
}

export function encodeInitiatePlain({ publicKey, vouchNonce, vouch, metadata }: CurveInitiatePlain): Uint8Array {
  return new ByteWriter().bytes(publicKey).bytes(vouchNonce).bytes(vouch).bytes(metadata).take();
}

export function decodeInitiatePlain(plain: Uint8Array): CurveInitiatePlain {
  const [publicKey, vouchNonce, vouch, metadata] = split(plain, [KEY_BYTES, LONG_NONCE_BYTES, VOUCH_BYTES]);
  return { publicKey: publicKey!, vouchNonce: vouchNonce!, vouch: vouch!, metadata: metadata! };
}

export interface CurveReady {
  readonly nonce: Uint8Array;
  /** Box[metadata](S'->C'). */
  readonly box: Uint8Array;
}

export function encodeReady({ nonce, box }: CurveReady): Uint8Array {
  return command("READY").bytes(nonce).bytes(box).take();
}

export function decodeReady(octets: Uint8Array): CurveReady {
  const [nonce, box] = split(dataOf(octets, "READY", { atLeast: READY_BYTES_MIN }), [SHORT_NONCE_BYTES]);
  return { nonce: nonce!, box: box! };
}

/** The first `lengths[0]` octets, the next `lengths[1]` …, and last whatever remains. */
export function split(octets: Uint8Array, lengths: readonly number[]): Uint8Array[] {
  let at = 0;
  const fields = lengths.map((length) => octets.subarray(at, (at += length)));
  return [...fields, octets.subarray(at)];
}

/** A count as the octets of a nonce, most significant first. */
export function nonceOctets(count: number): Uint8Array {
  const octets = new Uint8Array(SHORT_NONCE_BYTES);
  const view = new DataView(octets.buffer);
  view.setUint32(0, Math.floor(count / 2 ** 32));
  view.setUint32(4, count >>> 0);
  return octets;
}

/** A box of the handshake that does not open. */
export function unopened(name: string, why: string): ProtocolError {
  return new ProtocolError("ERR_ZMTP_CRYPTOGRAPHIC", `Cannot decrypt ${name}: ${why}`);
}

type Handshake = "HELLO" | "WELCOME" | "INITIATE" | "READY";

function command(name: Handshake): ByteWriter {
  return new ByteWriter().u8(name.length).ascii(name);
}

/** The data of the command, once its name and length are what they must be. */
function dataOf(octets: Uint8Array, expected: Handshake, length: { exactly: number } | { atLeast: number }): Uint8Array {
  const { name, data } = decodeCommand(octets);
  if (name === "ERROR") throw new HandshakeRefused(decodeErrorReason(data));
  if (name !== expected) {
    throw new ProtocolError(
      "ERR_ZMTP_UNEXPECTED_COMMAND",
      `CURVE handshake failed: ${JSON.stringify(name)} received, ${expected} expected`,
    );
  }
  const fits = "exactly" in length ? octets.length === length.exactly : octets.length >= length.atLeast;
  if (!fits) throw malformed(name, `it has ${octets.length} octets`);
  return data;
}

function malformed(name: Handshake, reason: string): ProtocolError {
  return new ProtocolError(`ERR_ZMTP_MALFORMED_COMMAND_${name}`, `Cannot read ${name}: ${reason}`);
}
