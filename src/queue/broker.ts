/**
 * ● The broker: one ROUTER socket in front of a desk (desk.ts) and its store. It reads messages in bundles, hands each to its
 * peer's dialect, and gives out and commits once per bundle. A peer that does not read what it is sent is cut off.
 */
import { randomBytes, randomInt } from "node:crypto";
import type { Buffer } from "node:buffer";
import { type Cancel, type Clock, systemClock } from "../core/clock.ts";
import { messageOf, OperationError, UsageError } from "../core/errors.ts";
import { seeded } from "../core/random.ts";
import { type Size, sizeBytes } from "../core/units.ts";
import { type Authenticator, Router } from "../zmq/index.ts";
import { nextRun } from "./calendar.ts";
import type { LocalPort } from "./connection.ts";
import { CronTable } from "./cron.ts";
import { Desk } from "./desk.ts";
import type { DeskStats } from "./desk-stats.ts";
import type { Wire } from "./dialect.ts";
import { MemoryStore } from "./memory-store.ts";
import { type Frames, IdText } from "./protocol.ts";
import { showPeer } from "./roster.ts";
import { SqliteStore, type SyncMode } from "./sqlite-store.ts";
import type { Store } from "./store.ts";
import { Switchboard } from "./switchboard.ts";

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
  readonly clock?: Clock;
}

export type BrokerSecurity =
  | { readonly plain: Readonly<Record<string, string>> }
  /** `clients`: public keys (Z85) that may come in; without it every client that knows the server's public key. */
  | { readonly curve: { readonly publicKey: string; readonly secretKey: string; readonly clients?: readonly string[] } };

export interface BrokerStats extends DeskStats {
  readonly id: string;
  readonly address: string;
  readonly peers: number;
  readonly upMs: number;
}

const LISTEN_DEFAULT = "tcp://127.0.0.1:5555";
/** 512 messages between two turns of the event loop: under 10 ms, so that timers and new connections get theirs. */
const BUNDLE_MESSAGES_MAX = 512;
/** 1,000,000 messages not read by a peer: results of one addMany after the other; the bytes are bounded by the next. */
const UNREAD_MESSAGES_MAX = 1_000_000;
/** 64 MiB not read by a peer: four of the largest results. Past it the peer is cut off. */
const UNREAD_BYTES_MAX = 64 * 1024 ** 2;
const TICK_MS = 1000;
const ID_SETTING = "broker";

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
  readonly #desk: Desk;
  readonly #router: Router;
  #switchboard: Switchboard | undefined;
  #cron: CronTable | undefined;
  #ids: IdText | undefined;
  #startedMs = 0;
  #timer: { readonly atMs: number; readonly cancel: Cancel } | undefined;
  #slowTimer: NodeJS.Timeout | undefined;
  #reading: Promise<void> | undefined;
  #closing: Promise<void> | undefined;
  #inBundle = false;
  #locals = 0;
  readonly #localClosed = new Map<string, () => void>();
  #flushing = false;

  constructor(options: BrokerOptions = {}) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#desk = new Desk({
      store: options.store ?? makeStore(options),
      clock: this.#clock,
      random: seeded(randomInt(2 ** 32)),
      single: options.sync === "always",
      wake: () => this.#arm(),
      ...(options.maxBytes === undefined ? {} : { bytesMax: sizeBytes(options.maxBytes, "maxBytes") }),
      ...(options.resultBytes === undefined ? {} : { endedBytesMax: sizeBytes(options.resultBytes, "resultBytes") }),
      ...(options.maxBody === undefined ? {} : { bodyBytesMax: sizeBytes(options.maxBody, "maxBody") }),
    });
    this.#router = new Router({
      mandatory: true,
      handover: true,
      linger: 0,
      heartbeatInterval: 5000,
      heartbeatTimeout: 15_000,
      sendHighWaterMark: UNREAD_MESSAGES_MAX,
      sendHighWaterBytes: UNREAD_BYTES_MAX,
      maxMessageSize: 128 * 1024 ** 2,
      ...routerSecurity(options.security),
    });
  }

  /**
   * Opens the store, takes up what it holds and listens.
   *
   * @throws ProtocolError QUEUE_STORE_CORRUPT, OperationError QUEUE_STORE_LOCKED, QUEUE_STORE_UNAVAILABLE, or the socket's error
   */
  async listen(): Promise<void> {
    this.#startedMs = this.#clock.now();
    const { settings } = await this.#desk.open();
    try {
      this.#begin(settings);
      const { listen = LISTEN_DEFAULT } = this.#options;
      for (const endpoint of typeof listen === "string" ? [listen] : listen) await this.#router.bind(endpoint);
    } catch (error) {
      await this.close();
      throw error;
    }
    this.#log("queue.listening", { address: this.address });
  }

  /** Where it listens (the last endpoint), with the port that was taken. */
  get address(): string {
    return this.#router.lastEndpoint ?? "";
  }

  /** The first part of its tasks' ids: eight hex digits, kept with its data. */
  get id(): string {
    return this.#ids?.broker ?? "";
  }

  /** @internal A client in this process speaks the own protocol without a socket. */
  attach(send: (frames: Frames) => void, closed: () => void): LocalPort {
    const switchboard = this.#switchboard;
    if (!switchboard) throw new UsageError("CLOSED", "Cannot use a broker before listen() or after close()");
    this.#locals += 1;
    const key = `local ${this.#locals}`;
    const wire: Wire = { peer: key, send, close: closed };
    this.#localClosed.set(key, closed);
    return {
      receive: (frames) => {
        switchboard.receive(key, frames, () => wire);
        this.#flushSoon();
      },
      gone: () => {
        this.#localClosed.delete(key);
        switchboard.gone(key);
        this.#flushSoon();
      },
    };
  }

  /** Numbers as of now. */
  stats(): BrokerStats {
    return {
      id: this.id,
      address: this.address,
      peers: this.#switchboard?.peerCount ?? 0,
      upMs: this.#clock.now() - this.#startedMs,
      ...this.#desk.stats(),
    };
  }

  /** Answers what is being written, gives leases back, closes the store and the socket. May be called twice. */
  async close(): Promise<void> {
    this.#closing ??= this.#close();
    await this.#closing;
  }

  async #close(): Promise<void> {
    this.#timer?.cancel();
    clearInterval(this.#slowTimer);
    await this.#desk.close();
    for (const closed of this.#localClosed.values()) closed();
    this.#localClosed.clear();
    void this.#router.close();
    await this.#reading;
    this.#log("queue.closed", {});
  }

  #begin(settings: ReadonlyMap<string, string>): void {
    let id = settings.get(ID_SETTING);
    if (id === undefined) {
      id = randomBytes(4).toString("hex");
      this.#desk.setting(ID_SETTING, id, () => {});
    }
    this.#ids = new IdText(id);
    this.#cron = new CronTable(this.#desk, nextRun);
    this.#switchboard = new Switchboard({ desk: this.#desk, ids: this.#ids, cron: this.#cron });
    this.#cron.restore(settings);
    this.#desk.flush();
    this.#router.events.on("peer:gone", ({ routingId }) => {
      if (!routingId) return;
      this.#switchboard!.gone(routingId.toString("latin1"));
      this.#desk.flush();
    });
    this.#slowTimer = setInterval(() => {
      this.#switchboard!.tick(this.#clock.now());
      this.#desk.flush();
    }, TICK_MS);
    this.#slowTimer.unref();
    this.#reading = this.#read();
  }

  async #read(): Promise<void> {
    const router = this.#router;
    for (;;) {
      let message: Buffer[] | undefined;
      try {
        message = await router.receive();
      } catch (error) {
        if (router.closed) return;
        throw error;
      }
      this.#inBundle = true;
      for (let count = 1; message; count += 1) {
        this.#hear(message);
        message = count < BUNDLE_MESSAGES_MAX ? router.tryReceive() : undefined;
      }
      this.#inBundle = false;
      this.#desk.flush();
    }
  }

  #hear(message: readonly Buffer[]): void {
    const id = message[0]!;
    try {
      this.#switchboard!.receive(id.toString("latin1"), message.slice(1), () => this.#wire(id));
    } catch (error) {
      // A bug met by one peer's message must not take the others' broker down; it is loud in the log.
      this.#log("queue.error", { error: messageOf(error), stack: error instanceof Error ? error.stack : undefined });
    }
    if (this.#options.sync === "always") this.#desk.flush();
  }

  #wire(id: Buffer): Wire {
    const router = this.#router;
    return {
      peer: showPeer(id),
      send: (frames: Frames) => {
        const sent = router.trySend([id, ...frames]);
        if (sent === "EAGAIN") this.#cut(id, "it does not read what it is sent");
      },
      close: (reason) => this.#cut(id, reason),
    };
  }

  #cut(id: Buffer, reason: string): void {
    this.#log("queue.peer-cut", { peer: id.toString("hex"), reason });
    this.#switchboard!.gone(id.toString("latin1"));
    this.#router.disconnectPeer(id, new OperationError("CLOSED", reason));
  }

  /** Sets the one timer to the desk's or the calendar's next deadline. */
  #arm(): void {
    if (this.#inBundle || this.#closing) return;
    const deskMs = this.#desk.deadlineMs ?? Infinity;
    const cronMs = this.#cron?.nextMs === undefined ? Infinity : this.#cron.nextMs - this.#clock.wallMs() + this.#clock.now();
    const atMs = Math.min(deskMs, cronMs, this.#clock.now() + CRON_LOOK_MS);
    if (this.#timer && this.#timer.atMs <= atMs && this.#timer.atMs > this.#clock.now()) return;
    this.#timer?.cancel();
    const fire = (): void => {
      this.#timer = undefined;
      this.#cron?.tick();
      this.#desk.tick();
    };
    this.#timer = { atMs, cancel: this.#clock.at(atMs, fire) };
  }

  /** Once for all that local clients hand in during one turn. */
  #flushSoon(): void {
    if (this.#flushing) return;
    this.#flushing = true;
    queueMicrotask(() => {
      this.#flushing = false;
      this.#desk.flush();
    });
  }

  #log(event: string, facts: Readonly<Record<string, unknown>>): void {
    this.#options.log?.(event, facts);
  }
}

/** 60 s: when the wall clock was set forward, the calendar notices within that. */
const CRON_LOOK_MS = 60_000;

function makeStore({ data = "./.holdfast", sync = "group", log }: BrokerOptions): Store {
  if (data === false) return new MemoryStore();
  return new SqliteStore({ folder: data, sync, log: (message) => log?.("queue.store", { message }) });
}

interface RouterSecurity {
  readonly plainServer?: boolean;
  readonly curveServer?: boolean;
  readonly curvePublicKey?: string;
  readonly curveSecretKey?: string;
  readonly authenticate?: Authenticator;
}

function routerSecurity(security: BrokerSecurity | undefined): RouterSecurity {
  if (!security) return {};
  if ("plain" in security) {
    const passwords = new Map(Object.entries(security.plain));
    return {
      plainServer: true,
      authenticate: ({ username, password }) => username !== undefined && passwords.get(username) === password,
    };
  }
  const { publicKey, secretKey, clients } = security.curve;
  const keys = { curveServer: true, curvePublicKey: publicKey, curveSecretKey: secretKey };
  if (!clients) return keys;
  const allowed = new Set(clients);
  return { ...keys, authenticate: ({ publicKey: key }) => key !== undefined && allowed.has(key) };
}
