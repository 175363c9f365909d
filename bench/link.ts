/**
 * Links under load: memory of idle connections in both modes, CPU of idle sessions with heartbeats, and messages a second through one
 * session against ws and MQTT.js with aedes. The long form holds as many connections as the descriptors of a process allow and takes about four
 * minutes.
 *
 *   node --conditions=holdfast-source bench/link.ts [--tiny] [--rounds 7] [--messages 300000] [--idle 90s] [--json]
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { type Duration, durationMs } from "../src/core/units.ts";
import { startEnd } from "./link/process.ts";
import { cpuSeconds, residentBytes } from "./support/process.ts";
import { finding, report } from "./support/report.ts";
import type { Finding } from "./support/report.ts";
import { pairedRounds } from "./support/rounds.ts";

export interface LinkBenchSize {
  /** Idle connections held for the memory figures. */
  readonly connections: number;
  /** Idle sessions watched for the CPU figure, and for how long. */
  readonly sessions: number;
  readonly idleMs: number;
  /** Messages a round, and rounds. */
  readonly messages: number;
  readonly rounds: number;
  /** Sessions that send to a server with a store. */
  readonly senders: number;
  /** Time for a process to come to rest before its memory or CPU is read. */
  readonly restMs: number;
}

/** Each client process holds at most this many connections, so that its descriptors suffice. */
const PER_PROCESS = 9000;

/** Memory per idle connection: what the server's process has more with them than without. */
async function memoryPerConnection(mode: "byte" | "session", { connections, restMs }: LinkBenchSize): Promise<number> {
  const server = startEnd(`${mode}-server`);
  const { port } = await server.next();
  // A first hundred pays for what is loaded and compiled once.
  const first = startEnd(`${mode}-clients`, port!, 100, 2);
  await first.next();
  await sleep(restMs);
  const before = residentBytes(server.pid);
  const clients = await holdConnections(mode, { port: port!, count: connections });
  await sleep(restMs);
  const perConnection = (residentBytes(server.pid) - before) / connections;
  for (const end of [...clients, first, server]) await end.stop();
  return perConnection;
}

async function holdConnections(
  mode: "byte" | "session",
  { port, count }: { port: number; count: number },
): Promise<ReturnType<typeof startEnd>[]> {
  const clients: ReturnType<typeof startEnd>[] = [];
  for (let left = count; left > 0; left -= PER_PROCESS) {
    const client = startEnd(`${mode}-clients`, port, Math.min(left, PER_PROCESS), 10 + 4 * clients.length);
    clients.push(client);
    await client.next();
  }
  return clients;
}

/** Share of one core that a server spends on idle sessions with heartbeats of 30 s. */
async function idleCpu({ sessions, idleMs, restMs }: LinkBenchSize): Promise<number> {
  const server = startEnd("session-server", "30s");
  const { port } = await server.next();
  const clients = await holdConnections("session", { port: port!, count: sessions });
  await sleep(restMs);
  const before = cpuSeconds(server.pid);
  await sleep(idleMs);
  const share = (cpuSeconds(server.pid) - before) / (idleMs / 1000);
  for (const end of [...clients, server]) await end.stop();
  return share;
}

async function messagesPerSecond({ messages, rounds }: LinkBenchSize): Promise<Finding> {
  const ends: ReturnType<typeof startEnd>[] = [];
  const contender = async (name: string, divide = 1): Promise<() => Promise<number>> => {
    const server = startEnd(`${name}-server`);
    const { port } = await server.next();
    const sender = startEnd(`${name}-sender`, port!);
    await sender.next();
    ends.push(server, sender);
    const round = async (): Promise<number> => {
      sender.tell({ count: messages / divide });
      const { ms } = await sender.next();
      return messages / divide / ms!;
    };
    await round(); // the first messages are those that code is compiled for: up to ten times slower than later ones
    return round;
  };
  const contenders = {
    holdfast: await contender("session"),
    ws: await contender("ws"),
    mqtt: await contender("mqtt", 10), // a tenth of the messages: it is the slowest, and a rate is a rate
  };
  const measured = await pairedRounds(rounds, contenders);
  for (const end of ends) await end.stop();
  const name = "100-byte messages through one connection (holdfast and MQTT QoS 1 confirmed each, ws not)";
  return finding({ name, unit: "thousand messages a second", target: { against: "ws", atLeast: 1 } }, "holdfast", measured);
}

/** Confirmed messages of many sessions that are in SQLite before they are confirmed. */
async function storedMessagesPerSecond({ messages, rounds, senders }: LinkBenchSize): Promise<Finding> {
  const folder = mkdtempSync(join(tmpdir(), "holdfast-bench-"));
  const server = startEnd("stored-server", folder);
  const { port } = await server.next();
  const clients = startEnd("many-senders", port!, senders);
  await clients.next();
  const rates: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    clients.tell({ count: messages });
    const { ms } = await clients.next();
    rates.push(messages / ms!);
  }
  for (const end of [clients, server]) await end.stop();
  rmSync(folder, { recursive: true });
  const name = `100-byte messages of ${senders} sessions, each in SQLite before it is confirmed`;
  return finding({ name, unit: "thousand messages a second" }, "holdfast", { holdfast: rates });
}

function single(name: string, unit: string, figure: number): Finding {
  return finding({ name, unit }, "holdfast", { holdfast: [figure] });
}

/** Runs the bench; exported for its tiny run in the tests. */
export async function linkBench(size: LinkBenchSize): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const mode of ["byte", "session"] as const) {
    const bytes = await memoryPerConnection(mode, size);
    findings.push(
      single(`resident memory of ${size.connections} idle connections in ${mode} mode`, "bytes a connection", bytes),
    );
  }
  const share = await idleCpu(size);
  findings.push(single(`CPU of ${size.sessions} idle sessions with heartbeats of 30 s`, "% of a core", 100 * share));
  findings.push(await messagesPerSecond(size));
  findings.push(await storedMessagesPerSecond(size));
  return findings;
}

/** For the test that keeps the bench alive: its figures mean nothing. */
export const TINY: LinkBenchSize = {
  connections: 50,
  sessions: 20,
  senders: 20,
  idleMs: 200,
  messages: 2000,
  rounds: 1,
  restMs: 20,
};

/** Descriptors of a process, less what Node itself opens. */
function descriptorsLeft(): number {
  return Number(execFileSync("sh", ["-c", "ulimit -n"]).toString()) - 200;
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      tiny: { type: "boolean", default: false },
      rounds: { type: "string", default: "7" },
      messages: { type: "string", default: "300000" },
      idle: { type: "string", default: "90s" },
      json: { type: "boolean", default: false },
    },
  });
  const long: LinkBenchSize = {
    connections: Math.min(descriptorsLeft(), 50_000),
    sessions: 10_000,
    senders: 1000,
    idleMs: durationMs(values.idle as Duration, "idle"),
    messages: Number(values.messages),
    rounds: Number(values.rounds),
    restMs: 2000,
  };
  report(await linkBench(values.tiny ? TINY : long), { json: values.json });
}
