/**
 * ● Sessions with the brokers behind one URL: one for each address that the URL's host has, looked up again and again. Tells
 * which came up and went down; a broker is known once it has said WELCOME. Invariant: a session whose address is gone stays while
 * it is up or a request still needs its broker.
 */
import { Buffer } from "node:buffer";
import { type Clock, systemClock } from "../../core/clock.ts";
import { messageOf, ProtocolError } from "../../core/errors.ts";
import type { Log, LogOption } from "../../core/log.ts";
import { type BrokerUrl, type Lookup, LOOKUP_AGAIN_MS, LOOKUP_MS, lookupAll, parseBrokerUrl } from "./broker-addresses.ts";
import {
  type BrokerConnection,
  type BrokerConnectionListener,
  type ClientSecurity,
  type LocalBroker,
  LocalConnection,
  RemoteConnection,
} from "./broker-connection.ts";
import { BrokerSession } from "./broker-session.ts";
import { PROCESS_NAME } from "./keeper.ts";
import { Reachability } from "./reachability.ts";
import {
  type AboutConnection,
  type BrokerMessage,
  readBrokerMessage,
  type WelcomeMessage,
} from "../protocols/broker-messages.ts";
import type { Frames } from "../protocols/messages.ts";

const URL_DEFAULT = "tcp://127.0.0.1:5555";

/** How brokers are reached. */
export interface ClientOptions {
  /** `tcp://HOST:PORT` or `ipc://PATH`; a host with several addresses means several brokers. Default `tcp://127.0.0.1:5555`. */
  readonly url?: string;
  /** A broker in this process, instead of a URL. */
  readonly broker?: LocalBroker;
  /** PLAIN or CURVE, as the broker asks for it; default none. */
  readonly security?: ClientSecurity;
  /** Looks up the URL's host; default: the system's. */
  readonly lookup?: Lookup;
  /**
   * What the log tells, and to whom: `false`: nothing; a level ("error", "warning", "info", "debug"): that and what is worse, on stderr,
   * a line each; a function: everything, to it. Default "warning". docs/logs.md lists the events.
   */
  readonly log?: LogOption;
  /** For tests: the clock. */
  readonly clock?: Clock;
  /** @internal Another way to make connections, for simulations. */
  readonly connect?: (endpoint: string, listener: BrokerConnectionListener) => BrokerConnection;
}

/** Any message but those about the connection itself. */
export type PoolMessage = Exclude<BrokerMessage, WelcomeMessage | AboutConnection>;

export interface BrokerPoolListener {
  /** It has said who it is: what waits for it can be sent. */
  welcome(session: BrokerSession): void;
  /** `session.broker` still says who it was. */
  down(session: BrokerSession): void;
  /** @throws ProtocolError for one that this broker cannot mean */
  heard(session: BrokerSession, message: PoolMessage): void;
  /** Whether some request can be answered by this broker only. */
  needs(broker: string): boolean;
}

export class BrokerPool {
  readonly #options: ClientOptions;
  readonly #listener: BrokerPoolListener;
  readonly #url: BrokerUrl;
  readonly #log: Log;
  readonly #reachability: Reachability;
  readonly #sessions = new Map<string, BrokerSession>();
  #lookupTimer: NodeJS.Timeout | undefined;
  #closed = false;
  /** What last kept a connection from being made. */
  #trouble: string | undefined;

  constructor(options: ClientOptions, listener: BrokerPoolListener, log: Log) {
    this.#options = options;
    this.#listener = listener;
    this.#log = log;
    this.#url = parseBrokerUrl(options.broker ? "inproc://broker" : (options.url ?? URL_DEFAULT));
    const { clock = systemClock } = options;
    this.#reachability = new Reachability(this.#url.url, { clock, log, reason: () => this.#trouble });
    this.#reachability.lost();
    if (options.broker) this.#connect("local");
    else if (this.#url.host === undefined) this.#connect(this.#url.url);
    else void this.#keepLookingUp();
  }

  /** Why nothing can be asked of this broker, or of any: for the sentence of an error. */
  whyNot(broker: string | undefined): string {
    const here = this.up().flatMap((session) => session.broker ?? []);
    if (broker !== undefined && here.length > 0)
      return `${this.#url.url} leads to broker ${here.join(", ")}, not to '${broker}'`;
    return `no broker of ${this.#url.url} is connected${this.#trouble === undefined ? "" : ` (${this.#trouble})`}`;
  }

  /** The sessions over which requests can be sent now. */
  up(): BrokerSession[] {
    return [...this.#sessions.values()].filter(({ isUp }) => isUp);
  }

  /** Where it is, and where nobody has said who is there. */
  addressesOf(broker: string): string[] {
    const sessions = [...this.#sessions.values()].filter((each) => each.broker === undefined || each.broker === broker);
    return sessions.map(({ connection }) => connection.address);
  }

  /** The known broker with the least to do, or this one; undefined when it is not up. Of a group the leader, if it is up. */
  find(broker: string | undefined): BrokerSession | undefined {
    let best: BrokerSession | undefined;
    for (const session of this.#sessions.values()) {
      if (!session.isUp || session.broker === undefined) continue;
      if (broker !== undefined && session.broker !== broker) continue;
      if (!best || session.unanswered + session.load < best.unanswered + best.load) best = session;
    }
    return best?.isRelayed ? (this.#direct(best.broker) ?? best) : best;
  }

  #direct(broker: string | undefined): BrokerSession | undefined {
    for (const session of this.#sessions.values())
      if (session.isUp && session.broker === broker && !session.isRelayed) return session;
    return undefined;
  }

  /** No more look-ups; the connections stay until `close`. */
  stop(): void {
    this.#closed = true;
    clearTimeout(this.#lookupTimer);
    this.#reachability.stop();
  }

  async close(): Promise<void> {
    this.stop();
    await Promise.all([...this.#sessions.values()].map(({ connection }) => connection.close()));
    this.#sessions.clear();
  }

  async #keepLookingUp(): Promise<void> {
    await this.#lookUp();
    if (this.#closed) return;
    const isLost = this.#sessions.size === 0;
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
      if (!this.#sessions.has(endpoint)) this.#connect(endpoint, { hasOthers: endpoints.size > 1 });
    for (const [endpoint, session] of this.#sessions) {
      if (endpoints.has(endpoint) || session.isUp || this.#isNeeded(session)) continue;
      this.#sessions.delete(endpoint);
      void session.connection.close();
    }
    for (const session of this.#sessions.values()) if (this.#sessions.size > 1) session.send("HELLO", HELLO_AGAIN, ABOUT);
  }

  #isNeeded({ broker }: BrokerSession): boolean {
    return broker !== undefined && this.#listener.needs(broker);
  }

  #connect(endpoint: string, { hasOthers = false } = {}): void {
    const { broker, security, connect } = this.#options;
    const log = this.#log;
    const session = new BrokerSession((self) => {
      const listener: BrokerConnectionListener = {
        up: () => {
          self.isConnected = true;
          this.#up(self);
        },
        down: () => {
          self.isConnected = false;
          this.#down(self);
        },
        refused: (why) => {
          this.#trouble = why;
          log("queue.broker-refused", { address: self.connection.address, reason: why });
        },
        heard: (frames: Frames) => this.#heard(self, frames),
      };
      if (connect) return connect(endpoint, listener);
      return broker ? new LocalConnection(broker, listener) : new RemoteConnection(endpoint, { security, hasOthers }, listener);
    });
    this.#sessions.set(endpoint, session);
  }

  #up(session: BrokerSession): void {
    session.isUp = true;
    this.#trouble = undefined;
    session.send("HELLO", HELLO, ABOUT);
  }

  /** The edge: whatever a broker says costs its connection at most. */
  #heard(session: BrokerSession, frames: Frames): void {
    // Sent before the connection broke and read after that: void, like everything sent on it.
    if (!session.isConnected) return;
    try {
      this.#message(session, readBrokerMessage(frames));
    } catch (error) {
      this.#trouble = messageOf(error);
      const event = error instanceof ProtocolError ? "queue.broker-invalid" : "queue.program-error";
      this.#log(event, { address: session.connection.address, broker: session.broker, error });
      session.connection.reset();
    }
  }

  #message(session: BrokerSession, message: BrokerMessage): void {
    if (message.verb !== "ANEW" && !session.isUp) return;
    switch (message.verb) {
      case "ANEW":
        return this.#anew(session);
      case "WELCOME":
        return this.#welcome(session, message);
      case "STARTING":
        this.#trouble = `it is starting, ${message.percent} %`;
        return;
      case "BEAT":
        return;
      default:
        this.#listener.heard(session, message);
    }
  }

  /** Another broker of the group leads: as if the connection had broken, without the wait for a new one. */
  #anew(session: BrokerSession): void {
    this.#down(session);
    this.#up(session);
  }

  #welcome(session: BrokerSession, welcome: WelcomeMessage): void {
    const { broker, term } = welcome;
    if (session.broker !== undefined && session.broker !== broker)
      throw new ProtocolError("QUEUE_PROTOCOL", `The broker calls itself '${broker}', and was '${session.broker}'`);
    this.#trouble = undefined;
    session.load = welcome.load;
    session.readsBatches = welcome.readsBatches;
    session.readsBegun = welcome.readsBegun;
    session.hasKeepers = welcome.hasKeepers;
    session.readsTraces = welcome.readsTraces;
    session.keepsSteps = welcome.keepsSteps;
    if (welcome.request === HELLO_AGAIN.toString()) return;
    const group = this.up().filter((each) => each.broker === broker);
    // A leader of the past, which has not heard of it yet. It will say ANEW.
    if (group.some((each) => each.term > term)) return;
    if (session.broker === undefined) this.#log("queue.broker-connected", { address: session.connection.address, broker });
    session.broker = broker;
    this.#reachability.reached();
    session.term = term;
    session.isRelayed = welcome.isRelayed;
    // A leader of the past may never answer what it was asked: its machine may be gone without closing the connection.
    for (const each of group) if (each.term < term) this.#down(each);
    this.#listener.welcome(session);
  }

  #down(session: BrokerSession): void {
    session.isUp = false;
    session.unanswered = 0;
    session.drop();
    this.#listener.down(session);
    const { broker } = session;
    session.broker = undefined;
    if (this.#closed) return;
    if (broker !== undefined) this.#log("queue.broker-lost", { address: session.connection.address, broker });
    if (![...this.#sessions.values()].some((each) => each.broker !== undefined)) this.#reachability.lost();
  }
}

const HELLO = Buffer.from("hello");
const HELLO_AGAIN = Buffer.from("again");
/** We read many in one message and the outcome `evicted` and how a start goes on, and workers say what they have begun; all workers of this process are lost together. */
const ABOUT = Buffer.from(
  JSON.stringify({ many: 1, begun: 1, evicted: 1, starting: 1, traces: 1, steps: 1, process: PROCESS_NAME }),
);
