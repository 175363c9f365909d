/** ○ The settings of all parts. What a value means is the part's own business: see the options of `Broker`, `CacheServer`, `listen`. */
import { LOG_LEVELS } from "../core/log-events.ts";
import { choice, count, duration, list, named, secret, size, toggle } from "./kinds.ts";
import type { Settings, Table } from "./table.ts";

/** Keeps the kinds of a table's settings for TypeScript. */
function table<const P extends string, const S extends Settings>(part: P, settings: S): Table<S, P> {
  return { part, settings };
}

export const QUEUE = table("queue", {
  listen: {
    kind: list("endpoint"),
    text: "where the queue listens, tcp://HOST:PORT or ipc://PATH",
    default: "tcp://127.0.0.1:5555",
    together: "queue",
  },
  data: {
    kind: named("folder"),
    text: "folder in which the queue stores its tasks (with --store: a copy of them); 'memory' keeps them in memory only",
    default: "./.holdfast",
    together: "data",
  },
  sync: {
    kind: choice("mode", ["always", "group", "interval", "none"]),
    text: "when a write is flushed to disk: group or always (before the answer), interval (may lose 1 s) or none",
    default: "group",
  },
  maxBytes: { kind: size, text: "limit in bytes of tasks that have not ended", default: "4g" },
  resultBytes: { kind: size, text: "limit in bytes of stored results", default: "64m" },
  eventsKeep: { kind: duration, text: "how long events are kept for listeners that are away", default: "1h" },
  eventsBytes: { kind: size, text: "limit in bytes of stored events; 0: none", default: "64m" },
  maxBody: { kind: size, text: "the largest body or result", default: "16m" },
  reserve: { kind: size, text: "room kept free so that a full disk stops no worker; 0: none", default: "16m" },
  plainUsers: { kind: named("file"), text: "PLAIN: the queue's users, one NAME:PASSWORD per line" },
  curveKeys: { kind: named("file"), text: "CURVE: the broker's keys, as 'holdfast queue keygen' writes them" },
  curveClients: {
    kind: named("file"),
    text: "CURVE: allowed client public keys, one per line (default: any client with the broker's key)",
  },
  store: {
    kind: named("url"),
    text: "store tasks in NATS JetStream: nats://HOST:4222[,HOST…]; its brokers form one group",
    together: "store",
  },
  replicas: {
    kind: count,
    text: "with --store: replicas of a new stream (default 1; 3 survive the loss of a server)",
    together: "replicas",
  },
  group: { kind: named("name"), text: 'with --store: name of the group of brokers (default "queue")', together: "group" },
});

export const CACHE = table("cache", {
  listen: {
    kind: list("address"),
    text: "where the cache listens, HOST:PORT or unix:/PATH",
    default: "127.0.0.1:11211",
    together: "cache",
  },
  memory: { kind: size, text: "memory for items", default: "64m" },
  itemSize: { kind: size, text: "the largest item", default: "1m" },
  eviction: {
    kind: choice("policy", ["lru", "s3fifo"]),
    text: "what goes when there is no room: lru, as memcached, or s3fifo",
    default: "lru",
  },
  threads: { kind: count, text: "threads that share the store and the port", default: "1" },
  connections: { kind: count, text: "clients at once", default: "1024" },
  idleTimeout: { kind: duration, text: "closes a connection after so long without a command; 0: never", default: "0s" },
  authFile: { kind: named("file"), text: "users of the text protocol, one user:password per line" },
  saslFile: { kind: named("file"), text: "users of the binary protocol, one user:password per line" },
  memoryFile: { kind: named("file"), text: "keeps the items over a restart" },
  tlsCert: { kind: named("file"), text: "the cache's certificate with its chain (PEM); turns TLS on" },
  tlsKey: { kind: named("file"), text: "private key of that certificate (PEM)" },
  tlsCa: { kind: named("file"), text: "certificates that clients must have one from (PEM)" },
});

/** When a peer that does not answer is given up; both ends have these. */
const KEEP_ALIVE = {
  idle: { kind: duration, text: "idle time before the first keep-alive probe", default: "5s" },
  interval: { kind: duration, text: "time between probes", default: "10s" },
  count: { kind: count, text: "unanswered probes after which the connection is closed", default: "3" },
  userTimeout: {
    kind: named("duration"),
    text: "how long sent data may stay unacknowledged: a duration, 'auto' or 'off'",
    default: "auto",
  },
} as const;

const LINK_SERVER = {
  listen: {
    kind: named("address"),
    text: "where the link server listens, [HOST:]PORT",
    default: "127.0.0.1:12345",
    together: "link",
    alone: "",
  },
  ...KEEP_ALIVE,
  cert: { kind: named("file"), text: "certificate of the link server (PEM); turns TLS on" },
  key: { kind: named("file"), text: "private key of that certificate (PEM)" },
  ca: { kind: named("file"), text: "certificates that peers must have one from (PEM)" },
  token: { kind: secret, text: "the token that sessions must present", onlyInFile: true },
  websocket: { kind: named("address"), text: "session mode: where sessions also come in by WebSocket, [HOST:]PORT" },
  allowedOrigins: {
    kind: list("origin"),
    text: "with --websocket: origins of pages that may connect, or '*' (default: the server's own)",
  },
  trustedProxies: {
    kind: list("network"),
    text: "with --websocket: proxies (CIDR) whose X-Forwarded-For says who the client is",
  },
} as const;

/** Of `holdfast listen`. */
export const LINK_ALONE = table("link", {
  ...LINK_SERVER,
  data: {
    kind: named("folder"),
    text: "with --sessions: folder in which sessions are kept, so that they survive the process",
  },
  store: {
    kind: named("url"),
    text: "with --sessions: keeps sessions in NATS JetStream, nats://HOST:4222[,HOST…]; of the servers with one log one takes clients",
  },
});

/** Of `holdfast up`, where the link server has a queue and a cache beside it. */
export const LINK = table("link", {
  ...LINK_SERVER,
  toQueue: {
    kind: named("queue"),
    text: "session mode: each message of a peer becomes a task of this queue, and is confirmed when the queue has it",
  },
  toCache: {
    kind: toggle,
    text: "with --link-to-queue: the last message and the presence of each session are kept in the cache",
  },
});

/** Of `holdfast connect`. */
export const CONNECT = table("connect", {
  ...KEEP_ALIVE,
  reconnect: { kind: toggle, text: "reconnect whenever the connection ends" },
  session: {
    kind: named("id"),
    text: "use session mode with this name: each line is acknowledged, and sent again after a reconnect",
  },
  spool: {
    kind: named("file"),
    text: "with --session: keep what is not acknowledged in this file, for the next run of the same name",
  },
  token: { kind: secret, text: "the token that the server requires of sessions", onlyInFile: true },
  tls: { kind: toggle, text: "use TLS" },
  cert: { kind: named("file"), text: "certificate of this side (PEM); turns TLS on" },
  key: { kind: named("file"), text: "private key of the certificate (PEM)" },
  ca: { kind: named("file"), text: "trusted CA certificates (PEM); turns TLS on" },
});

/** Of the commands that ask a broker: `holdfast queue add` and its kin, `holdfast work`. */
export const CLIENT = table("client", {
  url: { kind: named("url"), text: "the broker: tcp://HOST:PORT or ipc://PATH", default: "tcp://127.0.0.1:5555" },
  user: { kind: named("name"), text: "PLAIN: the user name; the password is read from HOLDFAST_PASSWORD or --password-file" },
  password: { kind: secret, text: "PLAIN: the password of --user", onlyInFile: true, variable: "HOLDFAST_PASSWORD" },
  serverKey: { kind: named("key"), text: "CURVE: the broker's public key (Z85)" },
  keyFile: { kind: named("file"), text: "CURVE: this client's keys, as 'holdfast queue keygen' writes them" },
  timeout: { kind: duration, text: "time limit of the command", default: "10s" },
});

/** Of `holdfast queue call`, which waits for a worker. */
export const CALLER = table("client", { ...CLIENT.settings, timeout: { ...CLIENT.settings.timeout, default: "10m" } });

/** Of `holdfast work`. */
export const WORK = table("work", {
  concurrency: { kind: count, text: "commands that run at once", default: "1" },
  drain: { kind: duration, text: "at SIGTERM, wait this long for running commands", default: "5s" },
});

const PAGE = {
  kind: named("address"),
  text: "where the page, metrics and health are",
  together: "dashboard",
  alone: "dashboard",
} as const;

/** Of `holdfast up`, which has a page unless told otherwise. */
export const DASHBOARD = table("dashboard", {
  listen: { ...PAGE, default: "127.0.0.1:8280" },
  token: {
    kind: secret,
    text: "access token of the page; required on a non-loopback address",
    alone: "dashboard-token",
  },
  apiTokens: {
    kind: secret,
    text: "tokens of the HTTP API with names and scopes, as JSON: see docs/http-api.md",
    together: "api-tokens",
    alone: "api-tokens",
  },
  peers: {
    kind: list("address"),
    text: "dashboards of other processes, shown on the same page; a name may lead to several; they have the same token",
    together: "peers",
    alone: "peers",
  },
});

/** Of a part that runs alone: no page unless asked for. */
export const DASHBOARD_ALONE = table("dashboard", {
  ...DASHBOARD.settings,
  listen: PAGE,
});

/** Of the commands that ask a dashboard. @param flag the token's flag */
export function askedDashboard<const Flag extends string>(flag: Flag) {
  return table("dashboard", {
    listen: { ...PAGE, text: "address of the dashboard to ask", default: "127.0.0.1:8280" },
    token: { kind: secret, text: "its access token", alone: flag },
  });
}

/** What every command that goes on tells, and how. */
export const LOG = table("log", {
  format: {
    kind: choice("format", ["text", "json"]),
    text: "how events are written on stderr: text or json (default: text)",
    together: "log",
    alone: "log",
  },
  level: {
    kind: choice("level", LOG_LEVELS),
    text: "which events: error, warning, info or debug, and what is worse",
    together: "log-level",
    alone: "log-level",
  },
});

/** Of all servers that one process runs. */
export const ACCESS = table("access", {
  file: {
    kind: named("file"),
    text: "who may what, as JSON: users, roles and rights (default: everybody may everything)",
    together: "access",
    alone: "access",
    variable: "HOLDFAST_ACCESS",
  },
});

/** The settings of `holdfast up`, its parts in the order in which they start. */
export const PARTS = [CACHE, QUEUE, LINK, DASHBOARD, ACCESS, LOG] as const;

/** All that a settings file may say. */
export const ALL_PARTS = [...PARTS, CONNECT, CLIENT, WORK] as const;
