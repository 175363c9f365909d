/** ● `holdfast queue serve`: the broker alone, until SIGINT or SIGTERM. */
import { readFileSync } from "node:fs";
import { messageOf, OperationError, UsageError } from "../../core/errors.ts";
import { Broker, type BrokerOptions, type BrokerSecurity, type SyncMode } from "../../queue/index.ts";
import { flags, parse } from "../shared/flags.ts";
import { type GroupFlags, groupFlags, readGroupFlags } from "./group-flags.ts";
import { eventLog, type EventLog } from "../shared/event-log.ts";
import { listenError } from "../shared/listen-error.ts";
import { openWarning } from "../shared/open-warning.ts";
import { readKeys } from "./client-flags.ts";
import { stopRequest } from "../shared/stop-request.ts";

interface Flags extends GroupFlags {
  readonly listen: readonly string[];
  readonly data: string;
  readonly sync: string;
  readonly maxBytes?: string;
  readonly resultBytes?: string;
  readonly maxBody?: string;
  readonly plainUsers?: string;
  readonly curveKeys?: string;
  readonly curveClients?: string;
  readonly json?: boolean;
}

const SYNC_MODES: readonly SyncMode[] = ["always", "group", "interval", "none"];

export async function run(argv: readonly string[]): Promise<number> {
  const command = groupFlags(flags("queue serve", "Runs the work queue's broker"))
    .option("--listen <endpoint...>", "tcp://HOST:PORT or ipc://PATH", ["tcp://127.0.0.1:5555"])
    .option(
      "--data <folder>",
      "folder of the tasks (with --store: of a local copy); 'memory' keeps them in memory only",
      "./.holdfast",
    )
    .option(
      "--sync <mode>",
      "when a write is flushed to disk: group or always (before the answer), interval (may lose 1 s) or none",
      "group",
    )
    .option("--max-bytes <size>", "limit in bytes of tasks that have not ended (default 4g)")
    .option("--result-bytes <size>", "limit in bytes of stored results (default 64m)")
    .option("--max-body <size>", "the largest body or result (default 16m)")
    .option("--plain-users <file>", "PLAIN: allowed users, one NAME:PASSWORD per line")
    .option("--curve-keys <file>", "CURVE: the broker's keys, as 'holdfast queue keygen' writes them")
    .option(
      "--curve-clients <file>",
      "CURVE: allowed client public keys, one per line (default: any client with the broker's key)",
    )
    .option("--json", "print events as JSON");
  if (!(await parse(command, argv))) return 0;
  const options = command.opts<Flags>();
  const log = eventLog({ json: options.json === true });
  const security = readSecurity(options);
  if (!security) for (const endpoint of options.listen) warnOpen(endpoint, log);
  const broker = new Broker({ ...brokerOptions(options), log, ...(security && { security }) });
  using stop = stopRequest();
  try {
    await broker.listen();
  } catch (error) {
    throw listenError(error, `listen on ${options.listen.join(", ")}`, "give --listen another endpoint");
  }
  process.stdout.write(options.json ? `${JSON.stringify({ queue: broker.address })}\n` : `queue ${broker.address}\n`);
  await stop.requested;
  await broker.close();
  return 0;
}

function brokerOptions(options: Flags): BrokerOptions {
  const { listen, data, sync, maxBytes, resultBytes, maxBody } = options;
  const mode = SYNC_MODES.find((candidate) => candidate === sync);
  if (!mode) throw new UsageError("CLI_USAGE", `Cannot use --sync '${sync}': choose ${SYNC_MODES.join(", ")}`);
  return {
    ...readGroupFlags(options),
    listen,
    data: data === "memory" ? false : data,
    sync: mode,
    ...(maxBytes === undefined ? {} : { maxBytes }),
    ...(resultBytes === undefined ? {} : { resultBytes }),
    ...(maxBody === undefined ? {} : { maxBody }),
  };
}

function readSecurity({ plainUsers, curveKeys, curveClients }: Flags): BrokerSecurity | undefined {
  if (plainUsers !== undefined && curveKeys !== undefined)
    throw new UsageError("CLI_USAGE", "Use --plain-users or --curve-keys, not both");
  if (plainUsers !== undefined) {
    const users = lines(plainUsers).map((line) => {
      const colon = line.indexOf(":");
      if (colon < 1) throw new UsageError("CLI_USAGE", `Cannot read ${plainUsers}: each line must be NAME:PASSWORD`);
      return [line.slice(0, colon), line.slice(colon + 1)] as const;
    });
    return { plain: Object.fromEntries(users) };
  }
  if (curveKeys === undefined) {
    if (curveClients !== undefined)
      throw new UsageError("CLI_USAGE", "--curve-clients needs --curve-keys with the broker's keys");
    return undefined;
  }
  return { curve: { ...readKeys(curveKeys), ...(curveClients === undefined ? {} : { clients: lines(curveClients) }) } };
}

function lines(file: string): string[] {
  try {
    return readFileSync(file, "utf8")
      .split("\n")
      .filter((line) => line !== "");
  } catch (error) {
    throw new OperationError("CLI_USAGE", `Cannot read ${file}: ${messageOf(error)}`, { cause: error });
  }
}

/** Logs a warning for an endpoint that other machines can reach without authentication. */
function warnOpen(endpoint: string, log: EventLog): void {
  const warning = openWarning("queue", endpoint, "--curve-keys");
  if (warning !== undefined) log("queue.open", { endpoint, warning });
}
