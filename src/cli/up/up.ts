/**
 * ● `holdfast up`: cache, queue, link server and dashboard in one process. Prints a line for each once all of them listen; the first
 * SIGTERM or SIGINT drains and exits 0 within 5 s, a second exits at once. SIGHUP reads files again, if there are any that can change
 * while it runs; else it drains too.
 */
import type { AccessControl } from "../../access/access-control.ts";
import { CacheServer } from "../../cache/index.ts";
import { parseAddress } from "../../core/address.ts";
import { codeOf, messageOf, UsageError } from "../../core/errors.ts";
import { DRAIN_MS_MAX } from "../../core/limits.ts";
import type { Log } from "../../core/log.ts";
import { Dashboard } from "../../dashboard/index.ts";
import { listen, type LinkServer, type SessionServer } from "../../link/index.ts";
import { Broker } from "../../queue/index.ts";
import { PARTS } from "../../settings/parts.ts";
import { dataFolder } from "./data-folder.ts";
import { accessOf } from "../shared/access.ts";
import { commandLog } from "../shared/command-log.ts";
import { flags, parse } from "../shared/flags.ts";
import { brokerOptions, cacheOptions, linkOptions } from "../shared/part-options.ts";
import { readSettings, settingFlags } from "../shared/setting-flags.ts";
import type { PartValues } from "../shared/setting-values.ts";
import { warnIfOpen } from "../shared/open-warning.ts";
import { historyFile } from "../shared/own-page.ts";
import { reloadOf } from "../shared/reload.ts";
import { checkSessions, listenSessions } from "./link-sessions.ts";
import { closeAll, type Part, startAll, type PartPlan, type RunningPart } from "./parts.ts";
import { type StopRequest, stopRequest } from "../shared/stop-request.ts";

const SETTINGS = { tables: PARTS, alone: false } as const;

type UpSettings = PartValues<typeof PARTS>;

export async function run(argv: readonly string[]): Promise<number> {
  const command = settingFlags(
    flags(
      "up",
      "Runs the cache, the queue, the link server and the dashboard in one process; 'off' as an address leaves one out",
    ),
    SETTINGS,
  ).option("--json", "print the start-up lines as JSON");
  if (!(await parse(command, argv))) return 0;
  const servers: Servers = {};
  const { json = false } = command.opts<{ json?: boolean }>();
  const settings = readSettings(command, SETTINGS);
  const log = commandLog(settings.log, { level: "warning" });
  const access = accessOf(settings.access, log);
  using stop = stopRequest({ reload: reloadOf(command, SETTINGS, { servers, access, log }) });
  return await up(settings, { json, servers, access, stop, log });
}

interface Servers {
  cache?: CacheServer;
  queue?: Broker;
  link?: LinkServer | SessionServer;
}

interface UpRun {
  readonly json: boolean;
  /** Those that run by now. */
  readonly servers: Servers;
  readonly access: AccessControl | undefined;
  readonly stop: StopRequest;
  readonly log: Log;
}

async function up(settings: UpSettings, { json, servers, access, stop, log }: UpRun): Promise<number> {
  const plans = await plan(settings, { servers, access, log, signal: stop.signal });
  if (plans.length === 0)
    throw new UsageError("CLI_USAGE", "Nothing to run: --cache, --queue, --link and --dashboard are all 'off'");
  let running: RunningPart[];
  try {
    running = await startAll(plans, (part) => process.stdout.write(readyLine(part, json)));
  } catch (error) {
    // Stopped while it started. A NATS server that does not answer would hold the process for as long as it is waited for.
    if (codeOf(error) === "CLOSED") process.exit(0);
    throw error;
  }
  // The dashboard requires a token on a non-loopback address.
  for (const { name, address } of running)
    if (name !== "dashboard" && (!access || name === "link")) warnIfOpen(name, address, { log });
  try {
    // The queue reads its tasks meanwhile: when that fails, nothing of it is left.
    await Promise.race([stop.requested, servers.queue?.ready.then(() => stop.requested) ?? stop.requested]);
  } catch (error) {
    await closeAll(running);
    throw error;
  }
  return await drain(running);
}

async function plan(
  { cache, queue, link, dashboard }: UpSettings,
  {
    servers,
    access,
    log,
    signal,
  }: {
    readonly servers: Servers;
    readonly access: AccessControl | undefined;
    readonly log: Log;
    readonly signal: AbortSignal;
  },
): Promise<PartPlan[]> {
  const plans: PartPlan[] = [];
  if (cache.listen[0] !== "off") {
    const options = cacheOptions(cache);
    const start = async (): Promise<CacheServer> => {
      servers.cache = new CacheServer({ ...options, access });
      await servers.cache.listen();
      return servers.cache;
    };
    plans.push({ name: "cache", flag: "--cache", wanted: cache.listen.join(", "), start });
  }
  if (queue.listen[0] !== "off") {
    const options = brokerOptions(queue);
    const data = options.data === false ? false : await dataFolder(queue.data);
    const start = async (): Promise<Broker> => {
      servers.queue = new Broker({ ...options, access, data, log, signals: [] });
      await servers.queue.open({ signal });
      return servers.queue;
    };
    plans.push({ name: "queue", flag: "--queue", wanted: queue.listen.join(", "), start });
  }
  if (link.listen !== "off") {
    const address = parseAddress(link.listen, "--link", { port: 12_345 });
    const options = linkOptions(link);
    const { toQueue } = link;
    const isOpenCache =
      cache.listen[0] !== "off" && !access && (cache.authFile ?? cache.saslFile ?? cache.tlsCert) === undefined;
    checkSessions(link, { queue: queue.listen[0] !== "off", cache: isOpenCache });
    const start = async (): Promise<Part> => {
      if (toQueue === undefined) return (servers.link = await listen({ ...address, ...options }));
      const { server, close } = await listenSessions(address, { ...link, toQueue }, servers);
      servers.link = server;
      return { address: server.address, close };
    };
    plans.push({ name: "link", flag: "--link", wanted: link.listen, start });
  }
  if (dashboard.listen !== "off") {
    parseAddress(dashboard.listen, "--dashboard", { port: 8280 });
    const history = historyFile(queue);
    const start = async (): Promise<Dashboard> => {
      const started = new Dashboard({ ...dashboard, access, history, ...servers });
      await started.listen();
      return started;
    };
    plans.push({ name: "dashboard", flag: "--dashboard", wanted: dashboard.listen, start });
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
