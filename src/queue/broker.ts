/**
 * ● The broker: a front door (front.ts) and the hall behind it (hall.ts), on a store.
 */
import { randomBytes, randomInt } from "node:crypto";
import { type Clock, systemClock } from "../core/clock.ts";
import { UsageError } from "../core/errors.ts";
import { seeded } from "../core/random.ts";
import { type Size, sizeBytes } from "../core/units.ts";
import { nextRun } from "./calendar.ts";
import type { LocalPort } from "./connection.ts";
import type { DeskStats } from "./desk-stats.ts";
import { type BrokerSecurity, Front } from "./front.ts";
import { Hall } from "./hall.ts";
import { MemoryStore } from "./memory-store.ts";
import type { Frames } from "./protocol.ts";
import { SqliteStore, type SyncMode } from "./sqlite-store.ts";
import type { Store } from "./store.ts";

export type { BrokerSecurity } from "./front.ts";

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
  /** The largest body or result; default "16m". */
  readonly maxBody?: Size;
  /** PLAIN or CURVE: who may come in. Without it everybody who can reach the port may. */
  readonly security?: BrokerSecurity;
  /** A store instead of the one that `data` and `sync` say. */
  readonly store?: Store;
  /** Told what happens, one line each: event name and facts. */
  readonly log?: (event: string, facts: Readonly<Record<string, unknown>>) => void;
  /** For tests: the clock. */
  readonly clock?: Clock;
}

/** A broker's numbers as of now. */
export interface BrokerStats extends DeskStats {
  readonly id: string;
  readonly address: string;
  readonly peers: number;
  readonly upMs: number;
}

const LISTEN_DEFAULT = "tcp://127.0.0.1:5555";
/**
 * A work queue's broker. `await listen()`, then clients and workers of all dialects may come; `await close()` when done.
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
  readonly #hall: Hall;
  readonly #front: Front;
  #startedMs = 0;
  #closing: Promise<void> | undefined;

  constructor(options: BrokerOptions = {}) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    const log = (event: string, facts: Readonly<Record<string, unknown>>): void => this.#log(event, facts);
    this.#hall = new Hall({
      store: options.store ?? makeStore(options),
      clock: this.#clock,
      random: seeded(randomInt(2 ** 32)),
      single: options.sync === "always",
      newId: () => randomBytes(4).toString("hex"),
      nextRun,
      log,
      ...(options.maxBytes === undefined ? {} : { bytesMax: sizeBytes(options.maxBytes, "maxBytes") }),
      ...(options.resultBytes === undefined ? {} : { endedBytesMax: sizeBytes(options.resultBytes, "resultBytes") }),
      ...(options.maxBody === undefined ? {} : { bodyBytesMax: sizeBytes(options.maxBody, "maxBody") }),
    });
    this.#front = new Front({ security: options.security, log });
  }

  /**
   * Opens the store, takes up what it holds and listens.
   *
   * @throws ProtocolError QUEUE_STORE_CORRUPT, OperationError QUEUE_STORE_LOCKED, QUEUE_STORE_UNAVAILABLE, or the socket's error
   */
  async listen(): Promise<void> {
    this.#startedMs = this.#clock.now();
    await this.#hall.open();
    const { listen = LISTEN_DEFAULT } = this.#options;
    try {
      await this.#front.open(typeof listen === "string" ? [listen] : listen, this.#hall);
    } catch (error) {
      await this.close();
      throw error;
    }
    this.#log("queue.listening", { address: this.address });
  }

  /** Where it listens (the last endpoint), with the port that was taken. */
  get address(): string {
    return this.#front.address;
  }

  /** The first part of its tasks' ids: eight hex digits, kept with its data. */
  get id(): string {
    return this.#hall.id;
  }

  /** @internal A client in this process speaks the own protocol without a socket. */
  attach(send: (frames: Frames) => void, closed: () => void): LocalPort {
    const port = this.#front.attach(send, closed);
    if (!port) throw new UsageError("CLOSED", "Cannot use a broker before listen() or after close()");
    return port;
  }

  /** Numbers as of now. */
  stats(): BrokerStats {
    return {
      id: this.id,
      address: this.address,
      peers: this.#hall.peerCount,
      upMs: this.#clock.now() - this.#startedMs,
      ...this.#hall.stats(),
    };
  }

  /** Answers what is being written, gives leases back, closes the store and the socket. May be called twice. */
  async close(): Promise<void> {
    this.#closing ??= this.#close();
    await this.#closing;
  }

  async #close(): Promise<void> {
    await this.#hall.close();
    await this.#front.close();
    this.#log("queue.closed", {});
  }

  #log(event: string, facts: Readonly<Record<string, unknown>>): void {
    this.#options.log?.(event, facts);
  }
}

function makeStore({ data = "./.holdfast", sync = "group", log }: BrokerOptions): Store {
  if (data === false) return new MemoryStore();
  return new SqliteStore({ folder: data, sync, log: (message) => log?.("queue.store", { message }) });
}
