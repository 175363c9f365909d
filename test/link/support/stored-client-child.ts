/** A client with a spool, to be killed: sends "RUN.1", "RUN.2", …, and appends to files what it has sent and what it was told. */
import { appendFileSync } from "node:fs";
import { connect } from "../../../src/link/index.ts";

const [addresses, folder, run, count] = process.argv.slice(2);
process.on("disconnect", () => process.exit());
const client = await connect({
  addresses: addresses!.split(","),
  session: {
    name: "pump",
    spool: `${folder}/spool`,
    keep: "1h",
    heartbeat: "1s",
    onMessage: (message) => appendFileSync(`${folder}/handled`, `${Buffer.from(message).toString()}\n`),
  },
  reconnect: { base: 5, cap: 50 },
});
client.on("gap", (gap) => process.send!(`gap ${JSON.stringify(gap)}`));
for (let number = 1; number <= Number(count); number += 1) {
  client.send(`${run}.${number}`).catch((error: unknown) => process.send!(`failed ${String(error)}`));
  if (number % 5 !== 0) continue;
  await new Promise((resolve) => setTimeout(resolve, 2));
  process.send!(`sent ${number}`);
}
while (client.unconfirmed.messages > 0) await new Promise((resolve) => setTimeout(resolve, 10));
process.send!("done");
