/**
 * ● `holdfast work QUEUE -- CMD …`: a worker in any language. Each task runs CMD anew: its body on stdin, its result from stdout;
 * exit code 0 is done, 65 (bad data) dead at once, anything else a failed attempt whose error is the end of stderr.
 */
import { spawn } from "node:child_process";
import { constants } from "node:os";
import { messageOf, OperationError, UsageError } from "../core/errors.ts";
import { bytesCodec, GiveUp, queue, type TaskContext, worker } from "../queue/index.ts";
import { flags, parse } from "./flags.ts";
import { type ClientFlags, clientFlags, readCount, withClient } from "./queue-flags.ts";
import { stopRequest } from "./signals.ts";

interface Flags extends ClientFlags {
  readonly concurrency: string;
  readonly drain: string;
}

/** sysexits.h EX_DATAERR: the input was wrong; trying again will not help. */
const EXIT_DATA_ERROR = 65;
/** 4 KiB of stderr is kept: more than the queue keeps of an error. */
const ERROR_BYTES_MAX = 4096;
/** 5 s between SIGTERM and SIGKILL for a command whose task is no longer wanted. */
const KILL_MS = 5000;

export async function run(argv: readonly string[]): Promise<number> {
  const command = clientFlags(flags("work", "Works on a queue by running a command for each task"))
    .usage("[options] QUEUE -- COMMAND [words...]")
    .argument("<queue>", "the queue's name")
    .argument("<command...>", "the command and its words, after --")
    .option("--concurrency <n>", "commands at once", "1")
    .option("--drain <duration>", "at SIGTERM, wait this long for running commands", "5s");
  if (!(await parse(command, argv))) return 0;
  const options = command.opts<Flags>();
  const [name, words] = command.processedArgs as [string, [string, ...string[]]];
  const concurrency = readCount(options.concurrency, "--concurrency");
  if (concurrency < 1) throw new UsageError("CLI_USAGE", "--concurrency is at least 1");
  return withClient(options, async (client) => {
    const tasks = queue<Uint8Array, Uint8Array>(name, { client, codec: bytesCodec });
    const { promise: broken, reject: breakDown } = Promise.withResolvers<never>();
    const handle = (body: Uint8Array, context: TaskContext): Promise<Uint8Array> =>
      runCommand(words, { body, queue: name, context }).catch((error: unknown) => {
        if (error instanceof OperationError) breakDown(error);
        throw error;
      });
    const onError = (error: unknown, { id }: { id: string }): void => {
      process.stderr.write(
        options.json ? `${JSON.stringify({ id, error: messageOf(error) })}\n` : `${id} ${messageOf(error)}\n`,
      );
    };
    const running = worker(tasks, handle, { concurrency, signals: [], drain: options.drain, onError });
    using stop = stopRequest();
    try {
      await Promise.race([stop.requested, broken]);
    } finally {
      await running.close();
    }
    return 0;
  });
}

/** @throws OperationError when the command cannot be run at all: that is no fault of the task's */
async function runCommand(
  [file, ...args]: readonly [string, ...string[]],
  { body, queue, context }: { body: Uint8Array; queue: string; context: TaskContext },
): Promise<Uint8Array> {
  const { id, attempt, signal } = context;
  const env = { ...process.env, HOLDFAST_TASK: id, HOLDFAST_ATTEMPT: `${attempt}`, HOLDFAST_QUEUE: queue };
  const child = spawn(file, args, { env, stdio: ["pipe", "pipe", "pipe"] });
  const result: Buffer[] = [];
  let errors = Buffer.alloc(0);
  child.stdout.on("data", (chunk: Buffer) => result.push(chunk));
  child.stderr.on("data", (chunk: Buffer) => {
    errors = Buffer.concat([errors, chunk]).subarray(-ERROR_BYTES_MAX);
  });
  // A command that does not read its stdin is no error.
  child.stdin.on("error", () => {});
  child.stdin.end(body);
  const stop = (): void => {
    child.kill("SIGTERM");
    setTimeout(() => child.kill("SIGKILL"), KILL_MS).unref();
  };
  signal.addEventListener("abort", stop, { once: true });
  const { promise: ended, resolve, reject } = Promise.withResolvers<number>();
  child.once("error", (error) =>
    reject(new OperationError("CLI_USAGE", `Cannot run ${file}: ${error.message}`, { cause: error })),
  );
  child.once("close", (code, by) => resolve(code ?? 128 + (by ? constants.signals[by] : 0)));
  const code = await ended;
  signal.removeEventListener("abort", stop);
  if (code === 0) return Buffer.concat(result);
  const why = errors.toString().trim() || `${file} ended with exit code ${code}`;
  throw code === EXIT_DATA_ERROR ? new GiveUp(why) : new Error(why);
}
