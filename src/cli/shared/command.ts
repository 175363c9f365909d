/** ● What every file of a command exports, and how main.ts finds it. */

export interface CommandModule {
  /** Runs the command with the words after its name. Resolves to the exit code: 0 done, 1 failed, 2 wrong usage. */
  run(argv: readonly string[]): Promise<number>;
}

export interface CommandEntry {
  readonly name: string;
  readonly summary: string;
  /** Loads the command's file only when it is called, so that `holdfast connect` does not pay for the broker. */
  load(): Promise<CommandModule>;
}
