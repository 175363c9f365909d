/**
 * ○ The requests of one connection that wait for outcomes: a CALL or a WATCH is open until the last of its tasks has ended.
 * Invariant: no more than `openMax` are open, each under a number of its own.
 */
import type { Buffer } from "node:buffer";
import { OperationError, ProtocolError } from "../../../core/errors.ts";
import type { TaskService } from "../../service/task-service.ts";
import type { PeerConnection } from "../protocol-handler.ts";
import type { NativeWriter } from "./native-writer.ts";
import { asBuffer, type IdText, readNumber } from "../messages.ts";
import type { OutcomeWatcher } from "../../service/outcomes.ts";

/** A request that waits for outcomes. */
export interface OutcomeSubscription extends OutcomeWatcher {
  /** Its number: as a number when it is one in plain decimal digits, so that it is the same alone and in a batch. */
  readonly key: number | string;
  /** The tasks whose outcomes are not told yet. */
  ids(): Iterable<number>;
}

/** A CALL or a WATCH that came alone. */
export interface SingleSubscription extends OutcomeSubscription {
  readonly open: Set<number>;
}

export interface OutcomeSubscriptionsOptions {
  readonly connection: PeerConnection;
  readonly service: TaskService;
  readonly ids: IdText;
  readonly writer: NativeWriter;
  /** The peer gets exactly one answer: no PROGRESS, no PARTIAL. */
  readonly oneAnswer: boolean;
  readonly openMax: number;
}

export class OutcomeSubscriptions {
  readonly #options: OutcomeSubscriptionsOptions;
  readonly #subscriptions = new Map<number | string, OutcomeSubscription>();
  #isOpen = true;

  constructor(options: OutcomeSubscriptionsOptions) {
    this.#options = options;
  }

  /** The connection is there: false once it is gone. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  /**
   * A subscription for the request of this number.
   *
   * @throws ProtocolError QUEUE_PROTOCOL, OperationError QUEUE_TOO_MANY
   */
  open(rid: Buffer): SingleSubscription {
    const { oneAnswer, ids, writer, connection } = this.#options;
    const open = new Set<number>();
    const subscription: SingleSubscription = {
      owner: connection,
      key: keyOf(rid),
      open,
      ids: () => open,
      ended: (outcome) => {
        open.delete(outcome.id);
        if (open.size === 0) this.forget(subscription);
        writer.ended(rid, outcome);
      },
    };
    if (!oneAnswer) {
      subscription.progress = (id, bytes) => writer.say("PROGRESS", rid, ids.write(id), asBuffer(bytes));
      subscription.partial = (id, bytes) => writer.say("PARTIAL", rid, ids.write(id), asBuffer(bytes));
    }
    this.enter(subscription);
    return subscription;
  }

  /** @throws ProtocolError QUEUE_PROTOCOL, OperationError QUEUE_TOO_MANY */
  enter(subscription: OutcomeSubscription): void {
    const { openMax } = this.#options;
    if (this.#subscriptions.has(subscription.key))
      throw new ProtocolError("QUEUE_PROTOCOL", "The request number is already in use");
    if (this.#subscriptions.size >= openMax) {
      throw new OperationError("QUEUE_TOO_MANY", `Cannot open another request: ${openMax} are open on this connection`);
    }
    this.#subscriptions.set(subscription.key, subscription);
  }

  /** Its request is over. */
  forget(subscription: OutcomeSubscription): void {
    if (this.#subscriptions.get(subscription.key) === subscription) this.#subscriptions.delete(subscription.key);
  }

  /** The peer wants to hear no more of the request of this number. */
  close(rid: Buffer): void {
    const subscription = this.#subscriptions.get(keyOf(rid));
    if (!subscription) return;
    this.#drop(subscription);
    this.forget(subscription);
  }

  closeAll(): void {
    this.#isOpen = false;
    for (const subscription of this.#subscriptions.values()) this.#drop(subscription);
    this.#subscriptions.clear();
  }

  #drop(subscription: OutcomeSubscription): void {
    for (const id of subscription.ids()) this.#options.service.unwatch(id, subscription);
  }
}

/** `007` is not the number 7: an answer carries the request's own bytes. */
function keyOf(rid: Buffer): number | string {
  const number = rid[0] === 0x30 && rid.length > 1 ? undefined : readNumber(rid);
  return number ?? rid.toString("latin1");
}
