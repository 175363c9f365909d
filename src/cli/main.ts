#!/usr/bin/env node
/** ● The `holdfast` command: finds the subcommand, loads only its file, turns what it throws into one sentence and an exit code. */
import { readFileSync } from "node:fs";
import { codeOf, HoldfastError, UsageError } from "../core/errors.ts";
import { printable } from "../core/printable.ts";
import type { CommandEntry } from "./shared/command.ts";

const COMMANDS: readonly CommandEntry[] = [
  { name: "up", summary: "run cache, queue, link server and dashboard in one process", load: () => import("./up/up.ts") },
  { name: "listen", summary: "accept long-lived connections, print what they send", load: () => import("./link/listen.ts") },
  {
    name: "connect",
    summary: "open a long-lived connection, send the lines of stdin",
    load: () => import("./link/connect.ts"),
  },
  { name: "cache", summary: "run only the cache server, with memcached's flags", load: () => import("./cache/cache.ts") },
  {
    name: "queue",
    summary: "the work queue: run its broker, submit, inspect and manage tasks",
    load: () => import("./queue/queue.ts"),
  },
  { name: "work", summary: "run a command for each task of a queue", load: () => import("./queue/work.ts") },
  { name: "wire", summary: "capture and decode packets", load: () => import("./wire/wire.ts") },
  { name: "stats", summary: "show statistics of a running server", load: () => import("./stats.ts") },
  { name: "bench", summary: "run a load test against a running server", load: () => import("./bench/bench.ts") },
];

async function main(argv: readonly string[]): Promise<number> {
  const [name, ...rest] = argv;
  if (name === undefined || name === "--help" || name === "-h" || name === "help") {
    process.stdout.write(usage());
    return name === undefined ? 2 : 0;
  }
  if (name === "--version" || name === "-V") {
    process.stdout.write(`holdfast ${packageVersion()}\n`);
    return 0;
  }
  const entry = COMMANDS.find((command) => command.name === name);
  if (!entry) throw new UsageError("CLI_USAGE", `No command '${name}'; 'holdfast --help' lists them`);
  const { run } = await entry.load();
  return run(rest);
}

/** The package's own: package.json lies as far from the sources as from what is compiled of them. */
function packageVersion(): string {
  const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as { version: string };
  return version;
}

function usage(): string {
  const lines = COMMANDS.map(({ name, summary }) => `  ${name.padEnd(12)}${summary}`);
  return [
    "Usage: holdfast COMMAND [flags]",
    "",
    ...lines,
    "",
    "'holdfast COMMAND --help' tells a command's flags, 'holdfast --version' the version.",
    "",
  ].join("\n");
}

// That Node calls a module of its own experimental (node:ffi, for socket options) is no news to whoever runs the command.
const printers = process.listeners("warning");
process.removeAllListeners("warning");
process.on("warning", (warning) => {
  if (warning.name !== "ExperimentalWarning") for (const print of printers) print(warning);
});

// `holdfast listen | head -1`: a reader that has seen enough is no failure. A full disk under `> FILE` is one.
process.stdout.on("error", (error) => {
  if (codeOf(error) === "EPIPE") process.exit(0);
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
