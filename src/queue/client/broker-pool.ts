/**
 * ● Connections to the brokers behind one URL: one to each address that the URL's host has, looked up again and again. Says who has
 * come up and gone down; a broker is known once it has said WELCOME. Invariant: a link whose address is gone stays while it is up or
 * somebody still needs its broker.
 */
import { Buffer } from "node:buffer";
import { messageOf } from "../../core/errors.ts";
import { type BrokerUrl, LOOKUP_AGAIN_MS, LOOKUP_MS, lookupAll, parseBrokerUrl } from "./broker-addresses.ts";
import type { ClientOptions } from "./queue-client.ts";
import {
  type BrokerConnection,
  type BrokerConnectionListener,
  LocalConnection,
  RemoteConnection,
} from "./broker-connection.ts";
import { SessionWriter } from "./session-writer.ts";
import { type Frames, readText, type VerbIn, verbOf } from "../protocols/messages.ts";

const URL_DEFAULT = "tcp://127.0.0.1:5555";

/** One broker's connection and what is known of it. */
export class BrokerSession {
  readonly connection: BrokerConnection;
  readonly sender = new SessionWriter(() => this.connection);
  isConnected = false;
  /** It can be spoken to: connected, and not known to lead to a leader of the past. */
  isUp = false;
  /** It reads many in one message, when it last said who it is. */
  readsBatches = false;
  /** Its id, once it has said WELCOME. */
  broker: string | undefined;
  /** Tasks it had to do, when it last said. */
  load = 0;
  /** In a group of brokers: the leader's term, when it last said who it is; else 0. */
  term = 0;
  /** Its broker only hands on: another of the group leads. */
  isRelayed = false;
  /** Our requests that it has not answered. */
  unanswered = 0;

  constructor(connect: (link: BrokerSession) => BrokerConnection) {
    this.connection = connect(this);
  }

  send(verb: VerbIn, ...rest: Buffer[]): boolean {
    return this.isUp && this.sender.send(verb, rest);
  }
}

export interface BrokerPoolListener {
  /** It has said who it is: what is owed to it can be sent. */
  welcome(link: BrokerSession): void;
  /** `link.broker` still says who it was. */
  down(link: BrokerSession): void;
  /** Any other word than WELCOME and BEAT. */
  heard(link: BrokerSession, verb: string | undefined, frames: Frames): void;
  /** Something can be answered by this broker only. */
  needs(broker: string): boolean;
}

export class BrokerPool {
  readonly #options: ClientOptions;
  readonly #listener: BrokerPoolListener;
  readonly #url: BrokerUrl;
  readonly #links = new Map<string, BrokerSession>();
  #lookupTimer: NodeJS.Timeout | undefined;
  #closed = false;
  /** What last kept a connection from being made. */
  #trouble: string | undefined;

  constructor(options: ClientOptions, listener: BrokerPoolListener) {
    this.#options = options;
    this.#listener = listener;
    this.#url = parseBrokerUrl(options.broker ? "inproc://broker" : (options.url ?? URL_DEFAULT));
    if (options.broker) this.#connect("local");
    else if (this.#url.host === undefined) this.#connect(this.#url.url);
    else void this.#keepLookingUp();
  }

  /** Why nothing can be asked of this broker, or of any: for the sentence of an error. */
  whyNot(broker: string | undefined): string {
    const here = this.up().flatMap((link) => link.broker ?? []);
    if (broker !== undefined && here.length > 0)
      return `${this.#url.url} leads to broker ${here.join(", ")}, not to '${broker}'`;
    return `no broker of ${this.#url.url} is connected${this.#trouble === undefined ? "" : ` (${this.#trouble})`}`;
  }

  /** Brokers that can be spoken to now. */
  up(): BrokerSession[] {
    return [...this.#links.values()].filter(({ isUp }) => isUp);
  }

  /** The known broker with the least to do, or this one; undefined when it is not there. Of a group's brokers the leader's, if it is up. */
  find(broker: string | undefined): BrokerSession | undefined {
    let best: BrokerSession | undefined;
    for (const link of this.#links.values()) {
      if (!link.isUp || link.broker === undefined) continue;
      if (broker !== undefined && link.broker !== broker) continue;
      if (!best || link.unanswered + link.load < best.unanswered + best.load) best = link;
    }
    return best?.isRelayed ? (this.#direct(best.broker) ?? best) : best;
  }

  #direct(broker: string | undefined): BrokerSession | undefined {
    for (const link of this.#links.values()) if (link.isUp && link.broker === broker && !link.isRelayed) return link;
    return undefined;
  }

  /** No more look-ups; the connections stay until `close`. */
  stop(): void {
    this.#closed = true;
    clearTimeout(this.#lookupTimer);
  }

  async close(): Promise<void> {
    this.stop();
    await Promise.all([...this.#links.values()].map(({ connection }) => connection.close()));
    this.#links.clear();
  }

  async #keepLookingUp(): Promise<void> {
    await this.#lookUp();
    if (this.#closed) return;
    const isLost = this.#links.size === 0;
    this.#lookupTimer = setTimeout(() => void this.#keepLookingUp(), isLost ? LOOKUP_AGAIN_MS : LOOKUP_MS);
    // Connections keep the process alive until they are closed; with none this must, or what is asked would never settle.
    if (!isLost) this.#lookupTimer.unref();
  }

  async #lookUp(): Promise<void> {
    let addresses: readonly string[];
    try {
      addresses = await (this.#options.lookup ?? lookupAll)(this.#url.host!);
      this.#trouble = undefined;
    } catch (error) {
      // No name service now: what is connected stays.
      this.#trouble = messageOf(error);
      return;
    }
    if (this.#closed) return;
    const endpoints = new Set(addresses.map((address) => this.#url.endpoint(address)));
    for (const endpoint of endpoints)
      if (!this.#links.has(endpoint)) this.#connect(endpoint, { hasOthers: endpoints.size > 1 });
    for (const [endpoint, link] of this.#links) {
      if (endpoints.has(endpoint) || link.isUp || this.#isNeeded(link)) continue;
      this.#links.delete(endpoint);
      void link.connection.close();
    }
    for (const link of this.#links.values()) if (this.#links.size > 1) link.send("HELLO", HELLO_AGAIN, ABOUT);
  }

  #isNeeded({ broker }: BrokerSession): boolean {
    return broker !== undefined && this.#listener.needs(broker);
  }

  #connect(endpoint: string, { hasOthers = false } = {}): void {
    const { broker, security, connect } = this.#options;
    const link = new BrokerSession((self) => {
      const listener: BrokerConnectionListener = {
        up: () => {
          self.isConnected = true;
          this.#up(self);
        },
        down: () => {
          self.isConnected = false;
          this.#down(self);
        },
        refused: (why) => (this.#trouble = why),
        heard: (frames: Frames) => this.#heard(self, frames),
      };
      if (connect) return connect(endpoint, listener);
      return broker ? new LocalConnection(broker, listener) : new RemoteConnection(endpoint, { security, hasOthers }, listener);
    });
    this.#links.set(endpoint, link);
  }

  #up(link: BrokerSession): void {
    link.isUp = true;
    this.#trouble = undefined;
    link.send("HELLO", HELLO, ABOUT);
  }

  #heard(link: BrokerSession, frames: Frames): void {
    // Said before the connection broke, and read after that: it is void, as all that was.
    if (!link.isConnected) return;
    const verb = verbOf(frames[1]);
    if (verb === "ANEW") this.#anew(link);
    else if (!link.isUp) return;
    else if (verb === "WELCOME") this.#welcome(link, frames);
    else if (verb !== "BEAT") this.#listener.heard(link, verb, frames);
  }

  /** Behind this broker is another leader: as if the connection had broken, without the wait for a new one. */
  #anew(link: BrokerSession): void {
    this.#down(link);
    this.#up(link);
  }

  #welcome(link: BrokerSession, frames: Frames): void {
    const { broker, load, many, term = 0, relayed } = JSON.parse(readText(frames[3])) as Welcome;
    link.load = load;
    link.readsBatches = many === 1;
    if (readText(frames[2]) === HELLO_AGAIN.toString()) return;
    const group = this.up().filter((each) => each.broker === broker);
    // A leader of the past, which has not heard of it yet. It will say ANEW.
    if (group.some((each) => each.term > term)) return;
    link.broker = broker;
    link.term = term;
    link.isRelayed = relayed === 1;
    // What was asked of a leader of the past it may never answer: its machine may be gone without a word.
    for (const each of group) if (each.term < term) this.#down(each);
    this.#listener.welcome(link);
  }

  #down(link: BrokerSession): void {
    link.isUp = false;
    link.unanswered = 0;
    link.sender.drop();
    this.#listener.down(link);
    link.broker = undefined;
  }
}

/** The JSON of WELCOME; docs/queue-protocol.md. */
interface Welcome {
  readonly broker: string;
  readonly load: number;
  readonly many?: number;
  readonly term?: number;
  readonly relayed?: number;
}

const HELLO = Buffer.from("hello");
const HELLO_AGAIN = Buffer.from("again");
/** We read many in one message. */
const ABOUT = Buffer.from('{"many":1}');
