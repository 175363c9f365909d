/**
 * ○ A message of several parts that has not arrived whole. Invariant: `bytes` is the sum of the parts taken; their number is bounded
 * here, their bytes by the frame decoder.
 */
import type { Buffer } from "node:buffer";
import { PART_COST_BYTES } from "../core/budget.ts";
import { ProtocolError } from "../core/errors.ts";
import { disjoin } from "./frame.ts";
import { MESSAGE_PARTS_MAX } from "./limits.ts";

/** The parts of one message. Never empty. */
export type Message = Buffer[];

export class MessageParts {
  #parts: Message = [];
  #disjoined = 0;
  /** Octets of the parts so far. */
  bytes = 0;

  get isEmpty(): boolean {
    return this.#parts.length === 0;
  }

  /** Memory that they take. */
  get heldBytes(): number {
    return this.bytes + this.#parts.length * PART_COST_BYTES;
  }

  /** Drops them. */
  end(): void {
    this.#parts = [];
    this.bytes = 0;
  }

  /** Those that came since the last call become views of nothing but their own octets. */
  disjoin(): void {
    disjoin(this.#parts, this.#disjoined);
    this.#disjoined = this.#parts.length;
  }

  /**
   * Takes the next part.
   *
   * @returns the message, once no more follow
   * @throws ProtocolError ERR_ZMTP_MESSAGE_TOO_LONG when there are too many parts
   */
  add(part: Buffer, more: boolean): Message | undefined {
    const parts = this.#parts;
    parts.push(part);
    if (!more) {
      this.#parts = [];
      this.#disjoined = 0;
      this.bytes = 0;
      return parts;
    }
    this.bytes += part.length;
    if (parts.length >= MESSAGE_PARTS_MAX) {
      throw new ProtocolError("ERR_ZMTP_MESSAGE_TOO_LONG", `Message too long: more than ${MESSAGE_PARTS_MAX} parts`);
    }
    return undefined;
  }
}
