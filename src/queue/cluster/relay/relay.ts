/**
 * ● Peers of one broker at the broker core of another: their messages go there, the answers come back. `RelayClient` is the
 * follower's end, `RelayServer` the leader's, with one session for each follower. A session that lost a chunk, or whose other end
 * is silent, is over on both sides; its peers begin anew in the next.
 */
import { Buffer } from "node:buffer";
import type { AccessControl } from "../../../access/access-control.ts";
import type { Log } from "../../../core/log.ts";
import { type Route, showPeer } from "../../protocols/protocol-handler.ts";
import type { PeerSink } from "../../broker/front-end.ts";
import type { Frames } from "../../protocols/messages.ts";
import type { CoreChannel, PeerChannel, RelayedPeerConnection } from "./peer-relay.ts";
import { type Chunk, encodeChunk, GONE, MESSAGE, OPEN, RESET, USER } from "./relay-codec.ts";
import { RelayStream } from "./relay-stream.ts";

export interface RelayEnd {
  /** This broker, 16 hex digits. */
  readonly sender: string;
  readonly chunkBytesMax: number;
}

/** 4 MiB that the window did not let out: the follower stops reading from its peers. */
const WAITING_BYTES_MAX = 4 * 1024 ** 2;
/** 64 MiB on their way to one follower: as much as one peer may leave unread at a broker. */
const UNREAD_BYTES_MAX = 64 * 1024 ** 2;
/** 1.5 s without a chunk: both ends send one each 200 ms. */
const SILENT_MS = 1500;

/** The follower's way to the leader. */
interface RelayRoute {
  readonly session: number;
  send(chunk: Buffer): void;
  nowMs(): number;
}

export class RelayClient implements CoreChannel {
  readonly #stream: RelayStream;
  readonly #channel: PeerChannel;
  readonly #broken: () => void;
  readonly #nowMs: () => number;
  #heardMs: number;
  #room: PromiseWithResolvers<void> | undefined;

  /** @param broken the session is over */
  constructor(
    { sender, chunkBytesMax, session, send, nowMs }: RelayEnd & RelayRoute,
    { channel, broken }: { channel: PeerChannel; broken: () => void },
  ) {
    this.#stream = new RelayStream({ session, sender, chunkBytesMax, send });
    this.#channel = channel;
    this.#broken = broken;
    this.#nowMs = nowMs;
    this.#heardMs = nowMs();
    this.#stream.open();
  }

  message(key: string, frames: Frames, idempotencyKey: string): void {
    this.#stream.push({ kind: MESSAGE, key, idempotencyKey, frames });
  }

  user(key: string, user: string): void {
    this.#stream.push({ kind: USER, key, idempotencyKey: "", frames: [Buffer.from(user)] });
  }

  gone(key: string): void {
    this.#stream.push({ kind: GONE, key, idempotencyKey: "", frames: [] });
  }

  flush(): void {
    this.#stream.flush();
  }

  ready(): Promise<void> | undefined {
    if (this.#stream.waitingBytes < WAITING_BYTES_MAX) return undefined;
    this.#room ??= Promise.withResolvers();
    return this.#room.promise;
  }

  /** @throws ProtocolError QUEUE_PROTOCOL, when the session is over for it */
  heard(chunk: Chunk): void {
    if (chunk.session !== this.#stream.session) return;
    try {
      this.#take(chunk);
    } catch (error) {
      this.#broken();
      throw error;
    }
  }

  #take(chunk: Chunk): void {
    this.#heardMs = this.#nowMs();
    const items = chunk.kind === RESET ? undefined : this.#stream.take(chunk);
    if (!items) {
      this.#broken();
      return;
    }
    for (const { kind, key, frames } of items) {
      if (kind === MESSAGE) this.#channel.said(key, frames);
      else this.#channel.closed(key, frames[0]?.toString() ?? "");
    }
    if (this.#stream.waitingBytes < WAITING_BYTES_MAX) this.#release();
  }

  /** Called with each heartbeat: gives a sign of life, and ends a session whose other end is silent. */
  heartbeat(): void {
    if (this.#nowMs() - this.#heardMs > SILENT_MS) {
      this.#broken();
      return;
    }
    this.#stream.flush();
    this.#stream.acknowledge();
  }

  /** The session is over: nobody needs to wait for room any more. */
  end(): void {
    this.#release();
  }

  #release(): void {
    this.#room?.resolve();
    this.#room = undefined;
  }
}

export interface RelayServerOptions extends RelayEnd {
  readonly core: PeerSink;
  /** The leader's. */
  readonly term: number;
  /** What the followers' peers may; undefined: everything. */
  readonly access?: AccessControl | undefined;
  send(follower: string, chunk: Buffer): void;
  nowMs(): number;
  readonly log: Log;
}

interface Session {
  readonly follower: string;
  readonly stream: RelayStream;
  readonly connections: Map<string, RelayedPeerConnection>;
  /** Who the peers are, of those that have proved it. */
  readonly users: Map<string, string>;
  heardMs: number;
  flushing: boolean;
}

export class RelayServer {
  readonly #options: RelayServerOptions;
  readonly #sessions = new Map<string, Session>();
  readonly #route: Route;

  constructor(options: RelayServerOptions) {
    this.#options = options;
    this.#route = { term: options.term, isRelayed: true };
  }

  /** @throws ProtocolError QUEUE_PROTOCOL, when the session is over for it */
  heard(chunk: Chunk): void {
    const { sender: follower } = chunk;
    if (chunk.kind === OPEN) this.#open(chunk);
    const session = this.#sessions.get(follower);
    if (chunk.kind === RESET) {
      if (session?.stream.session === chunk.session) this.#end(session, "left");
      return;
    }
    if (!session || session.stream.session !== chunk.session) {
      this.#reset(follower, chunk.session);
      return;
    }
    try {
      if (this.#take(session, chunk)) return;
      this.#over(session, "a chunk was lost");
    } catch (error) {
      this.#over(session, "it cannot be understood");
      throw error;
    }
  }

  #over(session: Session, why: string): void {
    this.#reset(session.follower, session.stream.session);
    this.#end(session, why);
  }

  /** @returns false when a chunk is missing */
  #take(session: Session, chunk: Chunk): boolean {
    const { follower } = session;
    session.heardMs = this.#options.nowMs();
    const items = session.stream.take(chunk);
    if (!items) return false;
    if (items.length === 0) return true;
    const { core } = this.#options;
    for (const { kind, key, idempotencyKey, frames } of items) {
      const name = `${follower} ${key}`;
      if (kind === GONE) {
        session.connections.delete(key);
        session.users.delete(key);
        core.gone(name);
        continue;
      }
      if (kind === USER) {
        session.users.set(key, frames[0]?.toString() ?? "");
        continue;
      }
      let connection = session.connections.get(key);
      if (!connection) session.connections.set(key, (connection = this.#connection(session, key)));
      connection.idempotencyKey = idempotencyKey;
      core.receive(name, frames, () => connection);
    }
    core.flush();
    return true;
  }

  /** Called with each heartbeat: gives a sign of life, and ends the sessions of followers that were silent for too long. */
  heartbeat(): void {
    const nowMs = this.#options.nowMs();
    for (const session of this.#sessions.values()) {
      if (nowMs - session.heardMs > SILENT_MS) this.#end(session, `silent for ${SILENT_MS} ms`);
      else session.stream.acknowledge();
    }
  }

  /** All sessions are over; the followers begin new ones. */
  endAll(why: string): void {
    for (const session of this.#sessions.values()) this.#end(session, why);
  }

  get followers(): number {
    return this.#sessions.size;
  }

  #open({ sender: follower, session: number }: Chunk): void {
    const before = this.#sessions.get(follower);
    // A chunk that a server which stood still delivers late.
    if (before && before.stream.session >= number) return;
    if (before) this.#end(before, "reconnected");
    const { sender, chunkBytesMax, send, nowMs } = this.#options;
    const stream = new RelayStream({ session: number, sender, chunkBytesMax, send: (chunk) => send(follower, chunk) });
    this.#sessions.set(follower, {
      follower,
      stream,
      connections: new Map(),
      users: new Map(),
      heardMs: nowMs(),
      flushing: false,
    });
  }

  #end(session: Session, why: string): void {
    if (this.#sessions.get(session.follower) !== session) return;
    this.#sessions.delete(session.follower);
    const { core, log } = this.#options;
    log("queue.follower-gone", { follower: session.follower, peers: session.connections.size, why });
    for (const key of session.connections.keys()) core.gone(`${session.follower} ${key}`);
    core.flush();
  }

  #reset(follower: string, session: number): void {
    const { sender, send } = this.#options;
    send(follower, encodeChunk({ kind: RESET, session, number: 0, taken: 0, sender }, []));
  }

  #connection(session: Session, key: string): RelayedPeerConnection {
    const { follower, stream } = session;
    const user = session.users.get(key);
    const isLocal = key.startsWith("\0local ");
    return {
      peer: `${isLocal ? key.slice(1) : showPeer(Buffer.from(key, "latin1"))} at ${follower.slice(0, 6)}`,
      idempotencyKey: "",
      route: this.#route,
      user,
      // A local client of another broker is that process itself, unless it asks for somebody.
      rights: isLocal && user === undefined ? undefined : this.#options.access?.rightsOf(user, this.#options.log),
      send: (frames) => {
        stream.push({ kind: MESSAGE, key, idempotencyKey: "", frames });
        this.#flushSoon(session);
      },
      close: (reason) => {
        stream.push({ kind: GONE, key, idempotencyKey: "", frames: [Buffer.from(reason)] });
        session.connections.delete(key);
        this.#options.core.gone(`${follower} ${key}`);
        this.#flushSoon(session);
      },
    };
  }

  /** What is sent in one turn of the event loop goes out together. */
  #flushSoon(session: Session): void {
    if (session.flushing) return;
    session.flushing = true;
    queueMicrotask(() => {
      session.flushing = false;
      if (this.#sessions.get(session.follower) !== session) return;
      session.stream.flush();
      if (session.stream.openBytes <= UNREAD_BYTES_MAX) return;
      this.#reset(session.follower, session.stream.session);
      this.#end(session, "it does not read what it is sent");
    });
  }
}
