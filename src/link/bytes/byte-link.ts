/**
 * ● One TCP connection in byte mode, accepted or made: keep-alive set and read back, bytes in and out counted, one typed end.
 * Invariant: the owner is told of the end exactly once, and of nothing after it.
 */
import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import type { Clock } from "../../core/clock.ts";
import { codeOf, OperationError } from "../../core/errors.ts";
import { descriptorOf, takenBytes } from "../../core/socket-handle.ts";
import { showSize } from "../../core/units.ts";
import { tap } from "../../core/tap.ts";
import type { TapEvent } from "../../core/tap.ts";
import { endOf, endOfError } from "../end.ts";
import type { EndReason, LinkEnd, Unanswered } from "../end.ts";
import { isInterfaceDown } from "./own-interface.ts";
import { kernel } from "../keep-alive/kernel.ts";
import type { KernelKeepAlive } from "../keep-alive/kernel.ts";
import type { KeepAlive } from "../keep-alive/keep-alive.ts";
import { endKey } from "../keep-alive/proc-net-text.ts";
import type { KernelTimer } from "../keep-alive/proc-net-text.ts";
import { parseTcpInfo } from "../keep-alive/tcp-info.ts";
import { applyKeepAlive } from "../keep-alive/tune.ts";
import type { TuneReport } from "../keep-alive/tune.ts";
import { watch } from "../keep-alive/watch.ts";
import type { Watch, WatchOptions } from "../keep-alive/watch.ts";

/** Who is told what happens on a link. One owner serves all links of a server, so that a link needs no closures of its own. */
export interface LinkOwner {
  readonly clock: Clock;
  readonly keepAlive: KeepAlive;
  readonly unsentBytesMax: number;
  /** What the socket carries is only the frame of what is said; the owner tells what passes (`tellBytes`). */
  readonly isFramed?: boolean;
  bytes(link: ByteLink, bytes: Buffer): void;
  /** All that was written is in the kernel's hands. */
  drained?(): void;
  /** The peer has closed its side and may wait for an answer: the owner closes the link. Without it the link closes itself. */
  peerEnded?(link: ByteLink): void;
  ended(link: ByteLink, end: LinkEnd): void;
}

/** A connection's numbers at one moment. */
export interface LinkStats {
  readonly id: number;
  /** "host:port" of the other side. */
  readonly peer: string;
  readonly local: string;
  /** When it was made, in ms since 1970-01-01 UTC. */
  readonly sinceMs: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** Bytes accepted by `send` that the kernel has not taken yet. */
  readonly unsentBytes: number;
  /** How long the kernel has heard nothing from the peer; undefined where it does not tell. */
  readonly silentForMs: number | undefined;
  /** Keep-alive as the kernel has it; undefined where it cannot be read, and beyond a server's first 1000 connections. */
  readonly keepAlive: KernelKeepAlive | undefined;
  /** Until the kernel's next keep-alive probe; undefined while data is in flight and where the kernel does not tell. */
  readonly nextProbeInMs: number | undefined;
  /** Probes that the peer has not answered yet. */
  readonly probesUnanswered: number | undefined;
}

/** 1 s: for a peer that reads to take the last bytes; one that does not read needs none. */
const LAST_BYTES_MS = 1000;

const LINK = Symbol("link");
interface LinkSocket extends Socket {
  [LINK]: ByteLink;
}

/** A connection that carries bytes. */
export class ByteLink {
  /** Counts the connections of one server or client, from 1. */
  readonly id: number;
  /** "host:port" of the other side. */
  readonly peer: string;
  /** "host:port" of this side. */
  readonly local: string;
  /** When it was made, in ms since 1970-01-01 UTC. */
  readonly sinceMs: number;
  readonly #socket: Socket;
  readonly #owner: LinkOwner;
  #end: LinkEnd | undefined;
  /** The peer sent something after this side last did. */
  #owesAnswer = false;
  /** The owner was told of the end; the peer reads on, and answers still go out. */
  #answering = false;

  /** @internal */
  constructor(socket: Socket, { id, owner }: { id: number; owner: LinkOwner }) {
    this.id = id;
    this.peer = showEnd(socket.remoteAddress, socket.remotePort);
    this.local = showEnd(socket.localAddress, socket.localPort);
    this.sinceMs = owner.clock.wallMs();
    this.#socket = socket;
    this.#owner = owner;
    (socket as LinkSocket)[LINK] = this;
    socket.on("data", onData);
    socket.on("end", onEnd);
    socket.on("error", onError);
    socket.on("close", onClose);
    if (owner.drained) socket.on("drain", onDrain);
    socket._destroy = destroyAfterReading;
    if (tap.hasSubscribers) this.#tell("open");
  }

  /** Bytes received so far. */
  get bytesIn(): number {
    return this.#socket.bytesRead;
  }

  /** Bytes sent so far. */
  get bytesOut(): number {
    return this.#socket.bytesWritten ?? 0;
  }

  /** Sets the owner's keep-alive values and says what the kernel has. @internal */
  tune(): TuneReport {
    return applyKeepAlive(this.#socket, { values: this.#owner.keepAlive, access: kernel() });
  }

  /** How the connection ended, or undefined while it is there. */
  get ended(): LinkEnd | undefined {
    return this.#end;
  }

  /**
   * Sends bytes.
   *
   * @returns resolves when the kernel has taken them, which says nothing about the peer
   * @throws OperationError LINK_FULL when the peer is further behind than the link may hold, LINK_ENDED
   */
  async send(bytes: Uint8Array): Promise<void> {
    if ((this.#end && !this.#answering) || !this.#socket.writable) throw this.#gone();
    this.#owesAnswer = false;
    const unsentBytes = this.#socket.writableLength;
    if (unsentBytes + bytes.length > this.#owner.unsentBytesMax) {
      throw new OperationError("LINK_FULL", `Cannot send: ${showSize(unsentBytes)} are already queued for ${this.peer}`);
    }
    if (tap.hasSubscribers) this.#tell("out", { bytes });
    await new Promise<void>((resolve, reject) => {
      this.#socket.write(bytes, (error) => (error ? reject(this.#gone()) : resolve()));
    });
  }

  /** Bytes written that the kernel has not taken. @internal */
  get aheadBytes(): number {
    return this.#socket.writableLength;
  }

  /** Bytes that the kernel has taken so far. @internal */
  get takenBytes(): number {
    return takenBytes(this.#socket);
  }

  /** Writes the parts as one, without asking whether there is room. @internal */
  write(parts: readonly Uint8Array[]): void {
    if (!this.#socket.writable || (this.#end && this.#end.reason !== "fin")) return;
    const several = parts.length > 1;
    if (several) this.#socket.cork();
    for (const bytes of parts) {
      if (tap.hasSubscribers && !this.#owner.isFramed) this.#tell("out", { bytes });
      this.#socket.write(bytes);
    }
    if (several) this.#socket.uncork();
  }

  /**
   * Watches the kernel's keep-alive of this connection.
   *
   * @throws OperationError LINK_WATCH_UNSUPPORTED, LINK_ENDED
   */
  watch(options: Pick<WatchOptions, "every" | "clock"> = {}): Watch {
    const { idleMs, intervalMs, count } = this.#owner.keepAlive;
    return watch(this.#socket, { idle: idleMs, interval: intervalMs, count, ...options });
  }

  /** Stops reading, so that the peer's sends back up; `resume` goes on. */
  pause(): void {
    this.#socket.pause();
  }

  /** Reads on. */
  resume(): void {
    this.#socket.resume();
  }

  /** Sends what waits, then FIN. */
  close(reason: EndReason = "closed"): void {
    this.#end ??= endOf(reason);
    this.#socket.end();
  }

  /** Ends the connection at once; what waits is lost. */
  destroy(reason: EndReason = "closed"): void {
    this.#end ??= endOf(reason);
    this.#socket.destroy();
  }

  /** Ends the connection once what was written is sent, or after 1 s when the peer does not take it. @internal */
  destroySoon(): void {
    this.#end ??= endOf("closed");
    if (this.#socket.writableLength === 0) return void this.#socket.destroy();
    this.#socket.destroySoon();
    this.#owner.clock.at(this.#owner.clock.now() + LAST_BYTES_MS, () => this.#socket.destroy());
  }

  /**
   * What the peer's certificate says of it, where one of the trusted authorities has signed it: a renewed one says the same. Otherwise its
   * fingerprint, or "" without a certificate. @internal
   */
  get certificate(): string {
    if (!(this.#socket instanceof TLSSocket)) return "";
    const certificate = this.#socket.getPeerX509Certificate();
    if (!certificate) return "";
    const { subject, subjectAltName, issuer, fingerprint256 } = certificate;
    const names = [subject, subjectAltName].filter(Boolean); // each may be missing
    if (!this.#socket.authorized || names.length === 0) return fingerprint256;
    return [...names, issuer].join("; ").replaceAll("\n", ", ");
  }

  /** @internal */
  drained(): void {
    this.#owner.drained?.();
  }

  /** The connection's numbers; `timers` is the kernel's table, read once for many links. */
  stats(timers?: ReadonlyMap<string, KernelTimer>, { askKernel = true }: { askKernel?: boolean } = {}): LinkStats {
    const fd = askKernel ? descriptorOf(this.#socket) : undefined;
    const timer = timers?.get(keyOf(this.#socket) ?? "");
    const bytes = fd === undefined ? undefined : kernel()?.tcpInfo(fd);
    const info = bytes && parseTcpInfo(bytes);
    return {
      id: this.id,
      peer: this.peer,
      local: this.local,
      sinceMs: this.sinceMs,
      bytesIn: this.bytesIn,
      bytesOut: this.bytesOut,
      unsentBytes: this.#socket.writableLength,
      silentForMs: info && Math.min(info.lastDataReceivedMs, info.lastAckReceivedMs),
      keepAlive: fd === undefined ? undefined : kernel()?.keepAlive(fd),
      nextProbeInMs: timer?.keepAliveInMs,
      probesUnanswered: timer?.unanswered,
    };
  }

  /** True when the interface that this connection goes through is down. @internal */
  get interfaceDown(): boolean {
    return isInterfaceDown(this.local.slice(0, this.local.lastIndexOf(":")).replaceAll(/[[\]]/g, ""));
  }

  /** The peer has closed its side. @internal */
  peerEnded(): void {
    this.#end ??= endOf("fin");
    if (this.#owner.peerEnded) this.#owner.peerEnded(this);
    else this.#socket.end();
  }

  /**
   * Tells the owner of the end, and closes: at once, or, when the peer may wait for an answer to what it sent last, after it was
   * sent or `withinMs`. @internal
   */
  closeAfterAnswer(withinMs: number): void {
    if (!this.#owesAnswer || withinMs === 0) return void this.#socket.end();
    this.#answering = true;
    this.#tellEnd();
    this.#owner.clock.at(this.#owner.clock.now() + withinMs, () => this.#socket.end());
  }

  /** @internal */
  whenClosed(then: () => void): void {
    this.#socket.once("close", then);
  }

  /** @internal */
  received(bytes: Buffer): void {
    this.#owesAnswer = true;
    if (tap.hasSubscribers && !this.#owner.isFramed) this.#tell("in", { bytes });
    this.#owner.bytes(this, bytes);
  }

  /** What passes inside frames, for who watches. @internal */
  tellBytes(kind: "in" | "out", parts: readonly Uint8Array[]): void {
    if (tap.hasSubscribers) for (const bytes of parts) this.#tell(kind, { bytes });
  }

  /** @internal The first cause counts: an error that closing provokes is not why the link ended. */
  ending(end: LinkEnd): void {
    this.#end ??= end;
  }

  /** @internal */
  closed(): void {
    if (!this.#answering) this.#tellEnd();
  }

  #tellEnd(): void {
    this.#end ??= endOf("closed");
    if (tap.hasSubscribers) this.#tell("close", { reason: this.#end.reason });
    this.#owner.ended(this, this.#end);
  }

  #tell(kind: TapEvent["kind"], more: { bytes?: Uint8Array; reason?: string } = {}): void {
    const wallMs = this.#owner.clock.wallMs();
    tap.publish({ part: "link", kind, local: this.local, remote: this.peer, wallMs, ...more } satisfies TapEvent);
  }

  #gone(): OperationError {
    const { message, cause } = this.#end ?? endOf("closed");
    return new OperationError("LINK_ENDED", `Cannot send to ${this.peer}: ${message}`, { cause });
  }
}

function onData(this: Socket, bytes: Buffer): void {
  (this as LinkSocket)[LINK].received(bytes);
}

function onDrain(this: Socket): void {
  (this as LinkSocket)[LINK].drained();
}

function onEnd(this: Socket): void {
  (this as LinkSocket)[LINK].peerEnded();
}

/** `destroyAfterReading` has named the end already; without a listener Node would end the process. */
function onError(): void {}

/**
 * ETIMEDOUT does not say whether probes, retransmitted data or a window that stays closed went unanswered. The kernel still knows
 * until the descriptor is closed, which Node does in `_destroy`: the last moment to ask.
 */
function destroyAfterReading(this: Socket, error: Error | null, done: (error?: Error | null) => void): void {
  const link = (this as LinkSocket)[LINK];
  if (error) link.ending(endOfSocket(this, link, error));
  (Object.getPrototypeOf(this) as Socket)._destroy.call(this, error, done);
}

/** Errors that the kernel reports for a peer that is silent, and for an interface that is down. */
const SILENCE = new Set(["ETIMEDOUT", "EHOSTUNREACH", "ENETUNREACH", "ENETDOWN", "EADDRNOTAVAIL"]);

function endOfSocket(socket: Socket, link: ByteLink, error: Error): LinkEnd {
  const code = codeOf(error) ?? "";
  if (SILENCE.has(code) && link.interfaceDown) return endOf("interface-down", error);
  return endOfError(error, code === "ETIMEDOUT" ? unansweredOf(socket, link) : undefined);
}

function unansweredOf(socket: Socket, link: ByteLink): Unanswered {
  const fd = descriptorOf(socket);
  const bytes = fd === undefined ? undefined : kernel()?.tcpInfo(fd);
  const info = bytes && parseTcpInfo(bytes);
  if (info && info.retransmits > 0) return "data";
  const unread = socket.writableLength > 0 || (info !== undefined && link.takenBytes > info.bytesAcked);
  return unread ? "window" : "probes";
}

function onClose(this: Socket): void {
  (this as LinkSocket)[LINK].closed();
}

function keyOf({ localAddress, localPort, remoteAddress, remotePort }: Socket): string | undefined {
  if (localAddress === undefined || remoteAddress === undefined) return undefined;
  return endKey({ localAddress, localPort: localPort!, remoteAddress, remotePort: remotePort! });
}

function showEnd(address = "?", port = 0): string {
  const bare = address.replace(/^::ffff:/, "");
  return bare.includes(":") ? `[${bare}]:${port}` : `${bare}:${port}`;
}
