/**
 * ● The keys of one server: memcached's `lru_crawler metadump all`, on a connection of its own, read no faster than they are taken.
 * Invariant: at most `LINES_AHEAD_MAX` lines and one read of the socket wait to be taken.
 */
import { Buffer } from "node:buffer";
import { OperationError, type HoldfastError } from "../../../core/errors.ts";
import type { MemcachedReply } from "../../../memcached/reply.ts";
import { CommandOperation, NO_DEADLINE, UNCOUNTED } from "../operations/operation.ts";
import type { ServerAddress } from "../operations/server-address.ts";
import { handshake } from "../protocol/handshake.ts";
import { InFlightCommand } from "../protocol/in-flight.ts";
import { ServerConnection } from "../protocol/server-connection.ts";
import type { PoolServerSettings } from "./pool-server.ts";

/** 4,096 lines of some 100 bytes: what one read of the socket brings. */
const LINES_AHEAD_MAX = 4096;

/** 50 ms: a crawl of thousands of items takes about as long; a server answers BUSY while one runs. */
const BUSY_WAIT_MS = 50;

/** An item as the server's crawler sees it. */
export interface DumpedItem {
  readonly key: Buffer;
  /** The wall's second at which it expires; -1 never. */
  readonly expiresS: number;
  readonly sizeBytes: number;
}

/** @throws OperationError CACHE_UNREACHABLE, CACHE_TIMEOUT (silent for `stallMs`, or busy for as long), CACHE_REFUSED, ABORTED */
export async function* metadump(
  server: ServerAddress,
  settings: PoolServerSettings,
  signal: AbortSignal,
): AsyncGenerator<DumpedItem, void, undefined> {
  const giveUpMs = settings.clock.now() + settings.stallMs;
  for (;;) {
    const dump = new Metadump(server, settings, signal);
    try {
      yield* dump.items();
    } finally {
      dump.close();
    }
    if (!dump.busy) return;
    if (settings.clock.now() >= giveUpMs) throw new OperationError("CACHE_TIMEOUT", `${server.name} is busy with another dump`);
    await new Promise<void>((resolve) => settings.clock.at(settings.clock.now() + BUSY_WAIT_MS, resolve));
  }
}

class Metadump {
  /** The server makes another dump, or looks for expired items. */
  busy = false;
  readonly #settings: PoolServerSettings;
  readonly #connection: ServerConnection;
  readonly #signal: AbortSignal;
  #items: DumpedItem[] = [];
  #ended = false;
  #failure: HoldfastError | undefined = undefined;
  #wake: () => void = () => {};
  #cancelWatch: () => void = () => {};

  constructor(server: ServerAddress, settings: PoolServerSettings, signal: AbortSignal) {
    this.#settings = settings;
    this.#signal = signal;
    const connection: ServerConnection = new ServerConnection({ ...settings, server }, settings.newProtocol(), {
      opened: () => handshake(connection, settings.credentials, () => this.#ask()),
      drained() {},
      heard: () => {
        if (this.#items.length >= LINES_AHEAD_MAX) connection.pause();
        this.#wake();
      },
      closed: (error) => this.#end(error),
    });
    this.#connection = connection;
    signal.addEventListener("abort", this.#abort, { once: true });
    if (signal.aborted) this.#abort();
  }

  async *items(): AsyncGenerator<DumpedItem, void, undefined> {
    for (;;) {
      const taken = this.#items;
      this.#items = [];
      yield* taken;
      if (this.#items.length > 0) continue;
      if (this.#failure) throw this.#failure;
      if (this.#ended) return;
      this.#connection.resume();
      this.#watch();
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  close(): void {
    this.#ended = true;
    this.#cancelWatch();
    this.#signal.removeEventListener("abort", this.#abort);
    this.#connection.close(new OperationError("CLOSED", "The listing has ended"));
  }

  readonly #abort = (): void => {
    const { reason } = this.#signal;
    this.#connection.close(
      reason instanceof OperationError ? reason : new OperationError("ABORTED", "The call was aborted", { cause: reason }),
    );
  };

  #ask(): void {
    this.#connection.established();
    const read = (reply: MemcachedReply): { result: undefined } | undefined => {
      if (reply.kind === "END") return this.#done();
      const item = dumpedItem(reply.wholeLine);
      if (item) this.#items.push(item);
      else if (reply.wholeLine.startsWith("BUSY")) {
        this.busy = true;
        return this.#done();
      }
      return undefined;
    };
    const refused = (error: HoldfastError): void => this.#end(error);
    const fields = { words: "lru_crawler metadump all" };
    const command = new CommandOperation("meta", "", UNCOUNTED, NO_DEADLINE, fields, read, undefined, () => {}, refused);
    this.#connection.send(new InFlightCommand(command));
    this.#connection.flush();
  }

  #done(): { result: undefined } {
    this.#ended = true;
    return { result: undefined };
  }

  #end(error: HoldfastError): void {
    if (!this.#ended) this.#failure = error;
    this.#ended = true;
    this.#wake();
  }

  /** A server that is read from and says nothing for `stallMs` is given up. */
  #watch(): void {
    const { clock, stallMs } = this.#settings;
    this.#cancelWatch();
    const askedMs = clock.now();
    this.#cancelWatch = clock.at(askedMs + stallMs, () => {
      this.#cancelWatch = clock.afterInput(() => {
        if (this.#connection.aliveAtMs > askedMs) return;
        this.#connection.close(new OperationError("CACHE_TIMEOUT", `No line of the listing came for ${stallMs} ms`));
      });
    });
  }
}

/** The item in a line of a dump; undefined for other lines. */
export function dumpedItem(line: string): DumpedItem | undefined {
  const match = /^key=(\S+) exp=(-?\d+) .*\bsize=(\d+)/.exec(line);
  if (!match) return undefined;
  const [, key, expires, size] = match;
  return { key: Buffer.from(percentDecode(key!), "latin1"), expiresS: Number(expires), sizeBytes: Number(size) };
}

/** As `watch` and dumps write keys: one byte a character. */
export function percentDecode(key: string): string {
  return key.replaceAll(/%([\dA-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)));
}
