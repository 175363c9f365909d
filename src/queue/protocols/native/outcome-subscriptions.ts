/**
 * ○ The requests of one connection that wait for outcomes: a CALL or a WATCH is open until the last of its tasks has ended. Invariant:
 * no more than `openMax` are open, each under a number of its own.
 */
import type { Buffer } from "node:buffer";
import { OperationError, ProtocolError } from "../../../core/errors.ts";
import type { Desk } from "../../service/task-service.ts";
import type { OwnSpeaker } from "./native-writer.ts";
import { asBuffer, type IdText, readNumber } from "../messages.ts";
import type { Watcher } from "../../service/outcome-watchers.ts";

/** A request that waits for outcomes. */
export interface Watch extends Watcher {
  /** Its number: as a number when it is one in plain decimal digits, so that messages of one and of many mean the same. */
  readonly key: number | string;
  /** The tasks whose outcomes are not told yet. */
  ids(): Iterable<number>;
}

/** A CALL or a WATCH that came alone. */
export interface SingleWatch extends Watch {
  readonly open: Set<number>;
}

export interface OwnWatchesOptions {
  readonly desk: Desk;
  readonly ids: IdText;
  readonly speaker: OwnSpeaker;
  /** The peer gets exactly one answer: no PROGRESS, no PARTIAL. */
  readonly oneAnswer: boolean;
  readonly openMax: number;
}

export class OwnWatches {
  readonly #options: OwnWatchesOptions;
  readonly #watches = new Map<number | string, Watch>();

  constructor(options: OwnWatchesOptions) {
    this.#options = options;
  }

  /**
   * A watch for the request of this number.
   *
   * @throws ProtocolError QUEUE_PROTOCOL, OperationError QUEUE_TOO_MANY
   */
  open(rid: Buffer): SingleWatch {
    const { oneAnswer, ids, speaker } = this.#options;
    const open = new Set<number>();
    const watch: SingleWatch = {
      key: keyOf(rid),
      open,
      ids: () => open,
      ended: (outcome) => {
        open.delete(outcome.id);
        if (open.size === 0) this.forget(watch);
        speaker.ended(rid, outcome);
      },
    };
    if (!oneAnswer) {
      watch.progress = (id, bytes) => speaker.say("PROGRESS", rid, ids.write(id), asBuffer(bytes));
      watch.partial = (id, bytes) => speaker.say("PARTIAL", rid, ids.write(id), asBuffer(bytes));
    }
    this.enter(watch);
    return watch;
  }

  /** @throws ProtocolError QUEUE_PROTOCOL, OperationError QUEUE_TOO_MANY */
  enter(watch: Watch): void {
    const { openMax } = this.#options;
    if (this.#watches.has(watch.key))
      throw new ProtocolError("QUEUE_PROTOCOL", "Cannot use a request's number again while it is open");
    if (this.#watches.size >= openMax) {
      throw new OperationError("QUEUE_TOO_MANY", `Cannot open another request: ${openMax} are open on this connection`);
    }
    this.#watches.set(watch.key, watch);
  }

  /** Its request is over. */
  forget(watch: Watch): void {
    if (this.#watches.get(watch.key) === watch) this.#watches.delete(watch.key);
  }

  /** The peer wants to hear no more of the request of this number. */
  close(rid: Buffer): void {
    const watch = this.#watches.get(keyOf(rid));
    if (!watch) return;
    this.#drop(watch);
    this.forget(watch);
  }

  closeAll(): void {
    for (const watch of this.#watches.values()) this.#drop(watch);
    this.#watches.clear();
  }

  #drop(watch: Watch): void {
    for (const id of watch.ids()) this.#options.desk.unwatch(id, watch);
  }
}

/** `007` is not the number 7: an answer carries the request's own bytes. */
function keyOf(rid: Buffer): number | string {
  const number = rid[0] === 0x30 && rid.length > 1 ? undefined : readNumber(rid);
  return number ?? rid.toString("latin1");
}
