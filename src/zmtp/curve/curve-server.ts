/**
 * ○ CURVE's handshake as the server (RFC 26): HELLO → WELCOME → INITIATE → (verdict) → READY or ERROR. Every client that knows the
 * server's public key gets past HELLO; its long-term key, which says who it is and which the verdict is about, comes with INITIATE.
 */
import { assert, unreachable } from "../../core/assert.ts";
import { concat, sameBytes } from "../../core/bytes.ts";
import { ProtocolError } from "../../core/errors.ts";
import { encodeError } from "../command.ts";
import { type CurveKeys, type CurveMath, KEY_BYTES, newKeys, nonceOf, open, seal, sharedKey } from "./curve-box.ts";
import { CurveCipher } from "./curve-cipher.ts";
import {
  decodeHello,
  decodeInitiate,
  decodeInitiatePlain,
  encodeReady,
  encodeWelcome,
  HELLO_PLAIN,
  LONG_NONCE_BYTES,
  NONCE_PREFIX,
  nonceOctets,
  split,
  unopened,
} from "./curve-command.ts";
import { HandshakeSide, type MechanismCredentials, type Mechanism, type MechanismStatus, type Verdict } from "../mechanism.ts";
import { decodeProperties, encodeProperties, type OwnProperties, type Properties } from "../properties.ts";

/** The server's first nonce is READY's; WELCOME and the cookie draw theirs at random. */
const READY_NONCE = 1;

export interface CurveServerOptions {
  /** The server's long-term keys. */
  readonly keys: CurveKeys;
  readonly math: CurveMath;
  readonly properties: OwnProperties;
  /** Whether a verdict on the client's key is asked for; without it every client that knows the server's key is let in. */
  readonly authenticate?: boolean;
}

/** What HELLO left: the same as the cookie holds, by which INITIATE proves that it belongs to this HELLO. */
interface Greeted {
  readonly clientTransientKey: Uint8Array;
  readonly transient: CurveKeys;
  readonly cookieKey: Uint8Array;
}

export class CurveServer extends HandshakeSide implements Mechanism {
  readonly name = "CURVE";
  readonly asServer = true;
  readonly #options: CurveServerOptions;
  #state: "HELLO" | "INITIATE" | "verdict" | "done" | "refused" = "HELLO";
  #greeted: Greeted | undefined;
  #trafficKey: Uint8Array | undefined;
  #initiateNonce: Uint8Array | undefined;
  peerProperties: Properties | undefined;
  credentials: MechanismCredentials | undefined;
  userId: string | undefined;
  cipher: CurveCipher | undefined;

  constructor(options: CurveServerOptions) {
    super();
    this.#options = options;
  }

  get status(): MechanismStatus {
    switch (this.#state) {
      case "HELLO":
      case "INITIATE":
        return "handshaking";
      case "verdict":
        return "authenticating";
      case "done":
        return "ready";
      case "refused":
        return "refused";
      default:
        return unreachable(this.#state);
    }
  }

  receive(command: Uint8Array): void {
    switch (this.#state) {
      case "HELLO":
        this.outgoing = this.#hello(command);
        this.#state = "INITIATE";
        return;
      case "INITIATE":
        this.credentials = { mechanism: "CURVE", publicKey: this.#initiate(command) };
        this.#state = "verdict";
        if (!this.#options.authenticate) this.authenticated({ status: 200 });
        return;
      case "verdict":
        throw new ProtocolError("ERR_ZMTP_UNEXPECTED_COMMAND", "Cannot read a command before READY answered INITIATE");
      case "done":
      case "refused":
        assert(false, "a finished handshake receives no command");
        return;
      default:
        unreachable(this.#state);
    }
  }

  authenticated({ status, userId }: Verdict): void {
    assert(this.#state === "verdict", "a verdict answers credentials");
    if (status !== 200) {
      this.#state = "refused";
      // As libzmq: the status is the reason; for the temporary 300 it sends nothing, so that the client tries again
      if (status !== 300) this.outgoing = encodeError(String(status));
      return;
    }
    this.userId = userId;
    const key = this.#trafficKey!;
    const nonce = nonceOctets(READY_NONCE);
    const box = seal(key, nonceOf(NONCE_PREFIX.ready, nonce), encodeProperties(this.#options.properties));
    this.outgoing = encodeReady({ nonce, box });
    const { nativeSecretbox: native } = this.#options.math;
    const lastNonceReceived = this.#initiateNonce!;
    this.cipher = new CurveCipher({ role: "server", key, noncesSent: READY_NONCE, lastNonceReceived, native });
    this.#greeted = undefined;
    this.#state = "done";
  }

  /** Opens HELLO and answers with WELCOME. */
  #hello(command: Uint8Array): Uint8Array {
    const { transientKey: clientTransientKey, nonce: helloNonce, box: signature } = decodeHello(command);
    const { math, keys } = this.#options;
    const welcomeKey = sharedKey(math.x25519, keys.secretKey, clientTransientKey);
    const zeros = open(welcomeKey, nonceOf(NONCE_PREFIX.hello, helloNonce), signature);
    if (!zeros || !sameBytes(zeros, HELLO_PLAIN)) throw unopened("HELLO", "the client expects a server with another key");

    const transient = newKeys(math);
    const cookieKey = math.randomBytes(KEY_BYTES);
    const cookieNonce = math.randomBytes(LONG_NONCE_BYTES);
    const cookieBox = seal(
      cookieKey,
      nonceOf(NONCE_PREFIX.cookie, cookieNonce),
      concat(clientTransientKey, transient.secretKey),
    );
    this.#greeted = { clientTransientKey: Uint8Array.from(clientTransientKey), transient, cookieKey };

    const nonce = math.randomBytes(LONG_NONCE_BYTES);
    const plain = concat(transient.publicKey, cookieNonce, cookieBox);
    return encodeWelcome({ nonce, box: seal(welcomeKey, nonceOf(NONCE_PREFIX.welcome, nonce), plain) });
  }

  /** Opens INITIATE and returns the client's long-term key, for which the vouch has been checked. */
  #initiate(command: Uint8Array): Uint8Array {
    const { cookie, nonce, box } = decodeInitiate(command);
    const { clientTransientKey, transient, cookieKey } = this.#greeted!;
    const { math, keys } = this.#options;
    const [cookieNonce, cookieBox] = split(cookie, [LONG_NONCE_BYTES]);
    const remembered = open(cookieKey, nonceOf(NONCE_PREFIX.cookie, cookieNonce!), cookieBox!);
    if (!remembered || !sameBytes(remembered, concat(clientTransientKey, transient.secretKey))) {
      throw unopened("INITIATE", "its cookie is not the one that WELCOME gave");
    }
    this.#trafficKey = sharedKey(math.x25519, transient.secretKey, clientTransientKey);
    const plain = open(this.#trafficKey, nonceOf(NONCE_PREFIX.initiate, nonce), box);
    if (!plain) throw unopened("INITIATE", "it was changed on the way or is not of this handshake");

    const { publicKey, vouchNonce, vouch, metadata } = decodeInitiatePlain(plain);
    const vouchKey = sharedKey(math.x25519, transient.secretKey, publicKey);
    const vouched = open(vouchKey, nonceOf(NONCE_PREFIX.vouch, vouchNonce), vouch);
    if (!vouched || !sameBytes(vouched, concat(clientTransientKey, keys.publicKey))) {
      throw unopened("INITIATE", "the client's long-term key does not vouch for its transient key");
    }
    this.peerProperties = decodeProperties(metadata);
    this.#initiateNonce = Uint8Array.from(nonce);
    return Uint8Array.from(publicKey);
  }
}
