/** ● `holdfast wire`: captures and decodes packets of cache, queue and link, one per line; reads and writes files for Wireshark. */
import { createWriteStream } from "node:fs";
import { once } from "node:events";
import type { Writable } from "node:stream";
import { finished } from "node:stream/promises";
import { UsageError } from "../../core/errors.ts";
import { Ladder, PcapngWriter, PacketAnalyzer, jsonOf, lineOf, kernelEventLineOf, summaryOf } from "../../wire/index.ts";
import type { CapturedFrame, KernelEvent, Packet, Protocol } from "../../wire/index.ts";
import { flags as flagsOf, parse } from "../shared/flags.ts";
import { askedDashboard } from "../../settings/parts.ts";
import { readSettings, settingFlags } from "../shared/setting-flags.ts";
import type { PartValues } from "../shared/setting-values.ts";
import { stopRequest } from "../shared/stop-request.ts";
import { framesOfFile, openNetwork, type PacketSource } from "./packet-source.ts";

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

/** Where capturing is not permitted, packets are read from a dashboard. */
const SETTINGS = { tables: [askedDashboard("dashboard-token")], alone: true } as const;

type Asked = PartValues<typeof SETTINGS.tables>["dashboard"];

const PARTS: Readonly<Record<string, Protocol>> = { cache: "memcached", queue: "zmtp", link: "link" };
const PORTS_DEFAULT = "11211=cache,5555=queue,12345=link";

export async function run(argv: readonly string[]): Promise<number> {
  const about = "Captures and decodes packets of cache, queue and link to stdout; messages go to stderr.";
  const command = settingFlags(flagsOf("wire", about), SETTINGS)
    .option("-p, --port <ports>", "server ports, with =cache, =queue or =link where the part is known", PORTS_DEFAULT)
    .option("-i, --interface <name>", "network interface (default: any)")
    .option("-r, --read <file>", "read a pcap or pcapng file instead of the network; - is stdin")
    .option("-w, --write <file>", "write pcapng for Wireshark, with a comment on each decoded packet; - is stdout")
    .option("-c, --count <packets>", "stop after this many packets")
    .option("--ladder", "draw connections as ladder diagrams: two lifelines, time runs downward")
    .option("--bodies", "show the beginning of message bodies")
    .option("--json", "print one JSON object per packet")
    .option("--color", "use colours even if stdout is not a terminal")
    .option("--no-color", "use no colours");
  if (!(await parse(command, argv))) return 0;
  const flags = command.opts<Flags>();
  const ports = portsOf(flags.port);
  using stop = stopRequest();
  const enough = new AbortController();
  const asked = readSettings(command, SETTINGS).dashboard;
  const source = await open(flags, asked, [...ports.keys()], AbortSignal.any([stop.signal, enough.signal]));
  return await show(source, flags, ports, enough);
}

function open(
  flags: Flags,
  { listen, token }: Asked,
  ports: readonly number[],
  signal: AbortSignal,
): Promise<PacketSource> | PacketSource {
  if (flags.read !== undefined) return { frames: framesOfFile(flags.read, signal) };
  return openNetwork({
    ports,
    signal,
    interface: flags.interface,
    dashboard: listen,
    dashboardToken: token,
    onEvent: (event) => flags.write !== "-" && process.stdout.write(`${rowOfEvent(event, flags)}\n`),
  });
}

/** An event of the kernel's connection table, printed between the packets. */
function rowOfEvent(event: KernelEvent, flags: Flags): string {
  return flags.json ? JSON.stringify(event) : kernelEventLineOf(event);
}

/** "11211=cache,7000": port → its protocol, if given. */
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

async function show(
  source: PacketSource,
  flags: Flags,
  ports: ReadonlyMap<number, Protocol | undefined>,
  enough: AbortController,
): Promise<number> {
  const known = new Map([...ports].filter((entry): entry is [number, Protocol] => entry[1] !== undefined));
  const analyzer = new PacketAnalyzer({ ports: known, bodies: flags.bodies ?? false });
  const file = flags.write === undefined ? undefined : new CaptureFile(flags.write);
  const rows = rowsFor(flags);
  const countMax = flags.count === undefined ? Infinity : Number(flags.count);
  if (!(countMax >= 1)) throw new UsageError("CLI_USAGE", `Cannot read --count: '${flags.count}' is not a number of packets`);
  let count = 0;
  for await (const frame of source.frames) {
    const packet = analyzer.packet(frame);
    await file?.add(frame, packet);
    if (flags.write !== "-") await writeAll(process.stdout, rows(packet));
    count += 1;
    if (count >= countMax) break;
  }
  enough.abort();
  await file?.end();
  const closing = source.live?.closing.split("\n").filter((line) => /captured|dropped/i.test(line));
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

/** Writes a pcapng file; each decoded packet carries its summary as a comment. */
class CaptureFile {
  readonly #writer = new PcapngWriter();
  readonly #stream: Writable;

  constructor(path: string) {
    this.#stream = path === "-" ? process.stdout : createWriteStream(path);
    this.#stream.write(this.#writer.start());
  }

  async add(frame: CapturedFrame, packet: Packet): Promise<void> {
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
