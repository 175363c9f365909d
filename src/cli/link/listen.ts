/**
 * ● `holdfast listen [[HOST:]PORT]`: accepts connections, prints what it receives to stdout and each connection's events to stderr.
 * Exits with 0 at SIGINT, SIGTERM or SIGHUP.
 */
import { type Address, parseAddress } from "../../core/address.ts";
import { UsageError } from "../../core/errors.ts";
import { showDuration } from "../../core/units.ts";
import { bound, listen, type ByteLink, type LinkServer, type SessionServer, type TuneReport } from "../../link/index.ts";
import { flags, parse } from "../shared/flags.ts";
import { LINK } from "../../settings/parts.ts";
import { type LinkListenOptions, linkOptions } from "../shared/part-options.ts";
import { readSettings, settingFlags } from "../shared/setting-flags.ts";
import { readToken } from "./link-flags.ts";
import { terminalOutput, type PrintUnit, type TerminalOutput } from "./printers.ts";
import { listenError } from "../shared/listen-error.ts";
import { warnIfOpen } from "../shared/open-warning.ts";
import { stopRequest } from "../shared/stop-request.ts";

interface Flags {
  readonly by: string;
  readonly sessions?: boolean;
  readonly tokenFile?: string;
  readonly json?: boolean;
}

type ListenAddress = Address & LinkListenOptions;

const SETTINGS = { tables: [LINK], alone: true } as const;

export async function run(argv: readonly string[]): Promise<number> {
  const command = flags("listen", "Accepts long-lived TCP connections and prints what it receives");
  settingFlags(command, SETTINGS)
    .argument("[address]", '[HOST:]PORT to listen on (default: "127.0.0.1:12345")')
    .option("--by <unit>", "output format: raw bytes, one byte per line, whole lines, or hex: raw, byte, line, hex", "raw")
    .option("--sessions", "use session mode (holdfast connect --session): each message is printed once, on its own line")
    .option("--token-file <path>", "file with the token that sessions must present")
    .option("--json", "print every event as one line of JSON");
  if (!(await parse(command, argv))) return 0;
  const options = command.opts<Flags>();
  const word = command.processedArgs[0] as string | undefined;
  const { link } = readSettings(command, SETTINGS, word === undefined ? {} : { "": [word] });
  const { host, port } = parseAddress(link.listen, "address");
  const target: ListenAddress = { host, port, ...linkOptions(link) };
  const output = terminalOutput(options.json, options.json ? "raw" : readBy(options.by));

  using stop = stopRequest();
  let server: LinkServer | SessionServer;
  try {
    server = options.sessions ? await listenSessions(target, options.tokenFile, output) : await listenBytes(target, output);
  } catch (error) {
    throw listenError(error, `listen on ${host}:${port}`, "give another address");
  }
  const locked = options.tokenFile !== undefined || target.tls?.ca !== undefined;
  if (!locked) warnIfOpen("link", server.address, options.sessions ? "--token-file" : "--ca");
  output.log(`listening on ${server.address}`);
  output.print.event?.({ event: "listening", address: server.address });

  await stop.requested;
  await server.close();
  return 0;
}

async function listenBytes(target: ListenAddress, { print, log }: TerminalOutput): Promise<LinkServer> {
  const server = await listen(target);
  server.on("open", (link, report) => {
    print.event?.({ event: "open", peer: link.peer, keepAlive: report.actual, warnings: report.warnings });
    for (const line of opened(link, report)) log(line);
  });
  server.on("bytes", (link, bytes) => print.bytes(link, bytes));
  server.on("end", (link, { reason, message }) => {
    print.end(link);
    print.event?.({ event: "end", peer: link.peer, reason, message });
    log(`${link.peer} ended: ${reason}, ${message}`);
  });
  return server;
}

async function listenSessions(
  target: ListenAddress,
  tokenFile: string | undefined,
  { print, log }: TerminalOutput,
): Promise<SessionServer> {
  const LF = Buffer.from("\n");
  const server = await listen({
    ...target,
    session: {
      ...(tokenFile !== undefined && { token: readToken(tokenFile) }),
      onMessage: ({ name, number }, message) => print.bytes({ id: number, peer: name }, Buffer.concat([message, LF])),
    },
  });
  server.on("presence", ({ name, peer }, presence, end) => {
    print.event?.({ event: presence, name, peer, reason: end?.reason });
    log(
      `${name || "(no name)"} ${presence}${peer === undefined ? "" : ` from ${peer}`}${end ? `: ${end.reason}, ${end.message}` : ""}`,
    );
  });
  server.on("gap", ({ name }, { from, to }) => {
    print.event?.({ event: "gap", name, from, to });
    log(`${name || "(no name)"} dropped its messages ${from} to ${to}`);
  });
  server.on("stranger", (peer, { reason, message }) => log(`${peer} did not open a session: ${reason}, ${message}`));
  return server;
}

const UNITS: readonly PrintUnit[] = ["raw", "byte", "line", "hex"];

function readBy(text: string): PrintUnit {
  const by = UNITS.find((unit) => unit === text);
  if (!by) throw new UsageError("CLI_USAGE", `Cannot print by '${text}': choose ${UNITS.join(", ")}`);
  return by;
}

/** Lines about a new connection: its keep-alive settings, and how soon a dead peer is detected. */
function opened(link: ByteLink, { actual, asked, warnings }: TuneReport): string[] {
  const { idleMs, intervalMs, count } = { ...asked, ...actual };
  const detected = showDuration(bound({ idle: idleMs, interval: intervalMs, count }).silentPeerMs);
  const times = `${showDuration(idleMs)}/${showDuration(intervalMs)}/${count}`;
  return [
    `${link.peer} connected, keep-alive ${times}, dead peer detected within ${detected}`,
    ...warnings.map(({ message }) => `  ${message}`),
  ];
}
