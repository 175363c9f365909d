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
  summary: "the work queue: run its broker, submit, inspect and manage tasks",
  commands: [
    { name: "serve", summary: "run only the broker", load: async () => (await import("./queue/serve.ts")).run },
    { name: "add", summary: "submit a task", load: async () => (await import("./queue/submit.ts")).add },
    {
      name: "call",
      summary: "submit a task and wait for its result",
      load: async () => (await import("./queue/submit.ts")).call,
    },
    { name: "ls", summary: "list queues, or the tasks of one", load: async () => (await import("./queue/inspect.ts")).ls },
    { name: "show", summary: "show one task", load: async () => (await import("./queue/inspect.ts")).show },
    {
      name: "events",
      summary: "follow what happens to tasks",
      load: async () => (await import("./queue/events.ts")).run,
    },
    { name: "retry", summary: "retry dead tasks", load: async () => (await import("./queue/admin.ts")).retry },
    { name: "cancel", summary: "cancel tasks", load: async () => (await import("./queue/admin.ts")).cancel },
    { name: "promote", summary: "run delayed tasks now", load: async () => (await import("./queue/admin.ts")).promote },
    {
      name: "flow",
      summary: "show, cancel or retry the flow that a task is of",
      load: async () => (await import("./queue/inspect.ts")).flow,
    },
    {
      name: "signal",
      summary: "send a task what its handler waits for",
      load: async () => (await import("./queue/submit.ts")).signal,
    },
    {
      name: "update",
      summary: "change a task that has not begun",
      load: async () => (await import("./queue/admin.ts")).update,
    },
    { name: "remove", summary: "forget ended tasks", load: async () => (await import("./queue/admin.ts")).remove },
    {
      name: "drain",
      summary: "remove all waiting tasks of a queue",
      load: async () => (await import("./queue/admin.ts")).drain,
    },
    { name: "pause", summary: "pause a queue", load: async () => (await import("./queue/admin.ts")).pause },
    { name: "resume", summary: "resume a queue", load: async () => (await import("./queue/admin.ts")).resume },
    { name: "set", summary: "set a queue's limits", load: async () => (await import("./queue/admin.ts")).set },
    { name: "purge", summary: "delete ended tasks of a queue", load: async () => (await import("./queue/admin.ts")).purge },
    {
      name: "cron",
      summary: "list, create and remove scheduled tasks (cron)",
      load: async () => (await import("./queue/cron.ts")).run,
    },
    {
      name: "check",
      summary: "check the store's files, and salvage what is whole",
      load: async () => (await import("./queue/check.ts")).run,
    },
    { name: "move", summary: "move the queue to another store", load: async () => (await import("./queue/move.ts")).run },
    { name: "keygen", summary: "create a CURVE key pair", load: async () => (await import("./queue/keygen.ts")).run },
  ],
};

const CONFIG: CommandGroup = {
  name: "config",
  summary: "show and check settings",
  commands: [
    {
      name: "show",
      summary: "show all settings and where each comes from",
      load: async () => (await import("./config/config.ts")).show,
    },
    { name: "check", summary: "check a settings file", load: async () => (await import("./config/config.ts")).check },
    {
      name: "schema",
      summary: "print the JSON Schema of settings files",
      load: async () => (await import("./config/config.ts")).schema,
    },
  ],
};

const ACCESS: CommandGroup = {
  name: "access",
  summary: "who may what",
  commands: [
    {
      name: "check",
      summary: "say whether a user may do something, and why",
      load: async () => (await import("./access/access.ts")).check,
    },
    {
      name: "schema",
      summary: "print the JSON Schema of access files",
      load: async () => (await import("./access/access.ts")).schema,
    },
  ],
};

export const HOLDFAST: CommandGroup = {
  name: "holdfast",
  summary: "a shared cache, a durable work queue and TCP connections that last",
  commands: [
    {
      name: "up",
      summary: "run cache, queue, link server and dashboard in one process",
      load: async () => (await import("./up/up.ts")).run,
    },
    {
      name: "listen",
      summary: "accept long-lived connections, print what they send",
      load: async () => (await import("./link/listen.ts")).run,
    },
    {
      name: "connect",
      summary: "open a long-lived connection, send the lines of stdin",
      load: async () => (await import("./link/connect.ts")).run,
    },
    {
      name: "cache",
      summary: "run only the cache server, with memcached's flags",
      load: async () => (await import("./cache/cache.ts")).run,
    },
    QUEUE,
    {
      name: "work",
      summary: "run a command for each task of a queue",
      load: async () => (await import("./queue/work.ts")).run,
    },
    CONFIG,
    ACCESS,
    {
      name: "story",
      summary: "tell what happened to a task, step by step",
      load: async () => (await import("./story.ts")).run,
    },
    { name: "wire", summary: "capture and decode packets", load: async () => (await import("./wire/wire.ts")).run },
    { name: "stats", summary: "show statistics of a running server", load: async () => (await import("./stats.ts")).run },
    {
      name: "health",
      summary: "ask a process whether it is alive, or ready",
      load: async () => (await import("./health.ts")).run,
    },
    {
      name: "bench",
      summary: "run a load test against a running server",
      load: async () => (await import("./bench/bench.ts")).run,
    },
  ],
};
