/**
 * ● Connections of a socket: those accepted (`AcceptedConnection`), whose pipe lives as long as they, and those made (`DialedConnection`), whose pipe
 * outlives them. Both tell the socket's events.
 */
import { Buffer } from "node:buffer";
import type { Socket as Stream } from "node:net";
import type { Cancel } from "../../core/clock.ts";
import { ProtocolError } from "../../core/errors.ts";
import type { Random } from "../../core/random.ts";
import { HandshakeRefused, type Verdict } from "../../zmtp/mechanism.ts";
import type { Message } from "../../zmtp/message-parts.ts";
import { Peer } from "../../zmtp/peer.ts";
import type { SocketTypeName } from "../../zmtp/socket-type.ts";
import { GOODBYE_MS } from "../limits.ts";
import { tcpEndpoint } from "./endpoint.ts";
import { type SocketCore, knownPeer } from "../socket-core/socket-core.ts";
import { ZmqConnection, type ZmqConnectionHost } from "./zmq-connection.ts";
import type { Pipe } from "../patterns/pipe.ts";
import type { OnReadStream } from "./onread-stream.ts";
import { askAuthenticator, authRequest, type MechanismMaker } from "./security.ts";
import { Connecter, type Target } from "./connecter.ts";
import type { Authenticator, SocketSettings } from "../socket-core/settings.ts";

/** What all connections of an endpoint have in common. */
export interface EndpointContext {
  readonly type: SocketTypeName;
  /** As they were at bind or connect. */
  readonly settings: SocketSettings;
  readonly core: SocketCore;
  readonly random: Random;
  readonly makeMechanism: MechanismMaker;
  /** Who decides on peers, if anyone does: asked for each connection. */
  readonly authenticator: () => Authenticator | null;
}

/** 2^53-1: what -1, "no limit", is to a decoder. */
const UNLIMITED_BYTES = Number.MAX_SAFE_INTEGER;

function makeConnection(
  context: EndpointContext,
  host: ZmqConnectionHost,
  reading: OnReadStream,
  address: string,
  remoteAddress: string,
): ZmqConnection {
  const { type, settings, core, makeMechanism, authenticator } = context;
  const authenticated = authenticator() !== null;
  const peer = new Peer({
    socketType: type,
    routingId: routingIdOf(settings),
    mechanism: makeMechanism(authenticated),
    authenticated,
    messageBytesMax: settings.maxMessageSize < 0 ? UNLIMITED_BYTES : settings.maxMessageSize,
  });
  if (settings.tcpKeepalive === 1) keepAlive(reading.stream, settings);
  if (settings.typeOfService > 0) setTypeOfService(reading.stream, settings.typeOfService);
  return new ZmqConnection(reading, {
    peer,
    host,
    clock: core.clock,
    address,
    remoteAddress,
    handshakeIntervalMs: settings.handshakeInterval,
    heartbeat: {
      intervalMs: settings.heartbeatInterval,
      timeoutMs: settings.heartbeatTimeout,
      ttlMs: settings.heartbeatTimeToLive,
    },
  });
}

/** The own routing id as octets. */
export function routingIdOf({ routingId }: SocketSettings): Buffer {
  return routingId === null ? Buffer.alloc(0) : Buffer.from(routingId as string);
}

function keepAlive(stream: Stream, settings: SocketSettings): void {
  const { tcpKeepaliveIdle, tcpKeepaliveInterval, tcpKeepaliveCount } = settings; // seconds, as in the options of TCP
  const set = stream.setKeepAlive.bind(stream) as (...options: unknown[]) => void;
  const extra = tcpKeepaliveInterval > 0 || tcpKeepaliveCount > 0;
  const idleMs = tcpKeepaliveIdle > 0 ? tcpKeepaliveIdle * 1000 : 0;
  if (extra) set(true, idleMs, Math.max(1, tcpKeepaliveInterval) * 1000, Math.max(1, tcpKeepaliveCount));
  else set(true, idleMs);
}

/** Node 26 can, Node 24 cannot; on ipc it means nothing. */
function setTypeOfService(stream: Stream, value: number): void {
  if (!("setTypeOfService" in stream) || stream.remoteAddress === undefined) return;
  (stream.setTypeOfService as (value: number) => void)(value);
}

abstract class ConnectionHost implements ZmqConnectionHost {
  protected readonly context: EndpointContext;

  constructor(context: EndpointContext) {
    this.context = context;
  }

  authenticate(connection: ZmqConnection): Promise<Verdict> {
    const { settings, authenticator } = this.context;
    const authenticate = authenticator();
    if (authenticate === null) return Promise.resolve({ status: 500 });
    const request = authRequest(connection.peer.credentials!, {
      domain: settings.zapDomain ?? "",
      remoteAddress: connection.remoteAddress,
      routingId: routingIdOf(settings),
    });
    return askAuthenticator(authenticate, request);
  }

  incoming(pipe: Pipe, message: Message): void {
    this.context.core.incoming(pipe, message);
  }

  abstract ready(connection: ZmqConnection): Pipe | undefined;
  abstract ended(connection: ZmqConnection, reason: Error | undefined): void;

  protected tellHandshake(connection: ZmqConnection, pipe: Pipe): void {
    const { version, mechanism } = connection.peer;
    this.context.core.tell({ type: "handshake", version: version!, mechanism, ...knownPeer(pipe) });
  }

  protected tellEnd(connection: ZmqConnection, reason: Error | undefined): void {
    const { core } = this.context;
    const { address, remoteAddress, pipe } = connection;
    if (pipe === undefined) {
      const error = reason ?? new Error("Peer closed the connection during the handshake");
      core.tell({ type: handshakeEnd(error), address, remoteAddress, error });
    }
    const known = pipe?.peer ? knownPeer(pipe) : { address, remoteAddress };
    core.tell({ type: "disconnect", ...known, ...(reason && { reason }) });
  }
}

function handshakeEnd(error: Error): "handshake:error:auth" | "handshake:error:protocol" | "handshake:error:other" {
  if (error instanceof HandshakeRefused) return "handshake:error:auth";
  if ("code" in error && error.code === "ERR_ZMTP_REFUSED") return "handshake:error:auth";
  return error instanceof ProtocolError ? "handshake:error:protocol" : "handshake:error:other";
}

/** A connection that a peer made to a bound endpoint. */
export class AcceptedConnection extends ConnectionHost {
  readonly connection: ZmqConnection;
  readonly #onEnded: () => void;

  constructor(context: EndpointContext, stream: OnReadStream, address: string, remoteAddress: string, onEnded: () => void) {
    super(context);
    this.#onEnded = onEnded;
    context.core.tell({ type: "accept", address, remoteAddress });
    this.connection = makeConnection(context, this, stream, address, remoteAddress);
  }

  override ready(connection: ZmqConnection): Pipe | undefined {
    const { core, settings } = this.context;
    const pipe = core.attach(settings);
    if (!core.connected(pipe, connection.info, { probe: settings.probeRouter })) {
      core.detach(pipe, undefined);
      return undefined;
    }
    this.tellHandshake(connection, pipe);
    return pipe;
  }

  override ended(connection: ZmqConnection, reason: Error | undefined): void {
    this.tellEnd(connection, reason);
    if (connection.pipe) this.context.core.detach(connection.pipe, reason);
    this.#onEnded();
  }

  close(lingerMs: number): void {
    if (this.connection.pipe) this.context.core.retire(this.connection.pipe);
    this.connection.finish(lingerMs);
  }
}

export interface DialedConnectionOptions {
  /** As of a connecter. */
  readonly target: () => Promise<Target | undefined>;
  readonly address: string;
  /** ROUTER: the id under which to know the peer. */
  readonly routingId?: Buffer | undefined;
  readonly onEnded: () => void;
}

/** A connection made, and made again. */
export class DialedConnection extends ConnectionHost {
  readonly #options: DialedConnectionOptions;
  readonly #connecter: Connecter;
  #pipe: Pipe | undefined;
  #connection: ZmqConnection | undefined;
  #closing = false;
  #cancelLinger: Cancel | undefined;
  #over = false;

  constructor(context: EndpointContext, options: DialedConnectionOptions) {
    super(context);
    const { core, settings, random } = context;
    this.#options = options;
    if (!settings.immediate) this.#pipe = core.attach(settings, options.routingId);
    this.#connecter = new Connecter({
      target: options.target,
      address: options.address,
      settings,
      clock: core.clock,
      random,
      tell: core.tell,
      connected: (stream, target) => this.#connected(stream, target),
      gone: () => this.#end(),
      wanted: () => this.#isWanted(),
    });
  }

  /** Whether a peer is through its handshake. */
  get isUp(): boolean {
    return this.#connection?.pipe !== undefined;
  }

  override ready(connection: ZmqConnection): Pipe | undefined {
    const { core, settings } = this.context;
    this.#connecter.succeeded();
    if (this.#closing && this.#pipe) {
      this.#pipe.peer ??= connection.info;
      process.nextTick(() => connection.finish(-1)); // once the connection has its pipe
      return this.#pipe;
    }
    this.#pipe ??= core.attach(settings, this.#options.routingId);
    if (!core.connected(this.#pipe, connection.info, { probe: settings.probeRouter })) return undefined;
    this.tellHandshake(connection, this.#pipe);
    return this.#pipe;
  }

  override ended(connection: ZmqConnection, reason: Error | undefined): void {
    const { core, settings } = this.context;
    this.tellEnd(connection, reason);
    this.#connection = undefined;
    const pipe = this.#pipe;
    if (pipe !== undefined) {
      if (settings.immediate || !this.#isWanted()) {
        core.detach(pipe, reason);
        this.#pipe = undefined;
      } else {
        core.disconnected(pipe);
      }
    }
    if (this.#isWanted()) this.#connecter.lost();
    else this.#end();
  }

  /** Ends. What is queued goes out first, over the connection there is or, should it break, the next, within `lingerMs`; -1: however long. */
  close(lingerMs: number): void {
    if (this.#closing) return;
    this.#closing = true;
    if (this.#pipe) this.context.core.retire(this.#pipe);
    const isUp = this.#connection?.pipe !== undefined;
    if (isUp) this.#connection!.finish(lingerMs);
    else if (lingerMs === 0 || !this.#isWanted()) return this.#end();
    const { clock } = this.context.core;
    const waitMs = isUp ? Math.max(lingerMs, GOODBYE_MS) : lingerMs;
    if (lingerMs >= 0) this.#cancelLinger = clock.at(clock.now() + waitMs, () => this.#lingerOver());
  }

  /** What is still queued is dropped. */
  #lingerOver(): void {
    this.#pipe?.dropOutbound();
    if (this.#connection) this.#connection.drop();
    else this.#end();
  }

  /** After `close` it still connects while something is queued that may linger. */
  #isWanted(): boolean {
    if (this.#over) return false;
    if (this.#closing) return (this.#pipe?.outboundCount ?? 0) > 0;
    return true;
  }

  #connected(reading: OnReadStream, target: Target): void {
    const { stream } = reading;
    if (this.#over) {
      stream.destroy();
      return;
    }
    const { address } = this.#options;
    const remote = "path" in target ? address : tcpEndpoint(stream.remoteAddress ?? target.host, target.port);
    this.#connection = makeConnection(this.context, this, reading, address, remote);
  }

  #end(): void {
    if (this.#over) return;
    this.#over = true;
    this.#cancelLinger?.();
    this.#connecter.close();
    this.#connection?.drop();
    if (this.#pipe) this.context.core.detach(this.#pipe, undefined);
    this.#pipe = undefined;
    this.#options.onEnded();
  }
}
