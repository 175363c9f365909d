/** ○ The watched connection as the page gets it. */
import type { ConnectionNumbers } from "../snapshot/monitored-parts.ts";

export type LifelineKind =
  | "segment"
  | "bytes"
  | "ack"
  | "probe"
  | "answer"
  | "repeat"
  | "reset"
  | "end"
  | "cut"
  | "healed"
  | "note";

export interface LifelineEvent {
  /** Counts from 1; its packet is requested by this number. */
  readonly number: number;
  readonly wallMs: number;
  /** The sender; "none" for an event without a packet. */
  readonly from: "server" | "client" | "none";
  readonly kind: LifelineKind;
  readonly source: "captured" | "tapped" | "kernel counters" | "predicted";
  readonly text: string;
  /** Unanswered probes up to this one. */
  readonly unanswered?: number;
  /** It never arrived: the cable was cut. */
  readonly lost?: boolean;
  /** Of a captured packet: SEQ and ACK relative to the first of their direction, and the bytes of its payload. */
  readonly tcp?: { readonly sequence: number; readonly acknowledgment: number; readonly length: number };
}

export const DEMO_PEER_ACTIONS = ["freeze", "thaw", "cut", "heal", "kill"] as const;
export type DemoPeerAction = (typeof DEMO_PEER_ACTIONS)[number];
export type DemoPeerState = "awake" | "frozen" | "cut" | "gone";

/** What the page is told at each change; the events it asks for, those that it does not have yet. */
export interface LabSummary {
  /** Another one when the events are to be read anew: another connection, or some that were known are lost now. */
  readonly edition: string;
  /** The number of the newest event; 0 without one. */
  readonly newest: number;
  readonly kind: "demonstration" | "connection";
  readonly wallMs: number;
  readonly packets: "captured" | "tapped";
  /** Why packets are not captured. */
  readonly whyNotCaptured: string | undefined;
  /** The connection's latest statistics. */
  readonly connection: ConnectionNumbers;
  readonly ended: boolean;
  /** State of the demonstration's peer. */
  readonly peerState: DemoPeerState | undefined;
  readonly cannotCut: string | undefined;
}

export interface LabState extends LabSummary {
  readonly events: readonly LifelineEvent[];
}
