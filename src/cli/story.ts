/**
 * ● `holdfast story ID`: what happened to a task, step by step, from the broker's own operation; with `--read` among the packets of a
 * capture that are about it.
 */
import { printable } from "../core/printable.ts";
import { showDuration } from "../core/units.ts";
import type { OperationAnswer } from "../queue/index.ts";
import { aboutTask, StoryPackets, type StoryPacket, withPackets } from "../wire/index.ts";
import { type ClientFlags, clientFlags, withClient } from "./queue/client-flags.ts";
import { flags, parse } from "./shared/flags.ts";
import { stopRequest } from "./shared/stop-request.ts";
import { chunksOfFile } from "./wire/packet-source.ts";

type Story = OperationAnswer<"story">;

/** A step of any kind. */
interface Line {
  readonly atMs?: number | undefined;
  readonly text: string;
  readonly worker?: string | undefined;
  readonly error?: string | undefined;
}

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

async function packetsAbout(id: string, path: string): Promise<readonly StoryPacket[]> {
  const packets = new StoryPackets(aboutTask(id));
  using stop = stopRequest();
  for await (const chunk of chunksOfFile(path, stop.signal)) packets.push(chunk);
  if (packets.missing !== undefined) process.stderr.write(`holdfast story: ${packets.missing}\n`);
  return packets.found;
}

function print({ id, queue, state, traceId, steps, unknown }: Story, packets: readonly StoryPacket[]): void {
  const out = (line: string): void => void process.stdout.write(`${line}\n`);
  out(`task ${id} of ${printable(queue)}: ${state}${traceId === undefined ? "" : `, trace ${traceId}`}`);
  let beforeMs: number | undefined;
  for (const { atMs, text, worker, error } of withPackets(steps as readonly Line[], packets) as readonly Line[]) {
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
