/**
 * ● inproc: two pipes of this process, each of which delivers to the other without copying a byte. A connect may come before its bind: the
 * pipe waits. The bound is that of both pipes together, as in libzmq.
 */
import type { Buffer } from "node:buffer";
import type { MessagePort } from "node:worker_threads";
import type { SocketCore } from "../socket-core/socket-core.ts";
import { after, SOCKET, type SocketState } from "../socket-core/life-cycle.ts";
import { costOf, type PipeTransport, type Pipe } from "../patterns/pipe.ts";
import { ThreadConnection } from "./thread-connection.ts";
import { ThreadDirectory } from "./thread-directory.ts";

/** One direction: from a pipe's outbound queue to the other's inbound queue. */
class InprocTransport implements PipeTransport {
  readonly #from: Pipe;
  readonly #to: Pipe;
  readonly #toCore: SocketCore;
  readonly #endBoth: (reason: Error) => void;
  #moving = false;

  constructor(from: Pipe, to: Pipe, toCore: SocketCore, endBoth: (reason: Error) => void) {
    this.#from = from;
    this.#to = to;
    this.#toCore = toCore;
    this.#endBoth = endBoth;
  }

  wake(): void {
    this.move(false);
  }

  resume(): void {
    this.#to.transport?.wake();
  }

  stop(): void {}

  end(reason: Error): void {
    this.#endBoth(reason);
  }

  /** Moves what there is room for; all of it when the sending side closes. */
  move(all: boolean): void {
    if (this.#moving) return;
    this.#moving = true;
    let moved = 0;
    let bytes = 0;
    try {
      while (!this.#to.closed) {
        if (!all && this.#to.inboundFull) break;
        const message = this.#from.nextOutbound();
        if (message === undefined) break;
        moved += 1;
        bytes += costOf(message);
        this.#toCore.incoming(this.#to, message);
      }
    } catch (error) {
      this.#endBoth(error as Error);
    }
    this.#moving = false;
    if (moved === 0) return;
    this.#from.settled(moved, bytes);
    if (this.#to.inbound.length > 0) this.#to.announce();
  }
}

/** One side of a connection within the process. */
export interface InprocSide {
  readonly core: SocketCore;
  readonly pipe: Pipe;
  readonly socketType: string;
  readonly routingId: Buffer;
  /** The connection is over. */
  readonly ended: (reason: Error | undefined) => void;
}

/** Two sides joined; `close` ends it from one of them. */
export class InprocConnection {
  readonly #transports: readonly [InprocTransport, InprocTransport];
  readonly #sides: readonly [InprocSide, InprocSide];
  #state: SocketState = "open";

  constructor(address: string, a: InprocSide, b: InprocSide) {
    const end = (reason: Error): void => this.close(reason);
    this.#sides = [a, b];
    this.#transports = [new InprocTransport(a.pipe, b.pipe, b.core, end), new InprocTransport(b.pipe, a.pipe, a.core, end)];
    a.pipe.transport = this.#transports[0];
    b.pipe.transport = this.#transports[1];
    const fits = this.#join(address, a, b) && this.#join(address, b, a);
    if (!fits) {
      this.close(undefined);
      return;
    }
    this.#transports[0].wake();
    this.#transports[1].wake();
  }

  /** What was sent is delivered first. */
  close(reason: Error | undefined): void {
    if (this.#state !== "open") return;
    this.#state = after(SOCKET, this.#state, "close");
    for (const transport of this.#transports) transport.move(true);
    for (const side of this.#sides) side.ended(reason);
    this.#state = after(SOCKET, this.#state, "gone");
  }

  #join(address: string, own: InprocSide, other: InprocSide): boolean {
    const info = {
      address,
      remoteAddress: address,
      announcedId: other.routingId,
      socketType: other.socketType,
      userId: undefined,
    };
    return own.core.connected(own.pipe, info);
  }
}

/** A connection, seen from one of its sides. */
export interface JoinedConnection {
  close(reason: Error | undefined): void;
}

/** Joins what connects, a side of this thread or another thread's port, to what is bound. */
export type Accept = (other: InprocSide | MessagePort) => JoinedConnection;
/** Joins a side that connects. */
export type Join = (side: InprocSide) => JoinedConnection;

/** The inproc names of one context. */
export class InprocNames {
  readonly #bound = new Map<string, Accept>();
  readonly #waiting = new Map<string, Set<(join: Join) => void>>();
  readonly #directory: ThreadDirectory | undefined;

  /** @param isShared whether other threads' contexts know the same names */
  constructor(isShared: boolean) {
    if (isShared)
      this.#directory = new ThreadDirectory({
        has: (name) => this.has(name),
        accept: (name, port) => {
          const accept = this.#bound.get(name);
          if (accept === undefined) port.close();
          else accept(port);
        },
        found: (name, open) => this.#found(name, (side) => new ThreadConnection(`inproc://${name}`, side, open())),
      });
  }

  /** @returns false when the name is taken */
  bind(name: string, accept: Accept): boolean {
    if (this.#bound.has(name)) return false;
    this.#bound.set(name, accept);
    this.#found(name, accept);
    this.#directory?.tell(name);
    return true;
  }

  unbind(name: string): void {
    this.#bound.delete(name);
  }

  has(name: string): boolean {
    return this.#bound.has(name);
  }

  /** Calls `connect` now or once the name is bound. @returns a function that withdraws the call, if it has not come */
  connect(name: string, connect: (join: Join) => void): () => void {
    const accept = this.#bound.get(name);
    if (accept !== undefined) {
      connect(accept);
      return () => {};
    }
    const waiting = this.#waiting.get(name) ?? new Set();
    this.#waiting.set(name, waiting.add(connect));
    this.#directory?.ask(name);
    return () => {
      waiting.delete(connect);
      if (waiting.size > 0) return;
      this.#waiting.delete(name);
      this.#directory?.withdraw(name);
    };
  }

  #found(name: string, join: Join): void {
    const waiting = this.#waiting.get(name);
    this.#waiting.delete(name);
    this.#directory?.withdraw(name);
    for (const connect of waiting ?? []) connect(join);
  }
}
