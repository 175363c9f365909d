/**
 * ○ PUB, SUB, XPUB and XSUB (RFC 29): the publisher sends each subscriber what begins with one of its topics. Subscriptions travel
 * upstream as messages, 01 or 00 and the topic. The subscriber counts how often it subscribed to a topic and cancels it upstream
 * once; the publisher keeps a set, so that libzmq's subscribers and these work alike.
 */
import { Buffer } from "node:buffer";
import { ProtocolError } from "../../core/errors.ts";
import { Ring } from "../../core/ring.ts";
import type { Message } from "../../zmtp/message-parts.ts";
import { isSubscription } from "../../zmtp/traffic-command.ts";
import { SUBSCRIPTION_BYTES_MAX } from "../limits.ts";
import { FairPattern, type SendResult } from "./pattern.ts";
import { byteLength, type Pipe } from "./pipe.ts";
import { TopicTree } from "./topic-tree.ts";

/** What a topic costs beyond its octets. */
const TOPIC_OVERHEAD_BYTES = 64;
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
  /** Sent to each new subscriber. */
  readonly welcomeMessage: string | Uint8Array | null;
}

interface Subscriber {
  readonly topics: Map<string, Buffer>;
  bytes: number;
}

export class PublisherPattern extends FairPattern {
  readonly #settings: PublisherSettings;
  /** XPUB: whether the application sees subscriptions. */
  readonly #visible: boolean;
  readonly #tree = new TopicTree<Pipe>();
  readonly #subscribers = new Map<Pipe, Subscriber>();
  /** Unsubscriptions of subscribers that are gone. */
  readonly #notices = new Ring<Message>();
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
    this.#subscribers.set(pipe, { topics: new Map(), bytes: 0 });
  }

  override connected(pipe: Pipe): boolean {
    const { welcomeMessage } = this.#settings;
    if (welcomeMessage !== null) {
      const welcome = Buffer.from(welcomeMessage as string);
      pipe.push([welcome], welcome.length);
    }
    return true;
  }

  override disconnected(pipe: Pipe): void {
    this.#forget(pipe);
    this.attach(pipe);
    pipe.dropOutbound();
  }

  override detach(pipe: Pipe): void {
    super.detach(pipe);
    this.#forget(pipe);
    this.#subscribers.delete(pipe);
    if (this.#lastPipe === pipe) this.#lastPipe = undefined;
  }

  override incoming(pipe: Pipe, message: Message): void {
    const body = message[0]!;
    if (message.length > 1 || !isSubscription(body)) {
      if (this.#visible) pipe.deliver(message);
      return;
    }
    const topic = body.subarray(1);
    const changed = this.#settings.manual || this.#apply(pipe, body[0]!, topic);
    if (this.#visible && changed) pipe.deliver([Buffer.from(body)]);
  }

  override receive(): Message | undefined {
    const notice = this.#notices.shift();
    if (notice !== undefined) return notice;
    const message = super.receive();
    if (message !== undefined) this.#lastPipe = this.queue.last;
    return message;
  }

  override get hasMessage(): boolean {
    return this.#notices.length > 0 || super.hasMessage;
  }

  override get receiveRefusal(): "ENOTSUP" | undefined {
    return this.#visible ? undefined : "ENOTSUP";
  }

  override get hasRoom(): boolean {
    return true;
  }

  override send(message: Message): SendResult {
    const bytes = byteLength(message);
    const matched = this.#match(message[0]!);
    if (this.#settings.noDrop && matched.some((pipe) => !pipe.hasRoom(bytes))) return "EAGAIN";
    for (const pipe of matched) if (pipe.hasRoom(bytes)) pipe.push(message, bytes);
    return "sent";
  }

  /** Manual mode: (un)subscribes the peer whose request was received last. @returns false when it is gone */
  answer(kind: "subscribe" | "cancel", topic: Buffer): boolean {
    const pipe = this.#lastPipe;
    if (pipe === undefined || !this.#subscribers.has(pipe)) return false;
    this.#apply(pipe, kind === "subscribe" ? SUBSCRIBE : CANCEL, topic);
    return true;
  }

  #match(octets: Buffer): Pipe[] {
    const matched: Pipe[] = [];
    this.#mark += 1;
    const mark = this.#mark;
    this.#tree.match(octets, (pipe) => {
      if (pipe.mark === mark) return;
      pipe.mark = mark;
      matched.push(pipe);
    });
    if (!this.#settings.invertMatching) return matched;
    return [...this.#subscribers.keys()].filter((pipe) => pipe.mark !== mark);
  }

  /** @returns whether the application is to see it */
  #apply(pipe: Pipe, kind: number, topic: Buffer): boolean {
    const subscriber = this.#subscribers.get(pipe);
    if (subscriber === undefined) return false;
    const key = topic.toString("latin1");
    const { verbosity } = this.#settings;
    if (kind === SUBSCRIBE) {
      if (!subscriber.topics.has(key)) {
        subscriber.bytes += topic.length + TOPIC_OVERHEAD_BYTES;
        if (subscriber.bytes > SUBSCRIPTION_BYTES_MAX) {
          throw new ProtocolError(
            "ERR_ZMTP_SUBSCRIPTIONS_TOO_MANY",
            `Cannot add subscription: its topics would take ${subscriber.bytes} bytes, at most ${SUBSCRIPTION_BYTES_MAX} allowed`,
          );
        }
        subscriber.topics.set(key, Buffer.from(topic));
      }
      return this.#tree.add(topic, pipe) === 1 || verbosity !== null;
    }
    if (subscriber.topics.delete(key)) subscriber.bytes -= topic.length + TOPIC_OVERHEAD_BYTES;
    const left = this.#tree.remove(topic, pipe);
    return left === 0 || verbosity === "allSubsUnsubs";
  }

  #forget(pipe: Pipe): void {
    const subscriber = this.#subscribers.get(pipe);
    if (subscriber === undefined) return;
    const { verbosity } = this.#settings;
    for (const topic of subscriber.topics.values()) {
      const left = this.#tree.remove(topic, pipe);
      const seen = left === 0 || (left !== undefined && verbosity === "allSubsUnsubs");
      if (this.#visible && seen) this.#notices.push([Buffer.concat([Buffer.of(CANCEL), topic])]);
    }
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
  readonly #topics = new Map<string, { readonly topic: Buffer; count: number }>();
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
    for (const { topic } of this.#topics.values()) push(pipe, [subscription(SUBSCRIBE, topic)]);
    return true;
  }

  override detach(pipe: Pipe): void {
    super.detach(pipe);
    this.#pipes.delete(pipe);
  }

  override incoming(pipe: Pipe, message: Message): void {
    if (!this.#filters || this.#tree.matches(message[0]!) !== this.#settings.invertMatching) pipe.deliver(message);
  }

  subscribe(topic: Buffer): void {
    const key = topic.toString("latin1");
    const known = this.#topics.get(key);
    if (known === undefined) {
      this.#topics.set(key, { topic, count: 1 });
      this.#tree.add(topic, true);
    } else {
      known.count += 1;
    }
    // Repeated ones too, for an XPUB that shows them (libzmq's xsub.cpp)
    this.#sendToAll([subscription(SUBSCRIBE, topic)]);
  }

  /** Cancels one `subscribe`; upstream when it was the last. */
  unsubscribe(topic: Buffer): void {
    const key = topic.toString("latin1");
    const known = this.#topics.get(key);
    if (known === undefined) return;
    known.count -= 1;
    if (known.count > 0) return;
    this.#topics.delete(key);
    this.#tree.remove(topic, true);
    this.#sendToAll([subscription(CANCEL, topic)]);
  }

  /** XSUB: a subscription, an unsubscription, or a message for every XPUB. */
  override send(message: Message): SendResult {
    const body = message[0]!;
    if (message.length === 1 && isSubscription(body)) {
      const topic = Buffer.from(body.subarray(1));
      if (body[0] === SUBSCRIBE) this.subscribe(topic);
      else this.unsubscribe(topic);
      return "sent";
    }
    const bytes = byteLength(message);
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
  pipe.push(message, byteLength(message));
}

function subscription(kind: number, topic: Buffer): Buffer {
  return Buffer.concat([Buffer.of(kind), topic]);
}
