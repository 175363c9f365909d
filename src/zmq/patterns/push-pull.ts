/** ○ PUSH gives to pipes with room in turn; PULL takes from all in turn (RFC 30). */
import { DealerPattern, FairPattern } from "./pattern.ts";

export class PullPattern extends FairPattern {}

/** Sends as DEALER does, to the peers with room in turn (pattern.ts). */
export class PushPattern extends DealerPattern {
  /** PUSH never receives: messages from a PULL are dropped. */
  override incoming(): void {}

  override get receiveRefusal(): "ENOTSUP" {
    return "ENOTSUP";
  }
}
