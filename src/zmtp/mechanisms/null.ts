/**
 * ○ NULL (RFC 37): both sides send READY without waiting for the other's. With an authenticator READY waits for its verdict, so
 * that a refused peer hears ERROR instead.
 */
import { assert } from "../../core/assert.ts";
import { ProtocolError } from "../../core/errors.ts";
import { decodeCommand, decodeErrorReason, encodeCommand, encodeError } from "../command.ts";
import {
  HandshakeRefused,
  HandshakeSide,
  type MechanismCredentials,
  type Mechanism,
  type MechanismStatus,
  type Verdict,
} from "../mechanism.ts";
import { decodeProperties, encodeProperties, type OwnProperties, type Properties } from "../properties.ts";

export class NullMechanism extends HandshakeSide implements Mechanism {
  readonly name = "NULL";
  readonly asServer = false;
  readonly cipher = undefined;
  readonly #ready: Uint8Array;
  #authenticating: boolean;
  #readySent = false;
  #refused = false;
  peerProperties: Properties | undefined;
  userId: string | undefined;

  constructor({ properties, authenticate = false }: { properties: OwnProperties; authenticate?: boolean }) {
    super();
    this.#ready = encodeCommand("READY", encodeProperties(properties));
    this.#authenticating = authenticate;
    if (!authenticate) this.outgoing = this.#ready;
  }

  get status(): MechanismStatus {
    if (this.#refused) return "refused";
    if (this.#authenticating) return "authenticating";
    return this.#readySent && this.peerProperties ? "ready" : "handshaking";
  }

  get credentials(): MechanismCredentials | undefined {
    return this.#authenticating ? { mechanism: "NULL" } : undefined;
  }

  override next(): Uint8Array | undefined {
    const command = super.next();
    if (command === this.#ready) this.#readySent = true;
    return command;
  }

  receive(command: Uint8Array): void {
    const { name, data } = decodeCommand(command);
    if (name === "ERROR") throw new HandshakeRefused(decodeErrorReason(data));
    if (name !== "READY" || this.peerProperties) {
      throw new ProtocolError("ERR_ZMTP_UNEXPECTED_COMMAND", `NULL handshake failed: ${name} is not expected`);
    }
    this.peerProperties = decodeProperties(data);
  }

  authenticated(verdict: Verdict): void {
    assert(this.#authenticating, "a verdict answers credentials");
    this.#authenticating = false;
    if (verdict.status === 200) {
      this.userId = verdict.userId;
      this.outgoing = this.#ready;
      return;
    }
    this.#refused = true;
    // As libzmq: the status is the reason; for the temporary 300 it sends nothing, so that the client tries again
    if (verdict.status !== 300) this.outgoing = encodeError(String(verdict.status));
  }
}
