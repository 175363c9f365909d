/**
 * ● Graceful shutdown: the first SIGTERM, SIGINT or SIGHUP requests it, a second exits at once with 128 + the signal's number. Made
 * before a command listens or connects, so that a signal right after that finds its handler. A command that can reload something
 * does so at SIGHUP instead.
 */
import { constants } from "node:os";
import { STOP_SIGNALS } from "../../core/shutdown.ts";

export interface StopRequest {
  /** Resolves with the signal's name at the first signal. */
  readonly requested: Promise<NodeJS.Signals>;
  /** Fires at the first signal. */
  readonly signal: AbortSignal;
  /** Removes the signal handlers: the next signal ends the process. Dispose of it when everything is closed, not before. */
  [Symbol.dispose](): void;
}

export interface StopOptions {
  /** What SIGHUP does instead. */
  readonly reload?: (() => void) | undefined;
  /** Further signals that request it. */
  readonly also?: readonly NodeJS.Signals[];
}

export function stopRequest({ reload, also = [] }: StopOptions = {}): StopRequest {
  const { promise, resolve } = Promise.withResolvers<NodeJS.Signals>();
  const abort = new AbortController();
  const signals = [...STOP_SIGNALS, ...also];
  const onSignal = (signal: NodeJS.Signals): void => {
    if (signal === "SIGHUP" && reload) {
      reload();
      return;
    }
    if (abort.signal.aborted) process.exit(128 + constants.signals[signal]);
    resolve(signal);
    abort.abort();
  };
  for (const signal of signals) process.on(signal, onSignal);
  return {
    requested: promise,
    signal: abort.signal,
    [Symbol.dispose]() {
      for (const signal of signals) process.off(signal, onSignal);
    },
  };
}
