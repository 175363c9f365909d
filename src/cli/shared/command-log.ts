/** ● The log of a command that goes on: lines on stderr, as `--log` and `--log-level` say. */
import type { Command } from "commander";
import { lineLog, type Log, makeLog } from "../../core/log.ts";
import type { LogLevel } from "../../core/log-events.ts";
import { LOG } from "../../settings/parts.ts";
import { resolve } from "../../settings/resolve.ts";
import { namedSettings, type Values } from "../../settings/table.ts";

type LogValues = Values<(typeof LOG)["settings"]>;

/** What the command does when nobody says anything. */
export interface LogDefaults {
  readonly level: LogLevel;
  readonly format?: "text" | "json";
}

export function commandLog({ format, level }: LogValues, usual: LogDefaults): Log {
  return makeLog(lineLog({ level: level ?? usual.level, format: format ?? usual.format ?? "text" }));
}

/** `--log` and `--log-level` for a command that has no other settings, and no file of them. */
export function logFlags(command: Command): Command {
  for (const { flag, setting } of namedSettings(LOG, true))
    command.option(`--${flag} ${setting.kind.placeholder}`, setting.text);
  return command;
}

/** What these flags' words come to, or the environment's. */
export interface LogFlags {
  readonly log?: string | undefined;
  readonly logLevel?: string | undefined;
}

/** @throws UsageError SETTING_INVALID */
export function readLogFlags({ log, logLevel }: LogFlags): LogValues {
  const sources = {
    flags: { ...(log !== undefined && { log: [log] }), ...(logLevel !== undefined && { "log-level": [logLevel] }) },
    environment: process.env,
    file: undefined,
    firstLine: () => "",
    credential: () => undefined,
  };
  return Object.fromEntries(resolve(namedSettings(LOG, true), sources).map(({ named, value }) => [named.key, value]));
}
