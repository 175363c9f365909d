/** ● The client of session mode in a browser: `SessionClientCore` on its WebSocket. Calls and events are those of Node's client. */
import { utf8 } from "../../core/bytes.ts";
import { DRAIN_MS_MAX } from "../../core/limits.ts";
import type { Duration } from "../../core/units.ts";
import { durationMs } from "../../core/units.ts";
import type { BackoffOptions } from "../backoff.ts";
import { endOf } from "../end.ts";
import type { LinkEnd } from "../end.ts";
import { CONNECT_MS_MAX } from "../limits.ts";
import { noStreams, noTopics } from "../session/acknowledgement.ts";
import type { StreamSource } from "../session/outgoing-stream.ts";
import { FirstOutcome } from "../session/client/first-outcome.ts";
import { readSend } from "../session/send-options.ts";
import type { PublishOptions, SendOptions } from "../session/send-options.ts";
import { ServerList } from "../session/client/server-list.ts";
import { SessionClientCore } from "../session/client/session-client-core.ts";
import type { LinkConnection } from "../session/link-connection.ts";
import { readClient } from "../session/client/client-options.ts";
import type { SessionClientEvents, SessionClientOptions } from "../session/client/client-options.ts";
import { browserEnvironment } from "./browser-environment.ts";
import { BrowserTransport } from "./browser-transport.ts";
import { whenPageWakes } from "./page-life.ts";

/** Both sides name it. */
const SUBPROTOCOL = "holdfast-link";

/** Options of `connect` in a browser. */
export interface BrowserConnectOptions {
  /** "wss://gate.example.org/link", or as a link of the page: "/link". Several are tried in turn, as `addresses` on Node. */
  readonly url: string | readonly [string, ...string[]];
  /** Who this is and what it takes; `{}` for the defaults. */
  readonly session: Omit<SessionClientOptions, "spool">;
  /** Waiting times between attempts; false ends the client with its first connection. */
  readonly reconnect?: false | BackoffOptions;
  /** Ends the client when it fires. */
  readonly signal?: AbortSignal;
}

type Listener<Name extends keyof SessionClientEvents> = (...args: SessionClientEvents[Name]) => void;

/** A session with a server, over one WebSocket after another. */
export class BrowserClient {
  readonly #core: SessionClientCore;
  readonly #listeners = new Map<string, Set<(...args: never) => void>>();
  readonly #first = new FirstOutcome();
  readonly #done = Promise.withResolvers<LinkEnd>();
  readonly #ending = new AbortController();
  readonly #servers: ServerList<URL>;

  /** @internal Use `connect`. */
  constructor({ url, session, reconnect, signal }: BrowserConnectOptions) {
    const environment = browserEnvironment();
    const urls = (typeof url === "string" ? [url] : url).map(urlOf) as [URL, ...URL[]];
    this.#servers = new ServerList(urls, reconnect || {}, environment.random);
    const { onMessage = () => {}, onTopic = noTopics, onStream = noStreams } = session;
    this.#core = new SessionClientCore(readClient(session, reconnect), {
      environment,
      servers: this.#servers,
      owner: {
        dial: (join, failed) => this.#dial(join, failed),
        opened: ({ resumed, welcome: { restarted = false, heartbeatMs, ttlMs } }) =>
          this.#tellFirst("open", { resumed, restarted, heartbeatMs, ttlMs }),
        message: onMessage,
        topic: onTopic,
        stream: onStream,
        gap: (gap) => this.#emit("gap", gap),
        ended: (end) => this.#emit("end", end),
        waiting: (inMs) => this.#tellFirst("waiting", inMs),
        closed: (end) => {
          this.#ending.abort();
          this.#first.is(end);
          this.#emit("close", end);
          this.#done.resolve(end);
        },
      },
    });
    signal?.addEventListener("abort", () => this.#core.close(0), { signal: this.#ending.signal });
    whenPageWakes(() => this.#core.wake(), this.#ending.signal);
  }

  /** @internal */
  begin(): Promise<void> {
    return this.#first.of(
      () => this.#core.start(),
      (release) => setTimeout(release),
    );
  }

  /** Calls the listener with each event of this name. */
  on<Name extends keyof SessionClientEvents>(name: Name, listener: Listener<Name>): this {
    this.#listeners.set(name, (this.#listeners.get(name) ?? new Set()).add(listener));
    return this;
  }

  /** Takes a listener away that `on` was given. */
  off<Name extends keyof SessionClientEvents>(name: Name, listener: Listener<Name>): this {
    this.#listeners.get(name)?.delete(listener);
    return this;
  }

  /** True while the server is there and the session open. */
  get connected(): boolean {
    return this.#core.state === "open";
  }

  /** Round trip of the last heartbeat that was answered on this connection, in ms. */
  get rttMs(): number | undefined {
    return this.#core.connection?.protocol.rttMs;
  }

  /** Messages that are not confirmed yet, and their bytes. */
  get unconfirmed(): { readonly messages: number; readonly bytes: number } {
    return this.#core.unsettled;
  }

  /** Unconfirmed messages that were dropped here. */
  get dropped(): number {
    return this.#core.dropped;
  }

  /** Resolves with the last end when the client is done. */
  get closed(): Promise<LinkEnd> {
    return this.#done.promise;
  }

  /**
   * Sends a message, now or when the server is there again.
   *
   * @param message text, or bytes that must not be changed before the promise settles
   * @param how `urgent`, `expires`, `confirm`: as on Node
   * @returns resolves when the server's application has it
   * @throws OperationError LINK_FULL, LINK_MESSAGE_TOO_LARGE, LINK_REJECTED, LINK_GAP, LINK_ENDED, CLOSED
   */
  send(message: Uint8Array | string, how?: SendOptions): Promise<void> {
    return this.#core.send(bytesOf(message), readSend(how));
  }

  /**
   * Publishes under a topic, to all sessions whose filters match.
   *
   * @throws OperationError as `send`; UsageError LINK_OPTION_INVALID
   */
  publish(topic: string, message: Uint8Array | string, { keep = false, ...how }: PublishOptions = {}): Promise<void> {
    return this.#core.publish(topic, bytesOf(message), { keep, ...readSend(how) });
  }

  /**
   * Subscribes to all topics that a filter matches; messages come to `onTopic`.
   *
   * @throws OperationError as `send`; UsageError LINK_OPTION_INVALID
   */
  subscribe(filter: string): Promise<void> {
    return this.#core.subscribe(filter);
  }

  /** Ends a subscription, by the same filter. */
  unsubscribe(filter: string): Promise<void> {
    return this.#core.unsubscribe(filter);
  }

  /** Sends a message of any length as it is read: an async iterable of bytes or text, such as a File's stream. */
  sendStream(source: StreamSource): Promise<void> {
    return this.#core.sendStream(source);
  }

  /** Waits until everything is confirmed, says BYE and ends; what is not confirmed after `within` (default 5 s) is given up. */
  async close({ within = DRAIN_MS_MAX }: { within?: Duration } = {}): Promise<void> {
    this.#core.close(durationMs(within, "within"));
    await this.closed;
  }

  #emit<Name extends keyof SessionClientEvents>(name: Name, ...args: SessionClientEvents[Name]): void {
    this.#first.tell(() => {
      for (const listener of this.#listeners.get(name) ?? []) (listener as Listener<Name>)(...args);
    });
  }

  #tellFirst<Name extends "open" | "waiting">(name: Name, ...args: SessionClientEvents[Name]): void {
    this.#first.is();
    this.#emit(name, ...args);
  }

  #dial(join: (transport: BrowserTransport) => LinkConnection, failed: (end: LinkEnd) => void): void {
    const socket = new WebSocket(this.#servers.current, SUBPROTOCOL);
    socket.binaryType = "arraybuffer";
    const end = (): void => {
      clearTimeout(timer);
      socket.onopen = null;
      socket.onclose = null;
      socket.close();
      if (!this.#ending.signal.aborted) failed(endOf("unreachable"));
    };
    const timer = setTimeout(end, CONNECT_MS_MAX);
    socket.onclose = end;
    socket.onopen = () => {
      clearTimeout(timer);
      if (this.#ending.signal.aborted) return socket.close();
      const transport = new BrowserTransport(socket);
      transport.connection = join(transport);
    };
  }
}

/**
 * Connects by WebSocket, and again whenever the connection ends: after a while, when the network comes up, when the page is seen again.
 *
 * @returns the client: connected, or still trying after the first attempt failed
 * @throws OperationError LINK_ENDED when the connection cannot be made and there is no reconnecting, LINK_REFUSED when the server does not take
 *   the session; UsageError LINK_OPTION_INVALID, UNIT_INVALID
 */
export async function connect(options: BrowserConnectOptions): Promise<BrowserClient> {
  const client = new BrowserClient(options);
  await client.begin();
  return client;
}

function urlOf(text: string): URL {
  const url = new URL(text, (globalThis as unknown as { location: { href: string } }).location.href);
  url.protocol = url.protocol.replace("http", "ws");
  return url;
}

function bytesOf(message: Uint8Array | string): Uint8Array {
  return typeof message === "string" ? utf8(message) : message;
}
