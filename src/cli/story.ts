/**
 * ● `holdfast story ID`: what happened to a task, step by step, from the broker's own operation; with `--read` among the packets of a
 * capture that are about it.
 */
import { printable } from "../core/printable.ts";
import { showDuration } from "../core/units.ts";
import type { OperationAnswer } from "../queue/index.ts";
import { PacketAnalyzer, summaryOf, type Packet } from "../wire/index.ts";
import { type ClientFlags, clientFlags, withClient } from "./queue/client-flags.ts";
import { flags, parse } from "./shared/flags.ts";
import { stopRequest } from "./shared/stop-request.ts";
import { framesOfFile } from "./wire/packet-source.ts";

type Story = OperationAnswer<"story">;

/** A step, or a packet about the task. */
interface Line {
  readonly atMs?: number | undefined;
  readonly text: string;
  readonly worker?: string | undefined;
  readonly error?: string | undefined;
}

/** 200 packets of one task: a task has five or six messages. */
const PACKETS_MAX = 200;

export async function run(argv: readonly string[]): Promise<number> {
  const command = clientFlags(flags("story", "Tells what happened to a task, step by step, and what is not known any more"))
    .argument("<id>", "the task's id")
    .option(
      "-r, --read <file>",
      "a pcap or pcapng file, as of 'holdfast wire -w': its packets about the task stand among the steps",
    );
  if (!(await parse(command, argv))) return 0;
  const options = command.opts<ClientFlags & { readonly read?: string }>();
  const [id] = command.processedArgs as [string];
  return withClient(options, async (client, timeoutMs) => {
    const { value } = await client.operate("story", { id }, { timeoutMs });
    const packets = options.read === undefined ? [] : await packetsAbout(id, options.read);
    if (options.json) process.stdout.write(`${JSON.stringify({ ...value, ...(options.read !== undefined && { packets }) })}\n`);
    else print(value, packets);
    return 0;
  });
}

async function packetsAbout(id: string, path: string): Promise<readonly Line[]> {
  const analyzer = new PacketAnalyzer();
  const number = Number(id.slice(id.lastIndexOf("-") + 1));
  const found: Line[] = [];
  using stop = stopRequest();
  for await (const frame of framesOfFile(path, stop.signal)) {
    const packet = analyzer.packet(frame);
    if (!isAbout(packet, id, number)) continue;
    const { tcp, wallNs } = packet;
    const ends = tcp!.side === "client" ? `${tcp!.client} → ${tcp!.server}` : `${tcp!.server} → ${tcp!.client}`;
    found.push({
      atMs: Number(wallNs / 1000n) / 1000,
      text: `packet ${packet.number}: ${ends} ${summaryOf(packet)}`,
    });
    if (found.length === PACKETS_MAX) break;
  }
  return found;
}

/** A batch names the numbers of its tasks, a single message the id or, as a lease, number and token. */
function isAbout({ tcp }: Packet, id: string, number: number): boolean {
  const names = (text: string): boolean => text.split(" ").some((word) => word === id || word.startsWith(`${number}.`));
  return (tcp?.messages ?? []).some(
    ({ protocol, text, tasks }) => protocol === "queue" && (tasks?.includes(number) || (tasks === undefined && names(text))),
  );
}

function print({ id, queue, state, traceId, steps, unknown }: Story, packets: readonly Line[]): void {
  const out = (line: string): void => void process.stdout.write(`${line}\n`);
  out(`task ${id} of ${printable(queue)}: ${state}${traceId === undefined ? "" : `, trace ${traceId}`}`);
  const timed = (line: Line): number => line.atMs ?? Infinity;
  const [first, ...rest] = steps as readonly Line[];
  const lines = [first!, ...[...rest, ...packets].sort((a, b) => (timed(a) === timed(b) ? 0 : timed(a) - timed(b)))];
  let beforeMs: number | undefined;
  for (const { atMs, text, worker, error } of lines) {
    const time = atMs === undefined ? "now".padEnd(24) : new Date(atMs).toISOString();
    const after = atMs === undefined || beforeMs === undefined ? "" : `+${showDuration(roundMs(Math.max(0, atMs - beforeMs)))}`;
    out(`${time} ${after.padStart(10)}  ${printable(text)}${worker === undefined ? "" : ` (worker ${printable(worker)})`}`);
    for (const line of error?.split("\n").slice(1) ?? []) out(`${" ".repeat(37)}${printable(line)}`);
    beforeMs = atMs ?? beforeMs;
  }
  for (const text of unknown) out(`not known any more: ${text}`);
}

/** To a tenth below 10 ms. */
function roundMs(ms: number): number {
  return ms < 10 ? Math.round(ms * 10) / 10 : Math.round(ms);
}
