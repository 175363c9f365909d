/** ● The log of a command that goes on: lines on stderr, as `--log` and `--log-level` say. */
import { lineLog, type Log, makeLog } from "../../core/log.ts";
import type { LogLevel } from "../../core/log-events.ts";
import type { LOG } from "../../settings/parts.ts";
import type { Values } from "../../settings/table.ts";

type LogValues = Values<(typeof LOG)["settings"]>;

/** What the command does when nobody says anything. */
export interface LogDefaults {
  readonly level: LogLevel;
  readonly format?: "text" | "json";
}

export function commandLog({ format, level }: LogValues, usual: LogDefaults): Log {
  return makeLog(lineLog({ level: level ?? usual.level, format: format ?? usual.format ?? "text" }));
}
