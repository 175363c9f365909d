/**
 * ● One round of asking: what waits in a server's queue is put on its connection, gets side by side in lines, each key that several
 * calls want once. Invariant: questions leave in the order of the queue, so that a get behind a set sees what was set.
 */
import type { Connection } from "./server-connection.ts";
import { CommandExchange, LookupBatch, type Place } from "./in-flight.ts";
import { KEYS_PER_LINE_MAX, LINE_BYTES_MAX, SOCKET_BYTES_HIGH } from "../operations/limits.ts";
import { Lookup, LookupMany, type Taker } from "../operations/lookup.ts";
import type { Operation, Question } from "../operations/operation.ts";
import { isBase64 } from "../operations/wire-key.ts";

/** 64 KiB: written before the rest of a long queue is encoded, so that the server works meanwhile. */
const FLUSH_BYTES = 64 * 1024;

/** 1 KiB a value: below, fetching a key twice costs less than remembering where each is asked for (0.1 us a key). */
const SHARED_BYTES_MIN = 1024;

export class Round {
  readonly #connection: Connection;
  /** Where the keys of this round are asked for, since the last command, which may change what they hold. */
  readonly #places: Map<string, Place> | undefined;
  #batch: LookupBatch | undefined = undefined;

  constructor(connection: Connection) {
    this.#connection = connection;
    this.#places = connection.window.keyBytes >= SHARED_BYTES_MIN ? new Map() : undefined;
  }

  /** Whether more may be asked now. */
  get open(): boolean {
    return this.#connection.backlogBytes < SOCKET_BYTES_HIGH && this.#connection.window.open;
  }

  /**
   * Asks an operation's question, or the next key of it.
   *
   * @returns true when it is wholly asked
   */
  ask(operation: Operation): boolean {
    if (operation instanceof LookupMany) {
      const { wires } = operation.part;
      this.#askKey(operation, wires[operation.asked]!, operation.asked);
      operation.asked += 1;
      return operation.asked === wires.length;
    }
    if (operation instanceof Lookup) this.#askKey(operation, operation.key, 0);
    else this.#askCommand(operation as Question);
    return true;
  }

  /** All that was asked leaves. */
  end(): void {
    this.#sendBatch();
    this.#connection.flush();
  }

  #askKey(taker: Taker, key: string, slot: number): void {
    const verb = taker.verb as "get" | "gets";
    const places = verb === "get" ? this.#places : undefined;
    const place = places?.get(key);
    if (place) {
      this.#connection.share(place, taker, slot);
      return;
    }
    // A key in base64 has a line of its own.
    const single = isBase64(key);
    if (this.#batch && (single || !hasRoom(this.#batch, verb))) this.#sendBatch();
    const batch = (this.#batch ??= new LookupBatch(verb));
    const position = batch.add(key, taker, slot);
    places?.set(key, { batch, position });
    if (single) this.#sendBatch();
  }

  #askCommand(command: Question): void {
    this.#sendBatch();
    this.#places?.clear();
    this.#connection.send(new CommandExchange(command));
    this.#flushLong();
  }

  #sendBatch(): void {
    if (this.#batch) this.#connection.send(this.#batch);
    this.#batch = undefined;
    this.#flushLong();
  }

  #flushLong(): void {
    if (this.#connection.unflushedBytes >= FLUSH_BYTES) this.#connection.flush();
  }
}

function hasRoom({ verb, keys, keyBytes }: LookupBatch, wanted: "get" | "gets"): boolean {
  return verb === wanted && keys.length < KEYS_PER_LINE_MAX && keyBytes < LINE_BYTES_MAX;
}
