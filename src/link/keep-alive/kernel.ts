/**
 * ● Socket options that Node has no call for, read and set through a foreign-function interface: `node:ffi` where the runtime has
 * it, else koffi where that is installed, else nothing (`undefined`; callers then say what they could not do).
 * It refuses to guess: on systems whose constants are not listed here there is no kernel access.
 */
import { requireInstalled } from "../../core/package-file.ts";
import { codeOf } from "../../core/errors.ts";

/** Numbers of one system for getsockopt and setsockopt. */
interface Constants {
  readonly socketLevel: number;
  readonly keepAlive: number;
  readonly idle: number;
  readonly interval: number;
  readonly count: number;
  /** TCP_USER_TIMEOUT in ms; undefined where the system has none. */
  readonly userTimeout: number | undefined;
  readonly info: number | undefined;
}

const TCP_LEVEL = 6;
const SYSTEMS: Readonly<Record<string, Constants>> = {
  // linux: include/uapi/linux/tcp.h, asm-generic/socket.h
  linux: { socketLevel: 1, keepAlive: 9, idle: 4, interval: 5, count: 6, userTimeout: 18, info: 11 },
  // macOS: netinet/tcp.h (TCP_KEEPALIVE, TCP_KEEPINTVL, TCP_KEEPCNT)
  darwin: {
    socketLevel: 0xffff,
    keepAlive: 8,
    idle: 0x10,
    interval: 0x101,
    count: 0x102,
    userTimeout: undefined,
    info: undefined,
  },
};

/** 512: more than any kernel's struct tcp_info so far (280 bytes in 6.18); the kernel writes what it has and says how much. */
const INFO_BYTES = 512;

type Sockopt = (fd: number, level: number, option: number, value: Uint8Array, length: Uint8Array | number) => number;

/** Keep-alive options of a socket as the kernel has them. */
export interface KernelKeepAlive {
  readonly on: boolean;
  readonly idleMs: number;
  readonly intervalMs: number;
  readonly count: number;
  /** undefined where the system has no such option. */
  readonly userTimeoutMs: number | undefined;
}

/** Access to the kernel. Every method takes a file descriptor and returns undefined or false when the call fails. */
export class Kernel {
  readonly name: "ffi" | "koffi";
  readonly #get: Sockopt;
  readonly #set: Sockopt;
  readonly #constants: Constants;
  readonly #value = Buffer.alloc(INFO_BYTES);
  readonly #length = Buffer.alloc(4);

  constructor({ name, get, set, constants }: { name: "ffi" | "koffi"; get: Sockopt; set: Sockopt; constants: Constants }) {
    this.name = name;
    this.#get = get;
    this.#set = set;
    this.#constants = constants;
  }

  keepAlive(fd: number): KernelKeepAlive | undefined {
    const { socketLevel, keepAlive, idle, interval, count, userTimeout } = this.#constants;
    const on = this.#int(fd, socketLevel, keepAlive);
    const idleS = this.#int(fd, TCP_LEVEL, idle);
    const intervalS = this.#int(fd, TCP_LEVEL, interval);
    const probes = this.#int(fd, TCP_LEVEL, count);
    if (on === undefined || idleS === undefined || intervalS === undefined || probes === undefined) return undefined;
    const userTimeoutMs = userTimeout === undefined ? undefined : this.#int(fd, TCP_LEVEL, userTimeout);
    return { on: on !== 0, idleMs: idleS * 1000, intervalMs: intervalS * 1000, count: probes, userTimeoutMs };
  }

  /** Sets on, idle, interval and count; true when the kernel took all four. */
  setKeepAlive(fd: number, { idleMs, intervalMs, count }: { idleMs: number; intervalMs: number; count: number }): boolean {
    const { socketLevel, keepAlive, ...option } = this.#constants;
    return (
      this.#setInt(fd, socketLevel, keepAlive, 1) &&
      this.#setInt(fd, TCP_LEVEL, option.idle, idleMs / 1000) &&
      this.#setInt(fd, TCP_LEVEL, option.interval, intervalMs / 1000) &&
      this.#setInt(fd, TCP_LEVEL, option.count, count)
    );
  }

  setUserTimeout(fd: number, ms: number): boolean {
    const { userTimeout } = this.#constants;
    return userTimeout !== undefined && this.#setInt(fd, TCP_LEVEL, userTimeout, ms);
  }

  /** The kernel's struct tcp_info, copied; undefined where there is none. */
  tcpInfo(fd: number): Uint8Array | undefined {
    if (this.#constants.info === undefined) return undefined;
    this.#length.writeUInt32LE(INFO_BYTES);
    if (this.#get(fd, TCP_LEVEL, this.#constants.info, this.#value, this.#length) !== 0) return undefined;
    return new Uint8Array(this.#value.subarray(0, this.#length.readUInt32LE()));
  }

  #int(fd: number, level: number, option: number): number | undefined {
    this.#length.writeUInt32LE(4);
    return this.#get(fd, level, option, this.#value, this.#length) === 0 ? this.#value.readInt32LE() : undefined;
  }

  #setInt(fd: number, level: number, option: number, value: number): boolean {
    this.#value.writeInt32LE(value);
    return this.#set(fd, level, option, this.#value, 4) === 0;
  }
}

let found: Kernel | undefined;
let searched = false;

/** This process's access to the kernel, looked for once; undefined when there is none. */
export function kernel(): Kernel | undefined {
  if (!searched) found = throughNode() ?? throughKoffi();
  searched = true;
  return found;
}

/** Access through `node:ffi` (Node 26.1 and later), or undefined. */
export function throughNode(): Kernel | undefined {
  const constants = SYSTEMS[process.platform];
  const ffi = constants && process.getBuiltinModule?.("node:ffi");
  if (!ffi) return undefined;
  const lib = new ffi.DynamicLibrary(null);
  const head = ["i32", "i32", "i32", "pointer"] as const;
  const get = lib.getFunction("getsockopt", { arguments: [...head, "pointer"], return: "i32" });
  const set = lib.getFunction("setsockopt", { arguments: [...head, "u32"], return: "i32" });
  return new Kernel({ name: "ffi", get: get as Sockopt, set: set as Sockopt, constants });
}

/** Access through the package koffi, or undefined where it is not installed. */
export function throughKoffi(): Kernel | undefined {
  const constants = SYSTEMS[process.platform];
  if (!constants) return undefined;
  try {
    const koffi = requireInstalled("koffi") as {
      load(path: null): { func(signature: string): Sockopt };
    };
    const lib = koffi.load(null);
    const get = lib.func("int getsockopt(int fd, int level, int option, _Inout_ void *value, _Inout_ void *length)");
    const set = lib.func("int setsockopt(int fd, int level, int option, void *value, uint32_t length)");
    return new Kernel({ name: "koffi", get, set, constants });
  } catch (error) {
    if (codeOf(error) === "MODULE_NOT_FOUND") return undefined;
    throw error;
  }
}
