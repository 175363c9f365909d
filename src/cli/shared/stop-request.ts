/**
 * ● Graceful shutdown: the first SIGTERM or SIGINT requests it, a second exits at once with 128 + the signal's number. Made before
 * a command listens or connects, so that a signal right after that finds its handler.
 */
import { constants } from "node:os";

const SIGNALS = ["SIGINT", "SIGTERM"] as const;

export interface StopRequest {
  /** Resolves with the signal's name at the first signal. */
  readonly requested: Promise<NodeJS.Signals>;
  /** Removes the signal handlers. */
  [Symbol.dispose](): void;
}

export function stopRequest(): StopRequest {
  const { promise, resolve } = Promise.withResolvers<NodeJS.Signals>();
  let isRequested = false;
  const onSignal = (signal: NodeJS.Signals): void => {
    if (isRequested) process.exit(128 + constants.signals[signal]);
    isRequested = true;
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
