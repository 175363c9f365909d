/**
 * ○ What was seen of the links' connections and sessions from look to look: they came, fell silent, spoke again, went. Kept in memory, the
 * newest LINK_EVENTS_MAX: for the story of a peer or of a session's name. What came and went between two looks was not seen; the
 * server's counters have it.
 */
import { hostOf } from "../../core/address.ts";
import { Ring } from "../../core/ring.ts";
import { LINK_EVENTS_MAX } from "../limits.ts";
import type { ConnectionNumbers, LinkNumbers, SessionNumbers } from "./monitored-parts.ts";

export interface LinkEvent {
  readonly atMs: number;
  readonly what: "open" | "silent" | "heard" | "ended" | "began" | "online" | "away" | "gone" | "now";
  readonly text: string;
  readonly peer?: string | undefined;
  /** Of the session that it was, or was of. */
  readonly name?: string | undefined;
}

export interface LinkStory {
  readonly steps: readonly (Omit<LinkEvent, "atMs"> & { readonly atMs?: number })[];
  readonly unknown: readonly string[];
}

export class LinkEvents {
  readonly #events = new Ring<LinkEvent>();
  #before = new Map<number, ConnectionNumbers>();
  /** By name. */
  #sessions: ReadonlyMap<string, SessionNumbers> = new Map();
  #ended: LinkNumbers["ended"] = {};
  #sinceMs: number | undefined;

  /** What there is at this look. */
  look({ connections, ended, sessions = [] }: LinkNumbers, atMs: number): void {
    const isFirst = this.#sinceMs === undefined;
    this.#sinceMs ??= atMs;
    const names = namesByPeer(sessions);
    const now = new Map(connections.map((connection) => [connection.id, connection]));
    for (const connection of connections) {
      const before = this.#before.get(connection.id);
      const { peer, sinceMs, probesUnanswered = 0 } = connection;
      const name = names.get(peer);
      if (!before && !isFirst) this.#note({ atMs: sinceMs, what: "open", text: `opened from ${peer}`, peer, name });
      const unanswered = before?.probesUnanswered ?? 0;
      if (probesUnanswered > 0 && unanswered === 0)
        this.#note({ atMs, what: "silent", text: `${peer} does not answer keep-alive probes`, peer, name });
      else if (probesUnanswered === 0 && unanswered > 0)
        this.#note({ atMs, what: "heard", text: `${peer} answers again`, peer, name });
    }
    const gone = [...this.#before.values()].filter(({ id }) => !now.has(id));
    if (gone.length > 0) this.#noteGone(gone, ended, atMs);
    this.#before = now;
    this.#ended = ended;
    this.#lookAtSessions(new Map(sessions.map((session) => [session.name, session])), isFirst, atMs);
  }

  #lookAtSessions(now: ReadonlyMap<string, SessionNumbers>, isFirst: boolean, atMs: number): void {
    for (const { name, presence, peer, sinceMs } of now.values()) {
      const before = this.#sessions.get(name);
      if (!before && !isFirst) this.#note({ atMs: sinceMs, what: "began", text: `session ${name} began`, peer, name });
      else if (before && before.presence !== presence && (presence === "online" || presence === "away"))
        this.#note({ atMs, what: presence, text: `session ${name} is ${presence}`, peer, name });
    }
    for (const name of this.#sessions.keys()) {
      if (!now.has(name)) this.#note({ atMs, what: "gone", text: `session ${name} is gone`, name });
    }
    this.#sessions = now;
  }

  /** @param name of a session, of a peer (its address), or of a host: all its connections */
  story(name: string): LinkStory {
    const oldestMs = this.#events.length < LINK_EVENTS_MAX ? this.#sinceMs : this.#events.peek()?.atMs;
    const session = this.#sessions.get(name);
    const isMeant = (peer: string): boolean => peer === name || hostOf(peer) === name || peer === session?.peer;
    const steps: LinkStory["steps"][number][] = [...this.#events].filter(
      (event) => event.name === name || (event.peer !== undefined && isMeant(event.peer)),
    );
    for (const { peer, sinceMs, bytesIn, bytesOut, probesUnanswered = 0 } of this.#before.values()) {
      if (!isMeant(peer)) continue;
      const silent = probesUnanswered > 0 ? `, ${probesUnanswered} probes unanswered` : "";
      const text = `${peer} is open since ${new Date(sinceMs).toISOString()}: ${bytesIn} bytes in, ${bytesOut} out${silent}`;
      steps.push({ what: "now", text, peer });
    }
    if (session) {
      const { presence, sinceMs, received, unconfirmed } = session;
      const messages = `${received} messages from it, ${unconfirmed} to it unconfirmed`;
      steps.push({
        what: "now",
        text: `session ${name} is ${presence}, since ${new Date(sinceMs).toISOString()}: ${messages}`,
        name,
      });
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
    const names = namesByPeer([...this.#sessions.values()]);
    for (const { peer, sinceMs } of gone) {
      const lasted = Math.max(0, Math.round((atMs - sinceMs) / 1000));
      this.#note({ atMs, what: "ended", text: `${peer} ended after about ${lasted} s: ${why}`, peer, name: names.get(peer) });
    }
  }

  #note(event: LinkEvent): void {
    this.#events.push(event);
    if (this.#events.length > LINK_EVENTS_MAX) this.#events.shift();
  }
}

/** Of those that are connected. */
function namesByPeer(sessions: readonly SessionNumbers[]): ReadonlyMap<string | undefined, string> {
  return new Map(sessions.map(({ name, peer }) => [peer, name]));
}
