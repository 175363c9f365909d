/**
 * `dns-child.ts HOSTS`, in a network of its own where HOSTS is /etc/hosts: three brokers on one port, and a client that knows them by a
 * name only. Tells what it saw as JSON. Look-ups come a hundred times as often as they do otherwise, nothing else is hurried.
 */
import { writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { Broker, bytesCodec, queue } from "../../../src/queue/index.ts";
import { LOOKUP_MS } from "../../../src/queue/client/broker-addresses.ts";
import { hostsFile } from "../../support/hosts-namespace.ts";
import { BROKER_HOSTS } from "../support/broker-hosts.ts";

const hosts = process.argv[2]!;
const later = globalThis.setTimeout;
globalThis.setTimeout = ((run: () => void, ms?: number) => later(run, ms === LOOKUP_MS ? ms / 100 : ms)) as typeof setTimeout;

const brokers = BROKER_HOSTS.map((host) => new Broker({ listen: `tcp://${host}:5555`, data: false }));
for (const broker of brokers) await broker.listen();
const jobs = queue<Uint8Array, Uint8Array>("jobs", { url: "tcp://brokers.test:5555", codec: bytesCodec });

/** At which brokers so many tasks, submitted at once, ended up. */
async function submit(count: number): Promise<number[]> {
  const tasks = await Promise.all(Array.from({ length: count }, () => jobs.add(new Uint8Array(1))));
  return brokers.map(({ id }) => tasks.filter((task) => task.id.startsWith(id)).length);
}

async function until(holds: (at: number[]) => boolean): Promise<number[]> {
  for (let tries = 0; tries < 100; tries += 1) {
    const at = await submit(10);
    if (holds(at)) return at;
    await sleep(50);
  }
  throw new Error("waited in vain");
}

const two = await until(([first, second]) => first! > 0 && second! > 0);
writeFileSync(hosts, hostsFile("brokers.test", BROKER_HOSTS.slice(1)));
await brokers[0]!.close();
// What is sent to a broker that has just gone waits for that broker: it may have it on disk.
while (jobs.client.links().some(({ broker }) => broker === brokers[0]!.id)) await sleep(10);
const moved = await until(([, , third]) => third! > 0);
const heavy = queue<Uint8Array, Uint8Array>("jobs", { url: "tcp://127.0.0.2:5555", codec: bytesCodec });
await heavy.addMany(Array.from({ length: 2000 }, () => new Uint8Array(1)));
const light = await until(([, second]) => second === 0);
process.stdout.write(JSON.stringify({ two, moved, light }));
process.exit(0);
