/**
 * ○ Topics of a server: who subscribed, what is kept, who gets what is published. A subscription belongs to its session, so that it is
 * there after a reconnect and for the next client of the session's name. Invariant: a session is in the tree under each of its `filters`,
 * and no other.
 */
import type { Account, PartBudget } from "../../../core/budget.ts";
import { OperationError } from "../../../core/errors.ts";
import { FILTERS_MAX, KEPT_BYTES_MAX } from "../../limits.ts";
import { KeptValues } from "../../topics/kept-values.ts";
import { SubscriptionTree } from "../../topics/subscription-tree.ts";
import { checkFilter, checkTopic } from "../../topics/topic.ts";
import { topicBody } from "../body.ts";
import type { TopicBody } from "../body.ts";
import type { ServerSession } from "./server-session.ts";

/** How a message is published. */
export interface PublishSettings {
  /** It becomes the topic's last value, which later subscribers get; with no bytes it takes that away. */
  readonly keep: boolean;
  /** Without, it is dropped for subscribers that are away or slow. */
  readonly confirm: boolean;
  /** How long it is worth delivering; 0 for ever. */
  readonly expiresMs: number;
}

export interface SessionTopicsOwner {
  /** Asked before a client's message is taken; what throws or rejects refuses it. */
  onPublish(session: ServerSession, topic: string, message: Uint8Array): void | Promise<unknown>;
  onSubscribe(session: ServerSession, filter: string): void | Promise<unknown>;
  /** It has another filter, or one less. */
  subscribed(session: ServerSession): void;
  /** Hands a subscriber an encoded TOPIC. */
  deliver(session: ServerSession, body: Uint8Array, how: { confirm: boolean; expiresAtMs: number }): void;
}

export class SessionTopics {
  readonly #subscribers = new SubscriptionTree<ServerSession>();
  readonly #kept: KeptValues;
  readonly #account: Account;
  readonly #owner: SessionTopicsOwner;
  readonly #now: () => number;

  constructor(
    owner: SessionTopicsOwner,
    {
      budget,
      now,
      keptBytesMax = KEPT_BYTES_MAX,
    }: { budget: PartBudget; now: () => number; keptBytesMax?: number | undefined },
  ) {
    this.#owner = owner;
    this.#now = now;
    this.#kept = new KeptValues(keptBytesMax);
    this.#account = budget.open("known", "kept values", { incompleteBytes: 0, budgetChanged: () => {}, stalled: () => {} });
  }

  get subscriptionCount(): number {
    return this.#subscribers.size;
  }

  get keptBytes(): number {
    return this.#kept.bytes;
  }

  /** What a client wants; what throws or rejects is told to it as the reason of a refusal. */
  take(session: ServerSession, { verb, topic, bytes, keep, expiresMs }: TopicBody, confirm = true): void | Promise<unknown> {
    switch (verb) {
      case "publish": {
        checkTopic(topic);
        const publish = (): void => void this.publish(topic, bytes, { keep, confirm, expiresMs });
        return after(this.#owner.onPublish(session, topic, bytes), publish);
      }
      case "subscribe":
        checkFilter(topic);
        return after(this.#owner.onSubscribe(session, topic), () => this.#subscribe(session, topic));
      case "unsubscribe":
        if (!session.filters?.delete(topic)) return;
        if (session.filters.size === 0) session.filters = undefined;
        this.#owner.subscribed(session);
        return this.#subscribers.delete(topic, session);
      case "message":
        throw new Error("a message without a topic is no TOPIC");
    }
  }

  /**
   * Hands a message to all subscribers.
   *
   * @returns how many there are
   * @throws OperationError LINK_FULL when it cannot be kept
   */
  publish(topic: string, bytes: Uint8Array, { keep, confirm, expiresMs }: PublishSettings): number {
    const body = topicBody.encode({ verb: "publish", keep: false, expiresMs, topic, bytes });
    const expiresAtMs = expiresMs === 0 ? Infinity : this.#now() + expiresMs;
    if (keep) this.#keep(topic, bytes, { expiresMs, expiresAtMs });
    const subscribers = this.#subscribers.matching(topic);
    for (const session of subscribers) this.#owner.deliver(session, body, { confirm, expiresAtMs });
    return subscribers.size;
  }

  /** A session of a process before this one had these. */
  restore(session: ServerSession, filters: readonly string[]): void {
    for (const filter of filters) {
      (session.filters ??= new Set()).add(filter);
      this.#subscribers.add(filter, session);
    }
  }

  /** A session is no more. */
  forget(session: ServerSession): void {
    for (const filter of session.filters ?? []) this.#subscribers.delete(filter, session);
    session.filters = undefined;
  }

  #subscribe(session: ServerSession, filter: string): void {
    if (session.presence === "gone") return;
    const filters = (session.filters ??= new Set());
    if (!filters.has(filter) && filters.size >= FILTERS_MAX)
      throw new OperationError("LINK_FULL", `Cannot subscribe: ${FILTERS_MAX} filters of one session are the most`);
    filters.add(filter);
    this.#owner.subscribed(session);
    this.#subscribers.add(filter, session);
    for (const { bytes, expiresAtMs } of this.#kept.matching(filter, this.#now()))
      this.#owner.deliver(session, bytes, { confirm: true, expiresAtMs });
  }

  #keep(topic: string, bytes: Uint8Array, { expiresMs, expiresAtMs }: { expiresMs: number; expiresAtMs: number }): void {
    if (bytes.length === 0) this.#kept.delete(topic);
    else {
      const body = topicBody.encode({ verb: "publish", keep: true, expiresMs, topic, bytes });
      const value = { topic, bytes: body, expiresAtMs };
      const held = this.#kept.bytesWith(value, this.#now());
      if (held === undefined || !this.#account.mayHold(held))
        throw new OperationError("LINK_FULL", `Cannot keep a value of '${topic}': ${this.#kept.bytes} bytes are kept already`);
      this.#kept.set(value);
    }
    this.#account.set(this.#kept.bytes);
  }
}

/** Runs what follows when a hook is done, at once where it did not wait. */
function after(hook: void | Promise<unknown>, act: () => void): void | Promise<unknown> {
  return hook === undefined ? act() : hook.then(() => act());
}
