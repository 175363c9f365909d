/**
 * ● The broker's front end: one ROUTER socket, and connections from inside the process. It reads messages in bundles, passes them
 * on with the peer's key, and disconnects a peer that does not read what it is sent. It knows nothing of what messages mean.
 */
import type { Buffer } from "node:buffer";
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

export class FrontEnd {
  readonly #options: FrontEndOptions;
  readonly #router: Router;
  #authenticate: Authenticator;
  #sink: PeerSink | undefined;
  #reading: Promise<void> | undefined;
  #locals = 0;
  readonly #localClosed = new Map<string, () => void>();
  #flushing = false;

  constructor(options: FrontEndOptions) {
    this.#options = options;
    this.#authenticate = authenticator(options.security);
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
      ...routerSecurity(options.security, (peer) => this.#authenticate(peer)),
    });
  }

  /** Listens, and hands what comes to the sink. Errors are the socket's. */
  async open(endpoints: readonly string[], sink: PeerSink): Promise<void> {
    this.#sink = sink;
    this.#router.events.on("peer:gone", ({ routingId, reason }) => {
      if (!routingId) return;
      // Ended here already when the fault was found in what it said.
      if (reason instanceof ProtocolError)
        this.#options.log("queue.peer-cut", { peer: showPeer(routingId), reason: reason.message });
      sink.gone(routingId.toString("latin1"));
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
    this.#authenticate = authenticator(security);
  }

  /** A client in this process comes in without a socket; undefined when the front end is closed. */
  attach(send: (frames: Frames) => void, closed: () => void): LocalPort | undefined {
    const sink = this.#sink;
    if (!sink) return undefined;
    this.#locals += 1;
    const key = `local ${this.#locals}`;
    const connection: PeerConnection = { peer: key, send, close: closed };
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
        sink.receive(id.toString("latin1"), message.slice(1), () => this.#connection(sink, id));
        message = count < BUNDLE_MESSAGES_MAX ? router.tryReceive() : undefined;
      }
      sink.flush();
      const ready = sink.ready?.();
      if (ready) await ready;
    }
  }

  #connection(sink: PeerSink, id: Buffer): PeerConnection {
    const router = this.#router;
    return {
      peer: showPeer(id),
      send: (frames: Frames) => {
        const sent = router.trySend([id, ...frames]);
        if (sent === "EAGAIN") this.#cut(sink, id, "it does not read what it is sent");
      },
      close: (reason) => this.#cut(sink, id, reason),
    };
  }

  #cut(sink: PeerSink, id: Buffer, reason: string): void {
    this.#options.log("queue.peer-cut", { peer: showPeer(id), reason });
    sink.gone(id.toString("latin1"));
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

interface RouterSecurity {
  readonly plainServer?: boolean;
  readonly curveServer?: boolean;
  readonly curvePublicKey?: string;
  readonly curveSecretKey?: string;
  readonly authenticate?: Authenticator;
}

function routerSecurity(security: BrokerSecurity | undefined, authenticate: Authenticator): RouterSecurity {
  if (!security) return {};
  if ("plain" in security) return { plainServer: true, authenticate };
  const { publicKey, secretKey } = security.curve;
  return { curveServer: true, curvePublicKey: publicKey, curveSecretKey: secretKey, authenticate };
}

/** Says who may come in. */
function authenticator(security: BrokerSecurity | undefined): Authenticator {
  if (!security) return () => true;
  if ("plain" in security) {
    const passwords = new Map(Object.entries(security.plain));
    return ({ username, password }) => username !== undefined && passwords.get(username) === password;
  }
  const { clients } = security.curve;
  if (!clients) return () => true;
  const allowed = new Set(clients);
  return ({ publicKey }) => publicKey !== undefined && allowed.has(publicKey);
}
