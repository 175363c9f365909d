/** A worker whose handler has steps, in a process of its own, to be killed: it says on stdout what each step came to. */
import { randomUUID } from "node:crypto";
import { queue, worker } from "../../../src/queue/index.ts";

const url = process.argv[2]!;
const orders = queue<number, string>("orders", { url });
const labels = queue<number, string>("labels", { url });

worker(labels, (n) => `label ${n}`, { signals: [], concurrency: 4 });
worker(
  orders,
  async (n, task) => {
    const part = async (name: string): Promise<string> => {
      const came = await task.step(name, () => `${name} ${randomUUID()}`);
      process.stdout.write(`${n} ${name} ${came}\n`);
      return came;
    };
    const charged = await part("charge");
    await task.sleep("20ms");
    const packed = await part("pack");
    const approved = await task.waitFor("approved");
    const label = await task.call(labels, n);
    const shipped = await part("ship");
    return [charged, packed, approved, label, shipped].join("; ");
  },
  { signals: [], concurrency: 8 },
);
