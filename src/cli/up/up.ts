/**
 * ● `holdfast up`: cache, queue, link server and dashboard in one process. Prints a line for each once all of them listen; the first
 * SIGTERM or SIGINT drains and exits 0 within 5 s, a second exits at once.
 */
import { CacheServer } from "../../cache/index.ts";
import { parseAddress, showAddress } from "../../core/address.ts";
import { messageOf, UsageError } from "../../core/errors.ts";
import { DRAIN_MS_MAX } from "../../core/limits.ts";
import { Dashboard } from "../../dashboard/index.ts";
import { listen, type LinkServer } from "../../link/index.ts";
import { Broker } from "../../queue/index.ts";
import { dataFolder } from "./data-folder.ts";
import { eventLog } from "../shared/event-log.ts";
import { flags, parse } from "../shared/flags.ts";
import { type GroupFlags, groupFlags, readGroupFlags } from "../queue/group-flags.ts";
import { warnIfOpen } from "../shared/open-warning.ts";
import { closeAll, startAll, type PartPlan, type RunningPart } from "./parts.ts";
import { stopRequest } from "../shared/stop-request.ts";

interface UpFlags extends GroupFlags {
  readonly cache: string;
  readonly queue: string;
  readonly link: string;
  readonly dashboard: string;
  readonly data: string;
  readonly dashboardToken?: string;
  readonly json?: true;
}

export async function run(argv: readonly string[]): Promise<number> {
  const command = groupFlags(flags("up", "Runs the cache, the queue, the link server and the dashboard in one process."))
    .option("--cache <address>", "where the cache listens, or 'off'", "127.0.0.1:11211")
    .option("--queue <url>", "where the queue listens, or 'off'", "tcp://127.0.0.1:5555")
    .option("--link <address>", "where the link server listens, or 'off'", "127.0.0.1:12345")
    .option("--dashboard <address>", "where the dashboard listens, or 'off'", "127.0.0.1:8280")
    .option("--dashboard-token <token>", "access token of the dashboard; required on a non-loopback address")
    .option("--data <folder>", "folder in which the queue stores its tasks", "./.holdfast")
    .option("--json", "print the start-up lines as JSON");
  if (!(await parse(command, argv))) return 0;
  return up(command.opts<UpFlags>());
}

async function up(options: UpFlags): Promise<number> {
  using stop = stopRequest();
  const plans = await plan(options);
  if (plans.length === 0)
    throw new UsageError("CLI_USAGE", "Nothing to run: --cache, --queue, --link and --dashboard are all 'off'");
  const running = await startAll(plans, (part) => process.stdout.write(readyLine(part, options.json === true)));
  // The dashboard requires a token on a non-loopback address.
  for (const { name, address } of running) if (name !== "dashboard") warnIfOpen(name, address);
  await stop.requested;
  return drain(running);
}

async function plan(options: UpFlags): Promise<PartPlan[]> {
  const servers: { cache?: CacheServer; queue?: Broker; link?: LinkServer } = {};
  const plans: PartPlan[] = [];
  if (options.cache !== "off") {
    const address = parseAddress(options.cache, "--cache", { port: 11_211 });
    const start = async (): Promise<CacheServer> => {
      servers.cache = new CacheServer({ listen: showAddress(address) });
      await servers.cache.listen();
      return servers.cache;
    };
    plans.push({ name: "cache", flag: "--cache", wanted: options.cache, start });
  }
  if (options.queue !== "off") {
    const data = await dataFolder(options.data);
    const start = async (): Promise<Broker> => {
      const log = options.store === undefined ? {} : { log: eventLog() };
      servers.queue = new Broker({ listen: options.queue, data, ...readGroupFlags(options), ...log });
      await servers.queue.listen();
      return servers.queue;
    };
    plans.push({ name: "queue", flag: "--queue", wanted: options.queue, start });
  }
  if (options.link !== "off") {
    const address = parseAddress(options.link, "--link", { port: 12_345 });
    const start = async (): Promise<LinkServer> => (servers.link = await listen(address));
    plans.push({ name: "link", flag: "--link", wanted: options.link, start });
  }
  if (options.dashboard !== "off") {
    parseAddress(options.dashboard, "--dashboard", { port: 8280 });
    const start = async (): Promise<Dashboard> => {
      const dashboard = new Dashboard({ listen: options.dashboard, token: options.dashboardToken, ...servers });
      await dashboard.listen();
      return dashboard;
    };
    plans.push({ name: "dashboard", flag: "--dashboard", wanted: options.dashboard, start });
  }
  return plans;
}

function readyLine({ name, address }: RunningPart, json: boolean): string {
  if (json) return `${JSON.stringify({ event: "listening", part: name, address })}\n`;
  return `${name.padEnd(10)}listening on ${name === "dashboard" ? `http://${address}` : address}\n`;
}

/** Closes everything; at the deadline the process exits, which closes the connections that are left. */
async function drain(running: readonly RunningPart[]): Promise<number> {
  const deadline = setTimeout(() => {
    process.stderr.write("holdfast: shutdown deadline reached; remaining connections were closed\n");
    process.exit(0);
  }, DRAIN_MS_MAX - 500);
  try {
    await closeAll(running);
    return 0;
  } catch (error) {
    process.stderr.write(`holdfast: ${messageOf(error)}\n`);
    return 1;
  } finally {
    clearTimeout(deadline);
  }
}
