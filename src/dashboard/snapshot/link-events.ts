/**
 * ○ What was seen of the links' connections from look to look: they came, fell silent, spoke again, went. Kept in memory, the newest
 * LINK_EVENTS_MAX: for the story of a peer. One that came and went between two looks was not seen; the server's counters have it.
 */
import { Ring } from "../../core/ring.ts";
import { LINK_EVENTS_MAX } from "../limits.ts";
import type { ConnectionNumbers, LinkNumbers } from "./monitored-parts.ts";

export interface LinkEvent {
  readonly atMs: number;
  readonly what: "open" | "silent" | "heard" | "ended" | "now";
  readonly text: string;
  readonly peer: string;
}

export interface LinkStory {
  readonly steps: readonly (Omit<LinkEvent, "atMs"> & { readonly atMs?: number })[];
  readonly unknown: readonly string[];
}

export class LinkEvents {
  readonly #events = new Ring<LinkEvent>();
  #before = new Map<number, ConnectionNumbers>();
  #ended: LinkNumbers["ended"] = {};
  #sinceMs: number | undefined;

  /** What there is at this look. */
  look({ connections, ended }: LinkNumbers, atMs: number): void {
    const isFirst = this.#sinceMs === undefined;
    this.#sinceMs ??= atMs;
    const now = new Map(connections.map((connection) => [connection.id, connection]));
    for (const connection of connections) {
      const before = this.#before.get(connection.id);
      const { peer, sinceMs, probesUnanswered = 0 } = connection;
      if (!before && !isFirst) this.#note({ atMs: sinceMs, what: "open", text: `opened from ${peer}`, peer });
      const unanswered = before?.probesUnanswered ?? 0;
      if (probesUnanswered > 0 && unanswered === 0)
        this.#note({ atMs, what: "silent", text: `${peer} does not answer keep-alive probes`, peer });
      else if (probesUnanswered === 0 && unanswered > 0)
        this.#note({ atMs, what: "heard", text: `${peer} answers again`, peer });
    }
    const gone = [...this.#before.values()].filter(({ id }) => !now.has(id));
    if (gone.length > 0) this.#noteGone(gone, ended, atMs);
    this.#before = now;
    this.#ended = ended;
  }

  /** Of one peer: its address, or its host. */
  story(name: string): LinkStory {
    const oldestMs = this.#events.length < LINK_EVENTS_MAX ? this.#sinceMs : this.#events.peek()?.atMs;
    const isMeant = (peer: string): boolean => peer === name || hostOf(peer) === name;
    const steps: LinkStory["steps"][number][] = [...this.#events].filter(({ peer }) => isMeant(peer));
    for (const { peer, sinceMs, bytesIn, bytesOut, probesUnanswered = 0 } of this.#before.values()) {
      if (!isMeant(peer)) continue;
      const silent = probesUnanswered > 0 ? `, ${probesUnanswered} probes unanswered` : "";
      const text = `${peer} is open since ${new Date(sinceMs).toISOString()}: ${bytesIn} bytes in, ${bytesOut} out${silent}`;
      steps.push({ what: "now", text, peer });
    }
    const unknown =
      oldestMs === undefined
        ? "The links have not been looked at yet"
        : `What was before ${new Date(oldestMs).toISOString()}, and what came and went between two looks, one to ten seconds apart`;
    return { steps, unknown: [unknown] };
  }

  /** Why: where all that ended since the last look ended alike, so did these. */
  #noteGone(gone: readonly ConnectionNumbers[], ended: LinkNumbers["ended"], atMs: number): void {
    const reasons = Object.entries(ended).filter(([reason, count = 0]) => count > (this.#ended[reason] ?? 0));
    const why = reasons.map(([reason]) => reason).join(" or ") || "for a reason that was not counted";
    for (const { peer, sinceMs } of gone) {
      const lasted = Math.max(0, Math.round((atMs - sinceMs) / 1000));
      this.#note({ atMs, what: "ended", text: `${peer} ended after about ${lasted} s: ${why}`, peer });
    }
  }

  #note(event: LinkEvent): void {
    this.#events.push(event);
    if (this.#events.length > LINK_EVENTS_MAX) this.#events.shift();
  }
}

function hostOf(peer: string): string {
  return peer.replace(/:\d+$/, "").replace(/^\[(.*)\]$/, "$1");
}
