/** ● `holdfast config`: what the settings of `holdfast up` come to and who says so, whether a settings file is right, the JSON Schema of such files. */
import { UsageError } from "../../core/errors.ts";
import { jsonSchema } from "../../settings/json-schema.ts";
import { ALL_PARTS, PARTS } from "../../settings/parts.ts";
import type { ResolvedSetting } from "../../settings/resolve.ts";
import { namedSettings } from "../../settings/table.ts";
import { flags, parse } from "../shared/flags.ts";
import { resolveAll, settingFlags } from "../shared/setting-flags.ts";

const UP = { tables: PARTS, alone: false };

export async function show(argv: readonly string[]): Promise<number> {
  const command = settingFlags(
    flags("config show", "Shows the settings of 'holdfast up' and where each comes from"),
    UP,
  ).option("--json", "print JSON");
  if (!(await parse(command, argv))) return 0;
  const resolved = resolveAll(command, UP);
  const json = command.opts<{ json?: true }>().json === true;
  process.stdout.write(json ? `${JSON.stringify(resolved.map(asJson))}\n` : resolved.map(line).join(""));
  return 0;
}

export async function check(argv: readonly string[]): Promise<number> {
  const command = flags("config check", "Checks a settings file").argument("[file]", "default: what HOLDFAST_CONFIG says");
  if (!(await parse(command, argv))) return 0;
  const file = (command.processedArgs[0] as string | undefined) ?? process.env["HOLDFAST_CONFIG"];
  if (file === undefined) throw new UsageError("CLI_USAGE", "Nothing to check: name a file, or set HOLDFAST_CONFIG");
  command.setOptionValue("config", file);
  const all = { tables: ALL_PARTS, alone: false };
  const said = resolveAll(command.option("--config <file>"), all).filter(({ from }) => from.startsWith("file "));
  process.stdout.write(`${file}: ${said.length} ${said.length === 1 ? "setting" : "settings"}, all right\n`);
  return 0;
}

export async function schema(argv: readonly string[]): Promise<number> {
  const command = flags("config schema", "Prints the JSON Schema of settings files, for editors");
  if (!(await parse(command, argv))) return 0;
  const all = ALL_PARTS.flatMap((table) => namedSettings(table, false));
  process.stdout.write(`${JSON.stringify(jsonSchema(all), undefined, 2)}\n`);
  return 0;
}

function shown({ named, value }: ResolvedSetting): unknown {
  return named.setting.kind.isSecret && value !== undefined ? "(secret)" : value;
}

function asJson(resolved: ResolvedSetting): Record<string, unknown> {
  const { named, from } = resolved;
  return { name: named.name, value: shown(resolved) ?? null, from, flag: `--${named.flag}`, variable: named.variable };
}

function line(resolved: ResolvedSetting): string {
  const value = shown(resolved);
  const text = value === undefined ? "-" : Array.isArray(value) ? value.join(",") : String(value as string | number | boolean);
  return `${resolved.named.name.padEnd(22)} ${text.padEnd(28)} ${resolved.from}\n`;
}
