/** ● What flags, the environment and a settings file come to, for commands that read their flags themselves: without commander's 4 MB. */
import { ALL_PARTS } from "../../settings/parts.ts";
import { resolve, type ResolvedSetting } from "../../settings/resolve.ts";
import { processSources } from "../../settings/sources.ts";
import { namedSettings, type Table, type Values } from "../../settings/table.ts";

/** How a command has its settings. */
export interface SettingCommand<T extends readonly Table[]> {
  readonly tables: T;
  /** One part runs alone: its flags need not say whose they are. */
  readonly alone: boolean;
}

/** What the settings of all tables come to, by part and name. */
export type PartValues<T extends readonly Table[]> = {
  readonly [One in T[number] as One["part"]]: Values<One["settings"]>;
};

/**
 * @param flags by name, without dashes
 * @throws UsageError SETTING_INVALID, SETTING_UNKNOWN
 */
export function flagSettings<T extends readonly Table[]>(
  flags: Readonly<Record<string, readonly string[]>>,
  settings: SettingCommand<T>,
): PartValues<T> {
  return byPart(resolveFlags(flags, settings)) as PartValues<T>;
}

/** The same, with who said what. */
export function resolveFlags(
  flags: Readonly<Record<string, readonly string[]>>,
  { tables, alone }: SettingCommand<readonly Table[]>,
): ResolvedSetting[] {
  const all = tables.flatMap((table) => namedSettings(table, alone));
  const known = ALL_PARTS.flatMap((table) => namedSettings(table, false));
  return resolve(all, processSources(flags, flags["config"]?.[0]), known);
}

/** The values alone. */
export function byPart(resolved: readonly ResolvedSetting[]): Record<string, Record<string, unknown>> {
  const values: Record<string, Record<string, unknown>> = {};
  for (const { named, value } of resolved) {
    const part = (values[named.part] ??= {});
    if (value !== undefined) part[named.key] = value;
  }
  return values;
}
