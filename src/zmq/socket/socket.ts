/**
 * ● What all sockets share: options, endpoints, events, close. The classes that send, receive or do both stand below it; one class a
 * socket type in sockets.ts. Invariant: after `close` nothing is opened, and the promise of `close` resolves when all is gone.
 */
import type { Buffer } from "node:buffer";
import { randomBytes } from "node:crypto";
import { MessagePort } from "node:worker_threads";
import type { Random } from "../../core/random.ts";
import type { Message } from "../../zmtp/message-parts.ts";
import { SOCKET_TYPES, type SocketTypeName } from "../../zmtp/socket-type.ts";
import type { EndpointContext } from "../transport/zmq-connection.ts";
import { Context, context as defaultContext } from "./context.ts";
import { Dialer, systemResolve, type ResolveHost } from "../transport/dialer.ts";
import { parseDestination, parseEndpoint, type Endpoint } from "../transport/endpoint.ts";
import { wrongType, zmqError } from "../errors.ts";
import { enterLingering, leaveLingering, type LingeringSocket } from "../socket-core/process-life.ts";
import { SocketCore } from "../socket-core/socket-core.ts";
import { assertSupported } from "./ignored-options.ts";
import { defineOptions, OptionHolder } from "./option-holder.ts";
import { toMessage, type MessageLike } from "./message.ts";
import { PATTERNS, type SocketType } from "./socket-type.ts";
import {
  COMMON_OPTIONS,
  defaultSettings,
  SOCKET_RULES,
  type AllOptions,
  type OwnOption,
  type ReceiveOption,
  type SendOption,
} from "./socket-options.ts";
import { INPROC_BUDGET } from "../patterns/pipe.ts";
import { type Accept, InprocConnection, type InprocSide, type JoinedConnection } from "../transport/inproc.ts";
import { ThreadConnection } from "../transport/thread-connection.ts";
import { Listener } from "../transport/listener.ts";
import { Observer } from "../socket-core/observer.ts";
import type { Pattern } from "../patterns/pattern.ts";
import { mechanismMaker, mechanismName } from "../transport/security.ts";
import { copySettings, routingIdOf, type Authenticator, type SocketSettings } from "../socket-core/settings.ts";

/** Chance for ids and waits; no secret depends on it. */
const systemRandom: Random = () => randomBytes(4).readUInt32LE() / 2 ** 32;

interface BoundEndpoint {
  /** The address as the caller wrote it; the endpoint is found under this one too. */
  readonly asked: string;
  readonly close: (lingerMs: number) => Promise<void> | void;
}

interface ConnectedEndpoint {
  close(lingerMs: number): void;
}

/** As many as a socket's constructor takes. */
const ARGUMENTS_MAX = 2;

// oxlint-disable-next-line typescript/no-unsafe-declaration-merging -- defineOptions below makes it true
export interface Socket extends Omit<AllOptions, SendOption | ReceiveOption | OwnOption> {}

/** Base of all sockets. Not to be used itself: make one of its subclasses. */
// oxlint-disable-next-line typescript/no-unsafe-declaration-merging
export abstract class Socket extends OptionHolder {
  /** @internal */
  declare readonly settings: AllOptions;
  /** The context that this socket belongs to. */
  readonly context: Context;
  /** @internal */
  readonly core: SocketCore;
  /** @internal What its type does. */
  protected readonly pattern: Pattern;
  /** @internal Looks names up; tests put their own here. */
  resolve: ResolveHost = systemResolve;
  readonly #type: SocketTypeName;
  /** Bound endpoints by the address with the port that was taken. */
  readonly #bound = new Map<string, BoundEndpoint>();
  readonly #connected = new Map<string, ConnectedEndpoint[]>();
  readonly #closed = Promise.withResolvers<void>();
  /** Connected inproc names that nobody has bound, of a socket that is closing, each with what gives up what was sent there. */
  readonly #unboundNames = new Set<() => void>();
  #observer: Observer | undefined;
  #lastEndpoint: string | null = null;

  /** @internal */
  protected constructor(type: SocketType, options: { readonly context?: Context } = {}) {
    if (typeof type !== "number") throw wrongType("Socket type must be a number");
    if (typeof options !== "object" || options === null) throw wrongType("Options must be an object");
    if (arguments.length > ARGUMENTS_MAX) throw wrongType(`Expected 2 arguments but received ${arguments.length}`);
    const name = SOCKET_TYPES[type];
    if (name === undefined) throw zmqError("EINVAL", `Cannot make socket: ${type} is no type`);
    const { context = defaultContext } = options;
    if (!(context instanceof Context)) throw zmqError("EINVAL", "Cannot make socket: its context is none");
    context.enter();
    const settings = defaultSettings(name, context);
    super(settings, SOCKET_RULES);
    this.context = context;
    this.#type = name;
    this.pattern = PATTERNS[name](settings);
    const lingering: LingeringSocket = {
      hasUnsent: () => this.core.hasUnsent,
      isClosing: () => this.closed,
      giveUp: () => this.#unboundNames.forEach((give) => give()),
      isBlocky: () => context.blocky,
      close: () => this.close(),
    };
    this.core = new SocketCore({
      pattern: this.pattern,
      settings,
      clock: context.clock,
      budget: context.budget,
      tell: (event) => this.#observer?.tell(event),
      keyOf: name === "ROUTER" ? receiverOf : undefined,
      onOpened: () => enterLingering(lingering),
      onGone: () => leaveLingering(lingering),
      onClosed: () => this.#onClosed(),
    });
    try {
      this.setOptions(options);
    } catch (error) {
      context.leave();
      throw error;
    }
  }

  protected override optionChanged(atOnce: boolean): void {
    if (!this.isAttached && !this.core.isBusy) return;
    if (atOnce) this.core.boundsChanged();
    else process.emitWarning("Socket option will not take effect until next connect/bind.", { code: "HOLDFAST_ZMQ_OPTION" });
  }

  /** The socket type's number, as in libzmq. */
  get type(): SocketType {
    return SOCKET_TYPES.indexOf(this.#type) as SocketType;
  }

  /** Events of this socket, from the first time this is read. */
  get events(): Observer {
    this.#observer ??= new Observer();
    return this.#observer;
  }

  /** Whether it was closed. */
  get closed(): boolean {
    return this.core.closed;
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

  /** @internal Whether it is bound or connected. */
  get isAttached(): boolean {
    return this.#bound.size + this.#connected.size > 0;
  }

  /** The mechanism that the options ask for; null: none. */
  get securityMechanism(): "plain" | "curve" | null {
    const name = mechanismName(this.settings);
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
   * @throws EADDRINUSE, EADDRNOTAVAIL, EACCES, EINVAL, ENAMETOOLONG, EPROTONOSUPPORT, EBADF
   */
  bind(address: string): Promise<void> {
    return this.core.whileBusy(async () => {
      this.#assertOpen("bind");
      const endpoint = parseEndpoint(address);
      if (endpoint.transport === "inproc") return this.#bindInproc(address, endpoint.name); // nobody is told, as in libzmq
      try {
        await this.#listen(address, endpoint);
      } catch (error) {
        this.core.tell({ type: "bind:error", address: withoutTransport(address), error: error as Error });
        throw error;
      }
      this.core.tell({ type: "bind", address: this.#lastEndpoint! });
    });
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
  }

  /** As `unbind`, without waiting for the end. @throws ENOENT, EBADF */
  unbindSync(address: string): void {
    this.#assertOpen("unbind");
    void this.#unbound(address).close(this.settings.linger);
  }

  /**
   * Stops listening at an address and ends the connections accepted there.
   *
   * @throws ENOENT when it is not bound, EBADF
   */
  unbind(address: string): Promise<void> {
    return this.core.whileBusy(async () => {
      this.#assertOpen("unbind");
      await this.#unbound(address).close(this.settings.linger);
    });
  }

  /**
   * Connects to an address, and again whenever the connection breaks. Returns at once; the connection is made in the background.
   *
   * @throws EINVAL, ENAMETOOLONG, EPROTONOSUPPORT, EBADF
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
    parseEndpoint(address);
    const endpoints = this.#connected.get(address);
    if (endpoints === undefined)
      throw zmqError("ENOENT", { detail: `Cannot disconnect ${address}: it is not connected`, address });
    this.#connected.delete(address);
    for (const endpoint of endpoints) endpoint.close(this.settings.linger);
  }

  /**
   * Ends the socket: calls that wait are answered with EAGAIN (EFSM out of turn), what is unsent goes out within `linger`. While a bind
   * or unbind is under way it waits for that. May be called twice.
   *
   * @returns when the last connection is gone; need not be awaited
   */
  close(): Promise<void> {
    if (!this.closed) this.core.close(() => this.#closeEndpoints());
    return this.#closed.promise;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** @internal ROUTER gives its peer an id. */
  protected connectAs(address: string, routingId: Buffer | undefined): void {
    this.#assertOpen("connect");
    const endpoint = parseDestination(address);
    this.#lastEndpoint = address;
    const connected =
      endpoint.transport === "inproc"
        ? this.#connectInproc(endpoint.name, routingId)
        : this.#dial(address, endpoint, routingId);
    this.#connected.set(address, [...(this.#connected.get(address) ?? []), connected]);
  }

  #closeEndpoints(): void {
    for (const endpoint of this.#bound.values()) void endpoint.close(this.settings.linger);
    for (const endpoint of [...this.#connected.values()].flat()) endpoint.close(this.settings.linger);
    this.#bound.clear();
    this.#connected.clear();
    if (this.core.openCount === this.#unboundNames.size) this.#closed.resolve(); // there is no connection to wait for
  }

  /** Takes a bound endpoint out. @throws ENOENT when there is none */
  #unbound(asked: string): BoundEndpoint {
    parseEndpoint(asked);
    for (const [address, endpoint] of this.#bound) {
      if (address !== asked && endpoint.asked !== asked) continue;
      this.#bound.delete(address);
      return endpoint;
    }
    throw zmqError("ENOENT", { detail: `Cannot unbind ${asked}: it is not bound`, address: asked });
  }

  async #listen(asked: string, endpoint: Exclude<Endpoint, { transport: "inproc" }>): Promise<void> {
    const listener = await Listener.listen(endpoint, this.#endpointContext());
    const { address } = listener;
    this.#lastEndpoint = address;
    this.#bound.set(address, { asked, close: (lingerMs) => listener.close(lingerMs) });
  }

  #dial(
    address: string,
    endpoint: Exclude<Endpoint, { transport: "inproc" }>,
    routingId: Buffer | undefined,
  ): ConnectedEndpoint {
    const context = this.#endpointContext();
    this.core.opened();
    return new Dialer(context, {
      endpoint,
      address,
      routingId,
      resolve: (host, family) => this.resolve(host, family),
      onEnded: () => this.core.gone(),
    });
  }

  /** @throws UsageError EINVAL when the options for security cannot be used */
  #endpointContext(): EndpointContext {
    assertSupported(this.settings);
    const settings = copySettings(this.settings);
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
    const connections = new Set<JoinedConnection>();
    const accept: Accept = (other) => {
      const side = this.#inprocSide(undefined, () => connections.delete(connection));
      const connection: JoinedConnection =
        other instanceof MessagePort ? new ThreadConnection(address, side, other) : new InprocConnection(address, other, side);
      connections.add(connection);
      return connection;
    };
    this.#lastEndpoint = address;
    if (!this.context.names.bind(name, accept)) {
      throw zmqError("EADDRINUSE", { detail: `Cannot bind ${address}: the name is taken`, address });
    }
    this.core.opened();
    const close = (): void => {
      this.context.names.unbind(name);
      for (const connection of connections) connection.close(undefined);
      this.core.gone();
    };
    this.#bound.set(address, { asked: address, close });
  }

  #connectInproc(name: string, routingId: Buffer | undefined): ConnectedEndpoint {
    this.core.opened();
    let connection: JoinedConnection | undefined;
    let lingering: NodeJS.Timeout | undefined;
    const side = this.#inprocSide(routingId, () => this.core.gone());
    let withdraw = (): void => {};
    const give = (): void => {
      clearTimeout(lingering);
      this.#unboundNames.delete(give);
      withdraw();
      side.ended(undefined);
    };
    withdraw = this.context.names.connect(name, (join) => {
      connection = join(side);
      clearTimeout(lingering);
      if (this.#unboundNames.delete(give)) connection.close(undefined);
    });
    return {
      close: (lingerMs) => {
        if (connection !== undefined) return connection.close(undefined);
        if (lingerMs === 0 || side.pipe.outboundCount === 0) return give();
        this.#unboundNames.add(give);
        if (lingerMs > 0) lingering = setTimeout(give, lingerMs).unref();
      },
    };
  }

  #inprocSide(routingId: Buffer | undefined, onEnded: () => void): InprocSide {
    assertSupported(this.settings);
    const pipe = this.core.attach(routingId, "", INPROC_BUDGET);
    return {
      core: this.core,
      pipe,
      socketType: this.#type,
      routingId: routingIdOf(this.settings),
      ended: (reason) => {
        this.core.detach(pipe, reason);
        onEnded();
      },
    };
  }

  #onClosed(): void {
    this.context.leave();
    this.#observer?.close();
    this.#closed.resolve();
  }

  #assertOpen(what: string): void {
    if (this.closed) throw zmqError("EBADF", `Cannot ${what}: the socket is closed`);
  }
}

/** What a type cannot do is refused where a program without types calls it, as in `zeromq`. */
for (const what of ["send", "receive"] as const)
  Object.defineProperty(Socket.prototype, what, {
    configurable: true,
    writable: true,
    value(this: Socket, message: MessageLike | MessageLike[]): Promise<never> {
      if (what === "send") toMessage(message);
      return Promise.reject(zmqError("ENOTSUP", `Cannot ${what}: a ${this.constructor.name} does not`));
    },
  });

/** "tcp://host:1" → "host:1": what the `zeromq` package tells of an address that cannot be bound. */
function withoutTransport(address: string): string {
  return address.slice(address.indexOf("://") + "://".length);
}

/** ROUTER: the peer that a message is for. */
function receiverOf(message: Message): string {
  return message[0]!.toString("latin1");
}

defineOptions(Socket.prototype, COMMON_OPTIONS);
