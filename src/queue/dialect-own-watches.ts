/**
 * ○ The requests of one connection that wait for outcomes: a CALL or a WATCH is open until the last of its tasks has ended. Invariant:
 * no more than `openMax` are open, each under a number of its own.
 */
import { Buffer } from "node:buffer";
import { OperationError, ProtocolError } from "../core/errors.ts";
import type { Desk } from "./desk.ts";
import type { Wire } from "./dialect.ts";
import { asBuffer, type IdText, PROTOCOL, VERB } from "./protocol.ts";
import type { Outcome, Watcher } from "./watchers.ts";

interface Watch extends Watcher {
  readonly key: string;
  /** Numbers of the tasks whose outcome is not told yet. */
  readonly open: Set<number>;
}

export interface OwnWatchesOptions {
  readonly wire: Wire;
  readonly desk: Desk;
  readonly ids: IdText;
  /** The peer gets exactly one answer: no PROGRESS, no PARTIAL. */
  readonly oneAnswer: boolean;
  readonly openMax: number;
}

/** What ENDED says of a task that is not known here, or no more. */
export const UNKNOWN = Buffer.from("unknown");

const STATE: Readonly<Record<string, Buffer>> = {
  unknown: UNKNOWN,
  done: Buffer.from("done"),
  dead: Buffer.from("dead"),
  cancelled: Buffer.from("cancelled"),
};

export class OwnWatches {
  readonly #options: OwnWatchesOptions;
  readonly #watches = new Map<string, Watch>();

  constructor(options: OwnWatchesOptions) {
    this.#options = options;
  }

  /**
   * A watch for the request of this number.
   *
   * @throws ProtocolError QUEUE_PROTOCOL, OperationError QUEUE_TOO_MANY
   */
  open(rid: Buffer): Watch {
    const { oneAnswer, openMax, ids, wire } = this.#options;
    const key = rid.toString("latin1");
    if (this.#watches.has(key))
      throw new ProtocolError("QUEUE_PROTOCOL", "Cannot use a request's number again while it is open");
    if (this.#watches.size >= openMax) {
      throw new OperationError("QUEUE_TOO_MANY", `Cannot open another request: ${openMax} are open on this connection`);
    }
    const watch: Watch = {
      key,
      open: new Set(),
      ended: (outcome) => this.#ended(watch, rid, outcome),
    };
    if (!oneAnswer) {
      watch.progress = (id, bytes) => wire.send([PROTOCOL, VERB.PROGRESS, rid, ids.write(id), asBuffer(bytes)]);
      watch.partial = (id, bytes) => wire.send([PROTOCOL, VERB.PARTIAL, rid, ids.write(id), asBuffer(bytes)]);
    }
    this.#watches.set(key, watch);
    return watch;
  }

  /** Its request is over. */
  forget(watch: Watch): void {
    this.#watches.delete(watch.key);
  }

  /** The peer wants to hear no more of the request of this number. */
  close(rid: Buffer): void {
    const watch = this.#watches.get(rid.toString("latin1"));
    if (!watch) return;
    this.#drop(watch);
    this.forget(watch);
  }

  closeAll(): void {
    for (const watch of this.#watches.values()) this.#drop(watch);
    this.#watches.clear();
  }

  #ended(watch: Watch, rid: Buffer, { id, state, bytes }: Outcome): void {
    watch.open.delete(id);
    if (watch.open.size === 0) this.forget(watch);
    const { wire, ids } = this.#options;
    wire.send([PROTOCOL, VERB.ENDED, rid, ids.write(id), STATE[state]!, asBuffer(bytes)]);
  }

  #drop(watch: Watch): void {
    for (const id of watch.open) this.#options.desk.unwatch(id, watch);
  }
}
