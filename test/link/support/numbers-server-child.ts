/** A server in a process of its own, to be killed: prints each number that came, once it is taken. */
import { writeSync } from "node:fs";
import { listen } from "../../../src/link/index.ts";

await listen({
  port: Number(process.argv[2]),
  session: { onMessage: (_session, message) => void writeSync(1, `${Number.parseInt(Buffer.from(message).toString(), 10)}\n`) },
});
writeSync(1, "listening\n");
