/**
 * ● What keeps the process alive, as with the `zeromq` package: a call that waits, and nothing else; a socket that is open does not. When
 * the process has nothing more to do, sockets that still have messages to send are closed, and it waits for these and for those that
 * are closing as long as `linger` allows, with a word about it after a quarter of a second.
 */

/** 1 hour: the timer that keeps the process alive does nothing when it fires. */
const HOLD_MS = 3_600_000;

/** 250 ms: what is queued for a peer that is there is gone by then. */
const WARN_MS = 250;

/** What is asked of a socket when the process has nothing more to do. */
export interface LingeringSocket {
  /** Whether messages wait to be sent to other processes. */
  readonly hasUnsent: () => boolean;
  /** Whether it was closed, and is not at its end. */
  readonly isClosing: () => boolean;
  /** Drops what waits for a name within the process that nobody has bound. */
  readonly giveUp: () => void;
  /** Whether its context may be told not to wait. */
  readonly isBlocky: () => boolean;
  readonly close: () => Promise<void>;
}

/** 20 ms: so much longer may a process live; a call in every message would have cost 2 % of a round trip. */
const RELEASE_MS = 20;

const timer = setInterval(() => {}, HOLD_MS).unref();
let holders = 0;
let isHeld = false;
let releasing = false;

/** Keeps the process alive until `release`. */
export function hold(): void {
  holders += 1;
  if (isHeld) return;
  isHeld = true;
  timer.ref();
}

export function release(): void {
  holders -= 1;
  if (holders > 0 || releasing) return;
  releasing = true;
  setTimeout(released, RELEASE_MS);
}

function released(): void {
  releasing = false;
  if (holders > 0) return;
  isHeld = false;
  timer.unref();
}

/** Sockets that are bound or connected, or closing. */
const connected = new Set<LingeringSocket>();

export function enterLingering(socket: LingeringSocket): void {
  if (connected.size === 0) process.on("beforeExit", linger);
  connected.add(socket);
}

export function leaveLingering(socket: LingeringSocket): void {
  connected.delete(socket);
  if (connected.size === 0) process.off("beforeExit", linger);
}

/** The process has nothing more to do. Called again when that is so again. */
function linger(): void {
  for (const { giveUp } of connected) giveUp();
  const sockets = [...connected].filter(({ hasUnsent, isClosing }) => hasUnsent() || isClosing());
  if (sockets.length === 0) return;
  hold();
  const warning = setTimeout(warn, WARN_MS, sockets);
  void Promise.all(sockets.map(({ close }) => close())).then(() => {
    clearTimeout(warning);
    release();
  });
}

function warn(sockets: readonly LingeringSocket[]): void {
  const unsent = sockets.filter(({ hasUnsent }) => hasUnsent());
  if (unsent.length === 0) return;
  const hint = unsent.some(({ isBlocky }) => isBlocky()) ? " Set 'context.blocky = false' to change this behaviour." : "";
  process.stderr.write(`(node:${process.pid}) WARNING: Waiting for queued ZeroMQ messages to be delivered.${hint}\n`);
}
