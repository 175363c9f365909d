/**
 * ○ A message that arrives as a stream, as the application reads it. What it has read is told to the sender, who sends no more than the
 * window beyond that; so an application that reads slowly slows the sender down, and no more than a window is held.
 */
import { OperationError } from "../../core/errors.ts";

/** A message in pieces, to be read once: `for await (const bytes of stream)`. */
export class IncomingStream implements AsyncIterable<Uint8Array> {
  /** Counts the session's messages, from 1. */
  readonly number: number;
  readonly #taken: (bytes: number) => void;
  readonly #chunks: Uint8Array[] = [];
  #end: "open" | "whole" | OperationError = "open";
  #wake: (() => void) | undefined;

  /** @internal @param taken called with the bytes of each piece when the next is asked for */
  constructor(number: number, taken: (bytes: number) => void) {
    this.number = number;
    this.#taken = taken;
  }

  /**
   * The pieces, in order.
   *
   * @throws OperationError LINK_GAP while reading, when its sender gave it up or the session ended
   */
  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, undefined> {
    for (;;) {
      const chunk = this.#chunks.shift();
      if (chunk) {
        yield chunk;
        this.#taken(chunk.length);
        continue;
      }
      if (this.#end === "whole") return;
      if (this.#end !== "open") throw this.#end;
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  /** @internal */
  push(bytes: Uint8Array): void {
    if (bytes.length > 0) this.#chunks.push(bytes);
    this.#wake?.();
  }

  /** @internal All of it has arrived. */
  finish(): void {
    this.#end = "whole";
    this.#wake?.();
  }

  /** @internal No more of it will come. */
  fail(why: string): void {
    if (this.#end !== "open") return;
    this.#end = new OperationError("LINK_GAP", `Cannot read the rest of a stream: ${why}`);
    this.#wake?.();
  }
}
