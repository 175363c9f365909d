/**
 * ● The table of all commands: `holdfast` looks a command up here, its help lists what stands here, and docs/cli.md, the man page and
 * the shells' completions are written from it (scripts/cli-docs.ts).
 */

export interface CommandEntry {
  readonly name: string;
  readonly summary: string;
  /**
   * Loads the command's file only when it is called, so that `holdfast connect` does not pay for the broker. The function takes the
   * words after the command's name and resolves to the exit code: 0 done, 1 failed, 2 wrong usage.
   */
  readonly load: () => Promise<(argv: readonly string[]) => Promise<number>>;
}

/** A command that only has commands below it. */
export interface CommandGroup {
  readonly name: string;
  readonly summary: string;
  readonly commands: readonly (CommandEntry | CommandGroup)[];
}

const QUEUE: CommandGroup = {
  name: "queue",
  summary: "the work queue: run its broker, submit, inspect and mend",
  commands: [
    { name: "serve", summary: "run the broker alone", load: async () => (await import("./queue/serve.ts")).run },
    { name: "add", summary: "submit a task", load: async () => (await import("./queue/submit.ts")).add },
    {
      name: "call",
      summary: "submit a task and wait for its result",
      load: async () => (await import("./queue/submit.ts")).call,
    },
    { name: "ls", summary: "list queues, or the tasks of one", load: async () => (await import("./queue/inspect.ts")).ls },
    { name: "show", summary: "show one task", load: async () => (await import("./queue/inspect.ts")).show },
    { name: "retry", summary: "give dead tasks a new life", load: async () => (await import("./queue/admin.ts")).retry },
    { name: "cancel", summary: "end tasks", load: async () => (await import("./queue/admin.ts")).cancel },
    { name: "pause", summary: "give out no task of a queue", load: async () => (await import("./queue/admin.ts")).pause },
    { name: "resume", summary: "give out a queue's tasks again", load: async () => (await import("./queue/admin.ts")).resume },
    { name: "set", summary: "set a queue's bounds", load: async () => (await import("./queue/admin.ts")).set },
    { name: "purge", summary: "forget ended tasks of a queue", load: async () => (await import("./queue/admin.ts")).purge },
    { name: "cron", summary: "tasks by the calendar", load: async () => (await import("./queue/cron.ts")).run },
    { name: "move", summary: "take the queue to another store", load: async () => (await import("./queue/move.ts")).run },
    { name: "keygen", summary: "make a pair of CURVE keys", load: async () => (await import("./queue/keygen.ts")).run },
  ],
};

export const HOLDFAST: CommandGroup = {
  name: "holdfast",
  summary: "a shared cache, a durable work queue and TCP connections that last",
  commands: [
    { name: "up", summary: "run all parts and the dashboard", load: async () => (await import("./up/up.ts")).run },
    {
      name: "listen",
      summary: "long-term connections: print what comes",
      load: async () => (await import("./link/listen.ts")).run,
    },
    {
      name: "connect",
      summary: "a long-term connection: send the lines of stdin",
      load: async () => (await import("./link/connect.ts")).run,
    },
    {
      name: "cache",
      summary: "run the cache server alone, with memcached's flags",
      load: async () => (await import("./cache/cache.ts")).run,
    },
    QUEUE,
    {
      name: "work",
      summary: "work on a queue by running a command for each task",
      load: async () => (await import("./queue/work.ts")).run,
    },
    { name: "wire", summary: "show packets, decoded and named", load: async () => (await import("./wire/wire.ts")).run },
    { name: "stats", summary: "the numbers of a running server", load: async () => (await import("./stats.ts")).run },
    {
      name: "bench",
      summary: "put load on a running server and measure it",
      load: async () => (await import("./bench/bench.ts")).run,
    },
  ],
};
