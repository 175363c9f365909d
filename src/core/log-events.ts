/**
 * ○ The one list of what the log tells: event → level and what it means. docs/logs.md shows it, and a test compares the two. Events
 * are never renamed or given a second meaning; their facts may become more. Where trouble ends the level is that of a warning too,
 * so that whoever was told that it began is told that it is over.
 */

/** From the worst: a level lets through itself and those before it. */
export const LOG_LEVELS = ["error", "warning", "info", "debug"] as const;

/** How bad an event is; a level of a log lets through itself and what is worse. */
export type LogLevel = (typeof LOG_LEVELS)[number];

interface LogEventEntry {
  readonly level: LogLevel;
  /** What happened, and what its facts are. */
  readonly text: string;
}

export const LOG_EVENTS = {
  // every part
  "log.left-out": {
    level: "warning",
    text: "An event came so often that lines were left out: `of` which event, how many `lines`",
  },
  reloaded: {
    level: "warning",
    text: "Settings and files were read again, as asked for; `needRestart`: which changes wait for a restart",
  },
  "reload-failed": { level: "error", text: "Settings and files could not be read again, and all stays as it was: `error`" },
  "access.refused": {
    level: "warning",
    text: "`user` asked for something without the `right` that it needs: docs/how-to/rights.md",
  },
  "dashboard.listening": { level: "info", text: "The page, metrics and health of this process are at `address`" },
  // cache and links
  "cache.exposed": {
    level: "warning",
    text: "Other machines can reach the cache at `address` without authentication",
  },
  "link.exposed": {
    level: "warning",
    text: "Other machines can open links at `address` without authentication; `see`: the flag that asks for it",
  },
  "link.standby": {
    level: "info",
    text: "`holdfast listen --store` takes no clients for now: another server of its group does",
  },
  "link.listening": { level: "info", text: "`holdfast listen` listens at `address`" },
  "link.open": { level: "info", text: "A link of `peer` is open; `keepAlive`: what the kernel took of the settings" },
  "link.end": { level: "info", text: "The link of `peer` has ended: `reason`, `message`" },
  "link.presence": { level: "info", text: "The session `name` at `peer` is online, away or gone (`presence`), and why" },
  "link.gap": { level: "warning", text: "The session `name` dropped its messages `from` to `to`: they never come" },
  "link.stranger": { level: "warning", text: "Somebody at `peer` did not open a session: `reason`, `message`" },
  "link.store-trouble": {
    level: "error",
    text: "The sessions' store cannot be written, or what it held was damaged: `error`. No session begins until it can",
  },
  "link.store-recovered": { level: "warning", text: "The sessions' store can be written again" },
  // broker
  "queue.listening": { level: "info", text: "The broker listens at `address`" },
  "queue.outbox-trouble": {
    level: "warning",
    text: "The outbox `table` cannot be relayed now, for the database or the broker: `error`. It is tried again",
  },
  "queue.outbox-recovered": { level: "warning", text: "The outbox `table` is relayed again" },
  "queue.outbox-set-aside": {
    level: "error",
    text: "A row of the outbox `table` is no task that a broker takes: `key`, `error`. It stays there with the error",
  },
  "queue.made-private": {
    level: "warning",
    text: "The queue's `folder`, or these `files` in it, were open to other users of the machine: they are their owner's alone now",
  },
  "queue.closed": { level: "info", text: "The broker has closed" },
  "queue.exposed": {
    level: "warning",
    text: "Other machines can reach the queue at `address` without authentication; `see`: the flag that asks for it",
  },
  "queue.peer-refused": {
    level: "warning",
    text: "A peer at `remote` did not get through the handshake: a wrong key or password, or something that is no ZeroMQ; `reason`",
  },
  "queue.peer-cut": { level: "warning", text: "The connection of `peer` was ended by the broker: `reason`" },
  "queue.worker-lost": {
    level: "warning",
    text: "The connection of a worker (`peer`) of `queue` broke, or it fell silent, while it `held` tasks; others get them",
  },
  "queue.worker-kept": {
    level: "warning",
    text: "A worker (`peer`) of `queue` does not answer, but its process lives: it keeps what it has begun, `held` tasks",
  },
  "queue.task-dead": {
    level: "info",
    text: "`task` of `queue` will not be tried again; `reason` as `holdfast queue show` says it",
  },
  "queue.operation": {
    level: "info",
    text: "`user` at `peer` (for `by`, who asked the HTTP API) had an `operation` done that changes something; `asked` and `result` as JSON",
  },
  "queue.program-error": {
    level: "error",
    text: "A bug in Holdfast, or in a callback of yours: `error` with its `stack`, and the `peer` and `task` that it is about. Please report it",
  },
  "queue.task-damaged": {
    level: "warning",
    text: "What the store keeps of `task` of `queue` is not what was written: it is dead, and all others run; `error` says which part",
  },
  "queue.read-failed": {
    level: "warning",
    text: "The disk did not read what the store keeps of `task`: `error`. It is tried again; its `queue` waits for `pauseMs`, other queues do not",
  },
  "queue.read-again": { level: "warning", text: "The disk reads bodies of `queue` again" },
  "queue.store-trouble": {
    level: "error",
    text: "The store cannot write: `error`. New tasks are refused until it can; what was taken in goes on",
  },
  "queue.store-recovered": { level: "warning", text: "The store writes again, `forMs` after it could not" },
  "queue.store-full": {
    level: "error",
    text: "The disk is full, and the room that was kept for this is used now: new tasks are refused, workers go on; `why` says what to do",
  },
  "queue.store-room": { level: "warning", text: "The disk has room again: new tasks are taken" },
  "queue.store": { level: "warning", text: "The store's thread says: `message`" },
  // brokers on NATS
  "queue.leading": {
    level: "info",
    text: "This broker leads its `group`; `epoch`: the number of its term, `sequence`: where the log ends",
  },
  "queue.takeover": { level: "warning", text: "This broker took over: the leader before (`from`) fell silent" },
  "queue.following": { level: "info", text: "This broker follows the `leader` of its `group`" },
  "queue.leader-lost": { level: "warning", text: "Another broker leads the `group` now; this one follows" },
  "queue.follower-gone": { level: "warning", text: "A `follower` with `peers` connections is gone: `why`" },
  "queue.durability": {
    level: "info",
    text: "What a `powerCut` at the NATS servers could cost, and how that is known (`source`)",
  },
  "queue.group": { level: "warning", text: "Trouble among the brokers of a group: `message`" },
  "queue.log": { level: "warning", text: "Trouble with the log on NATS or this broker's copy of it: `message`" },
  "queue.nats": { level: "warning", text: "The NATS server, or the connection to it, says: `error`" },
  "queue.nats-down": { level: "warning", text: "The connection to the NATS `server` is lost" },
  "queue.nats-up": { level: "warning", text: "A NATS `server` is connected again" },
  // clients and workers
  "queue.broker-connected": { level: "info", text: "A broker at `address` is connected" },
  "queue.broker-lost": { level: "info", text: "The connection to the broker at `address` is lost; it is made again" },
  "queue.broker-unreachable": {
    level: "warning",
    text: "No broker of `url` has been connected for 5 s; `reason`, if it is known. It is tried for as long as the client lives",
  },
  "queue.broker-back": { level: "warning", text: "A broker of `url` is connected again" },
  "queue.broker-refused": { level: "warning", text: "The broker at `address` refuses this client: `reason`" },
  "queue.broker-invalid": {
    level: "warning",
    text: "The broker at `address` said what its protocol does not allow (`error`); the connection was ended, and is made again",
  },
  "queue.message-refused": { level: "warning", text: "The broker at `address` could not use a message: `code`, `reason`" },
  "queue.listener-failed": {
    level: "error",
    text: "A function that listens to an `event` of `queue` threw, or the broker refuses to tell: `error`",
  },
  "queue.events-lost": {
    level: "warning",
    text: "One who listens to an `event` of `queue` has missed some: they are kept no longer",
  },
  "queue.attempt-failed": {
    level: "warning",
    text: "The handler of `task` failed at this `attempt`: `error`. Only of workers without `onError`",
  },
  "queue.keeper-lost": {
    level: "warning",
    text: "The thread that keeps tasks while a handler blocks the event loop has ended, or cannot be started: `error`. Such a handler loses its task",
  },
  "queue.result-late": {
    level: "warning",
    text: "The result of `task` came too late: its lease was lost. Only of workers without `onError`",
  },
} as const satisfies Readonly<Record<string, LogEventEntry>>;

/** An event's name. */
export type LogEvent = keyof typeof LOG_EVENTS;

/** Whether a level lets an event through. */
export function isLogged(event: LogEvent, level: LogLevel): boolean {
  return LOG_LEVELS.indexOf(LOG_EVENTS[event].level) <= LOG_LEVELS.indexOf(level);
}
