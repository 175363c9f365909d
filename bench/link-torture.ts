/**
 * What becomes of messages on a bad day, with a ledger: a sender gives 200-byte messages to its client at a steady rate, a receiver writes
 * down what it has, and meanwhile connections are cut, the sender or the server is killed (kill -9) and started again, or the line is thin
 * and long. Lost: given to the client, never stored, and nobody was told. Doubled, out of order: as stored. Until told: how long at most a
 * sender that lived did not know what had become of a message.
 *
 *   node --conditions=holdfast-source bench/link-torture.ts [--tiny] [--only holdfast,mosquitto,socket.io,jetstream] [--json]
 *
 * The clients of the rivals keep what is not confirmed in memory, as they come; ours in a file. Wanted of ours: 0, 0 and 0.
 */
import { execFileSync, fork } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { seeded } from "../src/core/random.ts";
import { Relay } from "./link/relay.ts";
import type { Line } from "./link/relay.ts";
import { COMPILE_CACHE, freePort, startServer } from "./support/process.ts";
import { report } from "./support/report.ts";
import type { Finding } from "./support/report.ts";

interface Day {
  readonly name: string;
  readonly line: Line;
  readonly messages: number;
  readonly perSecond: number;
  /** What happens, again and again after so long on average. */
  readonly trouble: "cut" | "kill the sender" | "kill the server";
  readonly everyMs: number;
  /** How long a silent peer is believed to be there: for everyone the same. */
  readonly patienceMs: number;
}

const FAST: Line = { rttMs: 2, bytesPerSecond: Infinity };

const DAYS: readonly Day[] = [
  { name: "a cut every 0.4 s", line: FAST, messages: 6000, perSecond: 500, trouble: "cut", everyMs: 400, patienceMs: 1000 },
  {
    name: "the sender killed every 1.5 s",
    line: FAST,
    messages: 6000,
    perSecond: 500,
    trouble: "kill the sender",
    everyMs: 1500,
    patienceMs: 1000,
  },
  {
    name: "the server killed every 2 s",
    line: FAST,
    messages: 6000,
    perSecond: 500,
    trouble: "kill the server",
    everyMs: 2000,
    patienceMs: 1000,
  },
  {
    name: "20 kB/s, 2 s round trip, a cut every 8 s",
    line: { rttMs: 2000, bytesPerSecond: 20_000 },
    messages: 1500,
    perSecond: 40,
    trouble: "cut",
    everyMs: 8000,
    patienceMs: 10_000,
  },
];

/** For the test that keeps the bench alive: each trouble once, ours alone. */
export const TINY: readonly Day[] = DAYS.slice(0, 3).map((day) => ({ ...day, messages: 600, everyMs: 500 }));

/** So long nothing more has been stored: what is missing then does not come. JetStream sends again after 5 s, so twice that. */
const SETTLE_MS = 10_000;
const PATIENCE_MS = 60_000;

const END = join(import.meta.dirname, "link/torture-end.ts");
const NODE_FLAGS = ["--conditions=holdfast-source", "--disable-warning=ExperimentalWarning"];

/** A contender: how its server and its receiver are started; both end with `stop`, the server also with `kill`. */
interface Contender {
  readonly sender: string;
  /** @returns the port that clients go to */
  start(
    folder: string,
    patienceMs: number,
  ): Promise<{ port: number; file: string; kill(): Promise<void>; stop(): Promise<void> }>;
}

const CONTENDERS: Readonly<Record<string, Contender>> = {
  holdfast: { sender: "holdfast-sender", start: (folder) => serverIsReceiver("holdfast-server", folder) },
  mosquitto: {
    sender: "mqtt-sender",
    start: (folder) =>
      brokerAndReceiver("mqtt-subscriber", folder, (port) => {
        // Saved after each change: what it acknowledged is what it has.
        const lines = [
          `listener ${port} 127.0.0.1`,
          "allow_anonymous true",
          "persistence true",
          "user root",
          "max_queued_messages 0",
        ];
        lines.push(`persistence_location ${folder}/`, "autosave_on_changes true", "autosave_interval 1");
        writeFileSync(join(folder, "mosquitto.conf"), `${lines.join("\n")}\n`);
        return ["/usr/sbin/mosquitto", "-c", join(folder, "mosquitto.conf")];
      }),
  },
  "socket.io": {
    sender: "socketio-sender",
    start: (folder, patienceMs) => serverIsReceiver("socketio-server", folder, socketIo(), String(patienceMs)),
  },
  jetstream: {
    sender: "jetstream-sender",
    start: (folder) =>
      brokerAndReceiver("jetstream-subscriber", folder, (port) => {
        const config = `listen: "127.0.0.1:${port}"\njetstream { store_dir: "${folder}" }\n`;
        writeFileSync(join(folder, "nats.conf"), config);
        return ["nats-server", "-c", join(folder, "nats.conf")];
      }),
  },
};

/** Installed once, beside the checkout: none of its packages is needed otherwise. */
function socketIo(): string {
  const folder = join(tmpdir(), "holdfast-bench-socketio");
  if (!existsSync(join(folder, "node_modules/socket.io"))) {
    mkdirSync(folder, { recursive: true });
    const packages = ["socket.io@4.8.3", "socket.io-client@4.8.3"];
    execFileSync("npm", ["install", "--no-audit", "--no-fund", "--prefix", folder, ...packages], { stdio: "ignore" });
  }
  return folder;
}

function startEnd(role: string, ...args: readonly (string | number)[]): ChildProcess {
  const env = { ...process.env, NODE_COMPILE_CACHE: COMPILE_CACHE };
  return fork(END, [role, ...args.map(String)], { env, execArgv: NODE_FLAGS, stdio: ["ignore", "ignore", "inherit", "ipc"] });
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill("SIGKILL");
  await once(child, "exit");
}

async function serverIsReceiver(role: string, folder: string, ...more: string[]): ReturnType<Contender["start"]> {
  const port = await freePort();
  const file = join(folder, "stored");
  const start = async (): Promise<ChildProcess> => {
    const child = startEnd(role, port, file, ...more);
    await once(child, "message");
    return child;
  };
  let server = await start();
  return {
    port,
    file,
    async kill() {
      await kill(server);
      server = await start();
    },
    stop: () => kill(server),
  };
}

async function brokerAndReceiver(
  role: string,
  folder: string,
  command: (port: number) => readonly [string, ...string[]],
): ReturnType<Contender["start"]> {
  const port = await freePort();
  const file = join(folder, "stored");
  const words = command(port);
  let broker = await startServer(words, { host: "127.0.0.1", port });
  const receiver = startEnd(role, port, file);
  await once(receiver, "message");
  return {
    port,
    file,
    async kill() {
      process.kill(broker.pid, "SIGKILL");
      await broker.stop();
      broker = await startServer(words, { host: "127.0.0.1", port });
    },
    async stop() {
      await kill(receiver);
      await broker.stop();
    },
  };
}

/** What came of one day. */
export interface Ledger {
  readonly taken: number;
  readonly stored: number;
  readonly told: number;
  readonly lost: number;
  readonly doubled: number;
  readonly outOfOrder: number;
  readonly untilToldMs: number;
}

/** One sender after another, until one has sent the last message and all are settled; undefined when that takes more than a minute. */
async function oneDay({ sender, start }: Contender, day: Day, seed: number): Promise<Ledger | undefined> {
  const folder = mkdtempSync(join(tmpdir(), "bench-torture-"));
  const chance = seeded(seed);
  const { port, file, kill: killServer, stop } = await start(folder, day.patienceMs);
  const relay = new Relay(port, day.line);
  const via = await relay.start();
  const where = sender === "socketio-sender" ? socketIo() : folder;
  const taken: number[] = [];
  let told = 0;
  let untilToldMs = 0;
  const done = Promise.withResolvers<boolean>();
  let child: ChildProcess;
  const begin = (): Promise<unknown> => {
    const run = taken.length;
    taken.push(0);
    const left = day.messages - taken.reduce((sum, count) => sum + count, 0);
    child = startEnd(sender, via, run, left, day.perSecond, where, day.patienceMs);
    child.on("message", (said: Record<string, number>) => {
      if (said["taken"] !== undefined) taken[run] = said["taken"];
      if (said["told"] !== undefined) told += said["told"];
      if (said["knew"] !== undefined) untilToldMs = Math.max(untilToldMs, said["knew"]);
      if (said["done"] !== undefined) done.resolve(true);
    });
    return once(child, "message"); // it is at work: its start takes its time
  };
  await begin();
  const sum = (): number => taken.reduce((total, count) => total + count, 0);
  const makeTrouble = async (): Promise<void> => {
    if (day.trouble === "cut") relay.cut(chance() < 0.7 ? "reset" : "silent");
    else if (day.trouble === "kill the server") await killServer();
    else if (sum() < day.messages) {
      await kill(child);
      await begin();
    }
  };
  while (sum() < day.messages) {
    await sleep(day.everyMs * (0.5 + chance()));
    await makeTrouble();
  }
  const isDone = await Promise.race([done.promise, sleep(PATIENCE_MS, false, { ref: false })]);
  await settled(file, sum() - told);
  const ledger = isDone ? { ...audit(file, taken, told), untilToldMs } : undefined;
  await kill(child!);
  relay.stop();
  await stop();
  rmSync(folder, { recursive: true, force: true });
  return ledger;
}

/** All is stored that is not told, or nothing has come for a while. */
async function settled(file: string, count: number): Promise<void> {
  let before = -1;
  for (let quietMs = 0; quietMs < SETTLE_MS; quietMs += 100) {
    const stored = new Set(existsSync(file) ? readFileSync(file, "utf8").split("\n") : []).size - 1;
    if (stored >= count) return;
    if (stored !== before) quietMs = 0;
    before = stored;
    await sleep(100);
  }
}

function audit(file: string, taken: readonly number[], told: number): Omit<Ledger, "untilToldMs"> {
  const lines = existsSync(file) ? readFileSync(file, "utf8").split("\n").filter(Boolean) : [];
  const stored = new Set<string>();
  let doubled = 0;
  let outOfOrder = 0;
  let newest = -1;
  for (const line of lines) {
    if (stored.has(line)) {
      doubled += 1;
      continue;
    }
    stored.add(line);
    const [run, number] = line.split(".").map(Number) as [number, number];
    const place = run * 1e9 + number;
    if (place < newest) outOfOrder += 1;
    newest = Math.max(newest, place);
  }
  let missing = 0;
  for (const [run, count] of taken.entries())
    for (let number = 1; number <= count; number += 1) if (!stored.has(`${run}.${number}`)) missing += 1;
  const all = taken.reduce((total, count) => total + count, 0);
  return { taken: all, stored: stored.size, told, lost: Math.max(0, missing - told), doubled, outOfOrder };
}

const FIGURES = {
  lost: "messages lost",
  doubled: "messages doubled",
  outOfOrder: "messages out of order",
  told: "messages told as failed or in doubt",
  untilToldMs: "ms until told, at most",
} as const;

const WANTED_NONE: ReadonlySet<keyof typeof FIGURES> = new Set(["lost", "doubled", "outOfOrder"]);

/** Runs the bench; exported for its tiny run in the tests. */
export async function tortureBench(days: readonly Day[], names: readonly string[]): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const [index, day] of days.entries()) {
    const ledgers: [string, Ledger][] = [];
    const failed: string[] = [];
    for (const name of names) {
      const ledger = await oneDay(CONTENDERS[name]!, day, index + 1);
      if (ledger) ledgers.push([name, ledger]);
      else failed.push(name);
      console.error(day.name, name, JSON.stringify(ledger));
    }
    for (const [key, unit] of Object.entries(FIGURES) as [keyof typeof FIGURES, string][]) {
      const figures = ledgers.map(
        ([name, { [key]: figure }]) => [name, { median: figure, low: figure, high: figure }] as const,
      );
      findings.push({
        name: day.name,
        unit,
        better: "less",
        ours: "holdfast",
        rounds: 1,
        figures: Object.fromEntries(figures),
        ratios: {}, // of nothing to something there is none
        ...(failed.length > 0 && { failed }),
        ...(WANTED_NONE.has(key) && { target: { atMost: 0 } }),
      });
    }
  }
  return findings;
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      tiny: { type: "boolean", default: false },
      only: { type: "string", default: Object.keys(CONTENDERS).join(",") },
      json: { type: "boolean", default: false },
    },
  });
  report(await tortureBench(values.tiny ? TINY : DAYS, values.only.split(",")), { json: values.json });
}
