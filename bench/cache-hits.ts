/**
 * How often a full cache is asked in vain: ten request streams (cache-hits/streams.ts) replayed to memcached, to ours with its policy, and to
 * ours with S3-FIFO; get, and set on a miss, over one connection in batches of 64. Memory is a share of what all keys of the stream need.
 *
 *   node --conditions=holdfast-source bench/cache-hits.ts [--streams tw12,pair] [--percents 1,10,30] [--share 1] [--json]
 *
 * `--share 0.1` makes streams of a tenth of the requests and keys. Wanted: S3-FIFO misses at most as often as memcached, and costs
 * at most the CPU of the other policy.
 */
import { connect, type Socket } from "node:net";
import { once } from "node:events";
import { parseArgs } from "node:util";
import { KEY_BYTES, makeStream, type Stream, STREAMS, type StreamName } from "./cache-hits/streams.ts";
import { cpuSeconds, freePort, HOLDFAST, startServer } from "./support/process.ts";
import { type Finding, finding, report } from "./support/report.ts";

const BATCH = 64;
const PAYLOAD = Buffer.alloc(4096, "x");
const CR_LF = Buffer.from("\r\n");
const LF = 0x0a;
/** "HD", "HV" … "H" begins the answer of a command that did what it was asked for. */
const YES = 0x48;

export const CONTENDERS = {
  s3fifo: () => [...HOLDFAST, "cache", "-o", "eviction=s3fifo"] as const,
  lru: () => [...HOLDFAST, "cache"] as const,
  memcached: () => ["memcached", ...(process.getuid?.() === 0 ? ["-u", "root"] : [])] as const,
} satisfies Record<string, () => readonly [string, ...string[]]>;

export type Name = keyof typeof CONTENDERS;

export interface HitFigures {
  /** Of all requests, in percent. */
  readonly missed: number;
  readonly cpuMicroseconds: number;
}

export async function replay(name: Name, stream: Stream, megabytes: number): Promise<HitFigures> {
  const port = await freePort();
  const at = { host: "127.0.0.1", port };
  const [program, ...words] = CONTENDERS[name]();
  const flags = ["-l", "127.0.0.1", "-p", String(port), "-m", String(megabytes), "-I", "512k", "-t", "1"];
  const server = await startServer([program, ...words, ...flags], at);
  const socket = connect(at).setNoDelay();
  try {
    await once(socket, "connect");
    const before = cpuSeconds(server.pid);
    const misses = await play(new Lines(socket), stream);
    const count = stream.keys.length;
    return { missed: (100 * misses) / count, cpuMicroseconds: ((cpuSeconds(server.pid) - before) * 1e6) / count };
  } finally {
    socket.destroy();
    await server.stop();
  }
}

async function play(server: Lines, { keys, valueBytes, ttl }: Stream): Promise<number> {
  const request = Buffer.alloc(BATCH * (PAYLOAD.length + 64));
  let misses = 0;
  for (let from = 0; from < keys.length; from += BATCH) {
    const batch = keys.subarray(from, from + BATCH);
    let length = 0;
    for (const key of batch) {
      length += request.write("mg ", length, "latin1");
      length = writeKey(request, length, key);
      length += request.write("\r\n", length, "latin1");
    }
    const hits = await server.ask(request.subarray(0, length), batch.length);
    length = 0;
    // What is asked for twice in a batch is stored by then.
    const missed = new Set([...batch].filter((_, index) => !hits[index]));
    misses += missed.size;
    for (const key of missed) {
      const bytes = valueBytes[key]!;
      length += request.write("ms ", length, "latin1");
      length = writeKey(request, length, key);
      length += request.write(` ${bytes} T${ttl[key]!}\r\n`, length, "latin1");
      length += PAYLOAD.copy(request, length, 0, bytes) + CR_LF.copy(request, length + bytes);
    }
    if (missed.size === 0) continue;
    const stored = await server.ask(request.subarray(0, length), missed.size);
    if (stored.includes(false)) throw new Error("A value was not stored");
  }
  return misses;
}

function writeKey(to: Buffer, at: number, key: number): number {
  return at + to.write(`key:${String(key).padStart(KEY_BYTES - 4, "0")}`, at, "latin1");
}

/** A connection whose answers are one line each. */
class Lines {
  readonly #socket: Socket;
  #answers: boolean[] = [];
  #wanted = 0;
  #isStart = true;
  #answered: (() => void) | undefined;

  constructor(socket: Socket) {
    this.#socket = socket.on("data", (bytes: Buffer) => this.#read(bytes));
  }

  /** @returns whether each of so many answers was a yes */
  async ask(request: Buffer, answers: number): Promise<readonly boolean[]> {
    this.#answers = [];
    this.#wanted = answers;
    const done = new Promise<void>((resolve) => (this.#answered = resolve));
    this.#socket.write(request);
    await done;
    return this.#answers;
  }

  #read(bytes: Buffer): void {
    for (let at = 0; at < bytes.length; at += 1) {
      if (this.#isStart) this.#answers.push(bytes[at] === YES);
      this.#isStart = false;
      const end = bytes.indexOf(LF, at);
      if (end === -1) break;
      this.#isStart = true;
      at = end;
    }
    if (this.#answers.length >= this.#wanted && this.#isStart) this.#answered?.();
  }
}

/** What all keys of a stream need in memcached's slab classes, in MiB. */
export function footprintMegabytes({ keys, valueBytes }: Stream): number {
  const seen = new Uint8Array(valueBytes.length);
  let bytes = 0;
  for (const key of keys) {
    if (seen[key] === 1) continue;
    seen[key] = 1;
    bytes += chunkBytes(ITEM_BYTES + KEY_BYTES + 1 + valueBytes[key]! + CR_LF.length);
  }
  return bytes / 1024 ** 2;
}

/** memcached's header with a CAS number. */
const ITEM_BYTES = 56;

/** `-f 1.25 -n 48`: classes from 96 bytes on. */
function chunkBytes(needed: number): number {
  let chunk = 96;
  while (chunk < needed) chunk = (Math.floor(chunk * 1.25) + 7) & ~7;
  return chunk;
}

export async function bench(streams: readonly StreamName[], percents: readonly number[], share: number): Promise<Finding[]> {
  const findings: Finding[] = [];
  const names = Object.keys(CONTENDERS) as Name[];
  for (const name of streams) {
    const stream = makeStream(name, 1, share);
    const footprint = footprintMegabytes(stream);
    for (const percent of percents) {
      const megabytes = Math.max(2, Math.round((footprint * percent) / 100));
      const figures: Partial<Record<Name, HitFigures>> = {};
      for (const each of names) figures[each] = await replay(each, stream, megabytes);
      const of = (figure: keyof HitFigures): Record<Name, readonly number[]> =>
        Object.fromEntries(names.map((each) => [each, [figures[each]![figure]]])) as unknown as Record<Name, readonly number[]>;
      const where = `${name}, ${percent} % (-m ${megabytes})`;
      const target = { against: "memcached", atMost: 1.005 };
      findings.push(
        finding({ name: `missed, ${where}`, unit: "% of requests", better: "less", target }, "s3fifo", of("missed")),
      );
      const cheap = { against: "lru", atMost: 1 };
      const cpu = { name: `CPU, ${where}`, unit: "CPU µs/request", target: cheap };
      findings.push(finding(cpu, "s3fifo", of("cpuMicroseconds")));
    }
  }
  return findings;
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      streams: { type: "string", default: Object.keys(STREAMS).join() },
      percents: { type: "string", default: "1,10,30" },
      share: { type: "string", default: "1" },
      json: { type: "boolean", default: false },
    },
  });
  const streams = values.streams.split(",") as StreamName[];
  report(await bench(streams, values.percents.split(",").map(Number), Number(values.share)), { json: values.json });
}
