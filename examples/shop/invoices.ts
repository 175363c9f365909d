/** Limits for each customer: who orders a thousand things at once waits for himself only. */
import { appendFile } from "node:fs/promises";
import { join } from "node:path";
import { queue, worker, type Queue, type QueueClient, type Worker } from "holdfast/queue";

export interface Invoice {
  readonly order: string;
  readonly customer: string;
}

export async function invoicesOf(client: QueueClient): Promise<Queue<Invoice>> {
  const invoices = queue<Invoice>("invoices", { client });
  // A task's group is its customer: one invoice of each at a time, and five a second. It can be changed while the shop is open.
  await invoices.configure({ groupConcurrency: 1, groupRate: { count: 5, perMs: 1000 } });
  return invoices;
}

export function writeInvoices(invoices: Queue<Invoice>, folder: string): Worker<Invoice, unknown> {
  return worker(
    invoices,
    ({ customer, order }) => appendFile(join(folder, "invoices.txt"), `${Date.now()} ${customer} ${order}\n`),
    { concurrency: 10 },
  );
}
