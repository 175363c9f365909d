/**
 * ● Peers of one broker at the hall of another: their messages there, the answers back. `RelayToHall` stands at the follower's door,
 * `RelayHost` at the leader's hall with one session for each door. A session that lost a chunk, or whose other end is silent, is over, on
 * both sides; its peers begin anew in the next.
 */
import { Buffer } from "node:buffer";
import type { Way, Wire } from "../../protocols/protocol-handler.ts";
import type { PeerSink } from "../../broker/front-end.ts";
import type { Frames } from "../../protocols/messages.ts";
import { showPeer } from "../../service/worker-registry.ts";
import type { DoorPort, HallPort } from "./peer-relay.ts";
import { type Chunk, encodeChunk, GONE, MESSAGE, OPEN, RESET } from "./relay-codec.ts";
import { RelayStream } from "./relay-stream.ts";

export interface RelayEnd {
  /** This broker, 16 hex digits. */
  readonly sender: string;
  readonly chunkBytesMax: number;
}

/** 4 MiB that the window did not let out: the door stops reading from its peers. */
const WAITING_BYTES_MAX = 4 * 1024 ** 2;
/** 64 MiB on their way to one door: as much as one peer may leave unread at a door. */
const UNREAD_BYTES_MAX = 64 * 1024 ** 2;
/** 1.5 s without a word: both ends say something each 200 ms. */
const SILENT_MS = 1500;

/** How a session goes to its hall. */
interface RelayWay {
  readonly session: number;
  send(chunk: Buffer): void;
  nowMs(): number;
}

export class RelayToHall implements HallPort {
  readonly #stream: RelayStream;
  readonly #port: DoorPort;
  readonly #broken: () => void;
  readonly #nowMs: () => number;
  #heardMs: number;
  #room: PromiseWithResolvers<void> | undefined;

  /** @param broken the session is over */
  constructor(
    { sender, chunkBytesMax, session, send, nowMs }: RelayEnd & RelayWay,
    { port, broken }: { port: DoorPort; broken: () => void },
  ) {
    this.#stream = new RelayStream({ session, sender, chunkBytesMax, send });
    this.#port = port;
    this.#broken = broken;
    this.#nowMs = nowMs;
    this.#heardMs = nowMs();
    this.#stream.open();
  }

  message(key: string, frames: Frames, tag: string): void {
    this.#stream.push({ kind: MESSAGE, key, tag, frames });
  }

  gone(key: string): void {
    this.#stream.push({ kind: GONE, key, tag: "", frames: [] });
  }

  flush(): void {
    this.#stream.flush();
  }

  ready(): Promise<void> | undefined {
    if (this.#stream.waitingBytes < WAITING_BYTES_MAX) return undefined;
    this.#room ??= Promise.withResolvers();
    return this.#room.promise;
  }

  heard(chunk: Chunk): void {
    if (chunk.session !== this.#stream.session) return;
    this.#heardMs = this.#nowMs();
    const items = chunk.kind === RESET ? undefined : this.#stream.take(chunk);
    if (!items) {
      this.#broken();
      return;
    }
    for (const { kind, key, frames } of items) {
      if (kind === MESSAGE) this.#port.said(key, frames);
      else this.#port.closed(key, frames[0]?.toString() ?? "");
    }
    if (this.#stream.waitingBytes < WAITING_BYTES_MAX) this.#release();
  }

  /** Called with each beat: says that it is there, and ends a session that has no other end. */
  beat(): void {
    if (this.#nowMs() - this.#heardMs > SILENT_MS) {
      this.#broken();
      return;
    }
    this.#stream.flush();
    this.#stream.note();
  }

  /** The session is over: whoever waits for room waits for nothing. */
  end(): void {
    this.#release();
  }

  #release(): void {
    this.#room?.resolve();
    this.#room = undefined;
  }
}

export interface RelayHostOptions extends RelayEnd {
  readonly hall: PeerSink;
  /** The leader's. */
  readonly term: number;
  send(door: string, chunk: Buffer): void;
  nowMs(): number;
  log(event: string, facts: Readonly<Record<string, unknown>>): void;
}

interface Session {
  readonly door: string;
  readonly stream: RelayStream;
  readonly wires: Map<string, RelayedWire>;
  heardMs: number;
  flushing: boolean;
}

interface RelayedWire extends Wire {
  tag: string;
}

export class RelayHost {
  readonly #options: RelayHostOptions;
  readonly #sessions = new Map<string, Session>();

  readonly #way: Way;

  constructor(options: RelayHostOptions) {
    this.#options = options;
    this.#way = { term: options.term, isRelayed: true };
  }

  heard(chunk: Chunk): void {
    const { sender: door } = chunk;
    if (chunk.kind === OPEN) this.#open(chunk);
    const session = this.#sessions.get(door);
    if (chunk.kind === RESET) {
      if (session?.stream.session === chunk.session) this.#end(session, "left");
      return;
    }
    if (!session || session.stream.session !== chunk.session) {
      this.#reset(door, chunk.session);
      return;
    }
    session.heardMs = this.#options.nowMs();
    const items = session.stream.take(chunk);
    if (!items) {
      this.#reset(door, chunk.session);
      this.#end(session, "a chunk was lost");
      return;
    }
    if (items.length === 0) return;
    const { hall } = this.#options;
    for (const { kind, key, tag, frames } of items) {
      const name = `${door} ${key}`;
      if (kind === GONE) {
        session.wires.delete(key);
        hall.gone(name);
        continue;
      }
      let wire = session.wires.get(key);
      if (!wire) session.wires.set(key, (wire = this.#wire(session, key)));
      wire.tag = tag;
      hall.receive(name, frames, () => wire);
    }
    hall.flush();
  }

  /** Called with each beat: says that it is there and what it took, and lets doors go that were silent for too long. */
  beat(): void {
    const nowMs = this.#options.nowMs();
    for (const session of this.#sessions.values()) {
      if (nowMs - session.heardMs > SILENT_MS) this.#end(session, `silent for ${SILENT_MS} ms`);
      else session.stream.note();
    }
  }

  /** All doors are cut off: the connection was. They come anew. */
  endAll(why: string): void {
    for (const session of this.#sessions.values()) this.#end(session, why);
  }

  get doors(): number {
    return this.#sessions.size;
  }

  #open({ sender: door, session: number }: Chunk): void {
    const before = this.#sessions.get(door);
    // What lay in a server that stood still comes late.
    if (before && before.stream.session >= number) return;
    if (before) this.#end(before, "comes anew");
    const { sender, chunkBytesMax, send, nowMs } = this.#options;
    const stream = new RelayStream({ session: number, sender, chunkBytesMax, send: (chunk) => send(door, chunk) });
    this.#sessions.set(door, { door, stream, wires: new Map(), heardMs: nowMs(), flushing: false });
  }

  #end(session: Session, why: string): void {
    if (this.#sessions.get(session.door) !== session) return;
    this.#sessions.delete(session.door);
    const { hall, log } = this.#options;
    log("queue.door-gone", { door: session.door, peers: session.wires.size, why });
    for (const key of session.wires.keys()) hall.gone(`${session.door} ${key}`);
    hall.flush();
  }

  #reset(door: string, session: number): void {
    const { sender, send } = this.#options;
    send(door, encodeChunk({ kind: RESET, session, number: 0, taken: 0, sender }, []));
  }

  #wire(session: Session, key: string): RelayedWire {
    const { door, stream } = session;
    return {
      peer: `${key.startsWith("local ") ? key : showPeer(Buffer.from(key, "latin1"))} at ${door.slice(0, 6)}`,
      tag: "",
      way: this.#way,
      send: (frames) => {
        stream.push({ kind: MESSAGE, key, tag: "", frames });
        this.#flushSoon(session);
      },
      close: (reason) => {
        stream.push({ kind: GONE, key, tag: "", frames: [Buffer.from(reason)] });
        session.wires.delete(key);
        this.#options.hall.gone(`${door} ${key}`);
        this.#flushSoon(session);
      },
    };
  }

  /** What one turn says goes out together. */
  #flushSoon(session: Session): void {
    if (session.flushing) return;
    session.flushing = true;
    queueMicrotask(() => {
      session.flushing = false;
      if (this.#sessions.get(session.door) !== session) return;
      session.stream.flush();
      if (session.stream.openBytes <= UNREAD_BYTES_MAX) return;
      this.#reset(session.door, session.stream.session);
      this.#end(session, "it does not read what it is sent");
    });
  }
}
