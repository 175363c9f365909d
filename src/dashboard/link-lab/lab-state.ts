/** ○ What the page is told of the connection that is watched closely. */
import type { ConnectionNumbers } from "../snapshot/monitored-parts.ts";

export type LifelineKind = "segment" | "bytes" | "probe" | "answer" | "repeat" | "reset" | "end" | "note";

/** Where a mark comes from, as packet analysis says it. */
export type MarkSource = "captured" | "tapped" | "kernel counters" | "predicted";

export interface LifelineEvent {
  /** Counts from 1; the packet behind it is asked for by this number. */
  readonly number: number;
  readonly wallMs: number;
  /** Who sent it; "none" for what no packet carried. */
  readonly from: "server" | "client" | "none";
  readonly kind: LifelineKind;
  readonly source: MarkSource;
  readonly text: string;
  /** Probes unanswered with this one. */
  readonly unanswered?: number;
}

export const DEMO_PEER_ACTIONS = ["freeze", "thaw", "cut", "heal", "kill"] as const;
export type DemoPeerAction = (typeof DEMO_PEER_ACTIONS)[number];
export type DemoPeerState = "awake" | "frozen" | "cut" | "gone";

export interface LabState {
  readonly kind: "demonstration" | "connection";
  readonly wallMs: number;
  readonly packets: "captured" | "tapped";
  /** Why they are not captured. */
  readonly whyNotCaptured: string | undefined;
  /** The connection's numbers as they were last. */
  readonly connection: ConnectionNumbers;
  readonly ended: boolean;
  /** Of the demonstration's peer. */
  readonly peerState: DemoPeerState | undefined;
  readonly cannotCut: string | undefined;
  readonly events: readonly LifelineEvent[];
}
