/** An approval: a refund waits for a person, for a week at most, and holds no place of a worker meanwhile. */
import { queue, worker, type Queue, type QueueClient, type Worker } from "holdfast/queue";

export interface Refund {
  readonly order: string;
}

export function refundsOf(client: QueueClient): Queue<Refund, string> {
  return queue<Refund, string>("refunds", { client });
}

export function payRefunds(refunds: Queue<Refund, string>, pay: (order: string) => void): Worker<Refund, string> {
  return worker(refunds, async ({ order }, task) => {
    const by = await task.waitFor("approved", { timeout: "7d" });
    if (by === undefined) return `${order}: nobody approved it`;
    await task.step("pay", () => pay(order)); // on record: paid once, whatever happens to this worker
    return `${order}: approved by ${JSON.stringify(by)}`;
  });
}
