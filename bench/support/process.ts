/**
 * Other programs under measurement: started on a port of their own, waited for, measured through /proc, ended by their own pid.
 * CPU seconds are user + system of the whole process, threads that have ended included: a figure that a noisy machine does not
 * blur as it blurs wall time. Linux only.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createConnection, createServer, type NetConnectOpts } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

/** Linux reports CPU time in ticks of 10 ms on every machine that Node runs on (USER_HZ is 100). */
const TICKS_PER_SECOND = 100;

/** 10 s: a loaded machine starts a process in well under 2 s. */
const START_MS_MAX = 10_000;

const root = join(import.meta.dirname, "../..");

/** The command line of this repository's own `holdfast`, run from its sources by the Node that runs the bench. */
export const HOLDFAST: readonly [string, ...string[]] = [
  process.execPath,
  "--conditions=holdfast-source",
  "--disable-warning=ExperimentalWarning",
  join(root, "src/cli/main.ts"),
];

/** Where Node keeps compiled code between runs: a start from sources takes 0.15 s with it and 0.5 s without. */
export const COMPILE_CACHE = join(tmpdir(), "holdfast-compile-cache");

/** A program that was started and accepts connections. */
export interface Running {
  readonly pid: number;
  /** Ends it and waits until it is gone. */
  stop(): Promise<void>;
}

/**
 * Starts a program and waits until it accepts a connection at `at`.
 *
 * @throws Error with the program's own words when it ends or stays deaf for 10 s
 */
export async function startServer(command: readonly [string, ...string[]], at: NetConnectOpts): Promise<Running> {
  const [file, ...args] = command;
  const env = { ...process.env, NODE_COMPILE_CACHE: COMPILE_CACHE };
  const child = spawn(file, args, { env, stdio: ["ignore", "ignore", "pipe"] });
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (said = (said + text).slice(-4096)));
  const giveUpAt = Date.now() + START_MS_MAX;
  while (!(await accepts(at))) {
    if (hasEnded(child) || Date.now() > giveUpAt) {
      child.kill("SIGKILL");
      throw new Error(`Cannot start ${command.join(" ")}: ${said || `no connection at ${JSON.stringify(at)}`}`);
    }
    await sleep(20);
  }
  return {
    pid: child.pid!,
    async stop() {
      if (hasEnded(child)) return;
      child.kill("SIGTERM");
      const late = setTimeout(() => child.kill("SIGKILL"), 3000);
      await once(child, "exit");
      clearTimeout(late);
    },
  };
}

/** A TCP port of the loopback that nothing listens on. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (address === null || typeof address === "string") throw new Error("a TCP server has a port");
  return address.port;
}

/** CPU seconds (user + system) that a process has used so far; 10 ms is the smallest step, so measure a second or more. */
export function cpuSeconds(pid: number): number {
  // The command's name, in brackets, may hold spaces: count from the last bracket on. man 5 proc: fields 14 and 15.
  const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

/** Bytes of memory that a process has resident now. */
export function residentBytes(pid: number): number {
  const line = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "latin1"));
  return Number(line?.[1]) * 1024;
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

async function accepts(at: NetConnectOpts): Promise<boolean> {
  const socket = createConnection(at);
  try {
    await once(socket, "connect");
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
