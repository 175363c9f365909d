/**
 * ● One socket to one server: requests leave in order, each reply goes to the oldest request in flight. A connection opens once,
 * closes once and never reopens: its owner (pool-server.ts) makes the next. Invariant: after `closed` nothing is written and no
 * reply is given out.
 */
import { Buffer } from "node:buffer";
import { connect as connectTcp, isIP, type Socket } from "node:net";
import { connect as connectTls, type ConnectionOptions as TlsOptions } from "node:tls";
import type { Cancel, Clock } from "../../../core/clock.ts";
import { HoldfastError, OperationError, ProtocolError, messageOf } from "../../../core/errors.ts";
import { KEEP_ALIVE_DEFAULT } from "../../../core/limits.ts";
import { InFlightBatch, type InFlightRequest, type KeyPosition } from "./in-flight.ts";
import { Ring } from "../../../core/ring.ts";
import { READ_BYTES } from "../operations/limits.ts";
import type { ReplySink } from "../operations/get-operation.ts";
import type { ServerAddress } from "../operations/server-address.ts";
import { InFlightWindow } from "./in-flight-window.ts";
import type { ClientProtocol } from "./client-protocol.ts";
import { WriteBuffer } from "./write-buffer.ts";

/** What a connection tells its owner. */
export interface ServerConnectionOwner {
  /** The socket is open: the handshake may begin. */
  opened(): void;
  /** The kernel has taken what was written: more may follow. */
  drained(): void;
  /** Bytes came, and the requests that they answer are settled. */
  heard(): void;
  /** Called once, with the requests that were still in flight. */
  closed(error: HoldfastError, unanswered: readonly InFlightRequest[]): void;
}

export interface ServerConnectionSettings {
  readonly server: ServerAddress;
  readonly tls: TlsOptions | undefined;
  readonly connectTimeoutMs: number;
  readonly clock: Clock;
}

export class ServerConnection {
  /** In flight, oldest first. */
  readonly pending = new Ring<InFlightRequest>();
  /** Calls in `pending`. */
  pendingCalls = 0;
  /** Bounds what is in flight. */
  readonly window = new InFlightWindow();
  /** Requests answered so far. */
  answered = 0;
  /** When the last bytes came, or when the oldest request in flight was sent, if that is later. */
  aliveAtMs = 0;
  readonly #name: string;
  readonly #socket: Socket;
  readonly #protocol: ClientProtocol;
  readonly #out = new WriteBuffer();
  readonly #owner: ServerConnectionOwner;
  readonly #clock: Clock;
  #cancelTimeout: Cancel = () => {};
  #closed = false;

  constructor(settings: ServerConnectionSettings, protocol: ClientProtocol, owner: ServerConnectionOwner) {
    const { server, clock, connectTimeoutMs } = settings;
    this.#name = server.name;
    this.#protocol = protocol;
    this.#owner = owner;
    this.#clock = clock;
    this.#socket = settings.tls ? this.#openTls(server, settings.tls) : this.#openPlain(server);
    this.#limitHandshake(connectTimeoutMs);
    this.#socket.on("drain", () => {
      if (!this.#closed) this.#owner.drained();
    });
    this.#socket.on("error", (error) => this.#broken(error));
    this.#socket.on("close", () => this.#broken(undefined));
  }

  /** Bytes written that the kernel has not taken. */
  get backlogBytes(): number {
    return this.#socket.writableLength + this.#out.length;
  }

  /** Bytes not yet handed to the socket. */
  get unflushedBytes(): number {
    return this.#out.length;
  }

  /** The handshake is done: the connect timeout ends. */
  established(): void {
    this.#cancelTimeout();
  }

  /**
   * Gives the connection up when nothing of it came in time. What did come while the event loop was held is read first, and gives
   * the rest of the handshake its time.
   */
  #limitHandshake(timeoutMs: number): void {
    this.#cancelTimeout = this.#clock.at(this.#clock.now() + timeoutMs, () => {
      const { connecting, bytesRead } = this.#socket;
      this.#cancelTimeout = this.#clock.afterInput(() => {
        if (this.#socket.connecting !== connecting || this.#socket.bytesRead !== bytesRead) this.#limitHandshake(timeoutMs);
        else this.close(new OperationError("CACHE_TIMEOUT", `Cannot connect to ${this.#name}: no answer in ${timeoutMs} ms`));
      });
    });
  }

  /** Reads nothing more until `resume`: the kernel's buffers fill, and the server waits. */
  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    if (!this.#closed) this.#socket.resume();
  }

  /** Encodes a request behind the others; `flush` sends them. */
  send(request: InFlightRequest): void {
    if (this.pending.length === 0) this.aliveAtMs = this.#clock.now();
    this.pending.push(request);
    this.pendingCalls += request.size;
    request.sent = true;
    if (request instanceof InFlightBatch) {
      this.window.asked(request.keys.length);
      this.#protocol.encodeGet(request, this.#out);
    } else this.#protocol.encodeCommand(request.command, this.#out);
  }

  /** Gives a key's reply to one more sink, whether its batch was sent already or not. */
  share({ batch, position }: KeyPosition, sink: ReplySink, slot: number): void {
    const calls = batch.share(position, sink, slot);
    if (batch.sent) this.pendingCalls += calls;
  }

  flush(): void {
    if (this.#closed || this.#out.length === 0) return;
    this.#socket.write(this.#out.take());
    // A plain socket hands small writes to the kernel before write() returns; then the bytes are free again.
    if (this.#socket.writableLength === 0) this.#out.reuse();
  }

  /** Ends the connection; the requests in flight are handed to the owner with this error. */
  close(error: HoldfastError): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#cancelTimeout();
    this.#socket.destroy();
    const unanswered = this.pending.drain();
    for (const request of unanswered) if (request instanceof InFlightBatch) request.lost = true;
    this.#owner.closed(error, unanswered);
  }

  #openPlain({ host, port, path }: ServerAddress): Socket {
    const socket = connectTcp({
      ...(path === undefined ? { host, port } : { path }),
      noDelay: true,
      onread: {
        buffer: Buffer.allocUnsafeSlow(READ_BYTES),
        callback: (count, buffer) => {
          this.#receive(buffer as Buffer, count);
          return true;
        },
      },
    });
    socket.once("connect", () => this.#opened());
    return socket;
  }

  #openTls({ host, port, path, tlsName = host }: ServerAddress, options: TlsOptions): Socket {
    const target = path === undefined ? { host, port, servername: isIP(tlsName) ? "" : tlsName } : { path };
    const socket = connectTls({ ...target, ...options });
    socket.setNoDelay(true);
    socket.once("secureConnect", () => this.#opened());
    socket.on("data", (chunk: Buffer) => this.#receive(chunk, chunk.length));
    return socket;
  }

  #opened(): void {
    if (this.#closed) return;
    const { idleMs, intervalMs, count } = KEEP_ALIVE_DEFAULT;
    this.#socket.setKeepAlive(true, idleMs, intervalMs, count);
    this.#owner.opened();
  }

  #receive(chunk: Buffer, length: number): void {
    if (this.#closed) return;
    this.aliveAtMs = this.#clock.now();
    try {
      const { decoder } = this.#protocol;
      decoder.push(chunk, length);
      for (let reply = decoder.next(); reply; reply = decoder.next()) {
        const request = this.pending.peek();
        if (!request) throw new ProtocolError("CACHE_REPLY_INVALID", `Invalid reply: '${reply.kind}' without a request`);
        if (request.accept(reply)) {
          this.pending.shift();
          this.pendingCalls -= request.size;
          this.answered += 1;
          if (request instanceof InFlightBatch) this.window.answered(request.keys.length, request.foundBytes);
        }
        if (this.#closed) return;
      }
      this.#owner.heard();
    } catch (error) {
      const known = error instanceof HoldfastError;
      this.close(known ? error : new ProtocolError("CACHE_REPLY_INVALID", messageOf(error), { cause: error }));
    }
  }

  #broken(cause: Error | undefined): void {
    const message = `Connection to ${this.#name} ${cause ? `failed: ${messageOf(cause)}` : "was closed by the server"}`;
    this.close(new OperationError("CACHE_UNREACHABLE", message, { cause }));
  }
}
