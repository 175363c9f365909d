/** ● `holdfast wire`: the packets of cache, queue and link, decoded and named, one a line; or read from and written to files for Wireshark. */
import { Command, CommanderError } from "commander";
import { createReadStream, createWriteStream } from "node:fs";
import { once } from "node:events";
import type { Writable } from "node:stream";
import { finished } from "node:stream/promises";
import { OperationError, UsageError, codeOf, messageOf } from "../core/errors.ts";
import { CaptureReader, Ladder, PcapngWriter, Wire, capture, jsonOf, lineOf, summaryOf } from "../wire/index.ts";
import type { Capture, Frame, Packet, Protocol } from "../wire/index.ts";

interface Flags {
  readonly port: string;
  readonly interface?: string;
  readonly read?: string;
  readonly write?: string;
  readonly ladder?: boolean;
  readonly json?: boolean;
  readonly bodies?: boolean;
  readonly color?: boolean;
  readonly count?: string;
}

const PARTS: Readonly<Record<string, Protocol>> = { cache: "memcached", queue: "zmtp", link: "link" };
const PORTS_DEFAULT = "11211=cache,5555=queue,12345=link";

export async function run(argv: readonly string[]): Promise<number> {
  const command = new Command("holdfast wire")
    .description("Shows the packets of the parts, decoded and named. Data on stdout, talk on stderr.")
    .option("-p, --port <ports>", "server ports, each with the part behind it where it is known", PORTS_DEFAULT)
    .option("-i, --interface <name>", "network interface (default: any)")
    .option("-r, --read <file>", "read a pcap or pcapng file instead of the network; - is stdin")
    .option("-w, --write <file>", "write pcapng with a comment on each named packet, for Wireshark; - is stdout")
    .option("-c, --count <packets>", "stop after so many packets")
    .option("--ladder", "draw connections as ladders: two lifelines, time running down")
    .option("--bodies", "show the beginning of message bodies")
    .option("--json", "one JSON object a packet")
    .option("--color", "colours even where stdout is no terminal")
    .option("--no-color", "no colours")
    .helpOption("-h, --help", "show this help")
    .exitOverride();
  const flags = parse(command, argv);
  if (!flags) return 0;
  const ports = portsOf(flags.port);
  const stop = new AbortController();
  const interrupt = (): void => stop.abort();
  process.once("SIGINT", interrupt).once("SIGTERM", interrupt);
  try {
    return await show(await open(flags, ports, stop.signal), flags, ports, stop);
  } finally {
    process.off("SIGINT", interrupt).off("SIGTERM", interrupt);
  }
}

function parse(command: Command, argv: readonly string[]): Flags | undefined {
  try {
    return command.parse(argv, { from: "user" }).opts<Flags>();
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return undefined;
    throw new UsageError("CLI_USAGE", error.message.replace(/^error: /, ""), { cause: error });
  }
}

/** "11211=cache,7000": port → what is spoken there, where it was said. */
function portsOf(text: string): Map<number, Protocol | undefined> {
  return new Map(
    text.split(",").map((word) => {
      const [, port, part] = /^\s*(\d{1,5})(?:=(\w+))?\s*$/.exec(word) ?? [];
      const known = part === undefined ? undefined : PARTS[part];
      if (port === undefined || Number(port) < 1 || Number(port) > 65_535 || (part !== undefined && !known)) {
        throw new UsageError("CLI_USAGE", `Cannot read --port: '${word}'; write 11211 or 11211=cache, =queue, =link`);
      }
      return [Number(port), known];
    }),
  );
}

interface Opened {
  readonly frames: AsyncIterable<Frame>;
  readonly live?: Capture;
}

async function open(flags: Flags, ports: ReadonlyMap<number, unknown>, signal: AbortSignal): Promise<Opened> {
  if (flags.read !== undefined) return { frames: framesOf(flags.read) };
  const on = flags.interface === undefined ? {} : { interface: flags.interface };
  const live = await capture({ ports: [...ports.keys()], signal, ...on });
  process.stderr.write(`capturing with ${live.tool} on port ${[...ports.keys()].join(", ")}; Ctrl-C ends\n`);
  return { frames: live, live };
}

async function* framesOf(path: string): AsyncGenerator<Frame> {
  const reader = new CaptureReader();
  const source = path === "-" ? process.stdin : createReadStream(path);
  try {
    for await (const chunk of source as AsyncIterable<Buffer>) {
      reader.push(chunk);
      for (let frame = reader.next(); frame; frame = reader.next()) yield frame;
    }
  } catch (error) {
    if (codeOf(error)?.startsWith("E")) throw new OperationError("WIRE_CAPTURE_FAILED", messageOf(error), { cause: error });
    throw error;
  }
  if (reader.unfinished) process.stderr.write("holdfast wire: the file ends inside a packet\n");
}

async function show(
  opened: Opened,
  flags: Flags,
  ports: ReadonlyMap<number, Protocol | undefined>,
  stop: AbortController,
): Promise<number> {
  const known = new Map([...ports].filter((entry): entry is [number, Protocol] => entry[1] !== undefined));
  const wire = new Wire({ ports: known, bodies: flags.bodies ?? false });
  const file = flags.write === undefined ? undefined : new CaptureFile(flags.write);
  const rows = rowsFor(flags);
  const countMax = flags.count === undefined ? Infinity : Number(flags.count);
  if (!(countMax >= 1)) throw new UsageError("CLI_USAGE", `Cannot read --count: '${flags.count}' is no number of packets`);
  let count = 0;
  for await (const frame of opened.frames) {
    const packet = wire.packet(frame);
    await file?.add(frame, packet);
    if (flags.write !== "-") await writeAll(process.stdout, rows(packet));
    count += 1;
    if (count >= countMax) break;
  }
  stop.abort();
  await file?.end();
  const closing = opened.live?.closing.split("\n").filter((line) => /captured|dropped/i.test(line));
  process.stderr.write(`${count} packets${closing?.length ? `; ${closing.join("; ")}` : ""}\n`);
  return 0;
}

function rowsFor(flags: Flags): (packet: Packet) => readonly string[] {
  if (flags.json) return (packet) => [JSON.stringify(jsonOf(packet))];
  if (flags.ladder) {
    const ladder = new Ladder(process.stdout.columns);
    return (packet) => ladder.rows(packet);
  }
  const colour = flags.color ?? (process.stdout.isTTY && process.env["NO_COLOR"] === undefined);
  let startNs: bigint | undefined;
  return (packet) => [lineOf(packet, { startNs: (startNs ??= packet.wallNs), colour })];
}

/** A pcapng file under way; each named packet carries its name as a comment. */
class CaptureFile {
  readonly #writer = new PcapngWriter();
  readonly #stream: Writable;

  constructor(path: string) {
    this.#stream = path === "-" ? process.stdout : createWriteStream(path);
    this.#stream.write(this.#writer.start());
  }

  async add(frame: Frame, packet: Packet): Promise<void> {
    const { tcp, source } = packet;
    const named = tcp !== undefined && (tcp.marks.length > 0 || tcp.messages.length > 0);
    const notes = [frame.comment, named ? `${summaryOf(packet)} (${source})` : undefined].filter((note) => note !== undefined);
    const comment = notes.length > 0 ? { comment: notes.join("\n") } : {};
    if (!this.#stream.write(this.#writer.frame({ ...frame, ...comment }))) await once(this.#stream, "drain");
  }

  async end(): Promise<void> {
    if (this.#stream === process.stdout) return;
    this.#stream.end();
    await finished(this.#stream);
  }
}

async function writeAll(stream: Writable, rows: readonly string[]): Promise<void> {
  if (rows.length > 0 && !stream.write(`${rows.join("\n")}\n`)) await once(stream, "drain");
}
