/** A server with its sessions in a store, to be killed: appends what it takes to a file, with its key, and sends numbered commands. */
import { appendFileSync } from "node:fs";
import { listen } from "../../../src/link/index.ts";

const [host, port, store, taken] = process.argv.slice(2);
process.on("disconnect", () => process.exit());
const server = await listen({
  host: host!,
  port: Number(port),
  session: {
    store: store!,
    willDelay: "1h",
    onMessage({ state }, message, number) {
      const key = `${Buffer.from(state.id).toString("hex")}-${number}`;
      appendFileSync(taken!, `${key} ${Buffer.from(message).toString()}\n`);
      return number % 3 === 0 ? new Promise((done) => setTimeout(done, number % 40)) : undefined;
    },
  },
});
process.send!("listening");
server.on("leading", (leading) => process.send!(leading ? "leads" : "follows"));
let last = 0;
setInterval(() => {
  const session = server.session("pump");
  if (!session) return;
  const command = (last = Math.max(Date.now(), last + 1)); // above those of servers before this one
  session.send(String(command)).then(
    () => process.send!(`confirmed ${command}`),
    (error: unknown) => process.send!(`failed ${String(error)}`),
  );
}, 3);
