/**
 * ● `holdfast listen [[HOST:]PORT]`: accepts connections, prints the bytes that come to stdout and each connection's life to
 * stderr. Ends at SIGINT or SIGTERM with 0.
 */
import { parseAddress } from "../core/address.ts";
import { UsageError } from "../core/errors.ts";
import { showDuration } from "../core/units.ts";
import { bound, listen } from "../link/index.ts";
import type { ByteLink, LinkEnd, LinkServer, TuneReport } from "../link/index.ts";
import { flags, parse } from "./flags.ts";
import { keepAliveFlags, readKeepAliveFlags } from "./link-flags.ts";
import type { KeepAliveFlags } from "./link-flags.ts";
import { printers } from "./link-print.ts";
import type { By } from "./link-print.ts";
import { listenError } from "./listen-error.ts";
import { stopRequest } from "./signals.ts";

interface Flags extends KeepAliveFlags {
  readonly by?: string;
  readonly json?: boolean;
}

export async function run(argv: readonly string[]): Promise<number> {
  const command = keepAliveFlags(flags("listen", "Accepts long-term connections and prints what comes over them"))
    .argument("[address]", "[HOST:]PORT to listen on", `127.0.0.1:12345`)
    .option("--by <unit>", "print as it comes (raw), or one byte, line or chunk in hex a line: raw, byte, line, hex", "raw")
    .option("--json", "print every event as one line of JSON");
  if (!(await parse(command, argv))) return 0;
  const options = command.opts<Flags>();
  const { host, port } = parseAddress(command.processedArgs[0] as string, "address");
  const print = printers(options.json ? "json" : readBy(options.by ?? "raw"));
  const keepAlive = readKeepAliveFlags(options);

  let server: LinkServer;
  try {
    server = await listen({ host, port, ...keepAlive });
  } catch (error) {
    throw listenError(error, `listen on ${host}:${port}`, "give another address");
  }
  const talk = options.json ? () => {} : (line: string) => void process.stderr.write(`${line}\n`);
  server.on("open", (link, report) => {
    print.event?.({ event: "open", peer: link.peer, keepAlive: report.actual, warnings: report.warnings });
    for (const line of opened(link, report)) talk(line);
  });
  server.on("bytes", (link, bytes) => print.bytes(link, bytes));
  server.on("end", (link, end) => {
    print.end(link);
    print.event?.({ event: "end", peer: link.peer, reason: end.reason, message: end.message });
    talk(ended(link, end));
  });
  talk(`listening on ${server.address}`);
  print.event?.({ event: "listening", address: server.address });

  using stop = stopRequest();
  await stop.requested;
  await server.close();
  return 0;
}

const UNITS: readonly By[] = ["raw", "byte", "line", "hex"];

function readBy(text: string): By {
  const by = UNITS.find((unit) => unit === text);
  if (!by) throw new UsageError("CLI_USAGE", `Cannot print by '${text}': choose ${UNITS.join(", ")}`);
  return by;
}

/** What a person wants to know when a connection comes: what is armed, and when its death would be noticed. */
function opened(link: ByteLink, { actual, asked, warnings }: TuneReport): string[] {
  const { idleMs, intervalMs, count } = { ...asked, ...actual };
  const found = showDuration(bound({ idle: idleMs, interval: intervalMs, count }).silentPeerMs);
  const times = `${showDuration(idleMs)}/${showDuration(intervalMs)}/${count}`;
  return [
    `${link.peer} connected, armed ${times} → dead peer found in ${found}`,
    ...warnings.map(({ message }) => `  ${message}`),
  ];
}

function ended(link: ByteLink, { reason, message }: LinkEnd): string {
  return `${link.peer} ended: ${reason}, ${message}`;
}
