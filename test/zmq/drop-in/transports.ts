import { tmpdir } from "node:os";
import { join } from "node:path";
import { Context, Pair } from "zeromq";

const context = new Context({ maxSockets: 10 });
console.log(context.maxSockets, context.ipv6, context.blocky);
for (const endpoint of [
  "inproc://somewhere",
  `ipc://${join(tmpdir(), `drop-in-${process.pid}`)}`,
  "ipc://@drop-in-*",
  "tcp://127.0.0.1:*",
]) {
  const one = new Pair({ context, linger: 0 });
  const other = new Pair({ context, linger: 0 });
  await one.bind(endpoint.replace("drop-in-*", `drop-in-${process.pid}`));
  other.connect(one.lastEndpoint!);
  await other.send(["to", "one"]);
  console.log((await one.receive()).map(String));
  await one.send("to other");
  console.log((await other.receive()).map(String), one.context === context);
  await one.unbind(one.lastEndpoint!);
  other.close();
  one.close();
}
