/** ● `holdfast queue cron`: lists, creates and removes cron schedules. */
import { UsageError } from "../../core/errors.ts";
import { printable } from "../../core/printable.ts";
import { flags, parse } from "../shared/flags.ts";
import { operateAll, type Schedule } from "../../queue/index.ts";
import { type ClientFlags, clientFlags, withClient } from "./client-flags.ts";

interface Flags extends ClientFlags {
  readonly queue?: string;
  readonly timeZone?: string;
  readonly missed?: "latest" | "skip" | "all";
  readonly remove?: boolean;
}

export async function run(argv: readonly string[]): Promise<number> {
  const command = clientFlags(
    flags("queue cron", "Lists the cron schedules; with a name and an expression creates or replaces one"),
  )
    .argument("[name]", "the schedule's name")
    .argument("[expression]", "minute hour day month weekday, such as '0 8 * * 1-5'")
    .argument("[body]", "the body of its tasks")
    .option("--queue <queue>", "the queue to which the tasks are added")
    .option("--time-zone <zone>", "an IANA name such as Europe/Berlin (default UTC)")
    .option("--missed <rule>", "what to do with runs missed while the broker was down: latest, skip or all", "latest")
    .option("--remove", "remove the schedule");
  if (!(await parse(command, argv))) return 0;
  const options = command.opts<Flags>();
  const [name, expression, body] = command.processedArgs as [string?, string?, string?];
  if (options.remove && name === undefined) throw new UsageError("CLI_USAGE", "--remove needs the schedule's name");
  return withClient(options, async (client, timeoutMs) => {
    const named = async (): Promise<readonly Schedule[]> =>
      (await operateAll(client, "schedules", name === undefined ? {} : { name }, { timeoutMs })).flatMap(
        ({ schedules }) => schedules,
      );
    if (name === undefined) {
      for (const entry of await named()) process.stdout.write(`${JSON.stringify(entry)}\n`);
      return 0;
    }
    if (options.remove) {
      if ((await named()).length === 0) {
        process.stderr.write(`No schedule has the name '${printable(name)}'\n`);
        return 1;
      }
      await client.operate("removeSchedule", { name }, { timeoutMs });
      return 0;
    }
    if (expression === undefined || options.queue === undefined) {
      throw new UsageError("CLI_USAGE", "A schedule needs an expression and --queue");
    }
    const { queue, timeZone, missed } = options;
    await client.operate(
      "upsertSchedule",
      { name, expression, queue, timeZone, missed },
      { timeoutMs, body: Buffer.from(body ?? "") },
    );
    return 0;
  });
}
