/** ● `holdfast queue move`: takes a queue from one store to another, and goes on where it was cut off. */
import { randomBytes } from "node:crypto";
import { UsageError } from "../../core/errors.ts";
import { giveUpMove, makeStore, type MoveEnd, moveQueue, type MoveOptions, withoutPassword } from "../../queue/index.ts";
import { flags, parse } from "../shared/flags.ts";

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
    "Takes a queue from one store to another while no broker uses them; run again after a cut, it goes on",
  )
    .requiredOption("--from <store>", "the store it is in: sqlite:FOLDER or nats://HOST:4222[,HOST…]")
    .option("--to <store>", "an empty store, likewise; nats://…?replicas=3&group=NAME makes its stream so")
    .option("--give-up", "let the queue be used where it was: an unfinished move is given up")
    .option("--json", "print JSON");
  if (!(await parse(command, argv))) return 0;
  const options = command.opts<Flags>();
  const from = end(options.from, "--from");
  if (options.giveUp) {
    if (options.to !== undefined)
      throw new UsageError("CLI_USAGE", "--give-up needs no --to: what was copied stays there, unused");
    await giveUpMove(from);
    process.stderr.write(`${from.name} can be used again\n`);
    return 0;
  }
  if (options.to === undefined) throw new UsageError("CLI_USAGE", "Say where to: --to STORE");
  if (options.to === options.from) throw new UsageError("CLI_USAGE", "--from and --to are the same store");
  const to = end(options.to, "--to");
  const moved = await moveQueue({ from, to, newId: randomBytes(8).toString("hex"), progress: told(options) });
  if (options.json) process.stdout.write(`${JSON.stringify({ from: from.name, to: to.name, ...moved })}\n`);
  else if (moved.already) process.stdout.write(`${from.name} was moved to ${to.name} before\n`);
  else {
    const { tasks, settings } = moved;
    process.stdout.write(`moved ${tasks} tasks and ${settings} settings from ${from.name} to ${to.name}\n`);
  }
  return 0;
}

function end(url: string, flag: string): MoveEnd {
  if (url.startsWith("memory:")) throw new UsageError("CLI_USAGE", `${flag} ${url}: what is in memory is this process's alone`);
  const make = (): ReturnType<typeof makeStore> =>
    makeStore(url, { log: (message) => void process.stderr.write(`${message}\n`) });
  // Tells at once what is wrong with an address.
  make();
  return { make, name: withoutPassword(url) };
}

function told({ json }: Flags): NonNullable<MoveOptions["progress"]> {
  let lastMs = performance.now();
  return (tasks, number, lastNumber) => {
    const nowMs = performance.now();
    if (nowMs - lastMs < PROGRESS_MS) return;
    lastMs = nowMs;
    const line = json
      ? JSON.stringify({ tasks, number, lastNumber })
      : `${tasks} tasks, up to number ${number} of ${lastNumber}`;
    process.stderr.write(`${line}\n`);
  };
}
