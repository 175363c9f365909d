import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { test } from "node:test";
import { Broker, queue } from "../../../src/queue/index.ts";

/** A process with workers on two queues. A poison kills it at once: nothing that the handler says is sent any more. */
const WORKERS = `
  import { queue, worker } from ${JSON.stringify(join(import.meta.dirname, "../../../src/queue/index.ts"))};
  const handler = async (name) => {
    if (name === "poison") process.kill(process.pid, "SIGKILL");
    await new Promise((resolve) => setTimeout(resolve, 30));
    return name;
  };
  for (const name of ["mails", "pictures"]) {
    const options = { concurrency: 3, prefetch: 3 };
    worker(queue(name, { url: process.argv[1] }), handler, options);
  }
`;

test("a task that kills its process at once dies alone: what lay beside it, in its queue or another, is done", async (t) => {
  const broker = new Broker({ listen: "tcp://127.0.0.1:0", data: false });
  await broker.listen();
  t.after(() => broker.close());
  const mails = queue<string, string>("mails", { url: broker.address });
  const pictures = queue<string, string>("pictures", { url: broker.address });
  t.after(() => Promise.all([mails.close(), pictures.close()]));
  const innocents = Array.from({ length: 12 }, (_, at) => `innocent ${at}`);
  const [poison, ...others] = await mails.addMany(["poison", ...innocents]);
  others.push(...(await pictures.addMany(innocents)));
  const results = Promise.all(others.map((task) => task.result({ timeout: "60s" })));
  const dead = poison!.result({ timeout: "60s" }).then(
    () => "done",
    (error: unknown) => (error as { code: string }).code,
  );
  const run = { isOver: false };
  const running = (async (): Promise<number> => {
    let processes = 0;
    for (; !run.isOver; processes += 1) {
      const child = spawn(
        process.execPath,
        ["--conditions=holdfast-source", "--input-type=module", "--eval", WORKERS, broker.address],
        { stdio: "inherit" },
      );
      const kill = (): void => void child.kill("SIGKILL");
      t.after(kill);
      void Promise.allSettled([results, dead]).then(kill);
      await once(child, "exit");
    }
    return processes;
  })();
  assert.equal(await dead, "QUEUE_TASK_DEAD");
  assert.deepEqual(await results, [...innocents, ...innocents]);
  run.isOver = true;
  const processes = await running;
  assert.ok(processes >= 10 && processes <= 12, `${processes} processes`);
});
