/**
 * What waiting tasks cost: memory a task, whether cycles get slower over a deep backlog, how long a start takes with it on disk.
 *
 *   node --conditions=holdfast-source bench/queue-memory.ts [--tasks 1000000] [--json]
 *
 * Wanted: under 300 bytes + body a waiting task, a start with a million tasks under 5 s, ten million neither slow nor fatal. The
 * service and its store run in this process, so that its memory is all there is.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { systemClock } from "../src/core/clock.ts";
import { seeded } from "../src/core/random.ts";
import type { Delivery } from "../src/queue/service/consumers.ts";
import { TaskService } from "../src/queue/service/task-service.ts";
import { SPEC_DEFAULT } from "../src/queue/tasks/task-policy.ts";
import { SqliteStore } from "../src/store/sqlite/sqlite-store.ts";
import { type Finding, finding, report, type Target } from "./support/report.ts";

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

const BODY_BYTES = 100;
/** Tasks of one submission, and cycles measured at each depth. */
const BATCH = 1000;
const CYCLES = 20_000;

export interface MemoryFigures {
  readonly tasks: number;
  /** Resident memory a waiting task, beyond what the process had before; bodies that are cached are in it. */
  readonly residentBytesPerTask: number;
  readonly heapBytesPerTask: number;
  readonly tableBytesPerTask: number;
  readonly addsPerSecond: number;
  /** Full cycles with nothing else waiting, and on top of the backlog. */
  readonly cyclesPerSecondEmpty: number;
  readonly cyclesPerSecondDeep: number;
  readonly startMs: number;
}

async function open(folder: string): Promise<TaskService> {
  const service = new TaskService({
    store: new SqliteStore({ folder }),
    clock: systemClock,
    random: seeded(1),
    bytesMax: 2 ** 42,
  });
  await service.open();
  return service;
}

async function add(service: TaskService, queue: string, count: number): Promise<void> {
  const bodies = Array.from({ length: BATCH }, () => new Uint8Array(BODY_BYTES));
  let flying: Promise<unknown>[] = [];
  for (let added = 0; added < count; added += BATCH) {
    const { promise, resolve, reject } = Promise.withResolvers();
    service.add({ queue, spec: SPEC_DEFAULT, bodies: bodies.slice(0, count - added) }, { added: resolve, refused: reject });
    flying.push(promise);
    if (flying.length < 8) continue;
    await Promise.all(flying);
    flying = [];
  }
  await Promise.all(flying);
}

/** Takes and finishes tasks of a queue, 256 at once. @returns a second */
async function cycles(service: TaskService, queue: string, count: number): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const taken: Delivery[] = [];
  let finished = 0;
  const startMs = performance.now();
  const finish = (): void => {
    for (const delivery of taken.splice(0)) service.finish(consumer, delivery, delivery.body, settled);
    service.flush();
  };
  const settled = (): void => {
    finished += 1;
    if (finished === count) resolve();
  };
  const consumer = service.consume(queue, {
    slots: 256,
    port: {
      task: (delivery) => {
        if (taken.push(delivery) === 1) setImmediate(finish);
      },
      revoked: () => {},
      recall: () => {},
    },
  });
  service.flush();
  await promise;
  const perSecond = (count * 1000) / (performance.now() - startMs);
  service.leave(consumer, { lost: false });
  return perSecond;
}

/** What is held when the garbage is gone: without that, the figures are those of the collector's mood. */
function memoryHeld(): NodeJS.MemoryUsage {
  collectGarbage();
  return process.memoryUsage();
}

export async function measureMemory(tasks: number): Promise<MemoryFigures> {
  const folder = mkdtempSync(join(tmpdir(), "bench-queue-memory-"));
  try {
    const service = await open(folder);
    const cycleCount = Math.min(CYCLES, tasks / 2);
    await add(service, "warm", cycleCount);
    const cyclesPerSecondEmpty = await cycles(service, "warm", cycleCount);
    const before = memoryHeld();
    const tableBefore = service.stats().tableBytes;
    const startMs = performance.now();
    await add(service, "deep", tasks);
    const addsPerSecond = (tasks * 1000) / (performance.now() - startMs);
    const after = memoryHeld();
    const tableBytesPerTask = (service.stats().tableBytes - tableBefore) / tasks;
    const cyclesPerSecondDeep = await cycles(service, "deep", cycleCount);
    await service.close();
    const startedMs = performance.now();
    const again = await open(folder);
    const started = performance.now() - startedMs;
    await again.close();
    return {
      tasks,
      residentBytesPerTask: (after.rss - before.rss) / tasks,
      heapBytesPerTask: (after.heapUsed - before.heapUsed) / tasks,
      tableBytesPerTask,
      addsPerSecond,
      cyclesPerSecondEmpty,
      cyclesPerSecondDeep,
      startMs: started,
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: { tasks: { type: "string", default: "1000000" }, json: { type: "boolean", default: false } },
  });
  report(findingsOf(await measureMemory(Number(values.tasks))), { json: values.json });
  process.exit(0);
}

function findingsOf(figures: MemoryFigures): Finding[] {
  const single = (name: string, unit: string, figure: number, target?: Target): Finding =>
    finding({ name, unit, ...(target && { target }) }, "holdfast", { holdfast: [figure] });
  const deep = `with ${figures.tasks} waiting tasks`;
  return [
    single(`resident memory ${deep}`, "bytes a task", figures.residentBytesPerTask, { atMost: 300 }),
    single(`the heap's part of it`, "bytes a task", figures.heapBytesPerTask),
    single(`the table's part of it`, "bytes a task", figures.tableBytesPerTask),
    single("adding", "tasks / s", figures.addsPerSecond),
    single("full cycles on an empty queue, without the network", "cycles / s", figures.cyclesPerSecondEmpty),
    single(`full cycles ${deep}, without the network`, "cycles / s", figures.cyclesPerSecondDeep),
    single(`start ${deep}`, "s", figures.startMs / 1000, { atMost: 5 }),
  ];
}
