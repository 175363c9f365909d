/**
 * ● A proxy: what one socket receives the other sends, in both directions where the types allow it. It reads only as fast as the other side
 * takes, so that back-pressure passes through. Messages are passed on whole and unchanged.
 */
import { wrongType, zmqError } from "../errors.ts";
import { DuplexSocket, ReadableSocket, type SendingSocket, WritableSocket } from "./readable-writable.ts";
import { Socket } from "./socket.ts";

/** As many as its constructor takes. */
const ARGUMENTS_MAX = 2;

/** Forwards between two sockets, as the `zeromq` package's Proxy. */
export class Proxy<F extends Socket = Socket, B extends Socket = Socket> {
  /** Messages from here go to the back end. */
  readonly frontEnd: F;
  /** Messages from here go to the front end. */
  readonly backEnd: B;
  #running = false;
  #resume: (() => void) | undefined;
  #paused: Promise<void> | undefined;

  /** @throws TypeError, UsageError EINVAL */
  constructor(frontEnd: F, backEnd: B) {
    if (typeof frontEnd !== "object") throw wrongType("Front-end must be a socket object");
    if (typeof backEnd !== "object") throw wrongType("Back-end must be a socket object");
    if (arguments.length > ARGUMENTS_MAX) throw wrongType(`Expected 2 arguments but received ${arguments.length}`);
    for (const end of [frontEnd, backEnd] as const)
      if (!(end instanceof Socket)) throw zmqError("EINVAL", "Cannot make proxy: an end is no socket");
    this.frontEnd = frontEnd;
    this.backEnd = backEnd;
  }

  /**
   * Forwards until `terminate`, or until one of the sockets is closed; then closes both.
   *
   * @throws EINVAL when a socket is neither bound nor connected, or when no message could pass in either direction
   */
  async run(): Promise<void> {
    if (this.#running) throw zmqError("EINVAL", "Cannot run proxy: it is running");
    for (const [end, name] of [
      [this.frontEnd, "Front-end"],
      [this.backEnd, "Back-end"],
    ] as const) {
      if (!end.isAttached)
        throw zmqError("EINVAL", { message: `${name} socket must be bound or connected`, detail: "Cannot run proxy" });
    }
    const directions = [this.#forward(this.frontEnd, this.backEnd), this.#forward(this.backEnd, this.frontEnd)].filter(
      (direction) => direction !== undefined,
    );
    if (directions.length === 0) throw zmqError("EINVAL", "Cannot run proxy: neither socket receives what the other can send");
    this.#running = true;
    try {
      await Promise.race(directions);
    } finally {
      this.#end();
      await Promise.allSettled(directions);
    }
  }

  /** Forwards no more until `resume`; messages stay where they are. @throws EBADF when it does not run */
  pause(): void {
    this.#assertRunning("pause");
    this.#paused ??= new Promise((resolve) => (this.#resume = resolve));
  }

  /** Goes on after `pause`. @throws EBADF when it does not run */
  resume(): void {
    this.#assertRunning("resume");
    this.#goOn();
  }

  /** Ends the forwarding and closes both sockets. @throws EBADF when it does not run */
  terminate(): void {
    this.#assertRunning("terminate");
    this.#end();
  }

  #end(): void {
    this.#running = false;
    void this.frontEnd.close();
    void this.backEnd.close();
    this.#goOn();
  }

  #goOn(): void {
    this.#paused = undefined;
    this.#resume?.();
  }

  #assertRunning(what: string): void {
    if (!this.#running) throw zmqError("EBADF", `Cannot ${what} proxy: it does not run`);
  }

  /** @returns undefined when nothing can pass in this direction */
  #forward(from: Socket, to: Socket): Promise<void> | undefined {
    return from instanceof ReadableSocket && (to instanceof WritableSocket || to instanceof DuplexSocket)
      ? this.#pass(from, to as SendingSocket)
      : undefined;
  }

  async #pass(from: ReadableSocket, to: SendingSocket): Promise<void> {
    for await (const batch of from.batches()) {
      for (const message of batch) {
        while (this.#paused) await this.#paused;
        if (to.closed) return;
        if (to.trySend(message) !== "EAGAIN") continue;
        try {
          await to.send(message);
        } catch (error) {
          if (to.closed) return;
          throw error;
        }
      }
    }
  }
}
