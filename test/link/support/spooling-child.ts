/** A client with a spool, to be killed: sends "RUN.1", "RUN.2", …, to a port or a URL, and tells its parent of each that is in its spool. */
import { connect } from "../../../src/link/index.ts";

const [address, spool, run, count] = process.argv.slice(2);
process.on("disconnect", () => process.exit());
const client = await connect({
  ...(address!.startsWith("ws:") ? { url: address! } : { port: Number(address) }),
  session: { name: "spooler", spool: spool! },
  reconnect: { base: 1, cap: 20 },
});
for (let number = 1; number <= Number(count); number += 1) {
  client.send(`${run}.${number}`).catch((error: unknown) => process.send!(`failed ${String(error)}`));
  if (number % 7 !== 0) continue;
  await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
  process.send!(`taken ${number}`);
}
await client.close({ within: "20s" });
process.send!("closed");
process.disconnect!();
