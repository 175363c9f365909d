/** ● `holdfast queue serve`: the broker alone, until SIGINT or SIGTERM. SIGHUP reads the files of users or keys again, if there are any. */
import { codeOf } from "../../core/errors.ts";
import { Broker } from "../../queue/index.ts";
import { ACCESS, DASHBOARD_ALONE, LOG, QUEUE } from "../../settings/parts.ts";
import { accessOf } from "../shared/access.ts";
import { flags, parse } from "../shared/flags.ts";
import { commandLog } from "../shared/command-log.ts";
import { listenError } from "../shared/listen-error.ts";
import { historyFile, ownPage } from "../shared/own-page.ts";
import { warnIfOpen } from "../shared/open-warning.ts";
import { brokerOptions } from "../shared/part-options.ts";
import { reloadOf } from "../shared/reload.ts";
import { readSettings, settingFlags } from "../shared/setting-flags.ts";
import { stopRequest } from "../shared/stop-request.ts";

const SETTINGS = { tables: [QUEUE, DASHBOARD_ALONE, ACCESS, LOG], alone: true } as const;

export async function run(argv: readonly string[]): Promise<number> {
  const command = settingFlags(flags("queue serve", "Runs the work queue's broker"), SETTINGS);
  command.option("--json", "print the address as JSON, and the log unless --log says otherwise");
  if (!(await parse(command, argv))) return 0;
  const { json = false } = command.opts<{ json?: boolean }>();
  const settings = readSettings(command, SETTINGS);
  const { queue } = settings;
  const log = commandLog(settings.log, { level: "info", format: json ? "json" : "text" });
  const options = brokerOptions(queue);
  const access = accessOf(settings.access, log);
  if (!options.security && !access)
    for (const address of queue.listen) warnIfOpen("queue", address, { log, see: "--curve-keys" });
  const broker = new Broker({ ...options, access, log, signals: [] });
  using stop = stopRequest({ reload: reloadOf(command, SETTINGS, { servers: { queue: broker }, access, log }) });
  try {
    await broker.open({ signal: stop.signal });
  } catch (error) {
    // Stopped while it started. A NATS server that does not answer would hold the process for as long as it is waited for.
    if (codeOf(error) === "CLOSED") process.exit(0);
    throw listenError(error, `listen on ${queue.listen.join(", ")}`, "give --listen another endpoint");
  }
  process.stdout.write(json ? `${JSON.stringify({ queue: broker.address })}\n` : `queue ${broker.address}\n`);
  try {
    await using _page = await ownPage(settings.dashboard, { access, queue: broker, history: historyFile(queue) }, log);
    await untilStopped(broker, stop.requested);
  } finally {
    await broker.close();
  }
  return 0;
}

/** Its tasks are read meanwhile: when that fails, the broker has closed. */
async function untilStopped(broker: Broker, requested: Promise<unknown>): Promise<void> {
  const failed = broker.ready.then(() => requested);
  await Promise.race([requested, failed]);
}
