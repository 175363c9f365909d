/** ● `holdfast cache`: the cache server alone. Serves until SIGTERM or SIGINT, then drains and exits 0; SIGHUP reads its files again. */
import { chownSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import type { AccessControl } from "../../access/access-control.ts";
import { CacheServer } from "../../cache/server/index.ts";
import { portOf } from "../../core/address.ts";
import { HoldfastError, codeOf } from "../../core/errors.ts";
import type { Log } from "../../core/log.ts";
import { type CacheCommand, FlagError, readCacheCommand } from "./memcached-options.ts";
import { CACHE_HELP, CACHE_LICENCE } from "./help.ts";
import { ACCESS, DASHBOARD_ALONE, LOG } from "../../settings/parts.ts";
import { accessOf } from "../shared/access.ts";
import { commandLog } from "../shared/command-log.ts";
import { ownPage } from "../shared/own-page.ts";
import { flagSettings } from "../shared/setting-values.ts";
import { warnIfOpen } from "../shared/open-warning.ts";
import { stopRequest } from "../shared/stop-request.ts";

/** Set in the environment of the background process, so that it does not start another. */
const DAEMON_VARIABLE = "HOLDFAST_CACHE_DAEMON";
/** memcached writes the ports in use to the file that this variable names. */
const PORT_FILE_VARIABLE = "MEMCACHED_PORT_FILENAME";

/** memcached's flags say the rest. */
const SETTINGS = { tables: [DASHBOARD_ALONE, ACCESS, LOG], alone: true } as const;

export async function run(argv: readonly string[]): Promise<number> {
  let command: CacheCommand;
  try {
    command = readCacheCommand(argv);
  } catch (error) {
    if (!(error instanceof FlagError)) throw error;
    process.stderr.write(`${error.message}\n`);
    return 2;
  }
  const text = TEXTS[command.act];
  if (text !== undefined) {
    process.stdout.write(text);
    return 0;
  }
  return command.daemon && process.env[DAEMON_VARIABLE] === undefined ? goToBackground(argv) : serve(command);
}

/** The output of the flags that start no server. */
const TEXTS: Readonly<Partial<Record<CacheCommand["act"], string>>> = {
  help: CACHE_HELP,
  licence: CACHE_LICENCE,
  version: "holdfast cache (memcached 1.6.45)\n",
};

async function serve({ options, pidFile, user, notes, coreFiles, own }: CacheCommand): Promise<number> {
  const settings = flagSettings(own, SETTINGS);
  const log = commandLog(settings.log, { level: "warning" });
  process.stderr.on("error", () => {}); // a closed log reader must not end the server
  for (const note of notes) process.stderr.write(`${note}\n`);
  if (coreFiles && !(await allowCoreFiles())) return 1;
  const identity = user === undefined || process.getuid?.() !== 0 ? undefined : await identityOf(user);
  if (identity === "unknown") {
    process.stderr.write(`can't find the user ${user} to switch to\n`);
    return EXIT_NO_USER;
  }
  let server: CacheServer;
  const access = accessOf(settings.access, log);
  using stop = stopRequest({ reload: () => reload(server, access, log), also: ["SIGUSR1"] });
  try {
    server = new CacheServer({ ...options, access });
    await server.listen();
  } catch (error) {
    if (!(error instanceof HoldfastError)) throw error;
    process.stderr.write(`${error.message}\n`);
    return 1;
  }
  if (options.authFile === undefined && options.saslFile === undefined && !access) {
    for (const address of new Set([...server.addresses, ...server.udpAddresses])) warnIfOpen("cache", address, { log });
  }
  if (identity && !become(identity, server)) {
    process.stderr.write(`failed to assume identity of user ${user}\n`);
    await server.close();
    return EXIT_SYSTEM;
  }
  writePorts(server);
  const daemon = process.env[DAEMON_VARIABLE] !== undefined;
  if (pidFile !== undefined && daemon) writeFileSync(pidFile, `${process.pid}\n`);
  try {
    await using _page = await ownPage(settings.dashboard, { access, cache: server }, log);
    if (daemon) {
      process.send?.("listening");
      process.disconnect?.();
    }
    await Promise.race([stop.requested, server.shutdownAsked]);
  } finally {
    await server.close();
  }
  if (pidFile !== undefined && daemon) rmSync(pidFile, { force: true });
  return 0;
}

/** Node cannot set its own resource limits; Linux's `prlimit` can. False, after memcached's message, where that fails. */
async function allowCoreFiles(): Promise<boolean> {
  const { spawnSync } = await import("node:child_process");
  const { pid } = process;
  for (const limit of ["unlimited", hardCoreLimit()]) {
    if (spawnSync("prlimit", ["--pid", String(pid), `--core=${limit}`], { stdio: "ignore" }).status === 0) return true;
  }
  process.stderr.write("failed to ensure corefile creation\n");
  return false;
}

/** The hard limit, which a user other than root can set. */
function hardCoreLimit(): string {
  try {
    return /^Max core file size\s+\S+\s+(\S+)/m.exec(readFileSync("/proc/self/limits", "latin1"))?.[1] ?? "0";
  } catch {
    return "0"; // not Linux: prlimit is missing too, which the caller reports
  }
}

/** After an error the server keeps its current files. */
function reload(server: CacheServer, access: AccessControl | undefined, log: Log): void {
  try {
    access?.reload();
    server.reload();
    log("reloaded", {});
  } catch (error) {
    if (!(error instanceof HoldfastError)) throw error;
    log("reload-failed", { error });
  }
}

/** Starts the same command as a background process and returns when it listens. */
async function goToBackground(argv: readonly string[]): Promise<number> {
  const { spawn } = await import("node:child_process"); // loaded only here: it costs 3 MB
  const child = spawn(process.execPath, [...process.execArgv, process.argv[1]!, "cache", ...argv], {
    detached: true,
    env: { ...process.env, [DAEMON_VARIABLE]: "1" },
    stdio: ["ignore", "ignore", "inherit", "ipc"],
  });
  return new Promise((resolve) => {
    child.once("message", () => {
      child.disconnect();
      child.unref();
      resolve(0);
    });
    child.once("exit", (code) => resolve(code ?? 1));
  });
}

/** memcached's exit codes (sysexits.h). */
const EXIT_NO_USER = 67;
const EXIT_SYSTEM = 71;

/** A user's numbers. */
interface Identity {
  readonly uid: number;
  readonly gid: number;
}

/** The user's numbers from /etc/passwd, or, for users of other sources, from `id`. A user's group need not have the user's name. */
async function identityOf(name: string): Promise<Identity | "unknown"> {
  const line = readFileSync("/etc/passwd", "utf8")
    .split("\n")
    .find((text) => text.startsWith(`${name}:`));
  if (line !== undefined) {
    const [, , uid, gid] = line.split(":");
    return { uid: Number(uid), gid: Number(gid) };
  }
  const { spawnSync } = await import("node:child_process");
  const [uid, gid] = ["-u", "-g"].map((flag) => {
    const { status, stdout } = spawnSync("id", [flag, "--", name], { encoding: "utf8" });
    return status === 0 ? Number(stdout) : Number.NaN;
  });
  return Number.isNaN(uid) || Number.isNaN(gid) ? "unknown" : { uid: uid!, gid: gid! };
}

/** Gives up root for this user, for good; a unix socket becomes the user's. False where the system refuses. */
function become({ uid, gid }: Identity, { addresses }: CacheServer): boolean {
  try {
    for (const address of addresses) if (address.startsWith("unix:")) chownSync(address.slice("unix:".length), uid, gid);
    process.setgroups?.([]);
    process.setgid?.(gid);
    process.setuid?.(uid);
    return process.getuid?.() === uid && process.geteuid?.() === uid;
  } catch (error) {
    if (codeOf(error) === undefined) throw error;
    return false;
  }
}

function writePorts(server: CacheServer): void {
  const file = process.env[PORT_FILE_VARIABLE];
  if (file === undefined) return;
  const lines = [
    ...server.addresses.filter((address) => !address.startsWith("unix:")).map((address) => `TCP INET: ${portOf(address)}\n`),
    ...server.udpAddresses.map((address) => `UDP INET: ${portOf(address)}\n`),
  ];
  writeFileSync(`${file}.lck`, lines.join(""));
  renameSync(`${file}.lck`, file);
}
