/** ○ `stats` and its kinds by name, as lines: what the text and the binary protocol both answer, each in its own form. */
import { resetCounters } from "../store/counters.ts";
import type { SessionContext, StatLine } from "./cache-session.ts";
import { TUNE } from "../store/settings.ts";
import { itemStats, itemTotals, sizeStats, slabStats } from "./stats.ts";

/**
 * @param name what follows `stats`: "", "items", "detail on" …
 * @returns the lines, or undefined for a kind that there is not
 */
export function statLines(
  { store, host }: Pick<SessionContext, "store" | "host">,
  name: string,
): readonly StatLine[] | undefined {
  if (name === "") return [...host.serverStats(), ...itemTotals(store)];
  if (name.startsWith("settings")) return host.settingsStats();
  if (name.startsWith("conns")) return host.connectionStats();
  if (name.startsWith("reset")) {
    resetCounters(store.memory);
    store.prefixes.clear();
    host.resetStats();
    return [];
  }
  if (name.startsWith("detail")) return detail(store, host.features.dump, name.slice("detail".length));
  switch (name) {
    case "items":
      return itemStats(store);
    case "slabs":
      return slabStats(store);
    case "sizes":
      return sizeStats(store);
    default:
      return undefined;
  }
}

function detail(store: SessionContext["store"], allowed: boolean, what: string): readonly StatLine[] | undefined {
  if (!allowed) return undefined;
  if (what.startsWith(" dump")) return [["detailed", store.prefixes.dump()]];
  if (!what.startsWith(" on") && !what.startsWith(" off")) return undefined;
  store.memory.tune[TUNE.detail] = what.startsWith(" on") ? 1 : 0;
  return [];
}
