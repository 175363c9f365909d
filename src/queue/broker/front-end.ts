/**
 * ● The broker's front end: one ROUTER socket, and connections from inside the process. It reads messages in bundles, passes them
 * on with the peer's key, and disconnects a peer that does not read what it is sent. It knows nothing of what messages mean.
 */
import type { Buffer } from "node:buffer";
import type { AccessControl } from "../../access/access-control.ts";
import { ANYBODY, type AskedRights } from "../../access/access-table.ts";
import { OperationError, ProtocolError, UsageError } from "../../core/errors.ts";
import type { Log } from "../../core/log.ts";
import { type Authenticator, Router } from "../../zmq/index.ts";
import { type LocalPort, type PeerConnection, showPeer } from "../protocols/protocol-handler.ts";
import { HEARTBEATS_MISSED_MAX, MESSAGE_BYTES_MAX } from "../limits.ts";
import type { Frames } from "../protocols/messages.ts";

/** Where the front end sends messages: a broker core, or the relay to one. */
export interface PeerSink {
  /** A message of a peer; `flush` once all that are at hand were handed in. @param connection makes the way back, for a new peer */
  receive(key: string, frames: Frames, connection: () => PeerConnection): void;
  gone(key: string): void;
  flush(): void;
  /** Resolves when it can take more, and nothing is read from the network before; undefined: now. */
  ready?(): Promise<void> | undefined;
}

/** Which clients a broker accepts: by names and passwords (unencrypted), or by keys. */
export type BrokerSecurity =
  | { readonly plain: Readonly<Record<string, string>> }
  /** `clients`: public keys (Z85) that may come in; without it every client that knows the server's public key. */
  | { readonly curve: { readonly publicKey: string; readonly secretKey: string; readonly clients?: readonly string[] } };

export interface FrontEndOptions {
  readonly security?: BrokerSecurity | undefined;
  /** Who may what; undefined: everybody may everything. */
  readonly access?: AccessControl | undefined;
  readonly log: Log;
  /** How often a silent peer is asked whether it lives; default 5000. */
  readonly heartbeatMs?: number | undefined;
}

/** 5 s: silent for three times that a peer is gone, its machine or its event loop with it. */
const HEARTBEAT_MS = 5000;

/** 512 messages between two turns of the event loop: under 10 ms, so that timers and new connections get their turn. */
const BUNDLE_MESSAGES_MAX = 512;
/** 1,000,000 messages not read by a peer: results of one addMany after the other; the bytes are bounded by the next. */
const UNREAD_MESSAGES_MAX = 1_000_000;
/** 64 MiB not read by a peer: four of the largest results. Past it the peer is cut off. */
const UNREAD_BYTES_MAX = 64 * 1024 ** 2;

/** Begins the keys of local clients: no peer announces a routing id that begins with a zero (ZMTP keeps these for made-up ones). */
const LOCAL = "\0local ";
/** 255: what the relay to another broker has room for. */
const KEY_CHARS_MAX = 255;

export class FrontEnd {
  readonly #options: FrontEndOptions;
  readonly #router: Router;
  #authenticate: Authenticator;
  #sink: PeerSink | undefined;
  #reading: Promise<void> | undefined;
  #locals = 0;
  readonly #localClosed = new Map<string, () => void>();
  /** With an access file: who is connected, and what they might do when they came. */
  readonly #users = new Map<string, ConnectedUser>();
  /** The names of users as numbers: they have proved them, so there are no more than the files say. */
  readonly #numbers = new Map<string, number>();
  #flushing = false;

  constructor(options: FrontEndOptions) {
    this.#options = options;
    const { access } = options;
    this.#authenticate = authenticator(options.security, access);
    access?.onReload(() => this.#judgeAnew(access));
    const { heartbeatMs = HEARTBEAT_MS } = options;
    this.#router = new Router({
      mandatory: true,
      handover: true,
      linger: 0,
      heartbeatInterval: heartbeatMs,
      heartbeatTimeout: HEARTBEATS_MISSED_MAX * heartbeatMs,
      sendHighWaterMark: UNREAD_MESSAGES_MAX,
      sendHighWaterBytes: UNREAD_BYTES_MAX,
      maxMessageSize: MESSAGE_BYTES_MAX,
      ...routerSecurity(options, (peer) => this.#authenticate(peer)),
    });
  }

  /** Listens, and hands what comes to the sink. Errors are the socket's. */
  async open(endpoints: readonly string[], sink: PeerSink): Promise<void> {
    this.#sink = sink;
    this.#router.events.on("peer:gone", ({ routingId, userId, reason }) => {
      if (!routingId) return;
      // Ended here already when the fault was found in what it said.
      if (reason instanceof ProtocolError)
        this.#options.log("queue.peer-cut", { peer: showPeer(routingId), reason: reason.message });
      this.#gone(sink, this.#keyOf(routingId, userId));
      sink.flush();
    });
    for (const type of ["handshake:error:auth", "handshake:error:protocol"] as const)
      this.#router.events.on(type, ({ remoteAddress, error }) =>
        this.#options.log("queue.peer-refused", { remote: remoteAddress, reason: error.detail ?? error.message }),
      );
    this.#reading = this.#read(sink);
    for (const endpoint of endpoints) await this.#router.bind(endpoint);
  }

  /** Where it listens (the last endpoint), with the port that was taken. */
  get address(): string {
    return this.#router.lastEndpoint ?? "";
  }

  /** Other users or clients are let in from now on. @throws UsageError QUEUE_OPTIONS_INVALID */
  reload(security: BrokerSecurity): void {
    const { security: first } = this.#options;
    if (first === undefined || "plain" in first !== "plain" in security)
      throw new UsageError("QUEUE_OPTIONS_INVALID", "Cannot change the kind of security while the broker runs");
    this.#authenticate = authenticator(security, this.#options.access);
  }

  /** A client in this process comes in without a socket; undefined when the front end is closed. */
  attach(send: (frames: Frames) => void, closed: () => void, rights?: AskedRights): LocalPort | undefined {
    const sink = this.#sink;
    if (!sink) return undefined;
    this.#locals += 1;
    const key = `${LOCAL}${this.#locals}`;
    const connection: PeerConnection = { peer: key.slice(1), user: rights?.user, rights, send, close: closed };
    this.#localClosed.set(key, closed);
    return {
      receive: (frames) => {
        sink.receive(key, frames, () => connection);
        this.#flushSoon();
      },
      gone: () => {
        this.#localClosed.delete(key);
        sink.gone(key);
        this.#flushSoon();
      },
    };
  }

  async close(): Promise<void> {
    this.#sink = undefined;
    for (const closed of this.#localClosed.values()) closed();
    this.#localClosed.clear();
    void this.#router.close();
    await this.#reading;
  }

  async #read(sink: PeerSink): Promise<void> {
    const router = this.#router;
    for (;;) {
      let message: Buffer[] | undefined;
      try {
        message = await router.receive();
      } catch (error) {
        if (router.closed) return;
        throw error;
      }
      for (let count = 1; message; count += 1) {
        const id = message[0]!;
        const user = this.#options.access ? router.userOf(id) : undefined;
        const key = this.#keyOf(id, user);
        if (key.length > KEY_CHARS_MAX) {
          router.disconnectPeer(id, new OperationError("CLOSED", "its routing id is too long"));
          continue;
        }
        sink.receive(key, message.slice(1), () => this.#connection(sink, { id, key, user }));
        message = count < BUNDLE_MESSAGES_MAX ? router.tryReceive() : undefined;
      }
      sink.flush();
      const ready = sink.ready?.();
      if (ready) await ready;
    }
  }

  /** With an access file by the user too: who comes under another's routing id is not taken for it. */
  #keyOf(id: Buffer, user: string | undefined): string {
    const key = id.toString("latin1");
    if (!this.#options.access) return key;
    let number = user === undefined ? 0 : this.#numbers.get(user);
    if (number === undefined) this.#numbers.set(user!, (number = this.#numbers.size + 1));
    return `${number} ${key}`;
  }

  #gone(sink: PeerSink, key: string): void {
    this.#users.delete(key);
    sink.gone(key);
  }

  #connection(sink: PeerSink, { id, key, user }: Sender): PeerConnection {
    const router = this.#router;
    const { access, log } = this.#options;
    if (access) this.#users.set(key, { id, key, user, was: standing(access, user) });
    return {
      peer: showPeer(id),
      user,
      rights: access?.rightsOf(user, log),
      send: (frames: Frames) => {
        const sent = router.trySend([id, ...frames]);
        if (sent === "EAGAIN") this.#cut(sink, { id, key }, "it does not read what it is sent");
      },
      close: (reason) => this.#cut(sink, { id, key }, reason),
    };
  }

  /** Whose rights have changed begins anew, with what it may now. */
  #judgeAnew(access: AccessControl): void {
    const sink = this.#sink;
    if (!sink) return;
    for (const sender of this.#users.values())
      if (standing(access, sender.user) !== sender.was) this.#cut(sink, sender, "its rights have changed");
    sink.flush();
  }

  #cut(sink: PeerSink, { id, key }: Pick<Sender, "id" | "key">, reason: string): void {
    this.#options.log("queue.peer-cut", { peer: showPeer(id), reason });
    this.#gone(sink, key);
    this.#router.disconnectPeer(id, new OperationError("CLOSED", reason));
  }

  /** Once for all that local clients hand in during one turn. */
  #flushSoon(): void {
    if (this.#flushing) return;
    this.#flushing = true;
    queueMicrotask(() => {
      this.#flushing = false;
      this.#sink?.flush();
    });
  }
}

interface Sender {
  readonly id: Buffer;
  readonly key: string;
  readonly user: string | undefined;
}

interface ConnectedUser extends Sender {
  readonly was: string;
}

/** All that a user may, as a text to compare. */
function standing({ table }: AccessControl, user: string | undefined): string {
  return JSON.stringify([user !== undefined && table.has(user), table.rowsOf(user ?? "*")]);
}

interface RouterSecurity {
  readonly plainServer?: boolean;
  readonly curveServer?: boolean;
  readonly curvePublicKey?: string;
  readonly curveSecretKey?: string;
  readonly authenticate?: Authenticator;
}

function routerSecurity({ security, access }: FrontEndOptions, authenticate: Authenticator): RouterSecurity {
  if (!security) {
    if (!access) return {};
    return hasPasswords(access) ? { plainServer: true, authenticate } : { authenticate };
  }
  if ("plain" in security) return { plainServer: true, authenticate };
  const { publicKey, secretKey } = security.curve;
  return { curveServer: true, curvePublicKey: publicKey, curveSecretKey: secretKey, authenticate };
}

function hasPasswords({ table }: AccessControl): boolean {
  return table.users.some(({ password }) => password !== undefined);
}

/** Says who may come in, and under which name: users of the access file are let in by what they prove themselves with there. */
function authenticator(security: BrokerSecurity | undefined, access: AccessControl | undefined): Authenticator {
  const hasAnybody = (): boolean => access?.table.has(ANYBODY) ?? true;
  const isPlain = security ? "plain" in security : access !== undefined && hasPasswords(access);
  if (isPlain) {
    const passwords = new Map(Object.entries(security && "plain" in security ? security.plain : {}));
    return ({ username, password }) => {
      if (username === undefined || password === undefined) return false;
      const isKnown = passwords.get(username) === password || access?.table.withPassword(username, password) !== undefined;
      return isKnown && (access ? { userId: username } : true);
    };
  }
  if (!security) return hasAnybody;
  const { clients } = (security as Extract<BrokerSecurity, { readonly curve: object }>).curve;
  const allowed = clients && new Set(clients);
  return ({ publicKey }) => {
    if (publicKey === undefined) return false;
    const user = access?.table.withCurveKey(publicKey);
    if (user) return { userId: user.name };
    return (allowed?.has(publicKey) ?? true) && hasAnybody();
  };
}
