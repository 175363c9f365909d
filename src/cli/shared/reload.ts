/**
 * ● What SIGHUP does to servers: their settings are read again, and the files that these name. What can change while they run changes:
 * users, clients' keys, certificates. What else is different now is named: it needs a restart. After an error all stays as it was.
 */
import type { Command } from "commander";
import type { AccessControl } from "../../access/access-control.ts";
import type { Log } from "../../core/log.ts";
import { FILE_VARIABLE } from "../../settings/sources.ts";
import type { QUEUE } from "../../settings/parts.ts";
import type { Table, Values } from "../../settings/table.ts";
import { brokerOptions } from "./part-options.ts";
import { readSettings, resolveAll } from "./setting-flags.ts";
import type { SettingCommand } from "./setting-values.ts";
import type { Broker } from "../../queue/index.ts";
import type { CacheServer } from "../../cache/index.ts";

/** Settings that name files which are read again. */
const FILES: ReadonlySet<string> = new Set([
  "access.file",
  "queue.plainUsers",
  "queue.curveKeys",
  "queue.curveClients",
  "cache.authFile",
  "cache.saslFile",
  "cache.tlsCert",
  "cache.tlsKey",
  "cache.tlsCa",
]);
/** Of these also the name may change. */
const NAMES: ReadonlySet<string> = new Set(["queue.plainUsers", "queue.curveClients"]);

export interface ReloadTarget {
  /** Those that run by now. */
  readonly servers: { readonly queue?: Broker; readonly cache?: CacheServer };
  readonly access?: AccessControl | undefined;
  readonly log: Log;
}

/** How the command's servers reload; undefined when there is nothing that could be read again. */
export function reloadOf<T extends readonly Table[]>(
  command: Command,
  settings: SettingCommand<T>,
  { servers, access, log }: ReloadTarget,
): (() => void) | undefined {
  const said = (): Map<string, unknown> =>
    new Map(resolveAll(command, settings).map(({ named, value }) => [named.name, value]));
  const before = said();
  const hasFile = command.getOptionValue("config") !== undefined || process.env[FILE_VARIABLE] !== undefined;
  if (!hasFile && ![...FILES].some((name) => before.get(name) !== undefined)) return undefined;
  return () => {
    try {
      const changed = [...said()].filter(([name, value]) => !NAMES.has(name) && !isSame(value, before.get(name)));
      const { queue } = readSettings(command, settings) as { queue?: Values<(typeof QUEUE)["settings"]> };
      access?.reload();
      const security = queue && brokerOptions(queue).security;
      if (security) servers.queue?.reload(security);
      servers.cache?.reload();
      log("reloaded", { needRestart: changed.map(([name]) => name).join(",") || undefined });
    } catch (error) {
      log("reload-failed", { error });
    }
  };
}

function isSame(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
