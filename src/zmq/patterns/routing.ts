/**
 * ○ Which pipe next: fair queueing over those with something to read, load balancing over those with room. Both keep the usable
 * pipes in front of the others in one array, so that a step costs the same with one pipe and with ten thousand.
 */
import type { Message } from "../../zmtp/message-parts.ts";
import type { Pipe } from "./pipe.ts";

/** Takes one message from each pipe in turn. */
export class FairQueue {
  readonly #ready: Pipe[] = [];
  #current = 0;
  /** The pipe that the last message came from. */
  last: Pipe | undefined;

  /** Whether `next` would give a message. */
  get isEmpty(): boolean {
    return this.#ready.length === 0;
  }

  /** The pipe has messages; again when it has already: nothing. */
  activate(pipe: Pipe): void {
    if (pipe.receivePosition >= 0 || pipe.inbound.length === 0) return;
    pipe.receivePosition = this.#ready.length;
    this.#ready.push(pipe);
  }

  next(): Message | undefined {
    const pipe = this.#ready[this.#current];
    if (pipe === undefined) return undefined;
    const message = pipe.take();
    this.last = pipe;
    if (pipe.inbound.length === 0) this.remove(pipe);
    else this.#current += 1;
    if (this.#current >= this.#ready.length) this.#current = 0;
    return message;
  }

  remove(pipe: Pipe): void {
    const position = pipe.receivePosition;
    if (position < 0) return;
    pipe.receivePosition = -1;
    const last = this.#ready.pop()!;
    if (last === pipe) return;
    this.#ready[position] = last;
    last.receivePosition = position;
  }
}

/** Gives messages to pipes with room in turn. */
export class LoadBalancer {
  readonly #pipes: Pipe[] = [];
  #active = 0;
  #current = 0;
  /** The pipe that took the last message. */
  last: Pipe | undefined;

  get size(): number {
    return this.#pipes.length;
  }

  get hasRoom(): boolean {
    return this.#active > 0;
  }

  add(pipe: Pipe): void {
    pipe.sendPosition = this.#pipes.length;
    this.#pipes.push(pipe);
    this.activate(pipe);
  }

  /** The pipe has room again. */
  activate(pipe: Pipe): void {
    if (pipe.sendPosition < this.#active) return;
    this.#swap(pipe.sendPosition, this.#active);
    this.#active += 1;
  }

  /** @returns false when no pipe has room */
  send(message: Message, bytes: number): boolean {
    while (this.#active > 0) {
      if (this.#current >= this.#active) this.#current = 0;
      const pipe = this.#pipes[this.#current]!;
      if (pipe.hasRoom(bytes)) {
        this.#current += 1;
        this.last = pipe;
        pipe.push(message, bytes);
        return true;
      }
      this.#active -= 1;
      this.#swap(this.#current, this.#active);
    }
    return false;
  }

  remove(pipe: Pipe): void {
    const position = pipe.sendPosition;
    if (position < 0) return;
    let hole = position;
    if (position < this.#active) {
      this.#active -= 1;
      this.#swap(position, this.#active);
      hole = this.#active;
    }
    this.#swap(hole, this.#pipes.length - 1);
    this.#pipes.pop();
    pipe.sendPosition = -1;
  }

  #swap(a: number, b: number): void {
    if (a === b) return;
    const first = this.#pipes[a]!;
    const second = this.#pipes[b]!;
    this.#pipes[a] = second;
    this.#pipes[b] = first;
    second.sendPosition = a;
    first.sendPosition = b;
  }
}
