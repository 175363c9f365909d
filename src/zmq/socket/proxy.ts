/**
 * ● A proxy: what one socket receives the other sends, in both directions where the types allow it. It reads only as fast as the other side
 * takes, so that back-pressure passes through. Messages are passed on whole and unchanged.
 */
import { zmqError } from "../errors.ts";
import { ReadableSocket, type SendingSocket } from "./readable-writable.ts";
import type { Socket } from "./socket.ts";

/** Forwards between two sockets, as the `zeromq` package's Proxy. */
export class Proxy<F extends Socket = Socket, B extends Socket = Socket> {
  /** Messages from here go to the back end. */
  readonly frontEnd: F;
  /** Messages from here go to the front end. */
  readonly backEnd: B;
  #running = false;
  #resume: (() => void) | undefined;
  #paused: Promise<void> | undefined;

  constructor(frontEnd: F, backEnd: B) {
    this.frontEnd = frontEnd;
    this.backEnd = backEnd;
  }

  /**
   * Forwards until `terminate`, or until one of the sockets is closed; then closes both.
   *
   * @throws EINVAL when no message could pass in either direction, EBADF when a socket is closed already
   */
  async run(): Promise<void> {
    if (this.#running) throw zmqError("EINVAL", "Cannot run proxy: it is running");
    if (this.frontEnd.closed || this.backEnd.closed) throw zmqError("EBADF", "Cannot run proxy: a socket is closed");
    const directions = [this.#forward(this.frontEnd, this.backEnd), this.#forward(this.backEnd, this.frontEnd)].filter(
      (direction) => direction !== undefined,
    );
    if (directions.length === 0) throw zmqError("EINVAL", "Cannot run proxy: neither socket receives what the other can send");
    this.#running = true;
    try {
      await Promise.race(directions);
    } finally {
      this.terminate();
      await Promise.allSettled(directions);
    }
  }

  /** Forwards no more until `resume`; messages stay where they are. */
  pause(): void {
    this.#paused ??= new Promise((resolve) => (this.#resume = resolve));
  }

  /** Goes on after `pause`. */
  resume(): void {
    this.#paused = undefined;
    this.#resume?.();
  }

  /** Ends the forwarding and closes both sockets. */
  terminate(): void {
    void this.frontEnd.close();
    void this.backEnd.close();
    this.resume();
  }

  /** @returns undefined when nothing can pass in this direction */
  #forward(from: Socket, to: Socket): Promise<void> | undefined {
    return from instanceof ReadableSocket && "send" in to ? this.#pass(from, to as SendingSocket) : undefined;
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
