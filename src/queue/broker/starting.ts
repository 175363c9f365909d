/**
 * ○ What peers say while the broker reads its tasks: kept, and handed on in the order it came once all of them are at hand. Whoever
 * said that it wants to know is told how far that is. Bounded in bytes: past that nothing more is read from the network.
 */
import { Buffer } from "node:buffer";
import { readable } from "../../core/errors.ts";
import type { PeerConnection } from "../protocols/protocol-handler.ts";
import { type Frames, isProtocol, PROTOCOL, readObject, VERB, verbOf } from "../protocols/messages.ts";
import type { PeerSink } from "./front-end.ts";

interface Held {
  readonly key: string;
  readonly frames: Frames;
  readonly connection: () => PeerConnection;
}

/** A peer that wants to know how far the start is. */
interface Asking {
  readonly request: Buffer;
  readonly connection: PeerConnection;
}

/** 64 MiB: what a thousand clients send that were cut off, and are back. */
const HELD_BYTES_MAX = 64 * 1024 ** 2;

export class StartSink implements PeerSink {
  readonly #sink: PeerSink;
  /** undefined: all tasks are at hand. */
  #held: Held[] | undefined = [];
  #bytes = 0;
  readonly #asking = new Map<string, Asking>();
  readonly #connections = new Map<string, PeerConnection>();
  #percent = 0;
  #room: (() => void) | undefined;

  /** @param sink takes everything from `finish` on */
  constructor(sink: PeerSink) {
    this.#sink = sink;
  }

  /** How much of the tasks is read, in percent; undefined: all are at hand. */
  get percent(): number | undefined {
    return this.#held && this.#percent;
  }

  /** @param share how much of the tasks is read, from 0 to 1 */
  reached(share: number): void {
    const percent = Math.min(99, Math.floor(share * 100));
    if (percent <= this.#percent) return;
    this.#percent = percent;
    for (const each of this.#asking.values()) this.#tell(each);
  }

  /** All tasks are at hand. */
  finish(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    this.#asking.clear();
    for (const { key, frames, connection } of held) this.#sink.receive(key, frames, connection);
    this.#connections.clear();
    this.#sink.flush();
    this.#room?.();
  }

  receive(key: string, frames: Frames, connection: () => PeerConnection): void {
    if (!this.#held) {
      this.#sink.receive(key, frames, connection);
      return;
    }
    this.#held.push({ key, frames, connection: () => this.#connectionOf(key, connection) });
    for (const frame of frames) this.#bytes += frame.length;
    const request = askedBy(frames);
    if (!request) return;
    const asking = { request, connection: this.#connectionOf(key, connection) };
    this.#asking.set(key, asking);
    this.#tell(asking);
  }

  gone(key: string): void {
    if (!this.#held) {
      this.#sink.gone(key);
      return;
    }
    this.#asking.delete(key);
    this.#connections.delete(key);
    this.#held = this.#held.filter((held) => held.key !== key);
  }

  flush(): void {
    if (!this.#held) this.#sink.flush();
  }

  ready(): Promise<void> | undefined {
    if (!this.#held) return this.#sink.ready?.();
    return this.#bytes < HELD_BYTES_MAX ? undefined : new Promise((resolve) => (this.#room = resolve));
  }

  /** One way back to each peer. */
  #connectionOf(key: string, make: () => PeerConnection): PeerConnection {
    let connection = this.#connections.get(key);
    if (!connection) this.#connections.set(key, (connection = make()));
    return connection;
  }

  #tell({ request, connection }: Asking): void {
    const about = Buffer.from(JSON.stringify({ percent: this.#percent }));
    connection.send([PROTOCOL, VERB.STARTING, request, about]);
  }
}

/** The number of a HELLO that asks to be told; what cannot be read is answered by whoever reads it later. */
function askedBy(frames: Frames): Buffer | undefined {
  if (!isProtocol(frames[0]) || verbOf(frames[1]) !== "HELLO" || !frames[2] || !frames[3]) return undefined;
  const about = frames[3];
  return readable(() => readObject(about))?.["starting"] === 1 ? frames[2] : undefined;
}
