/**
 * ○ How the first attempt of a session's client ends, for `connect`, on Node and in a browser. Invariant: what the client tells until then waits
 * until whoever called `connect` has had a turn to listen, so that no `open` is missed.
 */
import { OperationError } from "../../../core/errors.ts";
import type { LinkEnd } from "../../end.ts";

export class FirstOutcome {
  #held: (() => void)[] | undefined;
  #settle: ((end?: LinkEnd) => void) | undefined;

  /**
   * Starts the client and waits: the session is open, the client is done without, or it waits to try again.
   *
   * @param later calls back in a later turn
   * @throws OperationError LINK_REFUSED, LINK_ENDED
   */
  async of(start: () => void, later: (release: () => void) => void): Promise<void> {
    this.#held = [];
    const end = await new Promise<LinkEnd | undefined>((resolve) => {
      this.#settle = resolve;
      start();
    });
    later(() => this.#release());
    if (!end) return;
    const code = end.reason === "refused" ? "LINK_REFUSED" : "LINK_ENDED";
    throw new OperationError(code, `Cannot open a session: ${end.message}`, { cause: end.cause });
  }

  /** Emits an event, now or when it can be heard. */
  tell(emit: () => void): void {
    if (this.#held) this.#held.push(emit);
    else emit();
  }

  /** There is an outcome. @param end with which the client is done */
  is(end?: LinkEnd): void {
    this.#settle?.(end);
  }

  #release(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const emit of held) emit();
  }
}
