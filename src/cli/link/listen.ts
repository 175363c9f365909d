/**
 * ● `holdfast listen [[HOST:]PORT]`: accepts connections, prints what it receives to stdout and each connection's events to stderr.
 * Exits with 0 at SIGINT, SIGTERM or SIGHUP.
 */
import { type Address, parseAddress, showAddress } from "../../core/address.ts";
import { UsageError } from "../../core/errors.ts";
import { showDuration } from "../../core/units.ts";
import { bound, listen, SessionServer, type ByteLink, type LinkServer, type TuneReport } from "../../link/index.ts";
import { commandLog } from "../shared/command-log.ts";
import { flags, parse } from "../shared/flags.ts";
import { DASHBOARD_ALONE, LINK_ALONE, LOG } from "../../settings/parts.ts";
import { type LinkListenOptions, linkOptions } from "../shared/part-options.ts";
import { readSettings, settingFlags } from "../shared/setting-flags.ts";
import { type ByteFormat, terminalOutput, type PrintUnit, type TerminalOutput } from "./printers.ts";
import { listenError } from "../shared/listen-error.ts";
import { ownPage } from "../shared/own-page.ts";
import { warnIfOpen } from "../shared/open-warning.ts";
import { listenWebSocket, type WebSocketListener } from "../shared/websocket-listener.ts";
import { stopRequest } from "../shared/stop-request.ts";
import { tellStrangers, type EventLog } from "./strangers.ts";

interface Flags {
  readonly by: string;
  readonly format: string;
  readonly sessions?: boolean;
  readonly json?: boolean;
}

type ListenAddress = Address & LinkListenOptions;

const SETTINGS = { tables: [LINK_ALONE, DASHBOARD_ALONE, LOG], alone: true } as const;

export async function run(argv: readonly string[]): Promise<number> {
  const command = flags("listen", "Accepts long-lived TCP connections and prints what it receives");
  settingFlags(command, SETTINGS)
    .argument("[address]", '[HOST:]PORT to listen on (default: "127.0.0.1:12345")')
    .option("--by <unit>", "output format: raw bytes, one byte per line, whole lines, or hex: raw, byte, line, hex", "raw")
    .option("--format <format>", "how --by byte prints a byte: plain, or python as print(connection.recv(1)) does", "plain")
    .option("--sessions", "use session mode (holdfast connect --session): each message is printed once, on its own line")
    .option("--json", "print every event as one line of JSON");
  if (!(await parse(command, argv))) return 0;
  const options = command.opts<Flags>();
  const word = command.processedArgs[0] as string | undefined;
  const settings = readSettings(command, SETTINGS, word === undefined ? {} : { "": [word] });
  const { link } = settings;
  const { host, port } = parseAddress(link.listen, "address");
  if (link.data !== undefined && link.store !== undefined) throw new UsageError("CLI_USAGE", "Use --data or --store, not both");
  const target: ListenAddress = { host, port, ...linkOptions(link) };
  const output = terminalOutput(options.json, options.json ? "raw" : readBy(options.by), readFormat(options));
  const log = commandLog(settings.log, { level: "info" });
  const isForPeople = settings.log.format === undefined && settings.log.level === undefined;
  const tell: EventLog = (event, facts, ...lines) => {
    if (isForPeople) for (const line of lines) output.log(line);
    else log(event, facts);
  };

  const tellListening = (address: string): void => {
    tell("link.listening", { address }, `listening on ${address}`);
    output.print.event?.({ event: "listening", address });
  };
  const tellStandby = (): void => {
    tell("link.standby", {}, "standing by until no other server of the group takes clients");
    output.print.event?.({ event: "standby" });
  };

  using stop = stopRequest();
  let server: LinkServer | SessionServer;
  let web: WebSocketListener | undefined;
  try {
    server = options.sessions
      ? await listenSessions(target, { token: link.token, store: link.store ?? link.data, output, tell })
      : await listenBytes(target, output, tell);
  } catch (error) {
    throw listenError(error, `listen on ${host}:${port}`, "give another address");
  }
  try {
    if (server instanceof SessionServer) web = await listenWebSocket(link, server, target.tls);
    else if (link.websocket !== undefined) throw new UsageError("CLI_USAGE", "--websocket needs --sessions");
    else if (link.data !== undefined) throw new UsageError("CLI_USAGE", "--data needs --sessions");
    else if (link.store !== undefined) throw new UsageError("CLI_USAGE", "--store needs --sessions");
  } catch (error) {
    await server.close();
    throw error;
  }
  const locked = link.token !== undefined || target.tls?.ca !== undefined;
  for (const address of locked ? [] : [server.address || showAddress({ host, port }), ...(web ? [web.address] : [])])
    warnIfOpen("link", address, { log, see: options.sessions ? "--token-file" : "--ca" });
  if (options.format === "python" && isForPeople) output.log(PYTHON_ADVICE);
  if (server instanceof SessionServer)
    server.on("leading", (leading) => (leading ? tellListening(server.address) : tellStandby()));
  if (server instanceof SessionServer && !server.leading) tellStandby();
  else tellListening(server.address);
  if (web) {
    tell("link.listening", { address: web.address }, `listening on ${web.address} by WebSocket`);
    output.print.event?.({ event: "listening", address: web.address, transport: "websocket" });
  }

  try {
    await using _page = await ownPage(settings.dashboard, { link: server }, log);
    await stop.requested;
  } finally {
    await server.close();
    await web?.close();
  }
  return 0;
}

async function listenBytes(target: ListenAddress, { print }: TerminalOutput, tell: EventLog): Promise<LinkServer> {
  const server = await listen(target);
  server.on("open", (link, report) => {
    print.event?.({ event: "open", peer: link.peer, keepAlive: report.actual, warnings: report.warnings });
    tell("link.open", { peer: link.peer, keepAlive: report.actual }, ...opened(link, report));
  });
  server.on("bytes", (link, bytes) => print.bytes(link, bytes));
  server.on("end", (link, { reason, message }) => {
    print.end(link);
    print.event?.({ event: "end", peer: link.peer, reason, message });
    tell("link.end", { peer: link.peer, reason, message }, `${link.peer} ended: ${reason}, ${message}`);
  });
  return server;
}

async function listenSessions(
  target: ListenAddress,
  {
    token,
    store,
    output: { print },
    tell,
  }: {
    readonly token: string | undefined;
    readonly store: string | undefined;
    readonly output: TerminalOutput;
    readonly tell: EventLog;
  },
): Promise<SessionServer> {
  const LF = Buffer.from("\n");
  const server = await listen({
    ...target,
    session: {
      ...(token !== undefined && { token }),
      ...(store !== undefined && { store }),
      onMessage: ({ name, number }, message) => print.bytes({ id: number, peer: name }, Buffer.concat([message, LF])),
    },
  });
  server.on("presence", ({ name, peer }, presence, end) => {
    print.event?.({ event: presence, name, peer, reason: end?.reason });
    tell(
      "link.presence",
      { name, peer, presence, reason: end?.reason, message: end?.message },
      `${name || "(no name)"} ${presence}${peer === undefined ? "" : ` from ${peer}`}${end ? `: ${end.reason}, ${end.message}` : ""}`,
    );
  });
  server.on("gap", ({ name }, { from, to }) => {
    print.event?.({ event: "gap", name, from, to });
    tell("link.gap", { name, from, to }, `${name || "(no name)"} dropped its messages ${from} to ${to}`);
  });
  server.on("store", (trouble) =>
    trouble
      ? tell("link.store-trouble", { error: trouble.message }, trouble.message)
      : tell("link.store-recovered", {}, "the sessions' store can be written again"),
  );
  tellStrangers(server, tell);
  return server;
}

const UNITS: readonly PrintUnit[] = ["raw", "byte", "line", "hex"];

function readBy(text: string): PrintUnit {
  const by = UNITS.find((unit) => unit === text);
  if (!by) throw new UsageError("CLI_USAGE", `Cannot print by '${text}': choose ${UNITS.join(", ")}`);
  return by;
}

function readFormat({ by, format }: Flags): ByteFormat {
  if (format !== "plain" && format !== "python")
    throw new UsageError("CLI_USAGE", `Cannot print bytes as '${format}': choose plain, python`);
  if (format === "python" && by !== "byte") throw new UsageError("CLI_USAGE", "--format python needs --by byte");
  return format;
}

/** Whoever prints like the exercise's program has read that, and may wonder why it sends no probe. */
const PYTHON_ADVICE =
  "a Python server that says 'from socket import socket' and asks hasattr(socket, 'SO_KEEPALIVE') asks the class, which has no such name, " +
  "and never sends a probe; write 'import socket', or drop the question. This one sends them";

/** Lines about a new connection: its keep-alive settings, and how soon a dead peer is detected. */
function opened(link: ByteLink, { actual, asked, warnings }: TuneReport): string[] {
  const { idleMs, intervalMs, count, userTimeoutMs } = { ...asked, ...actual };
  const userTimeout = userTimeoutMs || "off";
  const { silentPeerMs, silentPeerFirstMs } = bound({ idle: idleMs, interval: intervalMs, count, userTimeout });
  const times = `${showDuration(idleMs)}/${showDuration(intervalMs)}/${count}`;
  return [
    `${link.peer} connected, keep-alive ${times}, dead peer detected within ${showDuration(silentPeerMs)}, ${showDuration(silentPeerFirstMs)} after activity`,
    ...warnings.map(({ message }) => `  ${message}`),
  ];
}
