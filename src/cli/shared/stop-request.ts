/**
 * ● Ending well: the first SIGTERM or SIGINT asks to stop, a second ends the process at once with the shell's exit code for it
 * (128 + the signal's number).
 */
import { constants } from "node:os";

const SIGNALS = ["SIGINT", "SIGTERM"] as const;

export interface StopRequest {
  /** Resolves with the signal's name at the first signal. */
  readonly requested: Promise<NodeJS.Signals>;
  /** Gives the signals back to whoever had them. */
  [Symbol.dispose](): void;
}

export function stopRequest(): StopRequest {
  const { promise, resolve } = Promise.withResolvers<NodeJS.Signals>();
  let asked = false;
  const onSignal = (signal: NodeJS.Signals): void => {
    if (asked) process.exit(128 + constants.signals[signal]);
    asked = true;
    resolve(signal);
  };
  for (const signal of SIGNALS) process.on(signal, onSignal);
  return {
    requested: promise,
    [Symbol.dispose]() {
      for (const signal of SIGNALS) process.off(signal, onSignal);
    },
  };
}
