/** ● Flags shared by all commands that connect to a broker: its address, authentication, time limit; and those of a submission. */
import type { Command } from "commander";
import { UsageError } from "../../core/errors.ts";
import type { LogOption } from "../../core/log.ts";
import { durationMs } from "../../core/units.ts";
import { type CALLER, CLIENT } from "../../settings/parts.ts";
import type { Values } from "../../settings/table.ts";
import { whenParsed } from "../shared/flags.ts";
import { readKeys } from "../shared/key-file.ts";
import { readTime } from "./filter-flags.ts";
import { readSettings, settingFlags } from "../shared/setting-flags.ts";
import { type AddOptions, type ClientSecurity, QueueClient } from "../../queue/index.ts";

/** The settings of a client, and how it prints. */
export interface ClientFlags extends Values<(typeof CLIENT)["settings"]> {
  readonly json?: boolean;
}

/** Flags of a command that asks a broker; once its words are parsed its options have what the environment and the settings file say too. */
export function clientFlags(command: Command, table: typeof CLIENT | typeof CALLER = CLIENT): Command {
  const settings = { tables: [table], alone: true } as const;
  settingFlags(command, settings).option("--json", "print JSON");
  return whenParsed(command, () => {
    for (const [key, value] of Object.entries(readSettings(command, settings).client)) command.setOptionValue(key, value);
  });
}

export function clientSecurity({ user, password = "", serverKey, keyFile }: ClientFlags): ClientSecurity | undefined {
  if (user !== undefined) return { plain: { username: user, password } };
  if (serverKey === undefined) return undefined;
  if (keyFile === undefined) throw new UsageError("CLI_USAGE", "--server-key needs --key-file with this client's keys");
  return { curve: { serverKey, ...readKeys(keyFile) } };
}

/** Runs with a client, and closes it in any case. @param log by default none: what a short command cannot do it says itself */
export async function withClient<T>(
  flags: ClientFlags,
  run: (client: QueueClient, timeoutMs: number) => Promise<T>,
  log: LogOption = false,
): Promise<T> {
  const security = clientSecurity(flags);
  const client = new QueueClient({ url: flags.url, log, ...(security && { security }) });
  try {
    return await run(client, durationMs(flags.timeout, "--timeout"));
  } finally {
    await client.close();
  }
}

export interface SubmitFlags {
  readonly priority?: string;
  readonly delay?: string;
  readonly runAt?: string;
  readonly attempts?: string;
  readonly backoff?: string;
  readonly attemptTimeout?: string;
  readonly expire?: string;
  readonly keep?: string;
  readonly key?: string;
  readonly uniqueWhile?: string;
  readonly throttle?: string;
  readonly debounce?: string;
  readonly group?: string;
  readonly after?: readonly string[];
  readonly onParentDead?: string;
  readonly wait?: boolean;
}

export function submitFlags(command: Command): Command {
  return command
    .option("--priority <n>", "0 to 255, higher first (default 0)")
    .option("--delay <duration>", "delay before the first attempt")
    .option("--run-at <time>", "earliest start of the first attempt (ISO 8601)")
    .option("--attempts <n>", "failed attempts after which the task is dead (default 5)")
    .option(
      "--backoff <durations>",
      "wait before the second attempt, doubled for each further one (default 1s); 1s,10s,5m: each wait as it is, the last one again and again",
    )
    .option("--attempt-timeout <duration>", "timeout of one attempt")
    .option("--expire <duration>", "expires if no worker takes it within this time")
    .option("--keep <duration>", "how long the result is kept (default 10m)")
    .option("--key <key>", "idempotency key: a task with a known key is not added again")
    .option("--unique-while <state>", "the key is free once its task has begun (waiting) or has ended (active)")
    .option("--throttle <duration>", "the key is its task's for so long from now, the first wins")
    .option("--debounce <duration>", "due so long from now; until then the last one under the key wins")
    .option("--group <group>", "tasks of a group share its limits; groups are served round robin")
    .option("--after <id...>", "tasks that must complete first")
    .option("--on-parent-dead <what>", "when one of those is dead or cancelled: fail (default), continue or wait for its retry")
    .option("--wait", "when the queue is full, wait instead of failing");
}

export function readSubmitFlags(flags: SubmitFlags): AddOptions {
  const options: Record<string, unknown> = {};
  for (const name of ["delay", "attemptTimeout", "expire", "keep", "uniqueWhile", "group", "after", "onParentDead"] as const) {
    if (flags[name] !== undefined) options[name] = flags[name];
  }
  for (const name of ["priority", "attempts"] as const) {
    if (flags[name] !== undefined) options[name] = readCount(flags[name], `--${name}`);
  }
  const { backoff, key, throttle, debounce } = flags;
  if (backoff !== undefined)
    options["backoff"] = backoff.includes(",") ? backoff.split(",").filter((each) => each !== "") : backoff;
  if (throttle !== undefined) options["throttle"] = { key: needKey(key, "--throttle"), wait: throttle };
  else if (debounce !== undefined) options["debounce"] = { key: needKey(key, "--debounce"), wait: debounce };
  else if (key !== undefined) options["key"] = key;
  if (flags.runAt !== undefined) options["runAt"] = readTime(flags.runAt, "--run-at");
  if (flags.wait) options["whenFull"] = "wait";
  return options;
}

function needKey(key: string | undefined, flag: string): string {
  if (key === undefined) throw new UsageError("CLI_USAGE", `${flag} needs --key`);
  return key;
}

export function readCount(text: string, flag: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new UsageError("CLI_USAGE", `Cannot read ${flag} '${text}': write a whole number`);
  return Number(text);
}
