/**
 * ○ CURVE's handshake as the client (RFC 26): HELLO → WELCOME → INITIATE → READY. The client knows the server's public key
 * beforehand; its own is sent to that server alone, encrypted. A command out of order ends the connection.
 */
import { assert, unreachable } from "../../core/assert.ts";
import { concat } from "../../core/bytes.ts";
import { type CurveKeys, type CurveMath, KEY_BYTES, newKeys, nonceOf, open, seal, sharedKey } from "./curve-box.ts";
import { CurveCipher } from "./curve-cipher.ts";
import {
  decodeReady,
  decodeWelcome,
  encodeHello,
  encodeInitiate,
  encodeInitiatePlain,
  HELLO_PLAIN,
  LONG_NONCE_BYTES,
  NONCE_PREFIX,
  nonceOctets,
  split,
  unopened,
} from "./curve-command.ts";
import { HandshakeSide, type Mechanism, type MechanismStatus } from "../mechanism.ts";
import { decodeProperties, encodeProperties, type OwnProperties, type Properties } from "../properties.ts";

/** The client's nonces in order: HELLO has 1, INITIATE 2, the first MESSAGE 3. */
const HELLO_NONCE = 1;
const INITIATE_NONCE = 2;

export interface CurveClientOptions {
  /** The server's long-term public key. */
  readonly serverKey: Uint8Array;
  /** This client's long-term keys. */
  readonly keys: CurveKeys;
  readonly math: CurveMath;
  readonly properties: OwnProperties;
}

export class CurveClient extends HandshakeSide implements Mechanism {
  readonly name = "CURVE";
  readonly asServer = false;
  readonly credentials = undefined;
  readonly userId = undefined;
  readonly #options: CurveClientOptions;
  /** C' and c', good for this connection only. */
  readonly #transient: CurveKeys;
  /** Shared by C' and S: opens nothing but the handshake. */
  readonly #welcomeKey: Uint8Array;
  #state: "WELCOME" | "READY" | "done" = "WELCOME";
  /** Shared by C' and S', once S' is known. */
  #trafficKey: Uint8Array | undefined;
  peerProperties: Properties | undefined;
  cipher: CurveCipher | undefined;

  /** @throws ProtocolError ERR_ZMTP_KEY_EXCHANGE when the server's key is no public key */
  constructor(options: CurveClientOptions) {
    super();
    const { math, serverKey } = options;
    this.#options = options;
    this.#transient = newKeys(math);
    this.#welcomeKey = sharedKey(math.x25519, this.#transient.secretKey, serverKey);
    const nonce = nonceOctets(HELLO_NONCE);
    const box = seal(this.#welcomeKey, nonceOf(NONCE_PREFIX.hello, nonce), HELLO_PLAIN);
    this.outgoing = encodeHello({ transientKey: this.#transient.publicKey, nonce, box });
  }

  get status(): MechanismStatus {
    return this.#state === "done" ? "ready" : "handshaking";
  }

  receive(command: Uint8Array): void {
    switch (this.#state) {
      case "WELCOME":
        this.outgoing = this.#welcomed(command);
        this.#state = "READY";
        return;
      case "READY":
        this.#ready(command);
        this.#state = "done";
        return;
      case "done":
        assert(false, "a finished handshake receives no command");
        return;
      default:
        unreachable(this.#state);
    }
  }

  /** Servers authenticate clients, clients do not authenticate servers: they have checked that the server owns its key. */
  authenticated(): void {
    assert(false, "a CURVE client asks for no verdict");
  }

  /** Opens WELCOME and answers with INITIATE. */
  #welcomed(command: Uint8Array): Uint8Array {
    const { nonce: welcomeNonce, box: welcomeBox } = decodeWelcome(command);
    const plain = open(this.#welcomeKey, nonceOf(NONCE_PREFIX.welcome, welcomeNonce), welcomeBox);
    if (!plain) throw unopened("WELCOME", "the server does not own the key that curveServerKey names");
    const [serverTransientKey, cookie] = split(plain, [KEY_BYTES]);
    const { math, keys, serverKey, properties } = this.#options;
    this.#trafficKey = sharedKey(math.x25519, this.#transient.secretKey, serverTransientKey!);

    const vouchNonce = math.randomBytes(LONG_NONCE_BYTES);
    const vouch = seal(
      sharedKey(math.x25519, keys.secretKey, serverTransientKey!),
      nonceOf(NONCE_PREFIX.vouch, vouchNonce),
      concat(this.#transient.publicKey, serverKey),
    );
    const metadata = encodeProperties(properties);
    const initiate = encodeInitiatePlain({ publicKey: keys.publicKey, vouchNonce, vouch, metadata });
    const nonce = nonceOctets(INITIATE_NONCE);
    const box = seal(this.#trafficKey, nonceOf(NONCE_PREFIX.initiate, nonce), initiate);
    return encodeInitiate({ cookie: cookie!, nonce, box });
  }

  #ready(command: Uint8Array): void {
    const { nonce, box } = decodeReady(command);
    const key = this.#trafficKey!;
    const metadata = open(key, nonceOf(NONCE_PREFIX.ready, nonce), box);
    if (!metadata) throw unopened("READY", "it was changed on the way or is not of this handshake");
    this.peerProperties = decodeProperties(metadata);
    const { nativeSecretbox: native } = this.#options.math;
    this.cipher = new CurveCipher({ role: "client", key, noncesSent: INITIATE_NONCE, lastNonceReceived: nonce, native });
  }
}
