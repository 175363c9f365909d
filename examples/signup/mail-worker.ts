/** A worker in TypeScript: "sends" each mail into the outbox. Arguments: the queue's URL, the outbox folder. */
import { randomUUID } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { queue, worker } from "holdfast/queue";
import type { Mail, Receipt } from "./web.ts";

const [url = "tcp://127.0.0.1:5555", outbox = "outbox"] = process.argv.slice(2);
await mkdir(outbox, { recursive: true });

worker(queue<Mail, Receipt>("mails", { url }), async ({ to, subject, body }) => {
  await sleep(20); // as long as a mail server takes to answer
  const file = join(outbox, `${randomUUID()}.eml`);
  await writeFile(file, `To: ${to}\nSubject: ${subject}\n\n${body}`);
  return { file, sentBy: "TypeScript" };
});
console.log("the TypeScript worker is ready");
