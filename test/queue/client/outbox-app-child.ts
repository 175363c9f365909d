/**
 * An application that takes orders until it is killed: each is a row and a mail in one transaction, every fifth is rolled back. It relays its
 * outbox and works on the mails, and now and then dies between an effect and its task's end. Arguments: the database, the broker.
 */
import { Pool } from "pg";
import { outboxRelay, queue, worker } from "../../../src/queue/index.ts";

const [databaseUrl, brokerUrl] = process.argv.slice(2) as [string, string];
const pool = new Pool({ connectionString: databaseUrl });
const mails = queue<{ order: number }, number>("mails", { url: brokerUrl });
outboxRelay({ db: pool, client: mails.client, every: "20ms" });
let mailed = 0;
worker(
  mails,
  async ({ order }, task) => {
    const count = await task.once(pool, async (tx) => {
      const { rows } = await tx.query("UPDATE orders SET mails = mails + 1 WHERE id = $1 RETURNING mails", [order]);
      return (rows as { mails: number }[])[0]!.mails;
    });
    mailed += 1;
    if (mailed % 7 === 0) throw new Error("after the effect");
    return count;
  },
  { concurrency: 4, onError: () => {}, backoff: 10 },
);

const client = await pool.connect();
for (let taken = 0; ; taken += 1) {
  await client.query("BEGIN");
  const { rows } = await client.query<{ id: number }>("INSERT INTO orders (mails) VALUES (0) RETURNING id");
  await mails.enqueue(client, { order: rows[0]!.id }, { attempts: 100 });
  await client.query(taken % 5 === 4 ? "ROLLBACK" : "COMMIT");
  process.stdout.write(`${rows[0]!.id}\n`);
}
