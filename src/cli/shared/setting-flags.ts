/** ● The flags of a command that come from tables of settings, as commander's options. */
import { type Command, Option } from "commander";
import type { ResolvedSetting } from "../../settings/resolve.ts";
import { namedSettings, type Table } from "../../settings/table.ts";
import { byPart, type PartValues, resolveFlags, type SettingCommand } from "./setting-values.ts";

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
