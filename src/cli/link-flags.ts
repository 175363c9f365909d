/** ● The keep-alive flags that `holdfast listen` and `holdfast connect` share. */
import type { Command } from "commander";
import { UsageError } from "../core/errors.ts";
import type { KeepAliveOptions } from "../link/index.ts";

/** The flags as commander hands them over. */
export interface KeepAliveFlags {
  readonly idle: string;
  readonly interval: string;
  readonly count: string;
  readonly userTimeout: string;
}

export function keepAliveFlags(command: Command): Command {
  return command
    .option("--idle <duration>", "silence before the first keep-alive probe", "5s")
    .option("--interval <duration>", "time between probes", "10s")
    .option("--count <n>", "unanswered probes that mean death", "3")
    .option("--user-timeout <duration>", "how long sent data may stay unacknowledged: a duration, 'auto' or 'off'", "auto");
}

export function readKeepAliveFlags({ idle, interval, count, userTimeout }: KeepAliveFlags): KeepAliveOptions {
  if (!/^\d+$/.test(count)) throw new UsageError("CLI_USAGE", `Cannot read --count: '${count}' is no whole number`);
  return { idle, interval, count: Number(count), userTimeout };
}
