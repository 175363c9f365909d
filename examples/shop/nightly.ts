/** A report each night at three, by the calendar of Berlin. The broker keeps the schedule; a night that it was away for is made up for once. */
import { queue, worker, type Queue, type QueueClient, type Worker } from "holdfast/queue";
import type { Shop } from "./orders.ts";

export async function reportsOf(client: QueueClient, cron = "0 3 * * *"): Promise<Queue<null, string>> {
  const reports = queue<null, string>("reports", { client });
  await reports.schedules.upsert("nightly-report", { cron, body: null, timeZone: "Europe/Berlin", missed: "latest" });
  return reports;
}

/** Tells `print` how many mails were sent and how many could not be. */
export function writeReports(
  reports: Queue<null, string>,
  { mails }: Pick<Shop, "mails">,
  print: (line: string) => void,
): Worker<null, string> {
  return worker(reports, async () => {
    const { completed, dead } = await mails.counts();
    const line = `report: ${completed} mails sent, ${dead} dead`;
    print(line);
    return line;
  });
}
