/**
 * ● Where servers show the bytes that pass, for `holdfast wire` and the dashboard where capturing packets is not permitted.
 * Costs one property read a call while nobody listens: `if (tap.hasSubscribers) tap.publish({ … } satisfies TapEvent)`.
 */
import { channel } from "node:diagnostics_channel";

export interface TapEvent {
  readonly part: "cache" | "zmq" | "link";
  readonly kind: "open" | "in" | "out" | "close";
  /** The socket's two ends as "host:port"; together they name the connection. */
  readonly local: string;
  readonly remote: string;
  /** Milliseconds since 1970-01-01 UTC. */
  readonly wallMs: number;
  /** What was read ("in") or written ("out"); borrowed: copy it to keep it beyond the call. */
  readonly bytes?: Uint8Array;
  /** Why the connection ended ("close"), in the part's own words. */
  readonly reason?: string;
}

/** Publishes `TapEvent`s. */
export const tap = channel("holdfast:tap");
