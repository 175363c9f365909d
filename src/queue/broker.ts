/**
 * ● The broker: a front end (broker/front-end.ts) and its back end, which is a broker core (broker/broker-core.ts) on a store of
 * its own or a node in a group of brokers on NATS (cluster/cluster-node.ts).
 */
import { randomBytes, randomInt } from "node:crypto";
import { type Clock, systemClock } from "../core/clock.ts";
import { join } from "node:path";
import { OperationError, UsageError } from "../core/errors.ts";
import { type Log, type LogOption, makeLog } from "../core/log.ts";
import { seeded } from "../core/random.ts";
import { AccessControl } from "../access/access-control.ts";
import type { AskedRights } from "../access/access-table.ts";
import { joinShutdown, STOP_SIGNALS } from "../core/shutdown.ts";
import { type Duration, durationMs, type Size, sizeBytes } from "../core/units.ts";
import { nextRun } from "./service/calendar.ts";
import type { LocalPort } from "./protocols/protocol-handler.ts";
import { NO_TASKS, type StartProgress, type TaskServiceStats } from "./service/task-service.ts";
import { type BrokerSecurity, FrontEnd, type PeerSink } from "./broker/front-end.ts";
import { BrokerCore } from "./broker/broker-core.ts";
import { StartSink } from "./broker/starting.ts";
import { CARRIED_BYTES_MAX } from "./limits.ts";
import { MemoryStore } from "../store/memory-store.ts";
import { ClusterNode, type ClusterStats } from "./cluster/cluster-node.ts";
import { parseNatsUrl } from "../store/nats/nats-url.ts";
import {
  anything,
  checkOptions,
  duration,
  isObject,
  isText,
  logOption,
  type OptionCheck,
  type OptionTable,
  when,
} from "./option-check.ts";
import type { Frames } from "./protocols/messages.ts";
import { FollowerState, type FollowerStateOptions, type TaskStore } from "./stores/follower-state.ts";
import { SqliteStore, type SyncMode } from "../store/sqlite/sqlite-store.ts";
import type { Store } from "../store/store.ts";

export type { BrokerSecurity } from "./broker/front-end.ts";

/** How a broker is set up. */
export interface BrokerOptions {
  /** One endpoint or several, `tcp://HOST:PORT` or `ipc://PATH`; port 0 takes a free one. Default `tcp://127.0.0.1:5555`. */
  readonly listen?: string | readonly string[];
  /** The folder of the store; `false` keeps everything in memory only. Default `./.holdfast`. */
  readonly data?: string | false;
  /** When answers are given: see `SyncMode`. Default "group". */
  readonly sync?: SyncMode;
  /** Bytes of tasks that have not ended (bodies + 128 each); default "4g". */
  readonly maxBytes?: Size;
  /** Bytes of results and ended tasks kept; the oldest go first. Default "64m". */
  readonly resultBytes?: Size;
  /** How long events are kept for listeners that are away (`queue.on`); default "1h". */
  readonly eventsKeep?: Duration;
  /** Bytes of events kept, about 16 an event; the oldest go first. 0: none is, and who was away is told of a gap. Default "64m". */
  readonly eventsBytes?: Size;
  /** The largest body or result; default "16m". */
  readonly maxBody?: Size;
  /**
   * Room on the disk of `data` that is kept free, in a file, so that on a full disk workers finish, results are written and a broker starts;
   * at most a quarter of the disk, 0: none. Default "16m".
   */
  readonly reserve?: Size;
  /** PLAIN or CURVE: who may come in. Without it everybody who can reach the port may. */
  readonly security?: BrokerSecurity;
  /** Who may what: users, roles and rights of an access file (docs/how-to/rights.md). Default: whoever is in may everything. */
  readonly access?: AccessControl;
  /**
   * A store instead of the one that `data` and `sync` say; or `nats://HOST:4222[,HOST…]`: the tasks are kept on NATS JetStream, and all
   * brokers with the same servers and group are one. `data` then holds a copy of what is there; `false`: a temporary one.
   */
  readonly store?: Store | string;
  /** With NATS: copies of the tasks when their stream is made; 3 survive the loss of a server. Default 1. */
  readonly replicas?: number;
  /** With NATS: which brokers belong together. Default "queue". */
  readonly group?: string;
  /** As a worker's `signals`: those at which it closes, after the workers of its process. Default SIGTERM, SIGINT and SIGHUP; [] = none. */
  readonly signals?: readonly NodeJS.Signals[];
  /**
   * What the log tells, and to whom: `false`: nothing; a level ("error", "warning", "info", "debug"): that and what is worse, on stderr,
   * a line each; a function: everything, to it. Default "warning". docs/logs.md lists the events.
   */
  readonly log?: LogOption;
  /** For tests: the clock. */
  readonly clock?: Clock;
  /** For tests: ms between two questions whether a silent peer lives; silent for three times that it is gone. Default 5000. */
  readonly heartbeatMs?: number;
}

/** A broker's numbers as of now. */
export interface BrokerStats extends TaskServiceStats {
  readonly id: string;
  readonly address: string;
  readonly peers: number;
  readonly upMs: number;
  /** While it starts: how much of its tasks is read, in percent. The other numbers are 0 then. */
  readonly starting?: number;
  /** With NATS: this broker's part in its group. The other numbers are then the whole group's, while it leads; else only `peers` counts. */
  readonly cluster?: ClusterStats;
}

const SYNC_MODES: readonly SyncMode[] = ["always", "group", "interval", "none"];

const BROKER_OPTIONS: Readonly<Record<keyof BrokerOptions, OptionCheck>> = {
  listen: when((value) => isText(value) || (Array.isArray(value) && value.every(isText)), "is an endpoint, or a list of them"),
  data: when((value) => value === false || isText(value), "is a folder, or false"),
  sync: when((value) => SYNC_MODES.some((mode) => mode === value), `is one of ${SYNC_MODES.join(", ")}`),
  maxBytes: anything,
  resultBytes: anything,
  eventsKeep: duration(),
  eventsBytes: anything,
  maxBody: anything,
  reserve: anything,
  security: when(isObject, "is { plain } or { curve }"),
  access: when((value) => value instanceof AccessControl, "is an AccessControl"),
  store: when((value) => isText(value) || isObject(value), "is a store, or its address"),
  replicas: anything,
  group: anything,
  signals: when(Array.isArray, "is a list of signals"),
  log: logOption,
  clock: anything,
  heartbeatMs: anything,
};

const BROKER: OptionTable = { act: "make the broker", known: BROKER_OPTIONS, bullmq: {} };

const LISTEN_DEFAULT = "tcp://127.0.0.1:5555";

/**
 * A work queue's broker. `await listen()`, then clients and workers of all protocols may come; `await close()` when done.
 *
 * @example
 * const broker = new Broker({ listen: "tcp://127.0.0.1:0", data: false });
 * await broker.listen();
 * console.log(broker.address);
 * await broker.close();
 */
export class Broker {
  readonly #options: BrokerOptions;
  readonly #clock: Clock;
  readonly #backEnd: BackEnd;
  readonly #frontEnd: FrontEnd;
  readonly #log: Log;
  #startedMs = 0;
  #starting: StartSink | undefined;
  #ready: Promise<void> = Promise.resolve();
  #closing: Promise<void> | undefined;
  /** Rejects when it has closed. */
  readonly #closed = Promise.withResolvers<never>();
  #leaveShutdown: () => void = () => {};

  /** @throws UsageError QUEUE_OPTIONS_INVALID when `store` is an address that cannot be read, or `maxBody` over 127 MiB */
  constructor(options: BrokerOptions = {}) {
    checkOptions(options, BROKER);
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#log = makeLog(options.log);
    const { security, access, heartbeatMs } = options;
    this.#frontEnd = new FrontEnd({ security, access, heartbeatMs, log: this.#log });
    this.#backEnd = this.#makeBackEnd();
    this.#closed.promise.catch(() => {});
  }

  /**
   * Listens, opens the store and continues with what it holds. Resolves when all of it is at hand.
   *
   * @param signal closes it, if it fires before that is done
   * @throws ProtocolError QUEUE_STORE_CORRUPT, OperationError QUEUE_STORE_LOCKED, QUEUE_STORE_UNAVAILABLE, QUEUE_STORE_DENIED,
   * QUEUE_STORE_FULL, CLOSED when it was closed meanwhile, or the socket's error
   */
  async listen(options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    await this.open(options);
    await this.ready;
  }

  /**
   * Listens and opens the store, as `listen`, but resolves before its tasks are read: half a second for each million. What peers say
   * meanwhile is done then, and those that ask are told how far it is.
   *
   * @param signal closes it, if it fires before all is at hand
   * @throws as `listen`
   */
  async open({ signal }: { readonly signal?: AbortSignal } = {}): Promise<void> {
    const { promise: opened, resolve } = Promise.withResolvers<void>();
    this.#ready = this.#start(resolve, signal);
    // Whoever does not wait for it learns of a failure by the log, and by the end of everything.
    this.#ready.catch(() => {});
    await Promise.race([opened, this.#ready]);
  }

  /** Resolves when all tasks are at hand; rejects as `listen`, and then it has closed. */
  get ready(): Promise<void> {
    return this.#ready;
  }

  async #start(opened: () => void, signal: AbortSignal | undefined): Promise<void> {
    this.#startedMs = this.#clock.now();
    const { listen = LISTEN_DEFAULT, signals = STOP_SIGNALS } = this.#options;
    this.#leaveShutdown = joinShutdown({ stage: "servers", signals, drain: () => this.close() });
    const close = (): void => void this.close();
    signal?.addEventListener("abort", close, { once: true });
    const { sink } = this.#backEnd;
    this.#starting = new StartSink(sink);
    try {
      if (signal?.aborted) close();
      if (this.#closing) await this.#closed.promise;
      await this.#frontEnd.open(typeof listen === "string" ? [listen] : listen, this.#starting);
      // Whom the back end waits for may not answer.
      const open = this.#backEnd.open({ opened, read: (share) => this.#starting!.reached(share) });
      await Promise.race([this.#closed.promise, open]);
      if (this.#closing) await this.#closed.promise;
    } catch (error) {
      if (this.#closing) await this.#closed.promise;
      await this.close();
      throw error;
    } finally {
      signal?.removeEventListener("abort", close);
    }
    this.#starting.finish();
    this.#log("queue.listening", { address: this.address });
  }

  /** Where it listens (the last endpoint), with the port that was taken. */
  get address(): string {
    return this.#frontEnd.address;
  }

  /** The first part of its tasks' ids: eight hex digits, kept with its data. */
  get id(): string {
    return this.#backEnd.id;
  }

  /** @internal A client in this process speaks the native protocol without a socket. */
  attach(send: (frames: Frames) => void, closed: () => void, rights?: AskedRights): LocalPort {
    const port = this.#frontEnd.attach(send, closed, rights);
    if (!port) throw new UsageError("CLOSED", "Cannot use a broker before listen() or after close()");
    return port;
  }

  /**
   * Lets in these users, or clients with these keys, from now on; who is in stays. The broker's own keys stay what they were.
   *
   * @throws UsageError QUEUE_OPTIONS_INVALID when it did not start with the same kind of security
   */
  reload(security: BrokerSecurity): void {
    this.#frontEnd.reload(security);
  }

  /** @internal For the page: tells the other brokers of its group of this process; `stats().cluster.others` is what they told. */
  tellGroup(about: unknown): void {
    this.#backEnd.tellGroup?.(about);
  }

  /** Numbers as of now. */
  stats(): BrokerStats {
    const { id, address } = this;
    const upMs = this.#clock.now() - this.#startedMs;
    const starting = this.#starting?.percent;
    if (starting !== undefined) return { id, address, upMs, starting, peers: 0, ...NO_TASKS };
    return { id, address, upMs, ...this.#backEnd.stats() };
  }

  /**
   * Answers what is being written, gives leases back, closes the store and the socket. While it starts: ends that, however much there is
   * to read. May be called twice.
   */
  async close(): Promise<void> {
    this.#closing ??= this.#close();
    await this.#closing;
  }

  async #close(): Promise<void> {
    await this.#backEnd.close();
    await this.#frontEnd.close();
    this.#leaveShutdown();
    this.#closed.reject(new OperationError("CLOSED", "The broker was closed while it started"));
    this.#log("queue.closed", {});
  }

  #makeBackEnd(): BackEnd {
    const { store, replicas, group } = this.#options;
    if (typeof store !== "string") return localBackEnd(this.#makeCore(store ?? ownStore(this.#options, this.#log)));
    const url = parseNatsUrl(store, { group, replicas });
    const { data = "./.holdfast" } = this.#options;
    return new ClusterNode({
      url,
      folder: data === false ? undefined : join(data, `nats-${url.group}`),
      clock: this.#clock,
      random: seeded(randomInt(2 ** 32)),
      makeFollowerState: () => new FollowerState(this.#stateMachineOptions),
      makeCore: (term, mayGiveOut) => this.#makeCore(term, mayGiveOut),
      address: () => this.address,
      access: this.#options.access,
      log: this.#log,
    });
  }

  #makeCore(store: TaskStore, mayGiveOut?: () => boolean): BrokerCore {
    const { sync, maxBody, eventsKeep, eventsBytes } = this.#options;
    return new BrokerCore({
      store,
      clock: this.#clock,
      ...this.#stateMachineOptions,
      eventsKeepMs: eventsKeep === undefined ? undefined : durationMs(eventsKeep, "eventsKeep"),
      eventsBytesMax: eventsBytes === undefined ? undefined : sizeBytes(eventsBytes, "eventsBytes"),
      single: sync === "always",
      newId: () => randomBytes(4).toString("hex"),
      nextRun,
      log: this.#log,
      ...(mayGiveOut && { mayGiveOut }),
      ...(maxBody === undefined ? {} : { bodyBytesMax: readMaxBody(maxBody) }),
    });
  }

  get #stateMachineOptions(): FollowerStateOptions {
    const { maxBytes, resultBytes } = this.#options;
    return {
      random: seeded(randomInt(2 ** 32)),
      bytesMax: maxBytes === undefined ? undefined : sizeBytes(maxBytes, "maxBytes"),
      endedBytesMax: resultBytes === undefined ? undefined : sizeBytes(resultBytes, "resultBytes"),
    };
  }
}

/** Where the front end sends messages. */
interface BackEnd {
  readonly sink: PeerSink;
  readonly id: string;
  open(progress: StartProgress): Promise<void>;
  stats(): Omit<BrokerStats, "id" | "address" | "upMs">;
  tellGroup?(about: unknown): void;
  close(): Promise<void>;
}

/** A broker core of its own, for as long as the broker lives. */
function localBackEnd(core: BrokerCore): BackEnd {
  return {
    sink: core,
    get id() {
      return core.id;
    },
    open: (progress) => core.open(progress),
    stats: () => ({ peers: core.peerCount, ...core.stats() }),
    close: () => core.close(),
  };
}

/** 16 MiB: a log of 16 MB can be folded into the file, or some 100,000 results of small tasks be written. */
const RESERVE_DEFAULT = "16m";

function ownStore({ data = "./.holdfast", sync = "group", reserve = RESERVE_DEFAULT }: BrokerOptions, log: Log): Store {
  if (data === false) return new MemoryStore();
  return new SqliteStore({
    folder: data,
    sync,
    reserveBytes: sizeBytes(reserve, "reserve"),
    full: (why) => (why === undefined ? log("queue.store-room", {}) : log("queue.store-full", { why })),
    madePrivate: ({ folder, files }) => log("queue.made-private", { folder, files: files.join(" ") }),
    log: (message) => log("queue.store", { message }),
  });
}

/** @throws UsageError QUEUE_OPTIONS_INVALID for bodies that no message could carry */
function readMaxBody(maxBody: Size): number {
  const bytes = sizeBytes(maxBody, "maxBody");
  if (bytes > CARRIED_BYTES_MAX)
    throw new UsageError(
      "QUEUE_OPTIONS_INVALID",
      `Cannot allow bodies of ${bytes} bytes: a message holds at most ${CARRIED_BYTES_MAX}`,
    );
  return bytes;
}
