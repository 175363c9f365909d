/**
 * What a full cache costs in memory: sets of mixed sizes far beyond `-m`, then the process's resident memory and how many items it
 * holds, ours and memcached's.
 *
 *   node --conditions=holdfast-source bench/cache-memory.ts [--megabytes 1024] [--sets 10000000] [--compiled] [--json]
 *
 * Wanted: resident memory at most 1.1 × -m + 80 MB. `--compiled` runs dist/ as installed packages do, without the TypeScript loader.
 */
import { createConnection } from "node:net";
import { once } from "node:events";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { type Random, between, seeded } from "../src/core/random.ts";
import { freePort, HOLDFAST, residentBytes, startServer } from "./support/process.ts";
import { type Finding, finding, report } from "./support/report.ts";
import type { Rounds } from "./support/rounds.ts";

export const COMPILED = join(import.meta.dirname, "../dist/cli/main.js");
const SEED = 10;
const MEGABYTE = 1024 * 1024;
/** Sets in one write to the socket: about 300 KB. */
const BATCH = 500;

/** What one server came to. */
export interface MemoryFigures {
  readonly residentBytes: number;
  /** Resident before the first set: the program itself. From sources, some 40 MB of that is Node's TypeScript loader. */
  readonly idleBytes: number;
  readonly items: number;
  readonly evictions: number;
}

export interface MemorySettings {
  readonly megabytes: number;
  readonly sets: number;
}

/** Fills a server started by `command` and measures it. */
export async function fillAndMeasure(
  command: (port: number, megabytes: number) => readonly [string, ...string[]],
  { megabytes, sets }: MemorySettings,
): Promise<MemoryFigures> {
  const port = await freePort();
  const at = { host: "127.0.0.1", port };
  const server = await startServer(command(port, megabytes), at);
  try {
    const idleBytes = residentBytes(server.pid);
    const socket = createConnection(at);
    await once(socket, "connect");
    let replies = "";
    socket.setEncoding("latin1").on("data", (text: string) => (replies += text));
    const random = seeded(SEED);
    for (let done = 0; done < sets; done += BATCH) {
      if (!socket.write(batch(random, done))) await once(socket, "drain");
    }
    socket.write("stats\r\n");
    while (!replies.endsWith("END\r\n")) await once(socket, "data");
    socket.destroy();
    const stat = (name: string): number => Number(new RegExp(`STAT ${name} (\\d+)`).exec(replies)![1]);
    return { residentBytes: residentBytes(server.pid), idleBytes, items: stat("curr_items"), evictions: stat("evictions") };
  } finally {
    await server.stop();
  }
}

/** Sizes from 10 B to 10 KB, each tenfold as frequent as the next: what caches are found to hold. */
function batch(random: Random, first: number): Buffer {
  const parts: Buffer[] = [];
  for (let index = 0; index < BATCH; index += 1) {
    const bytes = Math.floor(10 * 1000 ** random());
    const key = `key:${first + index}:${between(random, 0, 9)}`;
    parts.push(Buffer.from(`set ${key} 0 0 ${bytes} noreply\r\n`), PAYLOAD.subarray(0, bytes), CR_LF);
  }
  return Buffer.concat(parts);
}

const PAYLOAD = Buffer.alloc(10_240, "x");
const CR_LF = Buffer.from("\r\n");

export const CONTENDERS = {
  holdfast: (port: number, megabytes: number): readonly [string, ...string[]] => [
    ...HOLDFAST,
    "cache",
    ...flags(port, megabytes),
  ],
  compiled: (port: number, megabytes: number): readonly [string, ...string[]] => [
    process.execPath,
    COMPILED,
    "cache",
    ...flags(port, megabytes),
  ],
  memcached: (port: number, megabytes: number): readonly [string, ...string[]] => [
    "memcached",
    ...flags(port, megabytes),
    ...(process.getuid?.() === 0 ? ["-u", "root"] : []),
  ],
};

function flags(port: number, megabytes: number): string[] {
  return ["-l", "127.0.0.1", "-p", String(port), "-m", String(megabytes), "-t", "1"];
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      megabytes: { type: "string", default: "1024" },
      sets: { type: "string", default: "10000000" },
      compiled: { type: "boolean", default: false },
      json: { type: "boolean", default: false },
    },
  });
  const settings = { megabytes: Number(values.megabytes), sets: Number(values.sets) };
  const figures = {
    holdfast: await fillAndMeasure(values.compiled ? CONTENDERS.compiled : CONTENDERS.holdfast, settings),
    memcached: await fillAndMeasure(CONTENDERS.memcached, settings),
  };
  report(findingsOf(figures, settings), { json: values.json });
}

function findingsOf(
  figures: Readonly<Record<"holdfast" | "memcached", MemoryFigures>>,
  { megabytes, sets }: MemorySettings,
): Finding[] {
  const name = `after ${sets} sets of 10 B to 10 KB with -m ${megabytes}`;
  const boundMiB = Math.floor((1.1 * megabytes * MEGABYTE + 80e6) / MEGABYTE);
  const each = (figure: (of: MemoryFigures) => number): Rounds<"holdfast" | "memcached"> => ({
    holdfast: [figure(figures.holdfast)],
    memcached: [figure(figures.memcached)],
  });
  return [
    finding(
      { name: `resident ${name}`, unit: "MiB", target: { atMost: boundMiB } },
      "holdfast",
      each(({ residentBytes }) => residentBytes / MEGABYTE),
    ),
    finding(
      { name: "resident when empty", unit: "MiB" },
      "holdfast",
      each(({ idleBytes }) => idleBytes / MEGABYTE),
    ),
    finding(
      { name: `items kept ${name}`, unit: "items", better: "more" },
      "holdfast",
      each(({ items }) => items),
    ),
  ];
}
