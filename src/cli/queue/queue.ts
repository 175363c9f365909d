/** ● `holdfast queue …`: the broker, and everything that is done with its tasks. */
import { UsageError } from "../../core/errors.ts";
import type { CommandEntry } from "../shared/command.ts";

const COMMANDS: readonly CommandEntry[] = [
  { name: "serve", summary: "run only the broker", load: () => import("./serve.ts") },
  { name: "add", summary: "submit a task", load: async () => ({ run: (await import("./submit.ts")).add }) },
  {
    name: "call",
    summary: "submit a task and wait for its result",
    load: async () => ({ run: (await import("./submit.ts")).call }),
  },
  {
    name: "ls",
    summary: "list queues, or the tasks of one",
    load: async () => ({ run: (await import("./inspect.ts")).ls }),
  },
  { name: "show", summary: "show one task", load: async () => ({ run: (await import("./inspect.ts")).show }) },
  {
    name: "retry",
    summary: "retry dead tasks",
    load: async () => ({ run: (await import("./admin.ts")).retry }),
  },
  { name: "cancel", summary: "cancel tasks", load: async () => ({ run: (await import("./admin.ts")).cancel }) },
  {
    name: "pause",
    summary: "pause a queue",
    load: async () => ({ run: (await import("./admin.ts")).pause }),
  },
  {
    name: "resume",
    summary: "resume a queue",
    load: async () => ({ run: (await import("./admin.ts")).resume }),
  },
  { name: "set", summary: "set a queue's limits", load: async () => ({ run: (await import("./admin.ts")).set }) },
  {
    name: "purge",
    summary: "delete ended tasks of a queue",
    load: async () => ({ run: (await import("./admin.ts")).purge }),
  },
  { name: "cron", summary: "list, create and remove scheduled tasks (cron)", load: () => import("./cron.ts") },
  { name: "move", summary: "move the queue to another store", load: () => import("./move.ts") },
  { name: "keygen", summary: "create a CURVE key pair", load: () => import("./keygen.ts") },
];

export async function run(argv: readonly string[]): Promise<number> {
  const [name, ...rest] = argv;
  if (name === undefined || name === "--help" || name === "-h" || name === "help") {
    process.stdout.write(usage());
    return name === undefined ? 2 : 0;
  }
  const entry = COMMANDS.find((command) => command.name === name);
  if (!entry) throw new UsageError("CLI_USAGE", `No command 'queue ${name}'; 'holdfast queue --help' lists them`);
  return (await entry.load()).run(rest);
}

function usage(): string {
  const lines = COMMANDS.map(({ name, summary }) => `  ${name.padEnd(12)}${summary}`);
  const foot = "'holdfast queue COMMAND --help' tells a command's flags.";
  return ["Usage: holdfast queue COMMAND [flags]", "", ...lines, "", foot, ""].join("\n");
}
