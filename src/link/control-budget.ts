/** ○ Control frames cost: who sends them faster than any use needs is disconnected. */
import { ProtocolError } from "../core/errors.ts";
import { CONTROL_BURST, CONTROL_PER_SECOND } from "./limits.ts";

export class ControlBudget {
  #left = CONTROL_BURST;
  #atMs: number;

  constructor(nowMs: number) {
    this.#atMs = nowMs;
  }

  /**
   * A control frame came that nothing called for.
   *
   * @throws ProtocolError LINK_FLOOD
   */
  spend(nowMs: number): void {
    const earned = ((nowMs - this.#atMs) / 1000) * CONTROL_PER_SECOND;
    this.#left = Math.min(CONTROL_BURST, this.#left + earned) - 1;
    this.#atMs = nowMs;
    if (this.#left < 0) throw new ProtocolError("LINK_FLOOD", `More than ${CONTROL_BURST} control frames in one burst`);
  }
}
