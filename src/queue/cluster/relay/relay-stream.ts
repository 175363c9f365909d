/**
 * ○ One end of a session between a follower and the leader's broker core: items go out in chunks within a window, items come in as
 * long as no chunk is missing. Invariant: at most WINDOW_BYTES are under way in one direction; what waits for room is counted
 * (`waitingBytes`), and the caller must stop producing when it is too much.
 */
import type { Buffer } from "node:buffer";
import {
  type Chunk,
  CHUNK_HEAD_BYTES,
  DATA,
  encodeChunk,
  encodeItem,
  type Item,
  ItemReader,
  ACK,
  OPEN,
  unreadable,
} from "./relay-codec.ts";

export interface RelayStreamOptions {
  readonly session: number;
  /** Who this end is. */
  readonly sender: string;
  /** Of a chunk, as NATS takes it. */
  readonly chunkBytesMax: number;
  send(chunk: Buffer): void;
}

/** 16 MiB under way: what a NATS server keeps for a connection by default is four times that. */
const WINDOW_BYTES = 16 * 1024 ** 2;
/** 1 MiB taken and not acknowledged: it is, without waiting for the next heartbeat. */
const ACK_BYTES = 1024 ** 2;

export class RelayStream {
  readonly #options: RelayStreamOptions;
  readonly #reader = new ItemReader();
  #waiting: Buffer[] = [];
  #waitingBytes = 0;
  #sentNumber = 0;
  #sentBytes = 0;
  #takenByOther = 0;
  #heardNumber = 0;
  #takenBytes = 0;
  #acknowledgedBytes = 0;

  constructor(options: RelayStreamOptions) {
    this.#options = options;
  }

  get session(): number {
    return this.#options.session;
  }

  /** Bytes of items that the window has not let out yet. */
  get waitingBytes(): number {
    return this.#waitingBytes;
  }

  /** Bytes that wait here or were sent, and that the other end has not acknowledged. */
  get openBytes(): number {
    return this.#waitingBytes + this.#sentBytes - this.#takenByOther;
  }

  open(): void {
    this.#send(OPEN, []);
  }

  push(item: Item): void {
    for (const piece of encodeItem(item)) {
      this.#waiting.push(piece);
      this.#waitingBytes += piece.length;
    }
  }

  /** Sends what the window lets out. */
  flush(): void {
    const chunkBytes = this.#options.chunkBytesMax - CHUNK_HEAD_BYTES;
    while (this.#waitingBytes > 0) {
      const room = Math.min(chunkBytes, WINDOW_BYTES - (this.#sentBytes - this.#takenByOther));
      if (room <= 0) return;
      this.#sendSome(room);
    }
  }

  /**
   * A chunk of this session.
   *
   * @returns its items, or undefined: one is missing, the session is over
   * @throws ProtocolError QUEUE_PROTOCOL: so is it then
   */
  take(chunk: Chunk): readonly Item[] | undefined {
    if (chunk.taken > this.#sentBytes) throw unreadable("an acknowledgement");
    if (chunk.taken > this.#takenByOther) {
      this.#takenByOther = chunk.taken;
      this.flush();
    }
    if (chunk.kind === ACK) return chunk.number === this.#heardNumber ? [] : undefined;
    if (chunk.number !== this.#heardNumber) return undefined;
    this.#heardNumber += 1;
    this.#reader.push(chunk.bytes);
    const items: Item[] = [];
    for (let item = this.#reader.next(); item; item = this.#reader.next()) items.push(item);
    this.#takenBytes += chunk.bytes.length;
    if (this.#takenBytes - this.#acknowledgedBytes >= ACK_BYTES) this.acknowledge();
    return items;
  }

  /** A sign of life: what was taken, and which number comes next. */
  acknowledge(): void {
    this.#send(ACK, []);
  }

  #sendSome(bytesMax: number): void {
    const pieces: Buffer[] = [];
    let bytes = 0;
    let count = 0;
    for (const piece of this.#waiting) {
      if (bytes + piece.length > bytesMax) break;
      pieces.push(piece);
      bytes += piece.length;
      count += 1;
    }
    if (count === 0) {
      // A frame larger than that goes in slices.
      const first = this.#waiting[0]!;
      pieces.push(first.subarray(0, bytesMax));
      this.#waiting[0] = first.subarray(bytesMax);
      bytes = bytesMax;
    } else if (count === this.#waiting.length) this.#waiting = [];
    else this.#waiting.splice(0, count);
    this.#waitingBytes -= bytes;
    this.#sentBytes += bytes;
    this.#send(DATA, pieces);
  }

  #send(kind: number, pieces: readonly Buffer[]): void {
    const { session, sender } = this.#options;
    this.#acknowledgedBytes = this.#takenBytes;
    this.#options.send(encodeChunk({ kind, session, number: this.#sentNumber, taken: this.#takenBytes, sender }, pieces));
    if (kind !== ACK) this.#sentNumber += 1;
  }
}
