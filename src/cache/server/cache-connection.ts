/**
 * ● One client's socket: reads into the thread's shared buffer, hands the bytes to the session, writes all replies of one read at
 * once. While a client does not read its replies, nothing more is read from it. Invariant: `#pending` holds exactly the
 * bytes received that the session has not consumed.
 */
import { Buffer } from "node:buffer";
import type { Socket } from "node:net";
import { EMPTY_BUFFER } from "../../core/buffers.ts";
import { codeOf } from "../../core/errors.ts";
import { tap, type TapEvent } from "../../core/tap.ts";
import { COUNT } from "../store/counters.ts";
import type { CloseReason, CacheSession } from "../protocol/cache-session.ts";
import { consumeTraced } from "./command-trace.ts";
import type { ThreadContext } from "./thread-context.ts";

/** Where a connection's client came in. */
export interface CacheConnectionOwner {
  readonly thread: ThreadContext;
  readonly protocol: "auto" | "ascii" | "binary";
  /** Makes the session that the first byte asks for. */
  readonly open: (firstByte: number, socket: Socket) => CacheSession;
  readonly closed: (connection: CacheConnection, reason: CloseReason) => void;
}

export class CacheConnection {
  readonly id: number;
  readonly socket: Socket;
  /** "tcp:127.0.0.1:5001" as `stats conns` says it. */
  readonly remote: string;
  readonly local: string;
  session: CacheSession | undefined;
  /** The store's second of the last command. */
  lastActive: number;
  readonly #owner: CacheConnectionOwner;
  readonly #thread: ThreadContext;
  #pending: Buffer = EMPTY_BUFFER;
  #pendingLength = 0;
  #paused = false;
  #reason: CloseReason = "normal";
  #closed = false;
  #held = false;
  /** The client sends nothing more; it may still read. */
  #inputEnded = false;
  #whenDrained: (() => void) | undefined;

  constructor(
    owner: CacheConnectionOwner,
    socket: Socket,
    { id, remote, local }: { id: number; remote: string; local: string },
  ) {
    this.#owner = owner;
    this.#thread = owner.thread;
    this.socket = socket;
    this.id = id;
    this.remote = remote;
    this.local = local;
    this.lastActive = owner.thread.store.now;
    socket.on("drain", () => this.#drained());
    socket.on("error", (error) => this.#failed(error));
    socket.on("end", () => this.#inputWasEnded());
    socket.on("close", () => this.#wasClosed());
    if (tap.hasSubscribers) this.#tell("open");
    if (owner.thread.trace.on) owner.thread.trace.opened(id, owner.protocol);
  }

  /** memcached's word for what the connection is doing. */
  get state(): string {
    return this.#paused ? "conn_mwrite" : (this.session?.state ?? "conn_read");
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Answers no further commands until released: the connection's output belongs to a dump or a log. */
  hold(): void {
    this.#held = true;
  }

  get held(): boolean {
    return this.#held;
  }

  /** Ends `hold` and goes on with the commands received meanwhile. */
  release(): void {
    this.#held = false;
    this.#paused = true;
    setImmediate(() => this.#drained());
  }

  /** Calls back once the client has read what was sent, or has disconnected. */
  onceDrained(call: () => void): void {
    this.#whenDrained = call;
  }

  /** Bytes have arrived; false stops reading until the client has read its replies. */
  received(input: Buffer, length: number): boolean {
    if (this.#closed) return false;
    this.#thread.store.counters.addMany(COUNT.bytesRead, length);
    if (tap.hasSubscribers) this.#tell("in", input.subarray(0, length));
    if (this.#pendingLength > 0) {
      this.#append(input, 0, length);
      this.#runPending();
    } else {
      const rest = this.#run(input, 0, length);
      if (rest < length) this.#append(input, rest, length);
    }
    return this.#flush();
  }

  /** Ends the connection once what was written is out. */
  end(reason: CloseReason): void {
    this.#reason = reason;
    if (this.#paused) this.socket.destroy();
    else this.socket.end(() => this.socket.destroy());
  }

  /** Sends bytes that are no reply to a command, such as a watcher's log; false when the client reads too slowly. */
  send(bytes: Uint8Array): boolean {
    this.#thread.store.counters.addMany(COUNT.bytesWritten, bytes.length);
    if (tap.hasSubscribers) this.#tell("out", bytes);
    return this.socket.write(bytes);
  }

  #run(input: Buffer, start: number, end: number): number {
    const { lock, trace } = this.#thread;
    this.lastActive = this.#thread.store.now;
    this.#thread.executingId = this.id;
    this.session ??= this.#owner.open(input[start]!, this.socket);
    if (trace.on) return this.#runTraced(this.session, input, start, end);
    if (!lock) return this.session.consume(input, start, end);
    lock.acquire();
    try {
      return this.session.consume(input, start, end);
    } finally {
      lock.release();
    }
  }

  #runTraced(session: CacheSession, input: Buffer, start: number, end: number): number {
    const { lock, trace, out } = this.#thread;
    lock?.acquire();
    let traced: ReturnType<typeof consumeTraced>;
    try {
      traced = consumeTraced({ id: this.id, session, out }, input, start, end);
    } finally {
      lock?.release();
    }
    trace.print(traced.lines);
    return traced.rest;
  }

  #runPending(): void {
    const rest = this.#run(this.#pending, 0, this.#pendingLength);
    if (rest === 0) return;
    this.#pending.copyWithin(0, rest, this.#pendingLength);
    this.#pendingLength -= rest;
    if (this.#pendingLength === 0) this.#pending = EMPTY_BUFFER;
  }

  #append(input: Buffer, start: number, end: number): void {
    const needed = this.#pendingLength + end - start;
    if (needed > this.#pending.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(needed, this.#pending.length * 2));
      this.#pending.copy(grown, 0, 0, this.#pendingLength);
      this.#pending = grown;
    }
    input.copy(this.#pending, this.#pendingLength, start, end);
    this.#pendingLength = needed;
  }

  /** Writes the replies; true when reading may go on. */
  #flush(): boolean {
    const { out, store } = this.#thread;
    const { socket, session } = this;
    let flowing = true;
    if (out.length > 0) {
      const replies = out.bytes.subarray(0, out.length);
      store.counters.addMany(COUNT.bytesWritten, out.length);
      if (tap.hasSubscribers) this.#tell("out", replies);
      flowing = socket.write(replies);
      if (socket.writableLength === 0) out.reset();
      else out.take(); // the socket still reads from these bytes
    }
    if (session?.ending !== undefined) {
      this.end(session.ending);
      return false;
    }
    if (this.#held) {
      this.#paused = true;
      return false;
    }
    if (session?.blocked && flowing) {
      setImmediate(() => this.#drained()); // the replies went out at once; others get their turn before the rest
      flowing = false;
    }
    this.#paused = !flowing;
    return flowing;
  }

  #drained(): void {
    const call = this.#whenDrained;
    this.#whenDrained = undefined;
    call?.();
    if (this.#held) return;
    if (!this.#paused || this.#closed) return;
    this.#paused = false;
    if (this.#pendingLength > 0) {
      this.#runPending();
      if (!this.#flush()) return;
    }
    if (this.#inputEnded) this.socket.end();
    else this.socket.resume();
  }

  /** Node emits the end when everything before it was read, Bun also while reading is paused. */
  #inputWasEnded(): void {
    this.#inputEnded = true;
    if (!this.#paused) this.socket.end();
  }

  #failed(error: Error): void {
    this.#reason = codeOf(error) === "ECONNRESET" ? "normal" : "error";
  }

  #wasClosed(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#whenDrained?.();
    const { lock, trace } = this.#thread;
    lock?.acquire();
    this.session?.release();
    lock?.release();
    if (tap.hasSubscribers) this.#tell("close");
    if (trace.on) trace.closed(this.id);
    this.#owner.closed(this, this.#reason);
  }

  #tell(kind: TapEvent["kind"], bytes?: Uint8Array): void {
    const event = { part: "cache" as const, kind, local: this.local, remote: this.remote, wallMs: this.#thread.clock.wallMs() };
    const told: TapEvent = bytes ? { ...event, bytes } : kind === "close" ? { ...event, reason: this.#reason } : event;
    tap.publish(told);
  }
}
