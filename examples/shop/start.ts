/** Opens the shop: `npm run example:shop -- [PORT] [FOLDER]`. Broker, workers and page are in one process; each could have its own. */
import { once } from "node:events";
import { mkdir } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { resolve } from "node:path";
import { board } from "holdfast/board";
import { Broker, QueueClient } from "holdfast/queue";
import { invoicesOf, writeInvoices } from "./invoices.ts";
import { mailsOf, sendMails } from "./mails.ts";
import { reportsOf, writeReports } from "./nightly.ts";
import { makePictures, picturesOf } from "./pictures.ts";
import { payRefunds, refundsOf } from "./refunds.ts";
import { shopServer } from "./web.ts";

const [port = "8082", data = ".holdfast/shop"] = process.argv.slice(2);
const folder = resolve(data);
await mkdir(folder, { recursive: true });

const broker = new Broker({ listen: "tcp://127.0.0.1:0", data: folder });
await broker.listen();
const client = new QueueClient({ broker });
const shop = {
  folder,
  mails: mailsOf(client),
  pictures: picturesOf(client),
  invoices: await invoicesOf(client),
  refunds: refundsOf(client),
};
const reports = await reportsOf(client);
const workers = [
  sendMails(shop.mails, folder),
  ...makePictures(shop.pictures, folder),
  writeInvoices(shop.invoices, folder),
  payRefunds(shop.refunds, (order) => console.log(`paid back: ${order}`)),
  writeReports(reports, shop, console.log),
];

const ops = board({ queue: broker, path: "/ops", open: true });
const web = shopServer(shop, ops).listen(Number(port), "127.0.0.1");
await once(web, "listening");
const [next] = await reports.schedules.next("nightly-report");
console.log(
  `the shop is open at http://127.0.0.1:${(web.address() as AddressInfo).port}; the next report comes at ${next?.toISOString()}`,
);

async function stop(): Promise<void> {
  web.close();
  await ops.close();
  web.closeAllConnections();
  await Promise.all(workers.map((worker) => worker.close()));
  await client.close();
  await broker.close();
}
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => void stop());
