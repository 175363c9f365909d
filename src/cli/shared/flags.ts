/**
 * ● Shared by the commands built on commander: wrong usage throws UsageError (exit 2) where commander would exit by itself, and help
 * goes to stdout.
 */
import { Command, CommanderError } from "commander";
import { UsageError } from "../../core/errors.ts";

/** A commander command with the name as typed: `flags("up", "runs all parts")`. */
export function flags(name: string, description: string): Command {
  return new Command(`holdfast ${name}`)
    .description(description)
    .helpOption("-h, --help", "show this help")
    .exitOverride()
    .configureOutput({ writeErr: () => {}, outputError: () => {} });
}

const parsed = new WeakMap<Command, () => void>();

/** Called when the command's words were parsed, before they are read: what no word says may come from elsewhere. */
export function whenParsed(command: Command, act: () => void): Command {
  parsed.set(command, act);
  return command;
}

/**
 * Parses the words after the command's name.
 *
 * @returns true when the command should run; false after --help was printed
 * @throws UsageError CLI_USAGE with commander's sentence
 */
export async function parse(command: Command, argv: readonly string[]): Promise<boolean> {
  try {
    await command.parseAsync([...argv], { from: "user" });
    parsed.get(command)?.();
    return true;
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return false;
    throw new UsageError("CLI_USAGE", `${sentence(error.message)}; '${command.name()} --help' lists the flags`, {
      cause: error,
    });
  }
}

function sentence(message: string): string {
  const bare = message.replace(/^error: /, "").replaceAll(/\s*\n\s*/g, " ");
  return bare.charAt(0).toUpperCase() + bare.slice(1);
}
