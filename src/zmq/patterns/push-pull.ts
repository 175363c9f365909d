/** ○ PUSH gives to pipes with room in turn; PULL takes from all in turn (RFC 30). */
import type { Message } from "../../zmtp/message-parts.ts";
import { FairPattern, Pattern, type SendResult } from "./pattern.ts";
import { byteLength, type Pipe } from "./pipe.ts";
import { LoadBalancer } from "./routing.ts";

export class PullPattern extends FairPattern {}

export class PushPattern extends Pattern {
  readonly #balancer = new LoadBalancer();

  override attach(pipe: Pipe): void {
    this.#balancer.add(pipe);
  }

  override detach(pipe: Pipe): void {
    this.#balancer.remove(pipe);
  }

  override writable(pipe: Pipe): void {
    this.#balancer.activate(pipe);
  }

  /** What a PULL sends is none of PUSH's business. */
  override incoming(): void {}

  override send(message: Message): SendResult {
    return this.#balancer.send(message, byteLength(message)) ? "sent" : "EAGAIN";
  }

  override get receiveRefusal(): "ENOTSUP" {
    return "ENOTSUP";
  }

  override get hasRoom(): boolean {
    return this.#balancer.hasRoom;
  }
}
