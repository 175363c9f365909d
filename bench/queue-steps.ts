/**
 * Durable steps: workflows of ten steps that do nothing, each on record before the next begins, against the same tasks without steps, and
 * DBOS on PostgreSQL.
 *
 *   node --conditions=holdfast-source bench/queue-steps.ts [--rounds 5] [--seconds 3] [--at-once 64] [--json]
 *
 * Wanted: five times the steps of DBOS a second, and at most 1.3 times the time of a task for each step.
 */
import { parseArgs } from "node:util";
import { queue, worker } from "../src/queue/index.ts";
import { startBroker } from "./queue/rivals.ts";
import { dbos } from "./queue/dbos.ts";
import { type Finding, finding, report } from "./support/report.ts";
import { pairedRounds } from "./support/rounds.ts";

const STEPS = 10;

export interface Workflows {
  /** Resolves when a workflow of so many steps has ended. */
  run(steps: number): Promise<unknown>;
  stop(): Promise<void>;
}

export async function holdfast(): Promise<Workflows> {
  const { url, stop } = await startBroker();
  const tasks = queue<number, number>("workflows", { url, log: false });
  const running = worker(
    tasks,
    async (steps, task) => {
      for (let step = 0; step < steps; step += 1) await task.step(`step ${step}`, () => step);
      return steps;
    },
    { concurrency: 256, signals: [] },
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

/** Workflows a second, so many at once, the first quarter of the time not counted. */
export async function perSecond(
  workflows: Workflows,
  { steps, seconds, atOnce }: { steps: number; seconds: number; atOnce: number },
): Promise<number> {
  const startMs = performance.now();
  const countFromMs = startMs + (seconds * 1000) / 4;
  const endMs = startMs + seconds * 1000;
  let done = 0;
  const one = async (): Promise<void> => {
    while (performance.now() < endMs) {
      const beganMs = performance.now();
      await workflows.run(steps);
      if (beganMs >= countFromMs) done += 1;
    }
  };
  await Promise.all(Array.from({ length: atOnce }, one));
  if (done === 0) throw new Error(`No workflow of ${steps} steps ended within ${seconds} s`);
  return (done * 1000) / (performance.now() - countFromMs);
}

interface BenchOptions {
  readonly rounds: number;
  readonly seconds: number;
  readonly atOnce: number;
}

export async function bench({ rounds, seconds, atOnce }: BenchOptions): Promise<Finding[]> {
  await using servers = new AsyncDisposableStack();
  const ours = servers.adopt(await holdfast(), (each) => each.stop());
  const theirs = servers.adopt(await dbos(), (each) => each.stop());
  const steps = await pairedRounds(rounds, {
    holdfast: async () => STEPS * (await perSecond(ours, { steps: STEPS, seconds, atOnce })),
    dbos: async () => STEPS * (await perSecond(theirs, { steps: STEPS, seconds, atOnce })),
  });
  // What a step costs beside what a task costs: the time of workflows with and without steps.
  const times = await pairedRounds(rounds, {
    "a step": async () => {
      const [without, with_] = [
        await perSecond(ours, { steps: 0, seconds, atOnce }),
        await perSecond(ours, { steps: STEPS, seconds, atOnce }),
      ];
      return (1000 / with_ - 1000 / without) / STEPS;
    },
    "a task": async () => 1000 / (await perSecond(ours, { steps: 0, seconds, atOnce })),
  });
  const many = `${atOnce} workflows at once`;
  return [
    finding({ name: `steps, ${many}`, unit: "steps/s", target: { against: "dbos", atLeast: 5 } }, "holdfast", steps),
    finding({ name: `time each, ${many}`, unit: "ms", target: { against: "a task", atMost: 1.3 } }, "a step", times),
  ];
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      rounds: { type: "string", default: "5" },
      seconds: { type: "string", default: "3" },
      "at-once": { type: "string", default: "64" },
      json: { type: "boolean", default: false },
    },
  });
  const atOnce = Number(values["at-once"]);
  report(await bench({ rounds: Number(values.rounds), seconds: Number(values.seconds), atOnce }), { json: values.json });
  process.exit(0);
}
