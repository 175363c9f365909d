#!/usr/bin/env node
/** ● The `holdfast` command: finds the subcommand, loads only its file, turns what it throws into one sentence and an exit code. */
import { readFileSync } from "node:fs";
import { constants } from "node:os";
import { codeOf, HoldfastError, UsageError } from "../core/errors.ts";
import { printable } from "../core/printable.ts";
import { type CommandGroup, HOLDFAST } from "./commands.ts";

async function main(argv: readonly string[]): Promise<number> {
  const [first] = argv;
  if (first !== "--version" && first !== "-V") return dispatch(HOLDFAST, argv);
  process.stdout.write(`holdfast ${packageVersion()}\n`);
  return 0;
}

/** @param path the names of the group and of those above it, but for `holdfast` itself */
async function dispatch(group: CommandGroup, argv: readonly string[], path: readonly string[] = []): Promise<number> {
  const [name, ...rest] = argv;
  const typed = ["holdfast", ...path].join(" ");
  if (name === undefined || name === "--help" || name === "-h" || name === "help") {
    process.stdout.write(usage(group, typed));
    return name === undefined ? 2 : 0;
  }
  const entry = group.commands.find((command) => command.name === name);
  const words = [...path, name];
  if (!entry) throw new UsageError("CLI_USAGE", `No command '${words.join(" ")}'; '${typed} --help' lists them`);
  if ("commands" in entry) return dispatch(entry, rest, words);
  const run = await entry.load();
  return run(rest);
}

/** The package's own: package.json lies as far from the sources as from what is compiled of them. */
function packageVersion(): string {
  const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as { version: string };
  return version;
}

function usage(group: CommandGroup, typed: string): string {
  const lines = group.commands.map(({ name, summary }) => `  ${name.padEnd(12)}${summary}`);
  const version = group === HOLDFAST ? ", 'holdfast --version' the version" : "";
  const foot = `'${typed} COMMAND --help' tells a command's flags${version}.`;
  return [`Usage: ${typed} COMMAND [flags]`, "", ...lines, "", foot, ""].join("\n");
}

// That Node calls a module of its own experimental (node:ffi, for socket options) is no news to whoever runs the command.
const printers = process.listeners("warning");
process.removeAllListeners("warning");
process.on("warning", (warning) => {
  if (warning.name !== "ExperimentalWarning") for (const print of printers) print(warning);
});

/** What a shell shows of a program that SIGPIPE ended, as any other that writes to a pipe that nobody reads; Node ignores that signal. */
const EXIT_BROKEN_PIPE = 128 + constants.signals.SIGPIPE;

// `holdfast listen | head -1`: nothing to tell, but not all was said either. A full disk under `> FILE` is told.
process.stdout.on("error", (error) => {
  if (codeOf(error) === "EPIPE") process.exit(EXIT_BROKEN_PIPE);
  process.stderr.write(`holdfast: Cannot write to stdout: ${error.message}\n`);
  process.exit(1);
});

// Talk that nobody can hear any more (`2>&1 | head -1`, a full log disk) is no reason for a server to end.
process.stderr.on("error", () => {});

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof HoldfastError)) throw error;
  // The message may quote a stranger: the last error of a task, a server's reason.
  process.stderr.write(`holdfast: ${error.message.split("\n").map(printable).join("\n")}\n`);
  process.exitCode = error instanceof UsageError ? 2 : 1;
}
