/**
 * The contenders of bench/queue.ts: each does the same full cycle (add, take, done, result of 100 bytes) over TCP with a server of
 * its own, started on a free port with a folder of its own. The work itself is nothing: what is measured is the queue.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Queue as BullQueue, QueueEvents, Worker as BullWorker } from "bullmq";
import { bytesCodec, type ClientOptions, queue, worker } from "../../src/queue/index.ts";
import { freePort, HOLDFAST, startServer } from "../support/process.ts";

const JackdClient = createRequire(import.meta.url)("jackd") as new () => Jackd;

/** What of jackd is used here; its own types describe another version. */
interface Jackd {
  connect(at: { host: string; port: number }): Promise<unknown>;
  use(tube: string): Promise<unknown>;
  watch(tube: string): Promise<unknown>;
  put(payload: string): Promise<string>;
  reserve(): Promise<{ id: string; payload: string | Buffer }>;
  delete(id: string): Promise<void>;
  disconnect(): Promise<void>;
}

/** A queue with a worker on it. */
export interface Running {
  /** Resolves when the queue has the task as safe as it makes it. */
  add(): Promise<unknown>;
  /** Resolves when the result is back. */
  call(): Promise<unknown>;
  readonly serverPids: readonly number[];
  stop(): Promise<void>;
}

export type Start = () => Promise<Running>;

export const BODY = Buffer.alloc(100, "x");
/** Tasks that one worker works on at once, for everyone: as many as the most producers. */
export const CONCURRENCY = 256;

async function server(
  name: string,
  command: (folder: string, port: number) => readonly [string, ...string[]],
): Promise<{ port: number; pid: number; stop(): Promise<void> }> {
  const folder = mkdtempSync(join(tmpdir(), `bench-${name}-`));
  const port = await freePort();
  const running = await startServer(command(folder, port), { host: "127.0.0.1", port });
  return {
    port,
    pid: running.pid,
    async stop() {
      await running.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** A broker of ours with a folder of its own. */
export async function startBroker(): Promise<{ url: string; pid: number; stop(): Promise<void> }> {
  const { port, pid, stop } = await server("holdfast", (folder, at) => [
    ...HOLDFAST,
    "queue",
    "serve",
    "--listen",
    `tcp://127.0.0.1:${at}`,
    "--data",
    folder,
  ]);
  return { url: `tcp://127.0.0.1:${port}`, pid, stop };
}

export const holdfast: Start = async () => {
  const { url, pid, stop } = await startBroker();
  return withWorker({ url }, { pids: [pid], stop });
};

/** A queue of ours at running brokers, with a worker on it. */
export function withWorker(
  options: Pick<ClientOptions, "url" | "lookup">,
  { pids, stop }: { pids: readonly number[]; stop(): Promise<void> },
): Running {
  const tasks = queue<Uint8Array, Uint8Array>("bench", { ...options, codec: bytesCodec });
  const running = worker(tasks, (body) => body, { concurrency: CONCURRENCY, signals: [] });
  return {
    add: () => tasks.add(BODY),
    call: () => tasks.call(BODY),
    serverPids: pids,
    async stop() {
      await running.close();
      await tasks.close();
      await stop();
    },
  };
}

export function bullmq(appendfsync: "always" | "everysec"): Start {
  return async () => {
    const { port, pid, stop } = await server(`redis-${appendfsync}`, (folder, at) => [
      "redis-server",
      ..."--bind 127.0.0.1 --save  --appendonly yes --appendfsync".split(" "),
      appendfsync,
      "--port",
      `${at}`,
      "--dir",
      folder,
    ]);
    const connection = { host: "127.0.0.1", port };
    const tasks = new BullQueue("bench", { connection });
    const events = new QueueEvents("bench", { connection });
    const running = new BullWorker("bench", async ({ data }: { data: string }) => data, {
      connection,
      concurrency: CONCURRENCY,
    });
    await Promise.all([events.waitUntilReady(), running.waitUntilReady()]);
    // Each call waits with a listener on both; without this each would also print a warning, which is no part of the queue.
    events.setMaxListeners(0);
    tasks.setMaxListeners(0);
    const body = BODY.toString();
    const options = { removeOnComplete: 1000, removeOnFail: 1000 };
    return {
      add: () => tasks.add("task", body, options),
      call: async () => (await tasks.add("task", body, options)).waitUntilFinished(events),
      serverPids: [pid],
      async stop() {
        await running.close();
        await events.close();
        await tasks.close();
        await stop();
      },
    };
  };
}

/** beanstalkd has no results: the worker puts them into a second tube, where the producer's side takes them. */
export function beanstalkd(...sync: readonly string[]): Start {
  return async () => {
    const { port, pid, stop } = await server("beanstalkd", (folder, at) => [
      "beanstalkd",
      "-l",
      "127.0.0.1",
      "-p",
      `${at}`,
      "-b",
      folder,
      ...sync,
    ]);
    const at = { host: "127.0.0.1", port };
    const clients: Jackd[] = [];
    const connect = async (use: string, watch: string): Promise<Jackd> => {
      const client = new JackdClient();
      await client.connect(at);
      await client.use(use);
      await client.watch(watch);
      clients.push(client);
      return client;
    };
    const waiting = new Map<string, () => void>();
    const state = { open: true };
    const loop = (client: Jackd, each: (payload: string) => Promise<unknown> | undefined): void => {
      const run = async (): Promise<void> => {
        while (state.open) {
          const { id, payload } = await client.reserve();
          await each(payload.toString());
          await client.delete(id);
        }
      };
      run().catch(() => (state.open = false));
    };
    // One connection takes one job at a time: sixteen of them work, sixteen bring results, sixteen submit.
    const producers: Jackd[] = [];
    for (let index = 0; index < CONNECTIONS; index += 1) {
      const working = await connect("results", "tasks");
      loop(working, (payload) => working.put(payload));
      loop(await connect("tasks", "results"), (payload) => {
        const key = payload.slice(0, KEY_BYTES);
        waiting.get(key)?.();
        waiting.delete(key);
        return undefined;
      });
      producers.push(await connect("tasks", "unused"));
    }
    let count = 0;
    const put = (): { key: string; done: Promise<unknown> } => {
      count += 1;
      const key = `${count}`.padStart(KEY_BYTES, "0");
      return { key, done: producers[count % CONNECTIONS]!.put(key + "x".repeat(BODY.length - KEY_BYTES)) };
    };
    return {
      add: () => put().done,
      call: async () => {
        const { key, done } = put();
        const result = new Promise<void>((resolve) => waiting.set(key, resolve));
        await done;
        await result;
      },
      serverPids: [pid],
      async stop() {
        state.open = false;
        await stop();
        await Promise.allSettled(clients.map((client) => client.disconnect()));
      },
    };
  };
}

const CONNECTIONS = 16;
const KEY_BYTES = 12;
