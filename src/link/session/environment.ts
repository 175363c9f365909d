/** ○ What the cores of session mode are given: transports that carry bytes, a clock, chance and secrets. */
import type { Clock } from "../../core/clock.ts";
import type { Random } from "../../core/random.ts";
import type { Due } from "./deadlines.ts";

/** What carries a connection's bytes: a socket, or a simulated one. Tells the connection through `received`, `drained` and `lost`. */
export interface LinkTransport {
  readonly peer: string;
  /** Bytes written that the kernel has not taken. */
  readonly aheadBytes: number;
  /** Bytes that the kernel has taken so far. */
  readonly takenBytes: number;
  /** The network interface that it goes through is down: then silence is not the peer's. */
  readonly interfaceDown: boolean;
  /** Writes the parts as one; they are never written to again. */
  write(parts: readonly Uint8Array[]): void;
  pause(): void;
  resume(): void;
  /** Ends after what was written. */
  end(): void;
  /** Ends at once. */
  destroy(): void;
}

/** Calls back what is due. */
export interface DeadlineTimer {
  /** An entry's deadline may have moved earlier, or is there for the first time. */
  moved(entry: Due): void;
  remove(entry: Due): void;
}

/** What the session's cores are given instead of clock, chance and secrets of their own. */
export interface Environment {
  readonly clock: Clock;
  readonly random: Random;
  readonly deadlines: DeadlineTimer;
  /** Unguessable bytes. */
  secretBytes(count: number): Uint8Array;
  /** HMAC-SHA256 over the parts in order. */
  hmac(key: string, parts: readonly Uint8Array[]): Uint8Array;
  /** Calls `flush` of the connection soon, after what else happens in this turn, so that many sends become one write. */
  soon(connection: { flush(): void }): void;
}
