/**
 * What listeners to a queue's events cost the broker: its CPU time a task with a hundred of them, each on a connection of its own, and with none.
 *
 *   node --conditions=holdfast-source bench/queue-events.ts [--listeners 100] [--seconds 4] [--rounds 3] [--producers 64] [--json]
 *
 * Wanted: all of them together at most 10 us a task. Each hears of every task's end; how many events it heard is compared with how many there were.
 */
import { fork } from "node:child_process";
import { once } from "node:events";
import { parseArgs } from "node:util";
import { Dealer } from "../src/zmq/index.ts";
import { startBroker, withWorker } from "./queue/rivals.ts";
import { cpuSeconds } from "./support/process.ts";
import { finding, type Finding, report } from "./support/report.ts";
import { spread } from "./support/rounds.ts";

interface Load {
  readonly listeners: number;
  readonly seconds: number;
  readonly producers: number;
}

interface Cost {
  /** The broker's. */
  readonly cpuMicroseconds: number;
  readonly tasks: number;
  /** By all listeners together. */
  readonly heard: number;
}

/** Full cycles for a while, with so many listeners. */
async function cost({ listeners, seconds, producers }: Load): Promise<Cost> {
  const broker = await startBroker();
  const running = withWorker({ url: broker.url }, { pids: [broker.pid], stop: broker.stop });
  const child =
    listeners > 0 ? fork(import.meta.filename, [broker.url, `${listeners}`], { execArgv: process.execArgv }) : undefined;
  try {
    await running.call();
    if (child) await once(child, "message");
    const before = cpuSeconds(broker.pid);
    const endMs = performance.now() + seconds * 1000;
    let tasks = 0;
    const produce = async (): Promise<void> => {
      for (; performance.now() < endMs; tasks += 1) await running.call();
    };
    await Promise.all(Array.from({ length: producers }, produce));
    let heard = 0;
    if (child) {
      for (let asked = 0; heard < tasks * listeners && asked < 100; asked += 1) {
        child.send("how many");
        [heard] = (await once(child, "message")) as [number];
      }
    }
    return { cpuMicroseconds: ((cpuSeconds(broker.pid) - before) * 1e6) / tasks, tasks, heard };
  } finally {
    child?.kill();
    await running.stop();
  }
}

/** In a process of its own. */
async function listen(url: string, count: number): Promise<void> {
  let heard = 0;
  const ready = Array.from({ length: count }, async () => {
    const dealer = new Dealer();
    dealer.connect(url);
    const ask = (after?: string): Promise<void> =>
      dealer.send([
        "HQ1",
        "OPERATE",
        "1",
        "events",
        JSON.stringify({ queue: "bench", events: ["completed"], after, waitMs: 60_000 }),
      ]);
    await ask();
    const follow = async (): Promise<void> => {
      for await (const [, , , json] of dealer) {
        heard += countIn(json!);
        await ask(cursorOf(json!));
      }
    };
    const [, , , json] = await dealer.receive();
    await ask(cursorOf(json!));
    void follow();
  });
  await Promise.all(ready);
  process.on("message", () => setTimeout(() => process.send!(heard), 100));
  process.send!("ready");
}

/** A listener that computes nothing leaves the machine to the broker. */
function countIn(json: Buffer): number {
  let count = 0;
  for (let at = json.indexOf(COMPLETED); at !== -1; at = json.indexOf(COMPLETED, at + 1)) count += 1;
  return count;
}

const COMPLETED = '"event":"completed"';

/** Of the whole answer: the only one in it. */
function cursorOf(json: Buffer): string {
  return /"cursor":"([^"]+)"\}$/.exec(json.subarray(-200).toString())![1]!;
}

export async function benchEvents({ rounds, ...load }: Load & { readonly rounds: number }): Promise<Finding[]> {
  const costs: Record<"with" | "without", number[]> = { with: [], without: [] };
  for (let round = 0; round < rounds; round += 1) {
    const { cpuMicroseconds, tasks, heard } = await cost(load);
    if (heard !== tasks * load.listeners) throw new Error(`${heard} of ${tasks * load.listeners} events were heard`);
    costs.with.push(cpuMicroseconds);
    costs.without.push((await cost({ ...load, listeners: 0 })).cpuMicroseconds);
  }
  const name = `${load.listeners} listeners`;
  const figures = { [name]: costs.with, none: costs.without };
  const more = { Holdfast: [Math.max(0, spread(costs.with).median - spread(costs.without).median)] };
  return [
    finding({ name: "the broker's CPU time a task", unit: "CPU µs/task" }, name, figures),
    finding({ name: `what ${name} add`, unit: "CPU µs/task", target: { atMost: 10 } }, "Holdfast", more),
  ];
}

const [url, count] = process.argv.slice(2);
if (process.send) await listen(url!, Number(count));
else if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      listeners: { type: "string", default: "100" },
      seconds: { type: "string", default: "4" },
      rounds: { type: "string", default: "3" },
      producers: { type: "string", default: "64" },
      json: { type: "boolean", default: false },
    },
  });
  const [listeners, seconds, rounds, producers] = [values.listeners, values.seconds, values.rounds, values.producers].map(
    Number,
  ) as [number, number, number, number];
  const findings = await benchEvents({ listeners, seconds, rounds, producers });
  report(findings, { json: values.json });
  process.exit(0);
}
