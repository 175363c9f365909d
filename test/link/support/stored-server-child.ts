/** A server with its sessions in a store, to be killed: appends what it takes to a file, with its key, and sends numbered commands. */
import { appendFileSync } from "node:fs";
import { listen } from "../../../src/link/index.ts";

const [port, folder, taken, first] = process.argv.slice(2);
process.on("disconnect", () => process.exit());
const server = await listen({
  port: Number(port),
  session: {
    store: folder!,
    willDelay: "1h",
    onMessage({ state }, message, number) {
      const key = `${Buffer.from(state.id).toString("hex")}-${number}`;
      appendFileSync(taken!, `${key} ${Buffer.from(message).toString()}\n`);
      return number % 3 === 0 ? new Promise((done) => setTimeout(done, number % 40)) : undefined;
    },
  },
});
process.send!("listening");
let number = Number(first);
setInterval(() => {
  const session = server.session("pump");
  if (!session) return;
  const command = number;
  number += 1;
  session.send(String(command)).then(
    () => process.send!(`confirmed ${command}`),
    (error: unknown) => process.send!(`failed ${String(error)}`),
  );
}, 3);
