/**
 * ● `holdfast connect HOST:PORT`: sends the lines of stdin and prints what it receives. Exits with 0 at stdin's end, at SIGINT, SIGTERM
 * and SIGHUP, and when the server closes; with 1 when the connection breaks otherwise and `--reconnect` is off, and when another client
 * takes the session's name.
 */
import { createInterface } from "node:readline";
import { parseAddress } from "../../core/address.ts";
import { messageOf, UsageError } from "../../core/errors.ts";
import { showDuration } from "../../core/units.ts";
import {
  connect,
  type ConnectOptions,
  type LinkClient,
  type LinkEnd,
  type SessionClient,
  type SessionConnectOptions,
} from "../../link/index.ts";
import { flags, parse } from "../shared/flags.ts";
import { CONNECT } from "../../settings/parts.ts";
import { connectOptions } from "../shared/part-options.ts";
import { readSettings, settingFlags } from "../shared/setting-flags.ts";
import { terminalOutput, type TerminalOutput } from "./printers.ts";
import { stopRequest } from "../shared/stop-request.ts";

const SETTINGS = { tables: [CONNECT], alone: true } as const;

export async function run(argv: readonly string[]): Promise<number> {
  const command = flags("connect", "Opens a long-lived TCP connection; sends the lines of stdin and prints what it receives");
  settingFlags(command, SETTINGS)
    .argument(
      "<address...>",
      "HOST:PORT to connect to; with --session also ws://HOST:PORT/PATH or wss://…, and several, tried in turn",
    )
    .option("--json", "print every event as one line of JSON");
  if (!(await parse(command, argv))) return 0;
  const { connect: settings } = readSettings(command, SETTINGS);
  const { reconnect = false, session: name, spool, token } = settings;
  if (spool !== undefined && name === undefined) throw new UsageError("CLI_USAGE", "--spool needs --session");
  const addresses = command.processedArgs[0] as string[];
  const [address] = addresses as [string];
  const output = terminalOutput(command.opts<{ json?: boolean }>().json);
  const options = connectOptions(settings);
  if (name === undefined) {
    if (/^wss?:/.test(address))
      throw new UsageError("CLI_USAGE", `Cannot connect to ${address}: only sessions go by WebSocket, use --session`);
    if (addresses.length > 1)
      throw new UsageError("CLI_USAGE", "Cannot connect to several addresses: only sessions do, use --session");
    return runBytes({ ...parseAddress(address, "address", { port: 12_345 }), ...options, reconnect }, output);
  }
  return runSession(
    await openSession(
      { addresses, ...options },
      { name, ...(token !== undefined && { token }), ...(spool !== undefined && { spool }) },
      output,
    ),
    output,
  );
}

async function runBytes(target: ConnectOptions, output: TerminalOutput): Promise<number> {
  const client = await connect(target);
  client.on("open", (link) => output.log(`connected to ${link.peer}`));
  client.on("bytes", (bytes) => output.print.bytes(client.link!, bytes));
  tellEnds(client, output);
  if (client.link) output.log(`connected to ${client.link.peer}`);

  using stop = stopRequest();
  void sendInput(client, output);
  const end = await Promise.race([client.closed, stop.requested.then(() => undefined)]);
  process.stdin.destroy();
  await client.close();
  return end === undefined || end.reason === "fin" || end.reason === "closed" ? 0 : 1;
}

/** Sends stdin as it is read. Waits for each send, so that a slow peer slows down reading. */
async function sendInput(client: LinkClient, { log }: TerminalOutput): Promise<void> {
  for await (const chunk of process.stdin) {
    while (!client.link) await new Promise<void>((resolve) => client.once("open", () => resolve()));
    await client.send(chunk as Buffer).catch((error: unknown) => log(messageOf(error)));
  }
  await client.close();
}

function openSession(
  target: Omit<SessionConnectOptions, "session">,
  session: { name: string; token?: string; spool?: string },
  { print }: TerminalOutput,
): Promise<SessionClient> {
  const onMessage = (message: Uint8Array): void =>
    print.bytes({ id: 0, peer: session.name }, Buffer.concat([message, Buffer.from("\n")]));
  return connect({ ...target, session: { ...session, onMessage } });
}

/** Sends each line as a message. Exit code 1 when one of them was rejected or may not have arrived, or the session was lost. */
async function runSession(client: SessionClient, output: TerminalOutput): Promise<number> {
  client.on("open", ({ resumed }) => output.log(resumed ? "session resumed" : "session opened"));
  client.on("gap", ({ count, side, resent }) => {
    output.print.event?.({ event: "gap", side, count, resent });
    output.log(`gap: ${count} ${side === "own" ? "of our messages may not have arrived" : "messages of the server are lost"}`);
  });
  tellEnds(client, output);

  using stop = stopRequest();
  let failures = 0;
  const input = async (): Promise<void> => {
    const lines = createInterface({ input: process.stdin });
    for await (const line of lines) {
      const sent = client.send(line).catch((error: unknown) => {
        failures += 1;
        output.print.event?.({ event: "failed", text: line, message: messageOf(error) });
        output.log(messageOf(error));
      });
      // Stops reading while too many lines are unacknowledged: backpressure on stdin while the server is unreachable.
      if (client.unconfirmed.messages >= LINES_AHEAD) await sent;
    }
  };
  const lost = await Promise.race([input(), client.closed, stop.requested.then(() => undefined)]);
  process.stdin.destroy();
  await client.close();
  return failures === 0 && lost === undefined ? 0 : 1;
}

/** 10,000 lines: far below the client's own limit. */
const LINES_AHEAD = 10_000;

interface Ending {
  on(event: "end", listener: (end: LinkEnd) => void): unknown;
  on(event: "waiting", listener: (inMs: number) => void): unknown;
}

function tellEnds(client: Ending, { print, log }: TerminalOutput): void {
  client.on("end", ({ reason, message }) => {
    print.event?.({ event: "end", reason, message });
    log(`ended: ${reason}, ${message}`);
  });
  client.on("waiting", (inMs) => log(`reconnecting in ${showDuration(inMs)}`));
}
