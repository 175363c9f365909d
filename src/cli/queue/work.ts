/**
 * ● `holdfast work QUEUE -- CMD …`: a worker in any language. Runs CMD once per task: body on stdin, result from stdout. Exit code 0
 * completes the task, 65 (bad data) makes it dead at once, any other fails the attempt; its error is the end of stderr.
 */
import { OperationError, UsageError } from "../../core/errors.ts";
import { bytesCodec, GiveUp, queue, type QueueClient, type TaskContext, worker } from "../../queue/index.ts";
import { commandLog } from "../shared/command-log.ts";
import { CLIENT, DASHBOARD_ALONE, LOG, WORK } from "../../settings/parts.ts";
import { flags, parse } from "../shared/flags.ts";
import { ownPage } from "../shared/own-page.ts";
import { readSettings, settingFlags } from "../shared/setting-flags.ts";
import { withClient } from "./client-flags.ts";
import { TaskCommand } from "./task-command.ts";
import { stopRequest } from "../shared/stop-request.ts";

const SETTINGS = { tables: [CLIENT, WORK, DASHBOARD_ALONE, LOG], alone: true } as const;

/** sysexits.h EX_DATAERR: the input is invalid, so a retry cannot succeed. */
const EXIT_DATA_ERROR = 65;

export async function run(argv: readonly string[]): Promise<number> {
  const command = settingFlags(flags("work", "Runs a command for each task of a queue"), SETTINGS)
    .usage("[options] QUEUE -- COMMAND [arguments...]")
    .argument("<queue>", "the queue's name")
    .argument("<command...>", "the command and its arguments, after --")
    .option("--json", "log as JSON unless --log says otherwise");
  if (!(await parse(command, argv))) return 0;
  const { json = false } = command.opts<{ json?: true }>();
  const [name, words] = command.processedArgs as [string, [string, ...string[]]];
  const settings = readSettings(command, SETTINGS);
  const { concurrency, drain } = settings.work;
  if (concurrency < 1) throw new UsageError("CLI_USAGE", "--concurrency must be at least 1");
  const log = commandLog(settings.log, { level: "info", format: json ? "json" : "text" });
  using stop = stopRequest();
  const work = async (client: QueueClient): Promise<number> => {
    const tasks = queue<Uint8Array, Uint8Array>(name, { client, codec: bytesCodec });
    const { promise: broken, reject: breakDown } = Promise.withResolvers<never>();
    const handle = (body: Uint8Array, context: TaskContext): Promise<Uint8Array> =>
      runCommand(words, { body, queue: name, context }).catch((error: unknown) => {
        if (error instanceof OperationError) breakDown(error);
        throw error;
      });
    const running = worker(tasks, handle, { concurrency, signals: [], drain });
    try {
      await using _page = await ownPage(settings.dashboard, { workers: [running] }, log);
      await Promise.race([stop.requested, broken]);
    } finally {
      await running.close();
    }
    return 0;
  };
  return await withClient(settings.client, work, log);
}

/** @throws OperationError when the command cannot be started, which is not the task's fault */
async function runCommand(
  words: readonly [string, ...string[]],
  { body, queue, context }: { body: Uint8Array; queue: string; context: TaskContext },
): Promise<Uint8Array> {
  const { id, attempt, signal } = context;
  const command = new TaskCommand(words, { HOLDFAST_TASK: id, HOLDFAST_ATTEMPT: `${attempt}`, HOLDFAST_QUEUE: queue });
  const stop = (): void => command.stop();
  signal.addEventListener("abort", stop, { once: true });
  const { code, result, errors } = await command.run(body);
  signal.removeEventListener("abort", stop);
  if (code === 0) return result;
  const why = errors || `${words[0]} ended with exit code ${code}`;
  throw code === EXIT_DATA_ERROR ? new GiveUp(why) : new Error(why);
}
