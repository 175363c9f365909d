/**
 * ● What all sockets share: options, endpoints, events, close. The classes that send, receive or do both stand below it; one class a
 * socket type in sockets.ts. Invariant: after `close` nothing is opened, and the promise of `close` resolves when all is gone.
 */
import type { Buffer } from "node:buffer";
import { randomBytes } from "node:crypto";
import type { Random } from "../../core/random.ts";
import type { Message } from "../../zmtp/message-parts.ts";
import { SOCKET_TYPES, type SocketTypeName } from "../../zmtp/socket-type.ts";
import { AcceptedConnection, routingIdOf, type EndpointContext } from "../transport/connections.ts";
import { context as defaultContext, type Context } from "./context.ts";
import { Dialer, systemResolve, type ResolveHost } from "../transport/dialer.ts";
import { parseEndpoint, type Endpoint } from "../transport/endpoint.ts";
import { OpenEndpoints, type ConnectedEndpoint } from "./open-endpoints.ts";
import { zmqError } from "../errors.ts";
import { SocketCore } from "../socket-core/socket-core.ts";
import { addIgnoredOptions, type IgnoredOptions } from "./ignored-options.ts";
import { InprocConnection, type InprocSide } from "../transport/inproc.ts";
import { ORPHANED_PIPES_MAX } from "../limits.ts";
import { Listener } from "../transport/listener.ts";
import { Observer } from "../socket-core/observer.ts";
import { OptionFields } from "./option-fields.ts";
import type { Pattern } from "../patterns/pattern.ts";
import type { OnReadStream } from "../transport/onread-stream.ts";
import { mechanismMaker, mechanismName } from "../transport/security.ts";
import { copySettings, type Authenticator, type SocketSettings } from "../socket-core/settings.ts";

/** Chance for ids and waits; nothing here guards a secret. */
const systemRandom: Random = () => randomBytes(4).readUInt32LE() / 2 ** 32;

export function randomUint32(): number {
  return randomBytes(4).readUInt32LE();
}

interface SocketInit {
  readonly type: SocketTypeName;
  readonly pattern: Pattern;
  readonly context: Context | undefined;
  readonly keyOf?: (message: Message) => string;
}

// oxlint-disable-next-line typescript/no-unsafe-declaration-merging -- addIgnoredOptions below makes it true
export interface Socket extends IgnoredOptions {}

/** Base of all sockets. Not to be used itself: make one of its subclasses. */
export abstract class Socket extends OptionFields {
  /** The context that this socket belongs to. */
  readonly context: Context;
  /** @internal */
  readonly core: SocketCore;
  /** @internal Looks names up; tests put their own here. */
  resolve: ResolveHost = systemResolve;
  readonly #type: SocketTypeName;
  readonly #endpoints = new OpenEndpoints(() => this.#gone());
  #observer: Observer | undefined;
  #lastEndpoint: string | null = null;
  #closed = false;
  #closing: Promise<void> | undefined;
  #resolveClosing: (() => void) | undefined;

  /** @internal */
  protected constructor({ type, pattern, context = defaultContext, keyOf }: SocketInit) {
    super();
    context.enter();
    this.context = context;
    this.ipv6 = context.ipv6;
    if (!context.blocky) this.linger = 0;
    if (context.maxMessageSize >= 0) this.maxMessageSize = context.maxMessageSize;
    this.#type = type;
    this.core = new SocketCore({ pattern, clock: context.clock, tell: (event) => this.#observer?.tell(event), keyOf });
  }

  /** The socket type's number, as in libzmq. */
  get type(): number {
    return SOCKET_TYPES.indexOf(this.#type);
  }

  /** Events of this socket, from the first time this is read. */
  get events(): Observer {
    this.#observer ??= new Observer();
    return this.#observer;
  }

  /** Whether `close` was called. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Whether `receive` would have a message at once. */
  get readable(): boolean {
    return this.core.readable;
  }

  /** Whether `send` would take a message at once. */
  get writable(): boolean {
    return this.core.writable;
  }

  /** The endpoint bound or connected last, with the port that was taken for `*` or 0. */
  get lastEndpoint(): string | null {
    return this.#lastEndpoint;
  }

  /** The mechanism that the options ask for; null: none. */
  get securityMechanism(): "plain" | "curve" | null {
    const name = mechanismName(this);
    return name === "NULL" ? null : (name.toLowerCase() as "plain" | "curve");
  }

  /** False: a socket belongs to one thread. */
  get threadSafe(): boolean {
    return false;
  }

  /**
   * Listens at an address: "tcp://127.0.0.1:5555", "tcp://*:5555" (all interfaces), "tcp://127.0.0.1:*" (any port), "ipc:///path",
   * "ipc://@abstract", "inproc://name".
   *
   * @throws EADDRINUSE, EADDRNOTAVAIL, EACCES, EINVAL, EPROTONOSUPPORT, EBADF
   */
  async bind(address: string): Promise<void> {
    this.#assertOpen("bind");
    const endpoint = parseEndpoint(address);
    try {
      if (endpoint.transport === "inproc") this.#bindInproc(address, endpoint.name);
      else await this.#listen(address, endpoint);
    } catch (error) {
      this.core.tell({ type: "bind:error", address, error: error as Error });
      throw error;
    }
    this.core.tell({ type: "bind", address: this.#lastEndpoint! });
  }

  /**
   * As `bind` for "inproc://name".
   *
   * @throws ENOTSUP for other transports: Node finds out about them later only, so `await bind(address)`; else as `bind`
   */
  bindSync(address: string): void {
    this.#assertOpen("bind");
    const endpoint = parseEndpoint(address);
    if (endpoint.transport !== "inproc")
      throw zmqError("ENOTSUP", `Cannot bind ${address} synchronously: await bind() instead`);
    this.#bindInproc(address, endpoint.name);
    this.core.tell({ type: "bind", address });
  }

  /** As `unbind`, without waiting for the end. @throws ENOENT, EBADF */
  unbindSync(address: string): void {
    this.#assertOpen("unbind");
    void this.#endpoints.unbound(address).close(this.linger);
  }

  /**
   * Listens no more at an address, and ends the connections that came in there.
   *
   * @throws ENOENT when it is not bound, EBADF
   */
  async unbind(address: string): Promise<void> {
    this.#assertOpen("unbind");
    await this.#endpoints.unbound(address).close(this.linger);
  }

  /**
   * Connects to an address, and again whenever the connection breaks. Returns at once; the connection is made in the background.
   *
   * @throws EINVAL, EPROTONOSUPPORT, EBADF
   */
  connect(address: string): void {
    this.connectAs(address, undefined);
  }

  /**
   * Ends all connections made by `connect(address)`.
   *
   * @throws ENOENT when there are none, EBADF
   */
  disconnect(address: string): void {
    this.#assertOpen("disconnect");
    for (const { close } of this.#endpoints.disconnected(address)) close(this.linger);
  }

  /**
   * Ends the socket: calls that wait are answered with EAGAIN, what is unsent goes out within `linger`. May be called twice.
   *
   * @returns when the last connection is gone; need not be awaited
   */
  close(): Promise<void> {
    if (this.#closing) return this.#closing;
    this.#closing = new Promise((resolve) => (this.#resolveClosing = resolve));
    this.#closed = true;
    this.core.close();
    this.#endpoints.closeAll(this.linger);
    return this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** @internal ROUTER gives its peer an id. */
  protected connectAs(address: string, routingId: Buffer | undefined): void {
    this.#assertOpen("connect");
    const endpoint = parseEndpoint(address);
    this.#lastEndpoint = address;
    const connected =
      endpoint.transport === "inproc"
        ? this.#connectInproc(address, endpoint.name, routingId)
        : this.#dial(address, endpoint, routingId);
    this.#endpoints.connected(address, connected);
  }

  async #listen(address: string, endpoint: Exclude<Endpoint, { transport: "inproc" }>): Promise<void> {
    const incoming = new Set<AcceptedConnection>();
    const context = this.#endpointContext();
    let shown = address;
    const listener = await Listener.listen(endpoint, {
      backlog: this.backlog,
      ipv6: this.ipv6,
      accepted: (stream, remoteAddress) => this.#accept(context, stream, { address: shown, remoteAddress, incoming }),
      failed: (error) => this.core.tell({ type: "accept:error", address: shown, error }),
    });
    shown = listener.endpoint;
    if (this.#closed) {
      await listener.close();
      throw zmqError("EBADF", `Cannot bind ${address}: the socket was closed meanwhile`);
    }
    this.#lastEndpoint = shown;
    this.#endpoints.opened();
    const close = async (lingerMs: number): Promise<void> => {
      for (const connection of incoming) connection.close(lingerMs);
      await listener.close();
      this.core.tell({ type: "close", address: shown });
      this.#endpoints.closedOne();
    };
    this.#endpoints.bound(shown, { address, close });
  }

  #accept(
    context: EndpointContext,
    reading: OnReadStream,
    { address, remoteAddress, incoming }: { address: string; remoteAddress: string; incoming: Set<AcceptedConnection> },
  ): void {
    if (this.#closed) {
      reading.stream.destroy();
      return;
    }
    const orphanBytesMax = ORPHANED_PIPES_MAX * context.settings.receiveHighWaterBytes;
    if (orphanBytesMax > 0 && this.core.orphanBytes > orphanBytesMax) {
      reading.stream.destroy();
      const error = zmqError("EAGAIN", `Turned a peer away: ${this.core.orphanBytes} bytes of peers that left are unread`);
      this.core.tell({ type: "accept:error", address, remoteAddress, error });
      return;
    }
    this.#endpoints.opened();
    const connection = new AcceptedConnection(context, reading, address, remoteAddress, () => {
      incoming.delete(connection);
      this.#endpoints.closedOne();
    });
    incoming.add(connection);
  }

  #dial(
    address: string,
    endpoint: Exclude<Endpoint, { transport: "inproc" }>,
    routingId: Buffer | undefined,
  ): ConnectedEndpoint {
    const context = this.#endpointContext();
    this.#endpoints.opened();
    this.context.hold();
    const dialer = new Dialer(context, {
      endpoint,
      address,
      routingId,
      resolve: (host, family) => this.resolve(host, family),
      onEnded: () => {
        this.context.release();
        this.#endpoints.closedOne();
      },
    });
    return { close: (lingerMs) => dialer.close(lingerMs) };
  }

  /** @throws UsageError EINVAL when the options for security cannot be used */
  #endpointContext(): EndpointContext {
    const settings = copySettings(this);
    return {
      type: this.#type,
      settings,
      core: this.core,
      random: systemRandom,
      makeMechanism: mechanismMaker(this.#type, routingIdOf(settings), settings),
      authenticator: () => settings.authenticate ?? this.#zapAuthenticator(settings),
    };
  }

  /** A ZAP handler bound in this context; NULL asks it only where a domain is set, as in libzmq. */
  #zapAuthenticator(settings: SocketSettings): Authenticator | null {
    if (mechanismName(settings) === "NULL" && !settings.zapDomain) return null;
    return this.context.zap() ?? (settings.zapEnforceDomain ? () => ({ status: 500 }) : null);
  }

  #bindInproc(address: string, name: string): void {
    const connections = new Set<InprocConnection>();
    const join = (other: InprocSide): InprocConnection => {
      const connection = new InprocConnection(
        address,
        other,
        this.#inprocSide(undefined, () => connections.delete(connection)),
      );
      connections.add(connection);
      return connection;
    };
    this.#lastEndpoint = address;
    if (!this.context.names.bind(name, join)) throw zmqError("EADDRINUSE", `Cannot bind ${address}: the name is taken`);
    this.#endpoints.opened();
    const close = (): void => {
      this.context.names.unbind(name);
      for (const connection of connections) connection.close(undefined);
      this.#endpoints.closedOne();
    };
    this.#endpoints.bound(address, { address, close });
  }

  #connectInproc(_address: string, name: string, routingId: Buffer | undefined): ConnectedEndpoint {
    this.#endpoints.opened();
    let connection: InprocConnection | undefined;
    const side = this.#inprocSide(routingId, () => this.#endpoints.closedOne());
    const takeBack = this.context.names.connect(name, (join) => (connection = join(side)));
    return {
      close: () => {
        takeBack();
        if (connection) connection.close(undefined);
        else side.ended(undefined);
      },
    };
  }

  #inprocSide(routingId: Buffer | undefined, onEnded: () => void): InprocSide {
    const pipe = this.core.attach(copySettings(this), routingId);
    return {
      core: this.core,
      pipe,
      socketType: this.#type,
      routingId: routingIdOf(this),
      probe: this.probeRouter,
      ended: (reason) => {
        this.core.detach(pipe, reason);
        onEnded();
      },
    };
  }

  /** After `close`: the last endpoint or connection is gone. */
  #gone(): void {
    this.context.leave();
    this.#observer?.close();
    this.#resolveClosing!();
  }

  #assertOpen(what: string): void {
    if (this.#closed) throw zmqError("EBADF", `Cannot ${what}: the socket is closed`);
  }
}

addIgnoredOptions(Socket.prototype);
