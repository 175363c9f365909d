/** ● Flags that say which tasks are meant, the same at every command. A state's word of version 0.1 is taken too, until 0.3. */
import type { Command } from "commander";
import { UsageError } from "../../core/errors.ts";
import { readState, TASK_STATES, type TaskFilter, type TaskState } from "../../queue/index.ts";

export interface FilterFlags {
  readonly state?: string;
  readonly error?: string;
  readonly group?: string;
  readonly key?: string;
  readonly from?: string;
  readonly until?: string;
}

export function filterFlags(command: Command): Command {
  return command
    .option("--state <state>", `only ${TASK_STATES.slice(0, -1).join(", ")} or ${TASK_STATES.at(-1)}`)
    .option("--error <fingerprint>", "only tasks whose newest error has this fingerprint: see --errors of 'queue ls'")
    .option("--group <group>", "only tasks of this group")
    .option("--key <key>", "only the task that was added under this key")
    .option("--from <time>", "only tasks added at this time or later (ISO 8601)")
    .option("--until <time>", "only tasks added before this time (ISO 8601)");
}

/** @throws UsageError CLI_USAGE, QUEUE_OPTIONS_INVALID */
export function readFilterFlags({ state, error, group, key, from, until }: FilterFlags): TaskFilter {
  return {
    state: state === undefined ? undefined : stateNamed(state),
    error,
    group,
    key,
    from: readTime(from, "--from"),
    until: readTime(until, "--until"),
  };
}

export function readTime(text: string | undefined, flag: string): Date | undefined {
  if (text === undefined) return undefined;
  const time = new Date(text);
  if (Number.isNaN(time.getTime()))
    throw new UsageError("CLI_USAGE", `Cannot read ${flag} '${text}': write 2026-01-31T08:00:00Z`);
  return time;
}

/** @throws UsageError QUEUE_OPTIONS_INVALID */
export function stateNamed(word: string): TaskState {
  const state = readState(word);
  if (!state)
    throw new UsageError("QUEUE_OPTIONS_INVALID", `No state is called '${word}'; there are ${TASK_STATES.join(", ")}`);
  if (state !== word) process.stderr.write(`The state '${word}' is called '${state}' now; the old word is deprecated\n`);
  return state;
}
