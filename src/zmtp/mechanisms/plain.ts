/**
 * ○ PLAIN (RFC 24): the client sends its name and password in the clear. C: HELLO, S: WELCOME (or ERROR), C: INITIATE, S: READY. The
 * server lets nobody in without a verdict: a mechanism that checks nothing would only look safe.
 */
import { Buffer } from "node:buffer";
import { assert } from "../../core/assert.ts";
import { ProtocolError } from "../../core/errors.ts";
import type { ErrorCode } from "../../core/error-codes.ts";
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

/** 255 octets: the length octet before a name or password allows no more. */
export const PLAIN_TEXT_BYTES_MAX = 255;

/**
 * What libzmq's PLAIN server sends for ERROR (4.3.4 and 4.3.5): its source says "\x5ERROR", which C reads as the octet 5E and
 * "RROR". Its client knows no other spelling, and takes a right one for an unexpected command; this side sends what the RFC says.
 */
const MISSPELT_ERROR = Buffer.from("^RROR");

function isMisspeltError(command: Uint8Array): boolean {
  return MISSPELT_ERROR.equals(command.subarray(0, MISSPELT_ERROR.length));
}

type ClientState = "hello" | "welcome" | "ready" | "done";

export class PlainClient extends HandshakeSide implements Mechanism {
  readonly name = "PLAIN";
  readonly asServer = false;
  readonly cipher = undefined;
  readonly credentials = undefined;
  readonly userId = undefined;
  readonly #properties: OwnProperties;
  #state: ClientState = "hello";
  peerProperties: Properties | undefined;

  constructor({ username, password, properties }: { username: string; password: string; properties: OwnProperties }) {
    super();
    this.#properties = properties;
    this.outgoing = encodeCommand("HELLO", Buffer.concat([shortText(username), shortText(password)]));
  }

  get status(): MechanismStatus {
    return this.#state === "done" ? "ready" : "handshaking";
  }

  override next(): Uint8Array | undefined {
    const command = super.next();
    if (command !== undefined && this.#state === "hello") this.#state = "welcome";
    return command;
  }

  receive(command: Uint8Array): void {
    if (isMisspeltError(command)) throw new HandshakeRefused(decodeErrorReason(command.subarray(MISSPELT_ERROR.length)));
    const { name, data } = decodeCommand(command);
    if (name === "ERROR") throw new HandshakeRefused(decodeErrorReason(data));
    if (this.#state === "welcome" && name === "WELCOME") {
      if (data.length > 0) throw malformed("ERR_ZMTP_MALFORMED_COMMAND_WELCOME", "WELCOME carries data");
      this.outgoing = encodeCommand("INITIATE", encodeProperties(this.#properties));
      this.#state = "ready";
    } else if (this.#state === "ready" && name === "READY") {
      this.peerProperties = decodeProperties(data);
      this.#state = "done";
    } else {
      throw unexpected(name, this.#state);
    }
  }

  authenticated(): void {
    assert(false, "only a server is asked for a verdict");
  }
}

type ServerState = "hello" | "verdict" | "initiate" | "done" | "refused";

export class PlainServer extends HandshakeSide implements Mechanism {
  readonly name = "PLAIN";
  readonly asServer = true;
  readonly cipher = undefined;
  readonly #properties: OwnProperties;
  #state: ServerState = "hello";
  credentials: MechanismCredentials | undefined;
  peerProperties: Properties | undefined;
  userId: string | undefined;

  constructor({ properties }: { properties: OwnProperties }) {
    super();
    this.#properties = properties;
  }

  get status(): MechanismStatus {
    switch (this.#state) {
      case "verdict":
        return "authenticating";
      case "done":
        return "ready";
      case "refused":
        return "refused";
      default:
        return "handshaking";
    }
  }

  receive(command: Uint8Array): void {
    const { name, data } = decodeCommand(command);
    if (name === "ERROR") throw new HandshakeRefused(decodeErrorReason(data));
    if (this.#state === "hello" && name === "HELLO") {
      this.credentials = readHello(data);
      this.#state = "verdict";
    } else if (this.#state === "initiate" && name === "INITIATE") {
      this.peerProperties = decodeProperties(data);
      this.outgoing = encodeCommand("READY", encodeProperties(this.#properties));
      this.#state = "done";
    } else {
      throw unexpected(name, this.#state);
    }
  }

  authenticated(verdict: Verdict): void {
    assert(this.#state === "verdict", "a verdict answers credentials");
    this.credentials = undefined;
    if (verdict.status === 200) {
      this.userId = verdict.userId;
      this.outgoing = encodeCommand("WELCOME");
      this.#state = "initiate";
      return;
    }
    this.#state = "refused";
    // As libzmq: for the temporary 300 nothing is sent, so that the client tries again
    if (verdict.status !== 300) this.outgoing = encodeError(String(verdict.status));
  }
}

function readHello(data: Uint8Array): MechanismCredentials {
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.length);
  const username = readShortText(bytes, 0);
  const password = readShortText(bytes, username.end);
  if (password.end !== bytes.length) throw malformed("ERR_ZMTP_MALFORMED_COMMAND_HELLO", "HELLO has bytes after the password");
  return { mechanism: "PLAIN", username: username.text, password: password.text };
}

function readShortText(bytes: Buffer, at: number): { readonly text: string; readonly end: number } {
  const end = at + 1 + (bytes[at] ?? 0);
  if (at >= bytes.length || end > bytes.length) throw malformed("ERR_ZMTP_MALFORMED_COMMAND_HELLO", "HELLO is cut off");
  return { text: bytes.toString("utf8", at + 1, end), end };
}

function shortText(text: string): Buffer {
  const bytes = Buffer.from(text);
  assert(bytes.length <= PLAIN_TEXT_BYTES_MAX, "PLAIN's name and password were checked to have at most 255 octets");
  return Buffer.concat([Buffer.of(bytes.length), bytes]);
}

function malformed(code: ErrorCode, reason: string): ProtocolError {
  return new ProtocolError(code, `PLAIN handshake failed: ${reason}`);
}

function unexpected(name: string, state: string): ProtocolError {
  return malformed("ERR_ZMTP_UNEXPECTED_COMMAND", `${name} is not expected in state ${state}`);
}
