/** A client with a name in a process of its own, to be killed: tells its parent every message that comes. */
import { connect } from "../../../src/link/index.ts";

const [port, name] = process.argv.slice(2);
process.on("disconnect", () => process.exit());
await connect({
  port: Number(port),
  session: { name: name!, will: "lost", onMessage: (message) => void process.send!(Buffer.from(message).toString()) },
});
