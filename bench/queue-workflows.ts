/**
 * What durable steps and flows cost, with commits that are on disk: CPU of a step beside that of a whole task (added, taken, done); tasks a
 * second of flows of ten beside the same tasks one by one; and steps a second beside DBOS on PostgreSQL, ten a workflow.
 *
 *   node --conditions=holdfast-source bench/queue-workflows.ts [--tasks 2000] [--rounds 5] [--seconds 3] [--json]
 *
 * Wanted: a step at most 1.3 × a task, flows at least 0.7 ×, five times the steps of DBOS.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { dbos } from "./queue/dbos.ts";
import { startBroker } from "./queue/rivals.ts";
import { type Finding, finding, report } from "./support/report.ts";
import { pairedRounds } from "./support/rounds.ts";
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

/** Workflows that run at once. */
const WORKFLOWS = 64;
const OF_WORKFLOW = 10;

/** What does workflows of so many steps. */
export interface Workflows {
  run(steps: number): Promise<unknown>;
  stop(): Promise<void>;
}

async function holdfast(): Promise<Workflows> {
  const { url, stop } = await startBroker();
  const tasks = queue<number, number>("workflows", { url, log: false });
  const running = worker(
    tasks,
    async (steps, task) => {
      for (let step = 0; step < steps; step += 1) await task.step(`step ${step}`, () => step);
      return steps;
    },
    { concurrency: WORKFLOWS, signals: [] },
  );
  return {
    run: (steps) => tasks.call(steps),
    async stop() {
      await running.close();
      await tasks.close();
      await stop();
    },
  };
}

/** Steps a second; the first quarter of the time is not counted. */
async function stepsPerSecond({ run }: Workflows, seconds: number): Promise<number> {
  const startMs = performance.now();
  const countFromMs = startMs + (seconds * 1000) / 4;
  const endMs = startMs + seconds * 1000;
  let steps = 0;
  const one = async (): Promise<void> => {
    while (performance.now() < endMs) {
      const beganMs = performance.now();
      await run(OF_WORKFLOW);
      if (beganMs >= countFromMs) steps += OF_WORKFLOW;
    }
  };
  await Promise.all(Array.from({ length: WORKFLOWS }, one));
  if (steps === 0) throw new Error(`No workflow ended within ${seconds} s`);
  return (steps * 1000) / (performance.now() - countFromMs);
}

async function besideDbos(rounds: number, seconds: number): Promise<Finding> {
  await using servers = new AsyncDisposableStack();
  const ours = servers.adopt(await holdfast(), (each) => each.stop());
  const theirs = servers.adopt(await dbos(), (each) => each.stop());
  const steps = await pairedRounds(rounds, {
    holdfast: () => stepsPerSecond(ours, seconds),
    dbos: () => stepsPerSecond(theirs, seconds),
  });
  const name = `steps, ${WORKFLOWS} workflows at once`;
  return finding({ name, unit: "steps/s", target: { against: "dbos", atLeast: 5 } }, "holdfast", steps);
}

async function ownCosts(rounds: number, tasks: number): Promise<Finding[]> {
  const seen: Awaited<ReturnType<typeof measure>>[] = [];
  for (let round = 0; round < rounds; round += 1) seen.push(await measure(tasks));
  const cpu = {
    "a step": seen.map(({ step }) => step.cpuMicroseconds),
    "a task": seen.map(({ task }) => task.cpuMicroseconds),
  };
  const tasksOf = {
    "in flows of ten": seen.map(({ flow: flows }) => flows.perSecond),
    "one by one": seen.map(({ single }) => single.perSecond),
  };
  return [
    finding({ name: "CPU of broker and load", unit: "CPU µs", target: { against: "a task", atMost: 1.3 } }, "a step", cpu),
    finding({ name: "tasks", unit: "tasks/s", target: { against: "one by one", atLeast: 0.7 } }, "in flows of ten", tasksOf),
  ];
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      tasks: { type: "string", default: "2000" },
      rounds: { type: "string", default: "5" },
      seconds: { type: "string", default: "3" },
      json: { type: "boolean", default: false },
    },
  });
  const rounds = Number(values.rounds);
  const costs = await ownCosts(rounds, Number(values.tasks));
  report([...costs, await besideDbos(rounds, Number(values.seconds))], { json: values.json });
  process.exit(0);
}
