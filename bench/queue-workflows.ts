/**
 * What durable steps and flows cost, durable (fsync), broker and load in one process:
 *
 *   node --conditions=holdfast-source bench/queue-workflows.ts [--tasks 2000] [--rounds 3]
 *
 * CPU of a step against that of a whole task (added, taken, done), with as many at once; and tasks a second of flows of ten against the same
 * tasks added one by one. Wanted: a step at most 1.3 × a task, flows at least 0.7 ×.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Broker, flow, QueueClient, queue, worker } from "../src/queue/index.ts";

const AT_ONCE = 50;
const OF_FLOW = 10;

interface Cost {
  readonly cpuMicroseconds: number;
  readonly perSecond: number;
}

async function cost(count: number, act: () => Promise<void>): Promise<Cost> {
  const cpu = process.cpuUsage();
  const startMs = performance.now();
  await act();
  const { user, system } = process.cpuUsage(cpu);
  return { cpuMicroseconds: (user + system) / count, perSecond: (count * 1000) / (performance.now() - startMs) };
}

/** @returns one round's costs */
export async function measure(tasks: number): Promise<Record<"task" | "step" | "single" | "flow", Cost>> {
  const folder = await mkdtemp(join(tmpdir(), "holdfast-bench-"));
  const broker = new Broker({ listen: "tcp://127.0.0.1:0", data: folder, signals: [], log: false });
  await broker.listen();
  const client = new QueueClient({ url: broker.address, log: false });
  const plain = queue<number, number>("plain", { client });
  const stepping = queue<number, number>("stepping", { client });
  const options = { concurrency: AT_ONCE, prefetch: AT_ONCE, signals: [] };
  const steps = Math.ceil(tasks / AT_ONCE);
  const workers = [
    worker(plain, (n) => n, options),
    worker(
      stepping,
      async (n, task) => {
        for (let step = 0; step < n; step += 1) await task.step(`step ${step}`, () => step);
        return n;
      },
      options,
    ),
  ];
  const each = (count: number, act: () => Promise<unknown>): Promise<unknown> =>
    Promise.all(
      Array.from({ length: AT_ONCE }, async () => {
        for (let at = 0; at < count / AT_ONCE; at += 1) await act();
      }),
    );
  try {
    const task = await cost(tasks, async () => void (await each(tasks, () => plain.call(1))));
    const step = await cost(tasks, async () => void (await each(AT_ONCE, () => stepping.call(steps))));
    const single = await cost(tasks, async () => void (await each(tasks, () => plain.call(2))));
    const graph = Object.fromEntries(
      Array.from({ length: OF_FLOW }, (_, at) => [`t${at}`, { queue: plain, body: at, ...(at > 0 && { after: ["t0"] }) }]),
    );
    const whole = await cost(
      tasks,
      async () =>
        void (await each(tasks / OF_FLOW, async () => {
          const added = await flow(graph);
          await Promise.all(Object.values(added.tasks).map((one) => one.result()));
        })),
    );
    return { task, step, single, flow: whole };
  } finally {
    await Promise.all(workers.map((each_) => each_.close()));
    await client.close();
    await broker.close();
    await rm(folder, { recursive: true });
  }
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: { tasks: { type: "string", default: "2000" }, rounds: { type: "string", default: "3" } },
  });
  const rows = [];
  for (let round = 0; round < Number(values.rounds); round += 1) rows.push(await measure(Number(values.tasks)));
  for (const { task, step, single, flow: flows } of rows) {
    const [stepRatio, flowRatio] = [step.cpuMicroseconds / task.cpuMicroseconds, flows.perSecond / single.perSecond];
    console.log(
      `step ${step.cpuMicroseconds.toFixed(0)} us, task ${task.cpuMicroseconds.toFixed(0)} us: ${stepRatio.toFixed(2)} x; ` +
        `flows ${flows.perSecond.toFixed(0)}/s, single ${single.perSecond.toFixed(0)}/s: ${flowRatio.toFixed(2)} x`,
    );
  }
}
