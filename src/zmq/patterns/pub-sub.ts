/**
 * ○ PUB, SUB, XPUB and XSUB (RFC 29): the publisher sends each subscriber what begins with one of its topics. Subscriptions travel
 * upstream as messages, 01 or 00 and the topic. The subscriber counts how often it subscribed to a topic and cancels it upstream
 * once; the publisher keeps a set, so that libzmq's subscribers and these work alike.
 */
import { Buffer } from "node:buffer";
import { ProtocolError } from "../../core/errors.ts";
import type { Message } from "../../zmtp/message-parts.ts";
import { isSubscription } from "../../zmtp/traffic-command.ts";
import { TOPIC_COST_BYTES } from "../limits.ts";
import { FairPattern, type SendResult } from "./pattern.ts";
import { costOf, Pipe } from "./pipe.ts";
import { TopicTree } from "./topic-tree.ts";

const SUBSCRIBE = 1;
const CANCEL = 0;

export interface PublisherSettings {
  /** Refuse with EAGAIN instead of dropping when a subscriber is full. */
  readonly noDrop: boolean;
  readonly invertMatching: boolean;
  /** The application answers subscriptions itself. */
  readonly manual: boolean;
  /** Which repeated (un)subscriptions the application sees. */
  readonly verbosity: null | "allSubs" | "allSubsUnsubs";
  /** Bytes that one subscriber's topics may take; 0: no bound. */
  readonly subscriptionHighWaterBytes: number;
  /** Sent to each new subscriber. */
  readonly welcomeMessage: string | Uint8Array | null;
}

/** Topics as the characters of strings (latin1). */
interface Subscriber {
  /** What it gets. */
  readonly topics: Set<string>;
  /** Manual mode: what it asked for; the application is told when it goes. */
  readonly asked: Set<string>;
  bytes: number;
}

export class PublisherPattern extends FairPattern {
  readonly #settings: PublisherSettings;
  /** XPUB: whether the application sees subscriptions. */
  readonly #visible: boolean;
  readonly #tree = new TopicTree<Pipe>();
  readonly #subscribers = new Map<Pipe, Subscriber>();
  /** Manual mode: the pipe whose (un)subscription the application received last. */
  #lastPipe: Pipe | undefined;
  /** Counts the messages sent; a pipe that has the number has been matched by this one. */
  #mark = 0;

  constructor(settings: PublisherSettings, { visible }: { visible: boolean }) {
    super();
    this.#settings = settings;
    this.#visible = visible;
  }

  override attach(pipe: Pipe): void {
    this.#subscribers.set(pipe, { topics: new Set(), asked: new Set(), bytes: 0 });
  }

  override connected(pipe: Pipe): boolean {
    const { welcomeMessage } = this.#settings;
    if (welcomeMessage !== null) {
      const welcome = Buffer.from(welcomeMessage as string);
      pipe.push([welcome], costOf([welcome]));
    }
    return true;
  }

  override disconnected(pipe: Pipe): void {
    this.#forget(pipe);
    this.attach(pipe);
    pipe.dropOutbound();
  }

  override detach(pipe: Pipe): void {
    this.#forget(pipe);
    super.detach(pipe);
    this.#subscribers.delete(pipe);
    if (this.#lastPipe === pipe) this.#lastPipe = undefined;
  }

  override incoming(pipe: Pipe, message: Message): void {
    const body = message[0]!;
    if (message.length > 1 || !isSubscription(body)) {
      if (this.#visible) pipe.deliver(message);
      return;
    }
    const topic = body.toString("latin1", 1);
    const changed = this.#settings.manual ? this.#ask(pipe, body[0]!, topic) : this.#apply(pipe, body[0]!, topic);
    if (this.#visible && changed) pipe.deliver([Buffer.from(body)]);
  }

  override receive(): Message | undefined {
    const message = super.receive();
    if (message !== undefined) this.#lastPipe = this.queue.last;
    return message;
  }

  override get receiveRefusal(): "ENOTSUP" | undefined {
    return this.#visible ? undefined : "ENOTSUP";
  }

  override get hasRoom(): boolean {
    return true;
  }

  override send(message: Message): SendResult {
    const bytes = costOf(message);
    const matched = this.#match(message[0]!);
    if (this.#settings.noDrop && matched.some((pipe) => !pipe.hasRoom(bytes))) return "EAGAIN";
    Pipe.pushToAll(matched, message, bytes);
    return "sent";
  }

  /** Manual mode: (un)subscribes the peer whose request was received last. @returns false when it is gone */
  answer(kind: "subscribe" | "cancel", topic: Buffer): boolean {
    const pipe = this.#lastPipe;
    if (pipe === undefined || !this.#subscribers.has(pipe)) return false;
    this.#apply(pipe, kind === "subscribe" ? SUBSCRIBE : CANCEL, topic.toString("latin1"));
    return true;
  }

  #match(octets: Buffer): Pipe[] {
    const matched = new Array<Pipe>(this.#subscribers.size); // grown one by one it would be copied four times for 100
    let count = 0;
    this.#mark += 1;
    const mark = this.#mark;
    this.#tree.match(octets, (pipe) => {
      if (pipe.mark === mark) return;
      pipe.mark = mark;
      matched[count] = pipe;
      count += 1;
    });
    if (this.#settings.invertMatching) return [...this.#subscribers.keys()].filter((pipe) => pipe.mark !== mark);
    matched.length = count;
    return matched;
  }

  /** @returns whether the application is to see it */
  #apply(pipe: Pipe, kind: number, topic: string): boolean {
    const subscriber = this.#subscribers.get(pipe);
    if (subscriber === undefined) return false;
    const { verbosity } = this.#settings;
    if (kind === SUBSCRIBE) {
      this.#keep(pipe, subscriber, "topics", topic);
      return this.#tree.add(topic, pipe) === 1 || verbosity !== null;
    }
    this.#drop(pipe, subscriber, "topics", topic);
    return this.#tree.remove(topic, pipe) === 0 || verbosity === "allSubsUnsubs";
  }

  /** Manual mode: the application will answer. */
  #ask(pipe: Pipe, kind: number, topic: string): true {
    const subscriber = this.#subscribers.get(pipe)!;
    if (kind === SUBSCRIBE) this.#keep(pipe, subscriber, "asked", topic);
    else this.#drop(pipe, subscriber, "asked", topic);
    return true;
  }

  #keep(pipe: Pipe, subscriber: Subscriber, list: "topics" | "asked", topic: string): void {
    if (subscriber[list].has(topic)) return;
    subscriber[list].add(topic);
    subscriber.bytes += topic.length + TOPIC_COST_BYTES;
    const { subscriptionHighWaterBytes: most } = this.#settings;
    if ((most > 0 && subscriber.bytes > most) || !pipe.setTopics(subscriber.bytes)) {
      throw new ProtocolError(
        "ERR_ZMTP_SUBSCRIPTIONS_TOO_MANY",
        `Cannot add subscription: the peer's ${subscriber[list].size} topics take ${subscriber.bytes} bytes, at most ${most} allowed, or less while memory is used up`,
      );
    }
  }

  #drop(pipe: Pipe, subscriber: Subscriber, list: "topics" | "asked", topic: string): void {
    if (!subscriber[list].delete(topic)) return;
    subscriber.bytes -= topic.length + TOPIC_COST_BYTES;
    pipe.setTopics(subscriber.bytes);
  }

  /** The application receives the subscriber's unsubscriptions behind its last messages. */
  #forget(pipe: Pipe): void {
    const subscriber = this.#subscribers.get(pipe);
    if (subscriber === undefined) return;
    const { manual, verbosity } = this.#settings;
    for (const topic of subscriber.topics) {
      const left = this.#tree.remove(topic, pipe);
      const seen = left === 0 || (left !== undefined && verbosity === "allSubsUnsubs");
      if (this.#visible && seen && !manual) pipe.deliver([subscription(CANCEL, topic)]);
    }
    if (manual) for (const topic of subscriber.asked) pipe.deliver([subscription(CANCEL, topic)]);
    pipe.setTopics(0);
  }
}

export interface SubscriberSettings {
  readonly invertMatching: boolean;
}

export class SubscriberPattern extends FairPattern {
  readonly #settings: SubscriberSettings;
  /** SUB filters again what it receives; XSUB takes all. */
  readonly #filters: boolean;
  readonly #tree = new TopicTree<true>();
  /** How often each was subscribed to. */
  readonly #topics = new Map<string, number>();
  readonly #pipes = new Set<Pipe>();

  constructor(settings: SubscriberSettings, { filters }: { filters: boolean }) {
    super();
    this.#settings = settings;
    this.#filters = filters;
  }

  override attach(pipe: Pipe): void {
    this.#pipes.add(pipe);
  }

  /** All subscriptions again, each topic once: a publisher forgets them with the connection. */
  override connected(pipe: Pipe): boolean {
    pipe.dropOutbound();
    for (const topic of this.#topics.keys()) push(pipe, [subscription(SUBSCRIBE, topic)]);
    return true;
  }

  override detach(pipe: Pipe): void {
    super.detach(pipe);
    this.#pipes.delete(pipe);
  }

  override incoming(pipe: Pipe, message: Message): void {
    if (!this.#filters || this.#tree.matches(message[0]!) !== this.#settings.invertMatching) pipe.deliver(message);
  }

  subscribe(octets: Buffer): void {
    const topic = octets.toString("latin1");
    const count = this.#topics.get(topic) ?? 0;
    this.#topics.set(topic, count + 1);
    if (count === 0) this.#tree.add(topic, true);
    // Repeated ones too, for an XPUB that shows them (libzmq's xsub.cpp)
    this.#sendToAll([subscription(SUBSCRIBE, topic)]);
  }

  /** Cancels one `subscribe`; upstream when it was the last. */
  unsubscribe(octets: Buffer): void {
    const topic = octets.toString("latin1");
    const count = this.#topics.get(topic);
    if (count === undefined) return;
    if (count > 1) {
      this.#topics.set(topic, count - 1);
      return;
    }
    this.#topics.delete(topic);
    this.#tree.remove(topic, true);
    this.#sendToAll([subscription(CANCEL, topic)]);
  }

  /** XSUB: a subscription, an unsubscription, or a message for every XPUB. */
  override send(message: Message): SendResult {
    const body = message[0]!;
    if (message.length === 1 && isSubscription(body)) {
      const topic = body.subarray(1);
      if (body[0] === SUBSCRIBE) this.subscribe(topic);
      else this.unsubscribe(topic);
      return "sent";
    }
    const bytes = costOf(message);
    for (const pipe of this.#pipes) if (pipe.hasRoom(bytes)) pipe.push(message, bytes);
    return "sent";
  }

  override get hasRoom(): boolean {
    return !this.#filters;
  }

  /** To every publisher connected now; one that connects later gets all subscriptions then. */
  #sendToAll(message: Message): void {
    for (const pipe of this.#pipes) if (pipe.transport !== undefined && pipe.peer !== undefined) push(pipe, message);
  }
}

/** Subscriptions are never refused: nobody would notice that one was lost. The application decides how many there are. */
function push(pipe: Pipe, message: Message): void {
  pipe.push(message, costOf(message));
}

function subscription(kind: number, topic: string): Buffer {
  const body = Buffer.allocUnsafe(topic.length + 1);
  body[0] = kind;
  body.write(topic, 1, "latin1");
  return body;
}
