/** ○ PAIR: one peer and no other (RFC 31). A second connection is ended while the first is there. */
import type { Message } from "../../zmtp/message-parts.ts";
import { FairPattern, type SendResult } from "./pattern.ts";
import { costOf, type Pipe } from "./pipe.ts";

export class PairPattern extends FairPattern {
  #pipe: Pipe | undefined;

  override attach(pipe: Pipe): void {
    this.#pipe ??= pipe;
  }

  override connected(pipe: Pipe): boolean {
    return this.#pipe === pipe;
  }

  override detach(pipe: Pipe): void {
    super.detach(pipe);
    if (this.#pipe === pipe) this.#pipe = undefined;
  }

  override send(message: Message): SendResult {
    const bytes = costOf(message);
    if (!this.#pipe?.hasRoom(bytes)) return "EAGAIN";
    this.#pipe.push(message, bytes);
    return "sent";
  }

  override get hasRoom(): boolean {
    return this.#pipe?.hasRoom(0) ?? false;
  }
}
