/** ● The flags of a command that come from tables of settings, and what they, the environment and a settings file come to. */
import { type Command, Option } from "commander";
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

/** Adds one flag for each setting (two for a secret), and `--config`. */
export function settingFlags<T extends readonly Table[]>(command: Command, { tables, alone }: SettingCommand<T>): Command {
  for (const { flag, setting } of tables.flatMap((table) => namedSettings(table, alone))) {
    if (flag === "") continue; // Given as a word, not as a flag.
    const { text, default: usual, kind, onlyInFile } = setting;
    const told = usual === undefined ? text : `${text} (default: ${JSON.stringify(usual)})`;
    // Where parts run together a flag that is given twice counts once, the last time; alone a list may go on over several words.
    const placeholder = alone ? kind.placeholder : kind.placeholder.replace("...", "");
    if (!onlyInFile) command.addOption(new Option(`--${flag} ${placeholder}`.trimEnd(), told));
    const inFile = onlyInFile ? `file whose first line is ${text}` : `file whose first line is what --${flag} says`;
    if (kind.isSecret) command.addOption(new Option(`--${flag}-file <file>`, inFile));
  }
  return command.option("--config <file>", "settings file (JSON); flags and the environment come before it");
}

/**
 * The settings of a command whose words were parsed.
 *
 * @param words what the command's own words say, by flag: the address of `holdfast listen` is "" of the link
 * @throws UsageError SETTING_INVALID, SETTING_UNKNOWN
 */
export function readSettings<T extends readonly Table[]>(
  command: Command,
  { tables, alone }: SettingCommand<T>,
  words: Readonly<Record<string, readonly string[]>> = {},
): PartValues<T> {
  return byPart(resolveAll(command, { tables, alone }, words)) as PartValues<T>;
}

/** The same, with who said what. */
export function resolveAll(
  command: Command,
  { tables, alone }: SettingCommand<readonly Table[]>,
  words: Readonly<Record<string, readonly string[]>> = {},
): ResolvedSetting[] {
  const flags: Record<string, readonly string[]> = { ...words };
  for (const option of command.options) {
    const value: unknown = command.getOptionValue(option.attributeName());
    if (value === undefined) continue;
    flags[option.name()] = Array.isArray(value) ? value.map(String) : [String(value as string | boolean)];
  }
  return resolveFlags(flags, { tables, alone });
}

/**
 * For a command that reads its flags itself, as memcached's are.
 *
 * @param flags by name, without dashes
 * @throws UsageError SETTING_INVALID, SETTING_UNKNOWN
 */
export function flagSettings<T extends readonly Table[]>(
  flags: Readonly<Record<string, readonly string[]>>,
  settings: SettingCommand<T>,
): PartValues<T> {
  return byPart(resolveFlags(flags, settings)) as PartValues<T>;
}

function resolveFlags(
  flags: Readonly<Record<string, readonly string[]>>,
  { tables, alone }: SettingCommand<readonly Table[]>,
): ResolvedSetting[] {
  const all = tables.flatMap((table) => namedSettings(table, alone));
  const known = ALL_PARTS.flatMap((table) => namedSettings(table, false));
  return resolve(all, processSources(flags, flags["config"]?.[0]), known);
}

function byPart(resolved: readonly ResolvedSetting[]): Record<string, Record<string, unknown>> {
  const values: Record<string, Record<string, unknown>> = {};
  for (const { named, value } of resolved) {
    const part = (values[named.part] ??= {});
    if (value !== undefined) part[named.key] = value;
  }
  return values;
}
