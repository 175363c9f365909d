/**
 * ● Follows the change stream of one server: memcached's `watch mutations deletions`, on a connection of its own, and Holdfast's
 * `changes` where the server has it: incr, decr, touch, `md I` and flush_all. Tells its listener which keys changed, and when
 * changes may have been missed. Invariant: between `following` and `lost` the listener was told of every change that the server logged.
 */
import { Buffer } from "node:buffer";
import type { Cancel } from "../../../core/clock.ts";
import { OperationError, type HoldfastError } from "../../../core/errors.ts";
import { ServerConnection } from "../protocol/server-connection.ts";
import { InFlightCommand } from "../protocol/in-flight.ts";
import { handshake } from "../protocol/handshake.ts";
import { Health } from "./health.ts";
import type { PoolServerSettings } from "./pool-server.ts";
import { CommandOperation, NO_DEADLINE, UNCOUNTED, type ReplyReader } from "../operations/operation.ts";
import type { ServerAddress } from "../operations/server-address.ts";
import { percentDecode } from "./metadump.ts";
import { wireKeyOf } from "../operations/wire-key.ts";

export interface ChangeListener {
  /** From now on every store and delete is told; if `everyChange`, also what else changes items. */
  following(server: string, everyChange: boolean): void;
  /** @param key the wire key */
  changed(key: string): void;
  /** By `md I`: it has the value that it had. */
  invalidated(key: string): void;
  /** Everything on it was flushed. */
  flushed(server: string): void;
  /** Changes may have been missed. */
  lost(server: string): void;
}

export class ChangeStream {
  readonly #server: ServerAddress;
  readonly #settings: PoolServerSettings;
  readonly #listener: ChangeListener;
  readonly #health: Health;
  #connection: ServerConnection | undefined = undefined;
  #cancelRetry: Cancel | undefined = undefined;
  #closed = false;

  constructor(server: ServerAddress, settings: PoolServerSettings, listener: ChangeListener) {
    this.#server = server;
    this.#settings = settings;
    this.#listener = listener;
    this.#health = new Health(settings.health, settings.random);
    this.#connect();
  }

  close(): void {
    this.#closed = true;
    this.#cancelRetry?.();
    this.#connection?.close(closedError());
  }

  #connect(): void {
    const { credentials, clock } = this.#settings;
    const connection: ServerConnection = new ServerConnection(
      { ...this.#settings, server: this.#server },
      this.#settings.newProtocol(),
      {
        // The server refuses a `watch` with other commands behind it, so it is sent after the handshake.
        opened: () =>
          handshake(connection, credentials, () => {
            connection.established();
            this.#watch(connection, true);
          }),
        drained() {},
        heard() {},
        closed: () => {
          this.#connection = undefined;
          this.#listener.lost(this.#server.name);
          if (this.#closed) return;
          this.#health.failed(clock.now(), false);
          this.#cancelRetry = clock.at(this.#health.retryAtMs, () => this.#connect());
        },
      },
    );
    this.#connection = connection;
  }

  /** @param everyChange ask for `changes` too; memcached, which does not know them, is asked again without */
  #watch(connection: ServerConnection, everyChange: boolean): void {
    const { name } = this.#server;
    const read: ReplyReader<boolean> = (reply) => {
      if (reply.kind === "OK") {
        this.#health.answered();
        this.#listener.following(name, everyChange);
      } else {
        const key = changedKey(reply.wholeLine);
        if (key !== undefined) {
          if (INVALIDATED.test(reply.wholeLine)) this.#listener.invalidated(key);
          else this.#listener.changed(key);
        } else if (/\btype=flush_all\b/.test(reply.wholeLine)) this.#listener.flushed(name);
        else if (reply.wholeLine.startsWith("skipped=")) {
          this.#listener.lost(name);
          this.#listener.following(name, everyChange); // what comes from now on is told again
        }
      }
      return undefined; // the stream has no end
    };
    const stop = (): void => connection.close(closedError());
    const refused = (error: HoldfastError): void => {
      if (everyChange && error.code === "CACHE_REFUSED") this.#watch(connection, false);
      else stop();
    };
    const fields = { words: `watch mutations deletions${everyChange ? " changes" : ""}` };
    const command = new CommandOperation("meta", "", UNCOUNTED, NO_DEADLINE, fields, read, false, stop, refused);
    connection.send(new InFlightCommand(command));
    connection.flush();
  }
}

function closedError(): OperationError {
  return new OperationError("CLOSED", "The change stream was closed");
}

const INVALIDATED = /\btype=item_change\b.*\bcmd=md\b/;

/** The wire key in a line that tells of a change of one item; undefined for other lines. */
export function changedKey(line: string): string | undefined {
  const match = /\btype=(?:item_store|deleted|item_change)\b.*?\bkey=(\S+)/.exec(line);
  if (!match) return undefined;
  return wireKeyOf(Buffer.from(percentDecode(match[1]!), "latin1"));
}
