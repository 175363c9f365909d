/**
 * ● One ZeroMQ connection: a byte stream, the protocol's state over it, and the pipe whose messages it carries. Reads stop when the
 * pipe is full, so that the peer's own writes stop in the end; writes are gathered until the running code has returned, then go
 * out as one. Invariant: at most one write is under way; `ended` is told once, after which nothing more happens.
 */
import type { Buffer } from "node:buffer";
import type { Socket as Stream } from "node:net";
import type { Cancel, Clock } from "../../core/clock.ts";
import { OperationError } from "../../core/errors.ts";
import { tap, type TapEvent } from "../../core/tap.ts";
import { FrameWriter, recycle } from "../../zmtp/frame-writer.ts";
import type { HeartbeatOptions } from "../../zmtp/heartbeat.ts";
import type { Verdict } from "../../zmtp/mechanism.ts";
import type { Peer } from "../../zmtp/peer.ts";
import { GOODBYE_MS, WRITE_BYTES } from "../limits.ts";
import type { OnReadStream } from "./onread-stream.ts";
import { byteLength, type PipeTransport, type PeerInfo, type Pipe } from "../patterns/pipe.ts";
import { HeartbeatTimer } from "./heartbeat-timer.ts";

export interface ZmqConnectionHost {
  /** Decides on the peer's credentials. Must not reject. */
  authenticate(connection: ZmqConnection): Promise<Verdict>;
  /** The handshake is done. @returns the pipe to carry, or undefined when there is no place for the peer */
  ready(connection: ZmqConnection): Pipe | undefined;
  /** A message arrived. @throws ProtocolError */
  incoming(pipe: Pipe, message: Buffer[]): void;
  /** The connection is over; `reason` is undefined when the peer closed in good order or this side was told to. */
  ended(connection: ZmqConnection, reason: Error | undefined): void;
}

export interface ZmqConnectionOptions {
  readonly peer: Peer;
  readonly host: ZmqConnectionHost;
  readonly clock: Clock;
  /** The endpoint, for events. */
  readonly address: string;
  readonly remoteAddress: string;
  readonly handshakeIntervalMs: number;
  readonly heartbeat: HeartbeatOptions;
}

export class ZmqConnection implements PipeTransport {
  readonly peer: Peer;
  readonly address: string;
  readonly remoteAddress: string;
  pipe: Pipe | undefined;
  readonly #stream: Stream;
  readonly #host: ZmqConnectionHost;
  readonly #clock: Clock;
  readonly #heartbeatOptions: HeartbeatOptions;
  readonly #writer = new FrameWriter();
  /** Undefined until there is a heartbeat to watch, this side's or the peer's. */
  #heartbeatTimer: HeartbeatTimer | undefined;
  #cancelHandshake: Cancel | undefined;
  #cancelGoodbye: Cancel | undefined;
  #writing = false;
  #scheduled = false;
  #sendingCount = 0;
  #sendingBytes = 0;
  #batches: readonly Buffer[] = [];
  #pulling = false;
  #finishing = false;
  #closed = false;
  #reason: Error | undefined;

  constructor({ stream, setSink }: OnReadStream, options: ZmqConnectionOptions) {
    this.#stream = stream;
    this.peer = options.peer;
    this.#host = options.host;
    this.#clock = options.clock;
    this.address = options.address;
    this.remoteAddress = options.remoteAddress;
    this.#heartbeatOptions = options.heartbeat;
    stream.on("error", (error) => (this.#reason ??= error));
    stream.on("close", () => this.#over());
    if (options.handshakeIntervalMs > 0) {
      this.#cancelHandshake = this.#clock.at(this.#clock.now() + options.handshakeIntervalMs, () => {
        this.end(
          new OperationError(
            "ERR_ZMTP_HANDSHAKE_TIMEOUT",
            `The peer did not complete the handshake within ${options.handshakeIntervalMs} ms`,
          ),
        );
      });
    }
    this.#publish("open");
    setSink((chunk, borrowed) => this.#received(chunk, borrowed));
    this.#flush();
  }

  /** What the handshake told. */
  get info(): PeerInfo {
    const { routingId, socketType, userId } = this.peer;
    return { address: this.address, remoteAddress: this.remoteAddress, announcedId: routingId, socketType, userId };
  }

  wake(): void {
    if (this.#writing) return;
    if (this.pipe!.outboundBytes >= WRITE_BYTES) {
      this.#flush();
      return;
    }
    if (this.#scheduled) return;
    this.#scheduled = true;
    process.nextTick(flushScheduled, this);
  }

  resume(): void {
    if (this.#closed || this.#finishing) return;
    if (this.#stream.isPaused()) this.#stream.resume();
    process.nextTick(() => this.#pull());
  }

  end(reason: Error): void {
    this.#reason ??= reason;
    this.#stream.destroy();
  }

  /** Ends the connection at once, for no fault. */
  drop(): void {
    this.#stream.destroy();
  }

  /** Writes what is queued, then closes; `lingerMs` is how long that may take, -1 for ever. */
  finish(lingerMs: number): void {
    if (this.#finishing || this.#closed) return;
    this.#finishing = true;
    if (lingerMs === 0) this.pipe?.dropOutbound();
    if (lingerMs >= 0) {
      const waitMs = Math.max(lingerMs, GOODBYE_MS);
      this.#cancelGoodbye = this.#clock.at(this.#clock.now() + waitMs, () => this.#stream.destroy());
    }
    this.#stream.resume();
    this.#flush();
  }

  /** @internal Called at the end of the tick in which `wake` was called. */
  flushNow(): void {
    this.#scheduled = false;
    this.#flush();
  }

  #received(chunk: Buffer, borrowed: boolean): void {
    this.#publish("in", chunk);
    this.#heartbeatTimer?.heard();
    if (this.#finishing) return;
    try {
      this.peer.receive(chunk, borrowed);
    } catch (error) {
      this.#fail(error as Error);
      return;
    }
    this.#pull();
    this.peer.retain();
  }

  /** The peer broke the protocol. What this side has to say of itself still goes out, so that the peer can tell why too. */
  #fail(error: Error): void {
    this.#reason ??= error;
    this.#finishing = true;
    if (!this.#writing) {
      this.peer.writeControl(this.#writer);
      if (this.#writer.length > 0) this.#write();
    }
    this.#stream.destroySoon();
  }

  /** Takes messages out of what has arrived until there is none, or no room. */
  #pull(): void {
    if (this.#pulling || this.#closed) return;
    this.#pulling = true;
    try {
      this.#pullAll(false);
    } catch (error) {
      // A handshake that ended in the same read is told as such, so that the traffic's fault is not taken for its own
      if (this.pipe === undefined && this.peer.state === "traffic") this.#settle();
      this.#fail(error as Error);
    }
    this.#pulling = false;
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
      this.#host.incoming(this.pipe!, message);
    }
    if (peer.pingTtlMs !== undefined) this.#pinged();
    if (peer.hasControl) this.#flush();
    if (this.pipe !== undefined && this.pipe.inbound.length > 0) this.pipe.announce();
  }

  /** Follows the handshake. @returns whether traffic may flow */
  #settle(): boolean {
    const { peer } = this;
    switch (peer.state) {
      case "traffic":
        return this.#begin();
      case "authenticating":
        this.#flush();
        void this.#authenticate();
        return false;
      case "refused":
        this.#refuse();
        return false;
      default:
        this.#flush();
        return false;
    }
  }

  #begin(): boolean {
    this.#cancelHandshake?.();
    const pipe = this.#host.ready(this);
    if (pipe === undefined) {
      this.end(
        new OperationError("ERR_ZMTP_REFUSED", "Peer rejected: its routing id is in use, or this PAIR already has a peer"),
      );
      return false;
    }
    this.pipe = pipe;
    pipe.transport = this;
    if (this.#heartbeatOptions.intervalMs > 0 && this.peer.speaksHeartbeats) this.#ensureHeartbeatTimer().start();
    this.#flush();
    return true;
  }

  async #authenticate(): Promise<void> {
    this.#stream.pause();
    const verdict = await this.#host.authenticate(this);
    if (this.#closed || this.peer.state !== "authenticating") return;
    this.peer.authenticated(verdict);
    this.#stream.resume();
    this.#pull();
  }

  #refuse(): void {
    this.#reason ??= new OperationError("ERR_ZMTP_REFUSED", "The authenticator refused the peer");
    this.#flush();
    this.#stream.end();
    this.#cancelGoodbye = this.#clock.at(this.#clock.now() + GOODBYE_MS, () => this.#stream.destroy());
  }

  /** Writes a batch: what the protocol wants to say, then messages. */
  #flush(): void {
    if (this.#writing || this.#closed || this.#stream.writableEnded) return;
    const { peer, pipe } = this;
    const writer = this.#writer;
    peer.writeControl(writer);
    if (pipe !== undefined && pipe.transport === this) {
      const { outbound } = pipe;
      let count = 0;
      let bytes = 0;
      while (writer.length < WRITE_BYTES) {
        const message = outbound.shift();
        if (message === undefined) break;
        peer.writeMessage(writer, message);
        count += 1;
        bytes += byteLength(message);
      }
      this.#sendingCount = count;
      this.#sendingBytes = bytes;
    }
    if (writer.length > 0) this.#write();
    else if (this.#finishing) this.#goodbye();
  }

  #write(): void {
    const { chunks, batches } = this.#writer.take();
    this.#writing = true;
    this.#batches = batches;
    const stream = this.#stream;
    const last = chunks.length - 1;
    if (last > 0) stream.cork();
    for (let index = 0; index < last; index += 1) {
      this.#publish("out", chunks[index]);
      stream.write(chunks[index]!);
    }
    this.#publish("out", chunks[last]);
    stream.write(chunks[last]!, this.#written);
    if (last > 0) stream.uncork();
  }

  readonly #written = (error?: Error | null): void => {
    if (error) return; // "close" follows
    this.#writing = false;
    recycle(this.#batches);
    this.#batches = [];
    this.#settleSent();
    this.#flush();
  };

  #settleSent(): void {
    const count = this.#sendingCount;
    if (count === 0) return;
    const bytes = this.#sendingBytes;
    this.#sendingCount = 0;
    this.#sendingBytes = 0;
    this.pipe?.settled(count, bytes);
  }

  /** All is written: say so to the peer, and wait a moment for it to close too, lest unread octets make the system reset. */
  #goodbye(): void {
    this.#stream.end();
    this.#cancelGoodbye?.();
    this.#cancelGoodbye = this.#clock.at(this.#clock.now() + GOODBYE_MS, () => this.#stream.destroy());
  }

  #pinged(): void {
    const ttlMs = this.peer.pingTtlMs!;
    this.peer.pingTtlMs = undefined;
    const heartbeatTimer = this.#ensureHeartbeatTimer();
    heartbeatTimer.pinged(ttlMs);
    heartbeatTimer.start(); // it knows PING, whatever version it announced
  }

  #ensureHeartbeatTimer(): HeartbeatTimer {
    this.#heartbeatTimer ??= new HeartbeatTimer(this.#clock, this.#heartbeatOptions, {
      ping: (ttlMs) => {
        this.peer.ping(ttlMs);
        this.#flush();
      },
      dead: () =>
        this.end(new OperationError("ERR_ZMTP_HEARTBEAT_TIMEOUT", "The peer sent nothing after a PING, or within its own TTL")),
    });
    return this.#heartbeatTimer;
  }

  #over(): void {
    if (this.#closed) return;
    this.#cancelHandshake?.();
    this.#heartbeatTimer?.stop();
    this.#cancelGoodbye?.();
    if (!this.#finishing && this.pipe !== undefined && !this.#reason) this.#pullRest();
    this.#closed = true;
    this.#settleSent();
    if (this.pipe !== undefined && this.pipe.inbound.length > 0) this.pipe.announce();
    this.#publish("close");
    this.#host.ended(this, this.#reason);
  }

  /** What arrived before the end is received, even beyond the pipe's bound: at most two reads' worth. */
  #pullRest(): void {
    try {
      this.#pullAll(true);
    } catch (error) {
      this.#reason ??= error as Error;
    }
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
      wallMs: this.#clock.wallMs(),
    } as const;
    tap.publish({
      ...event,
      ...(bytes && { bytes }),
      ...(kind === "close" && this.#reason && { reason: this.#reason.message }),
    } satisfies TapEvent);
  }
}

function flushScheduled(connection: ZmqConnection): void {
  connection.flushNow();
}
