/**
 * ○ One connection's whole state: greeting, handshake, traffic. Octets go in (`receive`), messages come out (`next`); what is to
 * be sent is written into a `FrameWriter` when the connection has room for it (`writeControl`, `writeMessage`). Anything
 * that the protocol forbids is a ProtocolError, after which the connection must be ended.
 *
 * Life (`state`): greeting → handshake (→ authenticating → handshake) → traffic, or refused.
 */
import { Buffer } from "node:buffer";
import { assert } from "../core/assert.ts";
import { EMPTY_BUFFER } from "../core/buffers.ts";
import { ProtocolError } from "../core/errors.ts";
import { decodeCommand, latin1 } from "./command.ts";
import type { FrameWriter } from "./frame-writer.ts";
import { COMMAND, ZmtpFrameDecoder, MORE } from "./frame.ts";
import { Greeting, type ZmtpVersion } from "./greeting.ts";
import { HANDSHAKE_COMMANDS_MAX, HANDSHAKE_COMMAND_BYTES_MAX, PONGS_WAITING_MAX, ROUTING_ID_BYTES_MAX } from "./limits.ts";
import {
  SEALED_COMMAND,
  SEALED_MORE,
  type MechanismCredentials,
  type Mechanism,
  type TrafficCipher,
  type Verdict,
} from "./mechanism.ts";
import { MessageParts, type Message } from "./message-parts.ts";
import type { OwnProperties, Properties } from "./properties.ts";
import {
  SOCKET_TYPES,
  hasIdentity,
  sendsSubscriptions,
  takesSubscriptions,
  talksTo,
  type SocketTypeName,
} from "./socket-type.ts";
import {
  decodePing,
  encodePing,
  encodePong,
  isSubscription,
  subscriptionCommand,
  subscriptionMessage,
} from "./traffic-command.ts";

export type ZmtpState = "greeting" | "handshake" | "authenticating" | "traffic" | "refused";

export interface PeerOptions {
  readonly socketType: SocketTypeName;
  readonly routingId: Uint8Array;
  readonly mechanism: Mechanism;
  /** Whether an authenticator must see every peer: those too old for a handshake are refused then. */
  readonly authenticated?: boolean;
  /** The limit on one message, all parts together. */
  readonly messageBytesMax: number;
}

const SUBSCRIBE_ALL = Buffer.of(1);

/** The properties that a handshake's READY or INITIATE carries. */
export function ownProperties(socketType: SocketTypeName, routingId: Uint8Array, extra: OwnProperties = []): OwnProperties {
  const identity = hasIdentity(socketType) ? [["Identity", routingId] as const] : [];
  return [["Socket-Type", socketType], ...identity, ...extra];
}

export class Peer {
  readonly #options: PeerOptions;
  readonly #mechanism: Mechanism;
  readonly #greeting: Greeting;
  readonly #messageBytesMax: number;
  #decoder: ZmtpFrameDecoder | undefined;
  #cipher: TrafficCipher | undefined;
  #raw: Uint8Array[] = [];
  #commands: Uint8Array[] = [];
  #heartbeats: Uint8Array[] = [];
  #handshakeCommands = 0;
  readonly #parts = new MessageParts();
  #queued: Message[] = [];
  #speaksHeartbeats = false;
  /** Frames are ZMTP 1.0's. */
  #oldFraming = false;
  /** From 3.1 on subscriptions go as commands. */
  #subscribesByCommand = false;

  state: ZmtpState = "greeting";
  /** The protocol's version on this connection; set once the greeting is complete. */
  version: ZmtpVersion | undefined;
  /** What the peer announced; complete in "traffic". */
  socketType = "";
  routingId: Buffer = EMPTY_BUFFER;
  properties: Properties = new Map();
  /** The TTL in ms of the last PING received, 0 when it had none; read and reset by the owner of the heartbeat. */
  pingTtlMs: number | undefined;

  constructor(options: PeerOptions) {
    this.#options = options;
    this.#mechanism = options.mechanism;
    this.#messageBytesMax = options.messageBytesMax;
    this.#greeting = new Greeting({
      socketType: options.socketType,
      routingId: options.routingId,
      mechanism: options.mechanism.name,
      asServer: options.mechanism.asServer,
    });
    this.#raw.push(...this.#greeting.take());
  }

  get userId(): string | undefined {
    return this.#mechanism.userId;
  }

  get mechanism(): string {
    return this.#mechanism.name;
  }

  /** Set while "authenticating". */
  get credentials(): MechanismCredentials | undefined {
    return this.#mechanism.credentials;
  }

  /** Whether the peer knows PING: it announced 3.1, or has sent one. libzmq 4.1 hands an unknown command to its application. */
  get speaksHeartbeats(): boolean {
    return this.version === "3.1" || this.#speaksHeartbeats;
  }

  /** Octets held that belong to no message given out yet. */
  get pendingBytes(): number {
    return (this.#decoder?.pendingBytes ?? 0) + this.#parts.bytes;
  }

  /** Memory that the above takes. */
  get heldBytes(): number {
    return (this.#decoder?.heldBytes ?? 0) + this.#parts.heldBytes;
  }

  /**
   * Takes octets received. Call `next` until it gives nothing, then write what there is to send.
   *
   * @param borrowed whether the chunk will be written to again: call `retain` before that. Else it belongs to the peer
   * @throws ProtocolError
   */
  receive(chunk: Uint8Array, borrowed = false): void {
    if (this.#decoder !== undefined) {
      this.#decoder.push(chunk, borrowed);
      return;
    }
    const rest = this.#greeting.receive(chunk);
    this.#raw.push(...this.#greeting.take());
    if (this.#greeting.version !== undefined) this.#greeted(this.#greeting.version, rest!, borrowed);
  }

  /** The connection is over: what is not whole is dropped. */
  end(): void {
    this.#decoder?.end();
    this.#parts.end();
  }

  /** Copies what is left of a borrowed chunk. */
  retain(): void {
    this.#decoder?.retain();
  }

  /**
   * After a read: octets that the bodies given out keep alive in vain.
   *
   * @param alsoBytes what the caller did not keep
   */
  takeWastedBytes(alsoBytes: number): number {
    const decoder = this.#decoder;
    if (decoder === undefined) return 0;
    const bytes = decoder.wastedBytes + alsoBytes;
    decoder.wastedBytes = 0;
    return bytes;
  }

  /** The parts of an unfinished message that came with the last read keep nothing else alive. */
  disjoinParts(): void {
    this.#parts.disjoin();
  }

  /** Answers `credentials`. Call `next` afterwards: what arrived meanwhile waits. */
  authenticated(verdict: Verdict): void {
    this.#mechanism.authenticated(verdict);
    this.#advance();
  }

  /**
   * The next message; undefined when no whole one has arrived, or when there is none before `state` changes.
   *
   * @throws ProtocolError; HandshakeRefused
   */
  next(): Message | undefined {
    const decoder = this.#decoder;
    if (decoder === undefined) return undefined;
    if (this.#queued.length > 0) return this.#queued.shift();
    while (this.state !== "authenticating" && this.state !== "refused") {
      const body = decoder.next();
      if (body === undefined) return undefined;
      if (this.state !== "traffic") {
        this.#handshake(decoder.flags, body);
        if (this.#queued.length > 0) return this.#queued.shift();
        continue;
      }
      const message = this.#cipher === undefined ? this.#part(decoder.flags, body) : this.#sealedPart(body);
      if (message !== undefined) return message;
    }
    return undefined;
  }

  /** Writes what the protocol itself wants to send: greeting, handshake, PONG. Before any message, and whenever octets came in. */
  writeControl(writer: FrameWriter): void {
    if (this.#raw.length > 0) {
      for (const bytes of this.#raw) writer.raw(bytes);
      this.#raw = [];
    }
    if (this.#commands.length > 0) {
      for (const body of this.#commands) writer.frame(COMMAND, body);
      this.#commands = [];
    }
    if (this.#heartbeats.length > 0 && this.state === "traffic") {
      for (const body of this.#heartbeats) this.#writeCommand(writer, body);
      this.#heartbeats = [];
    }
  }

  /** Whether `writeControl` would write anything. */
  get hasControl(): boolean {
    return this.#raw.length > 0 || this.#commands.length > 0 || this.#heartbeats.length > 0;
  }

  writeMessage(writer: FrameWriter, parts: Message): void {
    const last = parts.length - 1;
    if (last === 0 && this.#subscribesByCommand && isSubscription(parts[0]!)) {
      this.#writeCommand(writer, subscriptionCommand(parts[0]!));
      return;
    }
    const cipher = this.#cipher;
    for (let index = 0; index <= last; index += 1) {
      const more = index < last;
      if (cipher !== undefined) writer.sealedFrame(cipher, more ? SEALED_MORE : 0, parts[index]!);
      else if (this.#oldFraming) writer.oldFrame(more ? MORE : 0, parts[index]!);
      else writer.frame(more ? MORE : 0, parts[index]!);
    }
  }

  /** Makes `writeControl` send a PING; `ttlMs` asks the peer to end the connection after so much silence, 0 asks nothing. */
  ping(ttlMs: number): void {
    this.#heartbeats.push(encodePing(ttlMs));
  }

  #writeCommand(writer: FrameWriter, body: Uint8Array): void {
    if (this.#cipher) writer.sealedFrame(this.#cipher, SEALED_COMMAND, body);
    else writer.frame(COMMAND, body);
  }

  #greeted(version: ZmtpVersion, rest: Uint8Array, borrowed: boolean): void {
    this.version = version;
    this.#oldFraming = this.#greeting.oldFraming;
    this.#subscribesByCommand = version === "3.1" && sendsSubscriptions(this.#options.socketType);
    const old = version === "1.0" || version === "2.0";
    if (old) this.#acceptOld();
    else if (this.#greeting.mechanism !== this.#mechanism.name) {
      throw new ProtocolError(
        "ERR_ZMTP_MECHANISM_MISMATCH",
        `Security mechanisms differ: the peer uses ${show(this.#greeting.mechanism)}, this side ${this.#mechanism.name}`,
      );
    }
    this.state = "handshake";
    this.#decoder = new ZmtpFrameDecoder({
      oldFraming: this.#oldFraming,
      bodyBytesMax: old ? ROUTING_ID_BYTES_MAX : HANDSHAKE_COMMAND_BYTES_MAX,
    });
    this.#decoder.push(rest, borrowed);
    if (!old) this.#advance();
  }

  /** A peer older than 3.0 has no mechanism: it is let in only where none is asked for. */
  #acceptOld(): void {
    if (this.#mechanism.name !== "NULL" || this.#options.authenticated) {
      throw new ProtocolError(
        "ERR_ZMTP_MECHANISM_MISMATCH",
        `Cannot accept a ZMTP ${this.version} peer: it cannot authenticate, which this side requires`,
      );
    }
    const octet = this.#greeting.socketTypeOctet;
    if (octet !== undefined) this.#setSocketType(SOCKET_TYPES[octet] ?? `number ${octet}`);
  }

  #handshake(flags: number, body: Buffer): void {
    if (this.version === "1.0" || this.version === "2.0") {
      this.#setRoutingId(body);
      // 1.0 subscribers filter on their own side and never subscribe
      if (this.version === "1.0" && takesSubscriptions(this.#options.socketType)) this.#queued.push([SUBSCRIBE_ALL]);
      this.#startTraffic();
      return;
    }
    if ((flags & COMMAND) === 0) throw unexpected("a message before the handshake's end");
    this.#handshakeCommands += 1;
    if (this.#handshakeCommands > HANDSHAKE_COMMANDS_MAX) throw unexpected("more commands than any handshake has");
    this.#mechanism.receive(body);
    this.#advance();
  }

  /** Follows the mechanism's state. */
  #advance(): void {
    for (let command = this.#mechanism.next(); command !== undefined; command = this.#mechanism.next()) {
      this.#commands.push(command);
    }
    const { status } = this.#mechanism;
    if (status === "ready") this.#ready();
    else this.state = status === "handshaking" ? "handshake" : status;
  }

  #ready(): void {
    const properties = this.#mechanism.peerProperties;
    assert(properties !== undefined, "a mechanism that is ready knows the peer's properties");
    this.properties = properties;
    const type = properties.get("socket-type");
    this.#setSocketType(type ? latin1(type, 0, type.length) : "");
    this.#setRoutingId(properties.get("identity") ?? EMPTY_BUFFER);
    this.#cipher = this.#mechanism.cipher;
    this.#startTraffic();
  }

  #startTraffic(): void {
    this.state = "traffic";
    this.#limitBody();
  }

  #setSocketType(type: string): void {
    if (!talksTo(this.#options.socketType, type)) {
      throw new ProtocolError(
        "ERR_ZMTP_INVALID_METADATA",
        `Incompatible socket types: the peer is ${show(type)}, this side is ${this.#options.socketType}`,
      );
    }
    this.socketType = type;
  }

  #setRoutingId(identity: Uint8Array): void {
    if (identity.length > ROUTING_ID_BYTES_MAX) {
      throw new ProtocolError("ERR_ZMTP_INVALID_METADATA", `Cannot accept routing id: ${identity.length} octets, at most 255`);
    }
    // Ids that start with zero are those that a ROUTER makes up: a peer's own is taken as none (RFC 37, RFC 28)
    this.routingId = identity[0] === 0 ? EMPTY_BUFFER : Buffer.from(identity);
  }

  #sealedPart(sealed: Buffer): Message | undefined {
    const cipher = this.#cipher!;
    const flags = cipher.open(sealed);
    const part = sealed.subarray(cipher.overheadBytes);
    return this.#part((flags & SEALED_MORE ? MORE : 0) | (flags & SEALED_COMMAND ? COMMAND : 0), part);
  }

  #part(flags: number, body: Buffer): Message | undefined {
    if (flags & COMMAND) return this.#command(flags, body);
    const more = (flags & MORE) !== 0;
    if (!more && this.#parts.isEmpty) return [body];
    const message = this.#parts.add(body, more);
    this.#limitBody();
    return message;
  }

  /** What is left of the limit on a message bounds its next frame. */
  #limitBody(): void {
    this.#decoder!.bodyBytesMax = this.#messageBytesMax - this.#parts.bytes + (this.#cipher?.overheadBytes ?? 0);
  }

  /** A command in the traffic: subscriptions become the messages that 3.0 sends for them; unknown ones are skipped. */
  #command(flags: number, body: Buffer): Message | undefined {
    if (flags & MORE) throw unexpected("a command with MORE set");
    this.#decoder!.wastedBytes += body.length;
    const { name, data } = decodeCommand(body);
    switch (name) {
      case "SUBSCRIBE":
      case "CANCEL": {
        if (!takesSubscriptions(this.#options.socketType)) return undefined;
        return [subscriptionMessage(name, data)];
      }
      case "PING": {
        const { ttlMs, context } = decodePing(data);
        this.#speaksHeartbeats = true;
        this.pingTtlMs = ttlMs;
        if (this.#heartbeats.length === PONGS_WAITING_MAX) this.#heartbeats.shift();
        this.#heartbeats.push(encodePong(context));
        return undefined;
      }
      default:
        return undefined;
    }
  }
}

function unexpected(what: string): ProtocolError {
  return new ProtocolError("ERR_ZMTP_UNEXPECTED_COMMAND", `Protocol violation: the peer sent ${what}`);
}

function show(text: string | undefined): string {
  return JSON.stringify(text ?? "");
}
