/** ○ A message in the application's hands: done when the handler returns or its promise resolves, refused when it throws or rejects. */
import { messageOf } from "../../core/errors.ts";
import { showDuration } from "../../core/units.ts";
import { REASON_CHARS_MAX } from "../limits.ts";

/**
 * Runs a handler; `settle` is called once, with the reason when the handler refuses.
 *
 * @returns true when it will be called later
 */
export function acknowledge(handler: () => void | Promise<unknown>, settle: (reject?: string) => void): boolean {
  try {
    const outcome = handler();
    if (outcome !== undefined) {
      outcome.then(
        () => settle(),
        (error: unknown) => settle(reasonOf(error)),
      );
      return true;
    }
    settle();
  } catch (error) {
    settle(reasonOf(error));
  }
  return false;
}

/** Why a message is refused whose handler took too long. */
export function overdueReason(handlerMs: number): string {
  return `the handler did not finish within ${showDuration(handlerMs)}; it may or may not have been handled`;
}

function reasonOf(error: unknown): string {
  return messageOf(error).slice(0, REASON_CHARS_MAX) || "no reason given";
}

/** The handler of topics of a client that takes none. */
export function noTopics(): never {
  throw new Error("this client has no onTopic");
}

/** The handler of streams of a side that takes none. */
export function noStreams(): never {
  throw new Error("this side takes no streams");
}
