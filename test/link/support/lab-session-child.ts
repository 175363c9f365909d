/** A session client in the lab: sends a numbered message every 50 ms and says which are confirmed. */
import { connect } from "../../../src/link/index.ts";

const [host, port, localAddress, heartbeat] = process.argv.slice(2);
const client = await connect({
  host: host!,
  port: Number(port),
  localAddress: localAddress!,
  idle: "1s",
  interval: "1s",
  count: 2,
  reconnect: { base: 50, cap: 500 },
  session: { name: "lab", heartbeat: heartbeat! },
});
client.on("open", ({ resumed }) => console.log(`open ${resumed}`));
client.on("end", ({ reason }) => console.log(`end ${reason}`));
let number = 0;
setInterval(() => {
  number += 1;
  const mine = number;
  client.send(String(mine)).then(
    () => console.log(`confirmed ${mine}`),
    (error: unknown) => console.log(`failed ${mine} ${String(error)}`),
  );
}, 50);
