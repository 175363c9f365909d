/**
 * ● One ZeroMQ connection: a byte stream, the protocol's state over it, and the pipe whose messages it carries. Reads stop when the
 * pipe is full, so that the peer's own writes stop in the end, and until the next turn of the event loop when this one has lasted long.
 * Invariant: `ended` is called once, after which nothing more happens.
 */
import type { Buffer } from "node:buffer";
import type { Socket as Stream } from "node:net";
import type { Account, Holder } from "../../core/budget.ts";
import type { Cancel } from "../../core/clock.ts";
import { OperationError } from "../../core/errors.ts";
import type { Random } from "../../core/random.ts";
import { tap, type TapEvent } from "../../core/tap.ts";
import type { Verdict } from "../../zmtp/mechanism.ts";
import { Peer } from "../../zmtp/peer.ts";
import type { SocketTypeName } from "../../zmtp/socket-type.ts";
import { CLOSE_MS_MAX, CONNECTION_COST_BYTES, WASTED_BYTES_MAX } from "../limits.ts";
import { costOf, type PipeTransport, type PeerInfo, type Pipe } from "../patterns/pipe.ts";
import { after, CONNECTION, type ZmqConnectionEvent, type ZmqConnectionState } from "../socket-core/life-cycle.ts";
import { routingIdOf, type Authenticator, type SocketSettings } from "../socket-core/settings.ts";
import { type SocketCore, knownPeer } from "../socket-core/socket-core.ts";
import { nextTurn, turnIsOver } from "../socket-core/turn.ts";
import { isAcknowledged } from "./acknowledged.ts";
import { handshakeFailure } from "./handshake-event.ts";
import { HeartbeatTimer } from "./heartbeat-timer.ts";
import type { OnReadStream } from "./onread-stream.ts";
import { Outlet, type OutletHost } from "./outlet.ts";
import { askAuthenticator, type MechanismMaker } from "./security.ts";

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

/** Who made or accepted a connection, and owns its pipe. */
export interface ConnectionOwner {
  /** The handshake is done. @returns the pipe to carry, or undefined when there is no place for the peer */
  ready(connection: ZmqConnection): Pipe | undefined;
  /** The connection is over; `reason` is undefined when the peer closed in good order or this side was told to. */
  ended(reason: Error | undefined, connection: ZmqConnection): void;
}

/** 2^53-1: what -1, "no limit", is to a decoder. */
const UNLIMITED_BYTES = Number.MAX_SAFE_INTEGER;

export class ZmqConnection implements PipeTransport, OutletHost, Holder {
  readonly peer: Peer;
  readonly address: string;
  readonly remoteAddress: string;
  /** Whose share of the budget it takes. */
  readonly host: string;
  /** During the handshake; then the pipe has one. */
  #account: Account | undefined;
  pipe: Pipe | undefined;
  readonly #stream: Stream;
  readonly #context: EndpointContext;
  readonly #owner: ConnectionOwner;
  readonly #outlet: Outlet;
  #state: ZmqConnectionState = "handshaking";
  /** Undefined until there is a heartbeat to watch, this side's or the peer's. */
  #heartbeatTimer: HeartbeatTimer | undefined;
  #verdict: Verdict | undefined;
  #cancelHandshake: Cancel | undefined;
  #cancelDestroy: Cancel | undefined;
  #cancelLook: Cancel | undefined;
  /** How long what is unsent may take after `finish`; -1: for ever. */
  #lingerMs = 0;
  #pulling = false;
  /** Messages since the last read's end. */
  #delivered = 0;
  /** Of messages that the socket did not want. */
  #refusedBytes = 0;
  /** Why the connection ends; the first cause counts. */
  #reason: Error | undefined;

  constructor(
    { stream, setSink }: OnReadStream,
    {
      context,
      owner,
      address,
      remoteAddress,
      host,
    }: Pick<ZmqConnection, "address" | "remoteAddress" | "host"> & {
      readonly context: EndpointContext;
      readonly owner: ConnectionOwner;
    },
  ) {
    const { type, settings, makeMechanism, authenticator } = context;
    const { handshakeInterval, maxMessageSize } = settings;
    const authenticated = authenticator() !== null;
    this.peer = new Peer({
      socketType: type,
      routingId: routingIdOf(settings),
      mechanism: makeMechanism(authenticated),
      authenticated,
      messageBytesMax: maxMessageSize < 0 ? UNLIMITED_BYTES : maxMessageSize,
    });
    this.#stream = stream;
    this.#outlet = new Outlet(stream, this);
    this.#context = context;
    this.#owner = owner;
    this.address = address;
    this.remoteAddress = remoteAddress;
    this.host = host;
    setSocketOptions(stream, settings);
    stream.unref();
    stream.on("error", (error) => (this.#reason ??= error));
    stream.on("close", () => this.#over());
    if (handshakeInterval > 0) {
      this.#cancelHandshake = this.#in(handshakeInterval, () =>
        this.end(
          new OperationError(
            "ERR_ZMTP_HANDSHAKE_TIMEOUT",
            `The peer did not complete the handshake within ${handshakeInterval} ms`,
          ),
        ),
      );
    }
    this.#account = context.core.budget.open("stranger", host, this);
    this.#account.set(CONNECTION_COST_BYTES);
    this.#publish("open");
    setSink((chunk, borrowed) => this.#received(chunk, borrowed));
    this.#outlet.flush();
  }

  /** What the handshake told. */
  get info(): PeerInfo {
    const { routingId, socketType, userId } = this.peer;
    return { address: this.address, remoteAddress: this.remoteAddress, announcedId: routingId, socketType, userId };
  }

  /** Its pipe, unless another connection carries that now. */
  get carried(): Pipe | undefined {
    return this.pipe?.transport === this ? this.pipe : undefined;
  }

  wake(): void {
    this.#outlet.wake(this.pipe!.outboundBytes);
  }

  stop(): void {
    if (!this.#isEnding) this.#stream.pause();
  }

  resume(): void {
    if (this.#isEnding) return;
    if (this.#stream.isPaused()) this.#stream.resume();
    process.nextTick(() => this.#pull());
  }

  end(reason: Error): void {
    this.#reason ??= reason;
    this.#stream.destroy();
  }

  /** @internal Of a handshake nothing is ended to make room: its time is bounded. */
  get incompleteBytes(): number {
    return 0;
  }

  /** @internal */
  stalled(): void {}

  /** @internal During the handshake. */
  budgetChanged(): void {
    if (this.peer.state === "authenticating") return; // it is not read before the answer
    if (this.#account?.mayHold(this.peer.heldBytes)) this.resume();
    else this.stop();
  }

  /** Ends the connection at once, for no fault. */
  drop(): void {
    this.#stream.destroy();
  }

  /** Writes what is queued, then closes; `lingerMs` is how long that may take, -1 for ever. */
  finish(lingerMs: number): void {
    if (this.#isEnding) return;
    this.#enter("finish");
    this.#lingerMs = lingerMs;
    if (lingerMs === 0) this.pipe?.dropOutbound();
    if (lingerMs >= 0) this.#destroyIn(Math.max(lingerMs, CLOSE_MS_MAX));
    this.#stream.resume();
    this.#outlet.flush();
  }

  /** @internal */
  emptied(): void {
    if (this.#state === "closing") this.#endStream();
  }

  /** @internal */
  writing(octets: Buffer): void {
    this.#publish("out", octets);
  }

  #received(chunk: Buffer, borrowed: boolean): void {
    this.#publish("in", chunk);
    this.#heartbeatTimer?.heard();
    if (this.#isEnding) return this.#answer(chunk, borrowed);
    try {
      this.peer.receive(chunk, borrowed);
    } catch (error) {
      this.#fail(error as Error);
      return;
    }
    if (turnIsOver()) {
      this.#pullNextTurn();
      this.#retain();
    } else this.#pull();
  }

  /** While the rest goes out the peer's PINGs are answered, so that a slow one does not take this side for dead; its messages are dropped. */
  #answer(chunk: Buffer, borrowed: boolean): void {
    const { peer } = this;
    if (this.#state === "closed" || this.#reason !== undefined || this.#stream.writableEnded || peer.state !== "traffic")
      return;
    try {
      peer.receive(chunk, borrowed);
      while (peer.next() !== undefined);
      peer.retain();
    } catch (error) {
      this.#reason = error as Error;
      return;
    }
    if (peer.hasControl) this.#outlet.flush();
  }

  /** What a read leaves is charged, and keeps no more memory alive than it is charged for. */
  #retain(): void {
    const { peer, pipe } = this;
    peer.retain();
    if (pipe === undefined) {
      this.#account?.set(CONNECTION_COST_BYTES + peer.heldBytes);
      if (this.#account?.mayHold(peer.heldBytes) === false && !this.#isEnding) this.#stream.pause();
      return;
    }
    if (peer.takeWastedBytes(this.#refusedBytes) > WASTED_BYTES_MAX) {
      peer.disjoinParts();
      pipe.disjoinLast(this.#delivered);
    }
    pipe.setIncomplete(peer.heldBytes, this.#delivered > 0);
    if (!pipe.mayRead && !this.#isEnding) this.#stream.pause();
    this.#delivered = 0;
    this.#refusedBytes = 0;
  }

  #pullNextTurn(): void {
    this.#stream.pause();
    nextTurn(() => {
      if (this.#isEnding) return;
      this.#stream.resume();
      this.#pull();
    });
  }

  /** The peer broke the protocol. What this side's handshake still has to send goes out, so that the peer too can tell why. */
  #fail(error: Error): void {
    this.#reason ??= error;
    this.#enter("finish");
    this.#outlet.flushControl();
    this.#stream.destroySoon();
  }

  /** Takes messages out of what has arrived until there is none, or no room. */
  #pull(): void {
    if (this.#pulling || this.#isEnding) return;
    this.#pulling = true;
    try {
      this.#pullAll(false);
    } catch (error) {
      // If the handshake ended in the same read its event comes first, so that the error is not reported as the handshake's
      if (this.pipe === undefined && this.peer.state === "traffic") this.#settle();
      this.#fail(error as Error);
    }
    this.#pulling = false;
    this.#retain();
  }

  #pullAll(beyondFull: boolean): void {
    const { peer } = this;
    for (;;) {
      if (!beyondFull && this.pipe?.inboundFull) {
        this.#stream.pause();
        break;
      }
      const message = peer.next();
      if (this.pipe === undefined && !this.#settle()) return;
      if (message === undefined) break;
      const { inbound } = this.pipe!;
      const { length } = inbound;
      this.#context.core.incoming(this.pipe!, message);
      if (inbound.length > length) this.#delivered += 1;
      else this.#refusedBytes += costOf(message);
    }
    if (peer.pingTtlMs !== undefined) this.#pinged();
    if (peer.hasControl) this.#outlet.flush();
    if (this.pipe !== undefined && this.pipe.inbound.length > 0) this.pipe.announce();
  }

  /** Follows the handshake. @returns whether traffic may flow */
  #settle(): boolean {
    const { peer } = this;
    switch (peer.state) {
      case "traffic":
        return this.#begin();
      case "authenticating":
        this.#outlet.flush();
        void this.#authenticate();
        return false;
      case "refused":
        this.#reason ??= Object.assign(new OperationError("ERR_ZMTP_REFUSED", "The authenticator refused the peer"), {
          status: this.#verdict?.status,
        });
        this.finish(0);
        return false;
      default:
        this.#outlet.flush();
        return false;
    }
  }

  #begin(): boolean {
    this.#cancelHandshake?.();
    const { core, settings } = this.#context;
    const pipe = this.#owner.ready(this);
    if (pipe === undefined) {
      this.end(
        new OperationError("ERR_ZMTP_REFUSED", "Peer rejected: its routing id is in use, or this PAIR already has a peer"),
      );
      return false;
    }
    this.#enter("ready");
    this.#endAccount();
    core.budget.reserve(CONNECTION_COST_BYTES);
    this.pipe = pipe;
    pipe.transport = this;
    const { version, mechanism, speaksHeartbeats } = this.peer;
    core.tell({ type: "handshake", version: version!, mechanism, ...knownPeer(pipe) });
    if (settings.heartbeatInterval > 0 && speaksHeartbeats) this.#ensureHeartbeatTimer().start();
    this.#outlet.flush();
    return true;
  }

  async #authenticate(): Promise<void> {
    const { settings, authenticator } = this.#context;
    this.#stream.pause();
    const asked = { domain: settings.zapDomain ?? "", remoteAddress: this.remoteAddress, routingId: routingIdOf(settings) };
    try {
      this.#verdict = await askAuthenticator(authenticator(), this.peer.credentials!, asked);
    } catch (error) {
      if (!this.#isEnding) this.#fail(error as Error);
      return;
    }
    if (this.#isEnding || this.peer.state !== "authenticating") return;
    this.peer.authenticated(this.#verdict);
    this.#stream.resume();
    this.#pull();
  }

  /**
   * All is written: sends FIN and waits for the peer's, or until its kernel has acknowledged this one; closing with octets unread would
   * make the system send RST, at which what is under way is lost.
   */
  #endStream(): void {
    this.#stream.end();
    this.#cancelLook ??= this.#in(CLOSE_MS_MAX, () => void this.#look());
  }

  async #look(): Promise<void> {
    const acknowledged = await isAcknowledged(this.#stream);
    if (this.#state === "closed") return;
    if (acknowledged ?? this.#lingerMs >= 0) this.#stream.destroy();
    else this.#cancelLook = this.#in(CLOSE_MS_MAX, () => void this.#look());
  }

  #destroyIn(ms: number): void {
    this.#cancelDestroy?.();
    this.#cancelDestroy = this.#in(ms, () => this.#stream.destroy());
  }

  #pinged(): void {
    const ttlMs = this.peer.pingTtlMs!;
    this.peer.pingTtlMs = undefined;
    const heartbeatTimer = this.#ensureHeartbeatTimer();
    heartbeatTimer.pinged(ttlMs);
    heartbeatTimer.start(); // the peer knows PING, whatever version it announced
  }

  #ensureHeartbeatTimer(): HeartbeatTimer {
    const { core, settings } = this.#context;
    const { heartbeatInterval: intervalMs, heartbeatTimeout: timeoutMs, heartbeatTimeToLive: ttlMs } = settings;
    this.#heartbeatTimer ??= new HeartbeatTimer(
      core.clock,
      { intervalMs, timeoutMs, ttlMs },
      {
        ping: (ttlMs) => {
          this.peer.ping(ttlMs);
          this.#outlet.flush();
        },
        dead: () =>
          this.end(
            new OperationError("ERR_ZMTP_HEARTBEAT_TIMEOUT", "Peer gave no sign of life after a PING, or within its own TTL"),
          ),
      },
    );
    return this.#heartbeatTimer;
  }

  #over(): void {
    if (this.#state === "closed") return;
    this.#cancelHandshake?.();
    this.#heartbeatTimer?.stop();
    this.#cancelDestroy?.();
    this.#cancelLook?.();
    if (this.#account === undefined) this.#context.core.budget.reserve(-CONNECTION_COST_BYTES);
    this.#endAccount();
    if (this.#state === "up" && !this.#reason) this.#pullRest();
    this.#enter("gone");
    this.#outlet.settle();
    this.peer.end();
    this.pipe?.setIncomplete(0, false);
    if (this.pipe !== undefined && this.pipe.inbound.length > 0) this.pipe.announce();
    this.#publish("close");
    this.#tellEnd();
    this.#owner.ended(this.#reason, this);
  }

  #endAccount(): void {
    this.#account?.set(0);
    this.#account?.leave();
    this.#account = undefined;
  }

  #tellEnd(): void {
    const { core } = this.#context;
    const { address, remoteAddress, pipe } = this;
    const reason = this.#reason;
    if (pipe === undefined) {
      const error = reason ?? new Error("Peer closed the connection during the handshake");
      core.tell(handshakeFailure(error, { address, remoteAddress }));
    }
    const known = pipe?.peer ? knownPeer(pipe) : { address, remoteAddress };
    core.tell({ type: "disconnect", ...known, ...(reason && { reason }) });
  }

  /** What arrived before the end is received, even beyond the pipe's bound: at most two reads' worth. */
  #pullRest(): void {
    try {
      this.#pullAll(true);
    } catch (error) {
      this.#reason ??= error as Error;
    }
  }

  get #isEnding(): boolean {
    return this.#state === "closing" || this.#state === "closed";
  }

  #enter(event: ZmqConnectionEvent): void {
    this.#state = after(CONNECTION, this.#state, event);
  }

  #in(ms: number, fire: () => void): Cancel {
    const { clock } = this.#context.core;
    return clock.at(clock.now() + ms, fire);
  }

  #publish(kind: TapEvent["kind"], bytes?: Uint8Array): void {
    if (!tap.hasSubscribers) return;
    const { localAddress, localPort } = this.#stream;
    const local = localAddress === undefined ? this.address : `${localAddress}:${localPort}`;
    const event = {
      part: "zmq",
      kind,
      local,
      remote: this.remoteAddress.replace("tcp://", ""),
      wallMs: this.#context.core.clock.wallMs(),
    } as const;
    tap.publish({
      ...event,
      ...(bytes && { bytes }),
      ...(kind === "close" && this.#reason && { reason: this.#reason.message }),
    } satisfies TapEvent);
  }
}

function setSocketOptions(stream: Stream, settings: SocketSettings): void {
  if (settings.tcpKeepalive === 1) {
    const { tcpKeepaliveIdle, tcpKeepaliveInterval, tcpKeepaliveCount } = settings; // seconds, as in the options of TCP
    const idleMs = tcpKeepaliveIdle > 0 ? tcpKeepaliveIdle * 1000 : 0;
    if (tcpKeepaliveInterval <= 0 && tcpKeepaliveCount <= 0) stream.setKeepAlive(true, idleMs);
    else stream.setKeepAlive(true, idleMs, Math.max(1, tcpKeepaliveInterval) * 1000, Math.max(1, tcpKeepaliveCount));
  }
  // Node 26 can, Node 24 cannot; on ipc it means nothing
  if (settings.typeOfService > 0 && "setTypeOfService" in stream && stream.remoteAddress !== undefined) {
    (stream.setTypeOfService as (value: number) => void)(settings.typeOfService);
  }
}
