/** ● `holdfast queue move`: moves a queue from one store to another, and continues an interrupted move. */
import { randomBytes } from "node:crypto";
import { UsageError } from "../../core/errors.ts";
import { giveUpMove, makeStore, type MoveEnd, moveQueue, type MoveOptions, withoutPassword } from "../../queue/index.ts";
import { flags, parse } from "../shared/flags.ts";
import { ProgressBar } from "../shared/progress-bar.ts";

interface Flags {
  readonly from: string;
  readonly to?: string;
  readonly giveUp?: boolean;
  readonly json?: boolean;
}

/** 1 s between two lines of progress. */
const PROGRESS_MS = 1000;

export async function run(argv: readonly string[]): Promise<number> {
  const command = flags(
    "queue move",
    "Moves a queue from one store to another while no broker uses them; run again, it continues an interrupted move",
  )
    .requiredOption("--from <store>", "the current store: sqlite:FOLDER or nats://HOST:4222[,HOST…]")
    .option("--to <store>", "the new store, empty; nats://…?replicas=3&group=NAME creates its stream with these settings")
    .option("--give-up", "abandon an unfinished move and use the queue where it was")
    .option("--json", "print JSON");
  if (!(await parse(command, argv))) return 0;
  const options = command.opts<Flags>();
  const from = end(options.from, "--from");
  if (options.giveUp) {
    if (options.to !== undefined)
      throw new UsageError("CLI_USAGE", "--give-up takes no --to; tasks already copied stay in the other store, unused");
    await giveUpMove(from);
    process.stderr.write(`${from.name} can be used again\n`);
    return 0;
  }
  if (options.to === undefined) throw new UsageError("CLI_USAGE", "--to STORE is missing");
  if (options.to === options.from) throw new UsageError("CLI_USAGE", "--from and --to are the same store");
  const to = end(options.to, "--to");
  const bar = new ProgressBar();
  const moved = await moveQueue({ from, to, newId: randomBytes(8).toString("hex"), progress: progressTo(options, bar) });
  bar.clear();
  if (options.json) process.stdout.write(`${JSON.stringify({ from: from.name, to: to.name, ...moved })}\n`);
  else if (moved.already) process.stdout.write(`${from.name} was already moved to ${to.name}\n`);
  else {
    const { tasks, settings } = moved;
    process.stdout.write(`moved ${tasks} tasks and ${settings} settings from ${from.name} to ${to.name}\n`);
  }
  return 0;
}

function end(url: string, flag: string): MoveEnd {
  if (url.startsWith("memory:")) throw new UsageError("CLI_USAGE", `${flag} ${url}: a memory store cannot be moved`);
  const make = (): ReturnType<typeof makeStore> =>
    makeStore(url, { log: (message) => void process.stderr.write(`${message}\n`) });
  // An invalid address fails here, before anything is copied.
  make();
  return { make, name: withoutPassword(url) };
}

/** A bar on a terminal; elsewhere, and with --json, a line a second. */
function progressTo({ json }: Flags, bar: ProgressBar): NonNullable<MoveOptions["progress"]> {
  let lastMs = performance.now();
  return (tasks, number, lastNumber) => {
    const nowMs = performance.now();
    if (bar.isShown && !json) {
      bar.draw(number / Math.max(1, lastNumber), `${tasks} tasks`, nowMs);
      return;
    }
    if (nowMs - lastMs < PROGRESS_MS) return;
    lastMs = nowMs;
    const line = json
      ? JSON.stringify({ tasks, number, lastNumber })
      : `${tasks} tasks, up to number ${number} of ${lastNumber}`;
    process.stderr.write(`${line}\n`);
  };
}
