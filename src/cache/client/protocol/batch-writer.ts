/**
 * ● Writes the requests that wait in a server's queue to its connection: keys of many gets in one line, a key that several calls
 * want only once. Invariant: requests leave in the order of the queue, so that a get behind a set sees what was set.
 */
import type { ServerConnection } from "./server-connection.ts";
import { InFlightCommand, InFlightBatch, type KeyPosition } from "./in-flight.ts";
import { KEYS_PER_LINE_MAX, LINE_BYTES_MAX, SOCKET_BYTES_HIGH } from "../operations/limits.ts";
import { GetOperation, GetManyOperation, type ReplySink } from "../operations/get-operation.ts";
import type { CacheOperation, CommandRequest, ReadVerb } from "../operations/operation.ts";
import { isBase64 } from "../operations/wire-key.ts";

/** 64 KiB: written before the rest of a long queue is encoded, so that the server can begin. */
const FLUSH_BYTES = 64 * 1024;

/** 1 KiB a value: below, fetching a key twice costs less than remembering where each is asked for (0.1 us a key). */
const SHARED_BYTES_MIN = 1024;

export class BatchWriter {
  readonly #connection: ServerConnection;
  /** Where each key has been requested since the last command, which may have changed its value. */
  readonly #keyPositions: Map<string, KeyPosition> | undefined;
  #batch: InFlightBatch | undefined = undefined;

  constructor(connection: ServerConnection) {
    this.#connection = connection;
    this.#keyPositions = connection.window.keyBytes >= SHARED_BYTES_MIN ? new Map() : undefined;
  }

  /** Whether more may be written now. */
  get open(): boolean {
    return this.#connection.backlogBytes < SOCKET_BYTES_HIGH && this.#connection.window.open;
  }

  /**
   * Writes an operation's request, or the next key of it.
   *
   * @returns true when all of it is written
   */
  write(operation: CacheOperation): boolean {
    if (operation instanceof GetManyOperation) {
      const { wireKeys } = operation;
      this.#writeKey(operation, wireKeys[operation.asked]!, operation.asked);
      operation.asked += 1;
      return operation.asked === wireKeys.length;
    }
    if (operation instanceof GetOperation) this.#writeKey(operation, operation.key, 0);
    else this.#writeCommand(operation as CommandRequest);
    return true;
  }

  /** Sends what has been written. */
  end(): void {
    this.#sendBatch();
    this.#connection.flush();
  }

  #writeKey(sink: ReplySink, key: string, slot: number): void {
    const verb = sink.verb as ReadVerb;
    const keyPositions = verb === "get" ? this.#keyPositions : undefined;
    const keyPosition = keyPositions?.get(key);
    if (keyPosition) {
      this.#connection.share(keyPosition, sink, slot);
      return;
    }
    // A key in base64 goes as a meta command, one a line.
    const single = verb !== "mg" && isBase64(key);
    if (this.#batch && (single || !hasRoom(this.#batch, verb))) this.#sendBatch();
    const batch = (this.#batch ??= new InFlightBatch(verb));
    const position = batch.add(key, sink, slot);
    keyPositions?.set(key, { batch, position });
    if (single) this.#sendBatch();
  }

  #writeCommand(command: CommandRequest): void {
    this.#sendBatch();
    this.#keyPositions?.clear();
    this.#connection.send(new InFlightCommand(command));
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

function hasRoom({ verb, keys, keyBytes }: InFlightBatch, wanted: ReadVerb): boolean {
  return verb === wanted && keys.length < KEYS_PER_LINE_MAX && keyBytes < LINE_BYTES_MAX;
}
