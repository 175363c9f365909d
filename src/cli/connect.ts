/**
 * ● `holdfast connect HOST:PORT`: sends the lines of stdin as they come and prints what comes back. Ends with 0 at stdin's end, at
 * SIGINT and SIGTERM, and when the server closes; with 1 when the connection breaks otherwise and `--reconnect` is off.
 */
import { parseAddress } from "../core/address.ts";
import { connect } from "../link/index.ts";
import type { LinkClient } from "../link/index.ts";
import { showDuration } from "../core/units.ts";
import { flags, parse } from "./flags.ts";
import { keepAliveFlags, readKeepAliveFlags } from "./link-flags.ts";
import type { KeepAliveFlags } from "./link-flags.ts";
import { printers } from "./link-print.ts";
import { stopRequest } from "./signals.ts";

interface Flags extends KeepAliveFlags {
  readonly reconnect?: boolean;
  readonly json?: boolean;
}

export async function run(argv: readonly string[]): Promise<number> {
  const command = keepAliveFlags(flags("connect", "Makes a long-term connection; sends the lines of stdin, prints what comes"))
    .argument("<address>", "HOST:PORT to connect to")
    .option("--reconnect", "connect again whenever the connection ends")
    .option("--json", "print every event as one line of JSON");
  if (!(await parse(command, argv))) return 0;
  const options = command.opts<Flags>();
  const { host, port } = parseAddress(command.processedArgs[0] as string, "address", { port: 12_345 });
  const print = printers(options.json ? "json" : "raw");
  const talk = options.json ? () => {} : (line: string) => void process.stderr.write(`${line}\n`);

  const client = await connect({ host, port, reconnect: options.reconnect ?? false, ...readKeepAliveFlags(options) });
  client.on("open", (link) => talk(`connected to ${link.peer}`));
  client.on("bytes", (bytes) => print.bytes(client.link!, bytes));
  client.on("end", (end) => {
    print.event?.({ event: "end", reason: end.reason, message: end.message });
    talk(`ended: ${end.reason}, ${end.message}`);
  });
  client.on("waiting", (inMs) => talk(`connecting again in ${showDuration(inMs)}`));
  if (client.link) talk(`connected to ${client.link.peer}`);

  using stop = stopRequest();
  void sendInput(client);
  const end = await Promise.race([client.closed, stop.requested.then(() => undefined)]);
  process.stdin.destroy();
  await client.close();
  return end === undefined || end.reason === "fin" || end.reason === "closed" ? 0 : 1;
}

/** Sends stdin as it comes: a terminal hands over whole lines. Waits for each send, so that a slow peer slows stdin down. */
async function sendInput(client: LinkClient): Promise<void> {
  for await (const chunk of process.stdin) {
    while (!client.link) await new Promise<void>((resolve) => client.once("open", () => resolve()));
    await client.send(chunk as Buffer);
  }
  await client.close();
}
