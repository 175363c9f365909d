/**
 * A process of its own for one client under measurement, so that no client pays for another's garbage or spoils its compiled code.
 * Arguments: client, server. Over its channel it is told a `Load` and answers with a `Yield`, or with what went wrong.
 */
import { CacheClient } from "../../src/cache/index.ts";
import { messageOf } from "../../src/core/errors.ts";
import { RIVALS, type Rival } from "./cache-rivals.ts";

export interface Load {
  readonly inFlight: number;
  readonly valueBytes: number;
  /** 1: single gets; else keys of each getMany. */
  readonly width: number;
  /** Each caller has keys of its own, so that no two calls in flight want the same. Else all choose among a thousand. */
  readonly apart: boolean;
  readonly ms: number;
}

export interface Yield {
  /** Keys got. */
  readonly operations: number;
  readonly seconds: number;
  /** User and system time of this process. */
  readonly cpuSeconds: number;
}

/** Stored for each value size: a hundred for each of 256 callers. */
export const KEY_COUNT = 25_600;

/** What all choose among, unless each has keys of its own. */
const HOT_KEY_COUNT = 1000;

/** 10 s: what was asked when the time was over, 256 MB of it at most, must be answered by then, on a busy machine too. */
const SETTLE_MS_MAX = 10_000;

export function keyOf(valueBytes: number, index: number): string {
  return `bench:${valueBytes}:${String(index).padStart(8, "0")}`;
}

export function valueOf(valueBytes: number): string {
  return "v".repeat(valueBytes);
}

export function holdfast(server: string): Rival {
  const cache = new CacheClient({ servers: [server], timeout: "10s" });
  return {
    get: (key) => cache.get(key),
    set: (key, value) => cache.set(key, value),
    getMany: (keys) => cache.getMany(keys),
    close: () => void cache.close(),
  };
}

if (process.send) {
  const [name, server] = process.argv.slice(2) as [string, string];
  const client = name === "holdfast" ? holdfast(server) : RIVALS[name]!(server);
  process.on("message", (load: Load) => {
    run(client, load).then(
      (result) => process.send!(result),
      (error: unknown) => process.send!({ error: messageOf(error) }),
    );
  });
  process.on("disconnect", () => process.exit(0));
  process.send("ready");
}

/** Keeps `inFlight` calls going for `ms`, after a third of that which does not count. */
export async function run(client: Rival, { inFlight, valueBytes, width, apart, ms }: Load): Promise<Yield> {
  const value = (await client.get(keyOf(valueBytes, 0))) as { toString(): string };
  if (String(value) !== valueOf(valueBytes)) throw new Error("the value read is not the value stored");
  const keys = Array.from({ length: HOT_KEY_COUNT }, (_, index) => keyOf(valueBytes, index));
  const groups = Array.from({ length: apart ? inFlight : 64 }, (_, group) =>
    Array.from({ length: width }, (_, index) =>
      apart ? keyOf(valueBytes, group * width + index) : keys[(group * 37 + index * 7) % HOT_KEY_COUNT]!,
    ),
  );
  const state = { running: true, operations: 0 };
  const caller = async (id: number): Promise<void> => {
    for (let turn = id * 31; state.running; turn += 1) {
      if (width === 1) await client.get(keys[turn % HOT_KEY_COUNT]!);
      else await client.getMany(groups[(apart ? id : turn) % groups.length]!);
      state.operations += width;
    }
  };
  const callers = Promise.all(Array.from({ length: inFlight }, (_, id) => caller(id)));
  const pause = (duration: number): Promise<unknown> =>
    Promise.race([callers, new Promise((resolve) => setTimeout(resolve, duration))]);
  await pause(ms / 3);
  const before = { operations: state.operations, cpu: process.cpuUsage(), time: performance.now() };
  await pause(ms);
  const { user, system } = process.cpuUsage(before.cpu);
  const result = {
    operations: state.operations - before.operations,
    seconds: (performance.now() - before.time) / 1000,
    cpuSeconds: (user + system) / 1e6,
  };
  state.running = false;
  const late = new Promise((_, reject) => setTimeout(reject, SETTLE_MS_MAX, new Error("calls do not settle")).unref());
  await Promise.race([callers, late]);
  if (result.operations === 0) throw new Error("nothing was answered");
  return result;
}
