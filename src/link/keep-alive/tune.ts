/**
 * ● Sets keep-alive on a socket and says what the kernel then has. Invariant: what a caller asked for is either read back from the
 * kernel as asked, or a warning says which part is not. Nothing is ever ignored in silence.
 */
import type { Socket } from "node:net";
import { descriptorOf } from "../../core/socket-handle.ts";
import { kernel } from "./kernel.ts";
import type { Kernel } from "./kernel.ts";
import { readKeepAlive } from "./keep-alive.ts";
import type { KeepAlive, KeepAliveOptions, TuneWarning } from "./keep-alive.ts";
import { kernelTimer } from "./proc-net.ts";

/** What `tune` did. */
export interface TuneReport {
  /**
   * What set the values: Node's own arguments, `node:ffi`, koffi, or "partial" when nothing here can set them all.
   */
  readonly backend: "node" | "ffi" | "koffi" | "partial";
  /** Where `actual` was read: the kernel's socket options through ffi or koffi, /proc/net/tcp (idle time only), or nowhere. */
  readonly readBy: "ffi" | "koffi" | "proc" | "nothing";
  /** What was asked, rounded to what kernels take. */
  readonly asked: KeepAlive;
  /** What the kernel has; a value that could not be read is undefined. */
  readonly actual: Readonly<Partial<KeepAlive>>;
  /** Empty when `actual` is what was asked. */
  readonly warnings: readonly TuneWarning[];
}

/**
 * Sets keep-alive and the user timeout on any connected net or TLS socket, of a client or accepted, and reads them back.
 *
 * @param socket a connected socket; one that is still connecting gets what Node can set in advance, and a "not-connected" warning
 * @param options durations as numbers of ms or text ("5s"); defaults 5 s, 10 s, 3 and "auto"
 * @returns what the kernel has now, by which way, with typed warnings for everything that is not as asked
 * @throws UsageError LINK_OPTION_INVALID, UNIT_INVALID
 * @example
 * const { actual, warnings } = tune(socket, { idle: "5s", interval: "10s", count: 3 });
 */
export function tune(socket: Socket, options: KeepAliveOptions = {}): TuneReport {
  const { values, warnings } = readKeepAlive(options);
  return applyKeepAlive(socket, { values, warnings, access: kernel() });
}

/** `tune` with its options read already and the way to the kernel given. */
export function applyKeepAlive(
  socket: Socket,
  { values, warnings = [], access }: { values: KeepAlive; warnings?: readonly TuneWarning[]; access: Kernel | undefined },
): TuneReport {
  socket.setKeepAlive(true, values.idleMs, values.intervalMs, values.count);
  const fd = descriptorOf(socket);
  const base = { asked: values, warnings };
  if (fd === undefined || socket.connecting) {
    const message = "the socket is not connected yet: tune it again in its 'connect' event to set and read back everything";
    return {
      ...base,
      backend: "partial",
      readBy: "nothing",
      actual: {},
      warnings: [...warnings, { code: "not-connected", message }],
    };
  }
  return access ? throughKernel(fd, { values, warnings, access }) : withoutKernel(socket, base);
}

function throughKernel(
  fd: number,
  { values, warnings, access }: { values: KeepAlive; warnings: readonly TuneWarning[]; access: Kernel },
): TuneReport {
  let backend: TuneReport["backend"] = "node";
  if (!isSet(access, fd, values)) {
    access.setKeepAlive(fd, values); // an older Node, or one that takes the arguments and ignores them
    backend = access.name;
  }
  const userTimeoutSet = access.setUserTimeout(fd, values.userTimeoutMs);
  const { on, ...actual } = access.keepAlive(fd) ?? { on: false };
  const base = { backend, readBy: access.name, asked: values, actual };
  const more: TuneWarning[] = [];
  if (!userTimeoutSet && values.userTimeoutMs > 0) more.push(USER_TIMEOUT_UNSET);
  if (!on || !isSet(access, fd, values)) {
    more.push({ code: "differs", message: `the kernel has ${on ? "" : "keep-alive off, "}${JSON.stringify(actual)}` });
  }
  return { ...base, warnings: [...warnings, ...more] };
}

function isSet(access: Kernel, fd: number, asked: KeepAlive): boolean {
  const has = access.keepAlive(fd);
  return has?.on === true && has.idleMs === asked.idleMs && has.intervalMs === asked.intervalMs && has.count === asked.count;
}

/** Node alone. Since 24.19 and 26.4 `setKeepAlive` declares four parameters; before, it sets interval 1 s and count 10. */
function withoutKernel(socket: Socket, { asked, warnings }: Pick<TuneReport, "asked" | "warnings">): TuneReport {
  const takesAll = socket.setKeepAlive.length === 4;
  const armedMs = kernelTimer(socket)?.keepAliveInMs;
  const more: TuneWarning[] = [];
  if (!takesAll) {
    more.push(
      {
        code: "interval-ignored",
        message: "this runtime sets the interval to 1 s: use Node 24.19, 26.4 or later, or install koffi",
      },
      { code: "count-ignored", message: "this runtime sets the count to 10: use Node 24.19, 26.4 or later, or install koffi" },
    );
  }
  if (asked.userTimeoutMs > 0) more.push(USER_TIMEOUT_UNSET);
  more.push({
    code: "not-read-back",
    message: "interval and count were set but cannot be read back without node:ffi (Node 26.1) or koffi",
  });
  const idleRead = armedMs !== undefined && Math.abs(armedMs - asked.idleMs) < 1000;
  if (armedMs !== undefined && !idleRead) {
    more.push({ code: "differs", message: `the kernel will probe in ${armedMs} ms, not in ${asked.idleMs} ms` });
  }
  return {
    backend: takesAll && asked.userTimeoutMs === 0 ? "node" : "partial",
    readBy: armedMs === undefined ? "nothing" : "proc",
    asked,
    actual: idleRead ? { idleMs: asked.idleMs } : {},
    warnings: [...warnings, ...more],
  };
}

const USER_TIMEOUT_UNSET: TuneWarning = {
  code: "user-timeout-unset",
  message:
    "TCP_USER_TIMEOUT cannot be set here (it needs Linux and node:ffi or koffi): unacknowledged data may hang for 15 minutes",
};
