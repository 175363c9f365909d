/**
 * ● `holdfast bench cache|queue`: a load test against a running server that reports throughput and latency. It measures client,
 * server and network together; comparisons with other programs are in the repository's bench/.
 */
import { randomBytes } from "node:crypto";
import { CacheClient, bytes } from "../../cache/index.ts";
import { UsageError } from "../../core/errors.ts";
import { durationMs, sizeBytes } from "../../core/units.ts";
import { bytesCodec, queue, worker } from "../../queue/index.ts";
import { flags, parse } from "../shared/flags.ts";
import { Load, type LoadReport } from "./load.ts";

interface BenchFlags {
  readonly address?: string;
  readonly url: string;
  readonly duration: string;
  readonly inFlight: string;
  readonly size: string;
  readonly gets: string;
  readonly json?: true;
}

/** 10,000 keys: more than a CPU's cache holds with 100-byte values, and stored in a fraction of a second. */
const KEYS = 10_000;

/** 256 sets at once while the keys are being stored. */
const FILL_BATCH = 256;

export async function run(argv: readonly string[]): Promise<number> {
  const command = flags(
    "bench",
    "Runs a load test against a running server: 'cache' (gets and sets) or 'queue' (tasks from submission to result).",
  )
    .argument("<part>", "cache or queue")
    .option("--address <address>", "the cache (default 127.0.0.1:11211)")
    .option("--url <url>", "the queue's broker", "tcp://127.0.0.1:5555")
    .option("--duration <duration>", "how long to measure", "5s")
    .option("--in-flight <count>", "concurrent operations", "64")
    .option("--size <size>", "size of a value or task body", "100")
    .option("--gets <share>", "fraction of gets among the cache's operations, 0 to 1", "0.9")
    .option("--json", "print the result as JSON");
  if (!(await parse(command, argv))) return 0;
  const options = command.opts<BenchFlags>();
  const part = command.processedArgs[0] as string;
  const bench = { cache: benchCache, queue: benchQueue }[part];
  if (!bench) throw new UsageError("CLI_USAGE", `Cannot test '${part}': choose cache or queue`);
  const report = await bench(options);
  process.stdout.write(options.json ? `${JSON.stringify({ part, ...report })}\n` : shown(report));
  return report.errors === 0 ? 0 : 1;
}

async function benchCache(options: BenchFlags): Promise<LoadReport> {
  const share = Number(options.gets);
  if (!(share >= 0 && share <= 1))
    throw new UsageError("CLI_USAGE", `Cannot use --gets ${options.gets}: it must be from 0 to 1`);
  const value = randomBytes(sizeBytes(options.size, "--size"));
  const client = new CacheClient({ servers: [options.address ?? "127.0.0.1:11211"], codec: bytes });
  const keys = Array.from({ length: KEYS }, (_, index) => `holdfast-bench:${index}`);
  try {
    for (let first = 0; first < KEYS; first += FILL_BATCH) {
      await Promise.all(keys.slice(first, first + FILL_BATCH).map((key) => client.set(key, value, { ttl: "10m" })));
    }
    return await loadOf(options).run(() => {
      const key = keys[Math.floor(Math.random() * KEYS)]!;
      return Math.random() < share ? client.get(key) : client.set(key, value, { ttl: "10m" });
    });
  } finally {
    await client.close();
  }
}

async function benchQueue(options: BenchFlags): Promise<LoadReport> {
  const body = randomBytes(sizeBytes(options.size, "--size"));
  const name = `holdfast-bench-${process.pid}`;
  const tasks = queue<Uint8Array, Uint8Array>(name, { url: options.url, codec: bytesCodec });
  const running = worker(tasks, (payload) => payload, { concurrency: 64, prefetch: 64, signals: [] });
  try {
    return await loadOf(options).run(() => tasks.call(body, { timeout: "30s", keep: "1s" }));
  } finally {
    await running.close();
    await tasks.close();
  }
}

function loadOf({ duration, inFlight }: BenchFlags): Load {
  const count = Number(inFlight);
  if (!Number.isInteger(count) || count < 1)
    throw new UsageError("CLI_USAGE", `Cannot use --in-flight ${inFlight}: it must be a whole number of at least 1`);
  return new Load({ durationMs: durationMs(duration, "--duration"), inFlight: count });
}

function shown({ operations, seconds, perSecond, p50Ms, p99Ms, p999Ms, errors }: LoadReport): string {
  const lines = [
    `${operations} operations in ${seconds.toFixed(1)} s: ${perSecond.toFixed(0)}/s`,
    `latency: p50 ${p50Ms.toFixed(2)} ms, p99 ${p99Ms.toFixed(2)} ms, p99.9 ${p999Ms.toFixed(2)} ms`,
  ];
  if (errors > 0) lines.push(`${errors} failed`);
  return `${lines.join("\n")}\n`;
}
