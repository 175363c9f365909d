/** ● What `holdfast listen --sessions` says of connections that never opened a session: the first at once, the others once a minute. */
import type { LogEvent } from "../../core/log-events.ts";
import type { LogFacts } from "../../core/log.ts";
import type { SessionServer } from "../../link/index.ts";

/** Tells an event: in the words of a line for people, unless --log or --log-level asks for the log's. */
export type EventLog = (event: LogEvent, facts: LogFacts, ...lines: string[]) => void;

/** 1 min: strangers beyond the first are counted, and told of in one line. */
const STRANGERS_EVERY_MS = 60_000;

/** Anybody who reaches the port can make strangers: the log must not be theirs to fill. */
export function tellStrangers(server: Pick<SessionServer, "on">, tell: EventLog): void {
  let counts: Map<string, number> | undefined;
  let last = { peer: "", reason: "", message: "" };
  const summary = (): void => {
    if (!counts || counts.size === 0) return void (counts = undefined);
    const reasons = Array.from(counts, ([reason, count]) => `${reason} ${count}`).join(", ");
    const total = [...counts.values()].reduce((sum, count) => sum + count, 0);
    const facts = { ...last, count: total };
    tell("link.stranger", facts, `${total} more did not open a session within a minute: ${reasons}; the last was ${last.peer}`);
    counts = new Map();
    setTimeout(summary, STRANGERS_EVERY_MS).unref();
  };
  server.on("stranger", (peer, { reason, message }) => {
    last = { peer, reason, message };
    if (counts) {
      counts.set(reason, (counts.get(reason) ?? 0) + 1);
      return;
    }
    counts = new Map();
    tell("link.stranger", last, `${peer} did not open a session: ${reason}, ${message}`);
    setTimeout(summary, STRANGERS_EVERY_MS).unref();
  });
}
