/**
 * ● Connections of a socket: those accepted (`Incoming`), whose pipe lives as long as they, and those made (`Outgoing`), whose pipe
 * outlives them. Both tell the socket's events.
 */
import { Buffer } from "node:buffer";
import type { Socket as Stream } from "node:net";
import { ProtocolError } from "../../core/errors.ts";
import type { Random } from "../../core/random.ts";
import { HandshakeRefused, type Verdict } from "../../zmtp/mechanism.ts";
import type { Message } from "../../zmtp/message-parts.ts";
import { Peer } from "../../zmtp/peer.ts";
import type { SocketTypeName } from "../../zmtp/socket-type.ts";
import { tcpEndpoint } from "./endpoint.ts";
import { type Hub, knownPeer } from "../socket-core/socket-core.ts";
import { Link, type LinkHost } from "./zmq-connection.ts";
import type { Pipe } from "../patterns/pipe.ts";
import type { ReadingStream } from "./onread-stream.ts";
import { askAuthenticator, authRequest, type MechanismMaker } from "./security.ts";
import { Session, type Target } from "./connecter.ts";
import type { Authenticator, SocketSettings } from "../socket-core/settings.ts";

/** What all connections of an endpoint have in common. */
export interface ConnectionContext {
  readonly type: SocketTypeName;
  /** As they were at bind or connect. */
  readonly settings: SocketSettings;
  readonly hub: Hub;
  readonly random: Random;
  readonly makeMechanism: MechanismMaker;
  /** Who decides on peers, if anyone does: asked for each connection. */
  readonly authenticator: () => Authenticator | null;
}

/** 2^53-1: what -1, "no limit", is to a decoder. */
const UNLIMITED_BYTES = Number.MAX_SAFE_INTEGER;

function makeLink(
  context: ConnectionContext,
  host: LinkHost,
  reading: ReadingStream,
  address: string,
  remoteAddress: string,
): Link {
  const { type, settings, hub, makeMechanism, authenticator } = context;
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
  return new Link(reading, {
    peer,
    host,
    clock: hub.clock,
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

abstract class Host implements LinkHost {
  protected readonly context: ConnectionContext;

  constructor(context: ConnectionContext) {
    this.context = context;
  }

  authenticate(link: Link): Promise<Verdict> {
    const { settings, authenticator } = this.context;
    const authenticate = authenticator();
    if (authenticate === null) return Promise.resolve({ status: 500 });
    const request = authRequest(link.peer.credentials!, {
      domain: settings.zapDomain ?? "",
      remoteAddress: link.remoteAddress,
      routingId: routingIdOf(settings),
    });
    return askAuthenticator(authenticate, request);
  }

  incoming(pipe: Pipe, message: Message): void {
    this.context.hub.incoming(pipe, message);
  }

  abstract ready(link: Link): Pipe | undefined;
  abstract ended(link: Link, reason: Error | undefined): void;

  protected tellHandshake(link: Link, pipe: Pipe): void {
    const { version, mechanism } = link.peer;
    this.context.hub.tell({ type: "handshake", version: version!, mechanism, ...knownPeer(pipe) });
  }

  protected tellEnd(link: Link, reason: Error | undefined): void {
    const { hub } = this.context;
    const { address, remoteAddress, pipe } = link;
    if (pipe === undefined) {
      const error = reason ?? new Error("Peer closed the connection during the handshake");
      hub.tell({ type: handshakeEnd(error), address, remoteAddress, error });
    }
    const known = pipe?.peer ? knownPeer(pipe) : { address, remoteAddress };
    hub.tell({ type: "disconnect", ...known, ...(reason && { reason }) });
  }
}

function handshakeEnd(error: Error): "handshake:error:auth" | "handshake:error:protocol" | "handshake:error:other" {
  if (error instanceof HandshakeRefused) return "handshake:error:auth";
  if ("code" in error && error.code === "ERR_ZMTP_REFUSED") return "handshake:error:auth";
  return error instanceof ProtocolError ? "handshake:error:protocol" : "handshake:error:other";
}

/** A connection that a peer made to a bound endpoint. */
export class Incoming extends Host {
  readonly link: Link;
  readonly #onEnded: () => void;

  constructor(context: ConnectionContext, stream: ReadingStream, address: string, remoteAddress: string, onEnded: () => void) {
    super(context);
    this.#onEnded = onEnded;
    context.hub.tell({ type: "accept", address, remoteAddress });
    this.link = makeLink(context, this, stream, address, remoteAddress);
  }

  override ready(link: Link): Pipe | undefined {
    const { hub, settings } = this.context;
    const pipe = hub.attach(settings);
    if (!hub.connected(pipe, link.info, { probe: settings.probeRouter })) {
      hub.detach(pipe, undefined);
      return undefined;
    }
    this.tellHandshake(link, pipe);
    return pipe;
  }

  override ended(link: Link, reason: Error | undefined): void {
    this.tellEnd(link, reason);
    if (link.pipe) this.context.hub.detach(link.pipe, reason);
    this.#onEnded();
  }

  close(lingerMs: number): void {
    if (this.link.pipe) this.context.hub.retire(this.link.pipe);
    this.link.finish(lingerMs);
  }
}

export interface OutgoingOptions {
  /** As of a session. */
  readonly target: () => Promise<Target | undefined>;
  readonly address: string;
  /** ROUTER: the id under which to know the peer. */
  readonly routingId?: Buffer | undefined;
  readonly onEnded: () => void;
}

/** A connection made, and made again. */
export class Outgoing extends Host {
  readonly #options: OutgoingOptions;
  readonly #session: Session;
  #pipe: Pipe | undefined;
  #link: Link | undefined;
  #closing = false;
  #lingerMs = 0;
  #over = false;

  constructor(context: ConnectionContext, options: OutgoingOptions) {
    super(context);
    const { hub, settings, random } = context;
    this.#options = options;
    if (!settings.immediate) this.#pipe = hub.attach(settings, options.routingId);
    this.#session = new Session({
      target: options.target,
      address: options.address,
      settings,
      clock: hub.clock,
      random,
      tell: hub.tell,
      connected: (stream, target) => this.#connected(stream, target),
      gone: () => this.#end(),
      wanted: () => this.#isWanted(),
    });
  }

  /** Whether a peer is through its handshake. */
  get isUp(): boolean {
    return this.#link?.pipe !== undefined;
  }

  override ready(link: Link): Pipe | undefined {
    const { hub, settings } = this.context;
    this.#session.succeeded();
    if (this.#closing && this.#pipe) {
      this.#pipe.peer ??= link.info;
      process.nextTick(() => link.finish(this.#lingerMs)); // once the link has its pipe
      return this.#pipe;
    }
    this.#pipe ??= hub.attach(settings, this.#options.routingId);
    if (!hub.connected(this.#pipe, link.info, { probe: settings.probeRouter })) return undefined;
    this.tellHandshake(link, this.#pipe);
    return this.#pipe;
  }

  override ended(link: Link, reason: Error | undefined): void {
    const { hub, settings } = this.context;
    this.tellEnd(link, reason);
    this.#link = undefined;
    const pipe = this.#pipe;
    if (pipe !== undefined) {
      if (settings.immediate || !this.#isWanted()) {
        hub.detach(pipe, reason);
        this.#pipe = undefined;
      } else {
        hub.disconnected(pipe);
      }
    }
    if (this.#isWanted()) this.#session.lost();
    else this.#end();
  }

  /** Connects no more. What is queued goes out first, if a connection stands or comes within `lingerMs`; -1: however long. */
  close(lingerMs: number): void {
    if (this.#closing) return;
    this.#closing = true;
    this.#lingerMs = lingerMs;
    if (this.#pipe) this.context.hub.retire(this.#pipe);
    if (this.#link?.pipe !== undefined) {
      this.#session.close();
      this.#link.finish(lingerMs);
      return;
    }
    const { clock } = this.context.hub;
    const pending = this.#pipe?.outboundCount ?? 0;
    if (pending === 0 || lingerMs === 0) this.#end();
    else if (lingerMs > 0) clock.at(clock.now() + lingerMs, () => this.#end());
  }

  /** After `close` it still connects while something is queued that may linger. */
  #isWanted(): boolean {
    if (this.#over) return false;
    if (this.#closing) return (this.#pipe?.outboundCount ?? 0) > 0;
    return true;
  }

  #connected(reading: ReadingStream, target: Target): void {
    const { stream } = reading;
    if (this.#over) {
      stream.destroy();
      return;
    }
    const { address } = this.#options;
    const remote = "path" in target ? address : tcpEndpoint(stream.remoteAddress ?? target.host, target.port);
    this.#link = makeLink(this.context, this, reading, address, remote);
  }

  #end(): void {
    if (this.#over) return;
    this.#over = true;
    this.#session.close();
    this.#link?.drop();
    if (this.#pipe) this.context.hub.detach(this.#pipe, undefined);
    this.#pipe = undefined;
    this.#options.onEnded();
  }
}
