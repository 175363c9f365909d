/** ○ A message in the application's hands: done when the handler returns or its promise resolves, refused when it throws or rejects. */
import { messageOf } from "../../core/errors.ts";
import { REASON_CHARS_MAX } from "../limits.ts";

/** Runs a handler; `settle` is called once, with the reason when the handler refuses. */
export function acknowledge(handler: () => void | Promise<unknown>, settle: (reject?: string) => void): void {
  try {
    const outcome = handler();
    if (outcome === undefined) settle();
    else
      outcome.then(
        () => settle(),
        (error: unknown) => settle(reasonOf(error)),
      );
  } catch (error) {
    settle(reasonOf(error));
  }
}

function reasonOf(error: unknown): string {
  return messageOf(error).slice(0, REASON_CHARS_MAX) || "no reason given";
}
