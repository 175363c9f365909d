/** ● The client of session mode: `SessionClientCore` on real sockets. */
import { EventEmitter } from "node:events";
import type { Socket } from "node:net";
import { parseAddress } from "../../../core/address.ts";
import type { Clock } from "../../../core/clock.ts";
import { UsageError } from "../../../core/errors.ts";
import { DRAIN_MS_MAX } from "../../../core/limits.ts";
import type { Random } from "../../../core/random.ts";
import { durationMs } from "../../../core/units.ts";
import type { Duration } from "../../../core/units.ts";
import type { BackoffOptions } from "../../backoff.ts";
import { ByteLink } from "../../bytes/byte-link.ts";
import { dialSocket } from "../../bytes/dial-socket.ts";
import type { DialOptions } from "../../bytes/dial-socket.ts";
import { FirstOutcome } from "./first-outcome.ts";
import { SessionClientCore } from "./session-client-core.ts";
import { endOf, endOfError } from "../../end.ts";
import type { LinkEnd } from "../../end.ts";
import { readKeepAlive } from "../../keep-alive/keep-alive.ts";
import type { KeepAlive, KeepAliveOptions } from "../../keep-alive/keep-alive.ts";
import { PORT_DEFAULT } from "../../limits.ts";
import type { LinkConnection } from "../link-connection.ts";
import type { Environment } from "../environment.ts";
import { nodeEnvironment } from "../node-environment.ts";
import type { StreamSource } from "../outgoing-stream.ts";
import { noStreams, noTopics } from "../acknowledgement.ts";
import { readSend } from "../send-options.ts";
import type { PublishOptions, SendOptions } from "../send-options.ts";
import { readClient } from "./client-options.ts";
import type { SessionClientEvents, SessionClientOptions } from "./client-options.ts";
import { ServerList } from "./server-list.ts";
import { SpoolFile } from "./spool-file.ts";
import { SocketTransport } from "../socket-transport.ts";
import { dialWebSocket, readUrl, UpgradeRefused } from "../../web-socket/dial-web-socket.ts";
import type { WebSocketHandshake } from "../../web-socket/dial-web-socket.ts";
import { WebSocketTransport } from "../web-socket-transport.ts";

/** Options of `connect` in session mode. */
export interface SessionConnectOptions extends KeepAliveOptions, DialOptions {
  /**
   * By WebSocket: "ws://gate.example.org/link", or "wss://…" with TLS, whose options are `tls`. Instead of `host` and `port`; it is the same
   * session, whichever way it goes.
   */
  readonly url?: string;
  /**
   * Several servers, instead of `host`, `port` and `url`: "10.0.0.5:12346", "ws://…", "wss://…". They are tried in turn, and one that was there for a
   * while is tried first when its connection ends. The session goes on with another server where both have one store
   * (`session.store`); else it is a new one, and what is in doubt is told as a gap.
   */
  readonly addresses?: readonly string[];
  /** Session mode, and how; `{}` for its defaults. */
  readonly session: SessionClientOptions;
  /** Waiting times between attempts; false ends the client with its first connection. */
  readonly reconnect?: false | BackoffOptions;
  /** Ends the client when it fires. */
  readonly signal?: AbortSignal;
  /** For tests: the clock. */
  readonly clock?: Clock;
  /** For tests: chance. */
  readonly random?: Random;
}

/** One day: the timer only has to exist. */
const AWAKE_MS = 86_400_000;

/** A session with a server, over one connection after another. */
export class SessionClient extends EventEmitter<SessionClientEvents> {
  /** @internal */
  readonly clock: Clock;
  /** The keep-alive values that every connection is set to. */
  readonly keepAlive: KeepAlive;
  readonly #core: SessionClientCore;
  readonly #environment: Environment;
  readonly #first = new FirstOutcome();
  readonly #done = Promise.withResolvers<LinkEnd>();
  /** Between two connections nothing else would keep the process alive. */
  #awake: NodeJS.Timeout | undefined;
  readonly #servers: ServerList<URL | DialOptions>;
  #connections = 0;
  #dialing: AbortController | undefined;
  #closed = false;

  /** @internal Use `connect`. */
  constructor(options: SessionConnectOptions) {
    super();
    this.keepAlive = readKeepAlive(options).values;
    this.#environment = nodeEnvironment(options);
    this.clock = this.#environment.clock;
    const { session, reconnect } = options;
    const { onMessage, onTopic, onStream } = session;
    this.#servers = new ServerList(serversOf(options), reconnect || {}, this.#environment.random);
    this.#core = new SessionClientCore(
      {
        ...readClient(session, reconnect),
        spool: session.spool === undefined ? undefined : new SpoolFile(session.spool, this.clock),
      },
      {
        environment: this.#environment,
        servers: this.#servers,
        owner: {
          dial: (join, failed) => this.#dial(options, join, failed),
          opened: ({ resumed, welcome: { restarted = false, heartbeatMs, ttlMs } }) => {
            this.#first.is();
            this.#first.tell(() => this.emit("open", { resumed, restarted, heartbeatMs, ttlMs }));
          },
          message: onMessage ?? (() => {}),
          topic: onTopic ?? noTopics,
          stream: onStream ?? noStreams,
          gap: (gap) => this.#first.tell(() => this.emit("gap", gap)),
          ended: (end) => this.#first.tell(() => this.emit("end", end)),
          waiting: (inMs) => {
            this.#first.is();
            this.#first.tell(() => this.emit("waiting", inMs));
          },
          closed: (end) => this.#finish(end),
        },
      },
    );
    const { signal } = options;
    const abort = (): void => {
      this.#core.close(0);
    };
    signal?.addEventListener("abort", abort, { once: true });
    void this.closed.then(() => signal?.removeEventListener("abort", abort));
  }

  /** @internal */
  start(): void {
    this.#awake = setInterval(() => {}, AWAKE_MS);
    this.#core.start();
  }

  /** @internal For `connect`. */
  begin(): Promise<void> {
    return this.#first.of(() => this.start(), setImmediate);
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

  /** Resolves with the last end when the client is done. */
  get closed(): Promise<LinkEnd> {
    return this.#done.promise;
  }

  /**
   * Sends a message, now or when the server is there again.
   *
   * @param message text, or bytes that must not be changed before the promise settles
   * @param how.urgent it passes messages that are not, large ones under way among them
   * @param how.expires it is given up when it was not delivered by then
   * @param how.confirm false: nobody confirms it, and it is dropped while the server is away or slow; at most 16 KiB
   * @returns resolves when the server's application has it
   * @throws OperationError LINK_FULL, LINK_MESSAGE_TOO_LARGE, LINK_REJECTED, LINK_GAP, LINK_ENDED, CLOSED
   */
  send(message: Uint8Array | string, how?: SendOptions): Promise<void> {
    return this.#core.send(bytesOf(message), readSend(how));
  }

  /**
   * Publishes under a topic ("sensors/7/temperature"), to all sessions whose filters match.
   *
   * @returns resolves when the server has it, and has it on its way to the subscribers
   * @throws OperationError as `send`; UsageError LINK_OPTION_INVALID
   */
  publish(topic: string, message: Uint8Array | string, { keep = false, ...how }: PublishOptions = {}): Promise<void> {
    return this.#core.publish(topic, bytesOf(message), { keep, ...readSend(how) });
  }

  /**
   * Subscribes to all topics that a filter matches: `+` stands for one level, `#` at its end for any number of them. The subscription
   * is the session's: it stays over reconnects, and for the next client of its name. Messages come to `onTopic`, first the kept ones.
   *
   * @returns resolves when the server has it
   * @throws OperationError as `send`; UsageError LINK_OPTION_INVALID
   */
  subscribe(filter: string): Promise<void> {
    return this.#core.subscribe(filter);
  }

  /** Ends a subscription, by the same filter. */
  unsubscribe(filter: string): Promise<void> {
    return this.#core.unsubscribe(filter);
  }

  /** Unconfirmed messages that were dropped here: sent while the server was away or slow, or come faster than they were handled. */
  get dropped(): number {
    return this.#core.dropped;
  }

  /**
   * Sends a message of any length as it is read; other messages go on beside it. Of the source 1 MiB is held at most.
   *
   * @param source an async iterable of bytes or text: a generator, a readable stream
   * @returns resolves when the server's `onStream` is done with it
   * @throws OperationError as `send`; what the source throws
   */
  sendStream(source: StreamSource): Promise<void> {
    return this.#core.sendStream(source);
  }

  /**
   * Waits until everything is confirmed, says BYE and ends; what is not confirmed after `within` (default 5 s) is given up.
   * May be called twice.
   */
  async close({ within = DRAIN_MS_MAX }: { within?: Duration } = {}): Promise<void> {
    this.#core.close(durationMs(within, "within"));
    await this.#done.promise;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** @internal */
  received(connection: LinkConnection, bytes: Uint8Array): void {
    connection.received(bytes);
  }

  /** @internal */
  gone(): void {}

  #dial(
    options: SessionConnectOptions,
    join: (transport: SocketTransport) => LinkConnection,
    failed: (end: LinkEnd) => void,
  ): void {
    this.#dialing = new AbortController();
    const how = { clock: this.clock, signal: this.#dialing.signal };
    const server = this.#servers.current;
    const dialed: Promise<WebSocketHandshake | { socket: Socket; head?: never }> =
      server instanceof URL
        ? dialWebSocket(server, options, how)
        : dialSocket({ ...options, ...server }, how).then((socket) => ({ socket }));
    dialed.then(
      ({ socket, head }) => {
        if (this.#closed) {
          socket.destroy();
          return;
        }
        this.#connections += 1;
        const transport = head
          ? new WebSocketTransport(this, { key: () => this.#environment.secretBytes(4) })
          : new SocketTransport(this);
        const link = new ByteLink(socket, { id: this.#connections, owner: transport });
        transport.link = link;
        link.tune();
        transport.connection = join(transport);
        if (head && head.length > 0) transport.bytes(link, head);
      },
      (error: unknown) => {
        if (!this.#closed) failed(error instanceof UpgradeRefused ? endOf("refused", error) : endOfError(error));
      },
    );
  }

  #finish(end: LinkEnd): void {
    this.#closed = true;
    this.#dialing?.abort();
    clearInterval(this.#awake);
    this.#first.is(end);
    this.#first.tell(() => this.emit("close", end));
    this.#done.resolve(end);
  }
}

/** @throws UsageError ADDRESS_INVALID, LINK_OPTION_INVALID */
function serversOf({ host, port, url, addresses }: SessionConnectOptions): [URL | DialOptions, ...(URL | DialOptions)[]] {
  if (addresses === undefined) return [url === undefined ? {} : readUrl(url)];
  if (addresses.length === 0 || host !== undefined || port !== undefined || url !== undefined)
    throw new UsageError("LINK_OPTION_INVALID", "Cannot set addresses: there must be one at least, and no host, port or url");
  return addresses.map((text) =>
    /^wss?:/.test(text) ? readUrl(text) : parseAddress(text, "addresses", { port: PORT_DEFAULT }),
  ) as [URL | DialOptions, ...(URL | DialOptions)[]];
}

function bytesOf(message: Uint8Array | string): Uint8Array {
  return typeof message === "string" ? Buffer.from(message) : message;
}
