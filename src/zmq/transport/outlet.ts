/**
 * ● What a connection writes: what the protocol has to say, then messages, gathered until the running code has returned, then one batch
 * at a time. Invariant: at most one write is under way; messages are settled once they are written, or the stream is gone.
 */
import type { Buffer } from "node:buffer";
import type { Socket as Stream } from "node:net";
import { FrameWriter, recycle } from "../../zmtp/frame-writer.ts";
import type { Peer } from "../../zmtp/peer.ts";
import { WRITE_BYTES } from "../limits.ts";
import { costOf, type Pipe } from "../patterns/pipe.ts";

/** The connection. */
export interface OutletHost {
  readonly peer: Peer;
  readonly pipe: Pipe | undefined;
  /** The same, while no other connection carries it. */
  readonly carried: Pipe | undefined;
  /** Nothing is left to write. */
  emptied(): void;
  /** Octets are written. */
  writing(octets: Buffer): void;
}

export class Outlet {
  readonly #stream: Stream;
  readonly #host: OutletHost;
  readonly #writer = new FrameWriter();
  #isWriting = false;
  #isScheduled = false;
  #sendingCount = 0;
  #sendingBytes = 0;
  #batches: readonly Buffer[] = [];

  constructor(stream: Stream, host: OutletHost) {
    this.#stream = stream;
    this.#host = host;
  }

  /** A message was queued; `bytes` are in all. */
  wake(bytes: number): void {
    if (this.#isWriting) return;
    if (bytes >= WRITE_BYTES) {
      this.flush();
      return;
    }
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    process.nextTick(flushScheduled, this);
  }

  /** @internal Called at the end of the tick in which `wake` was called. */
  flushNow(): void {
    this.#isScheduled = false;
    this.flush();
  }

  /** Writes a batch, unless one is being written. */
  flush(): void {
    if (this.#isWriting || this.#stream.writableEnded) return;
    const { peer, carried } = this.#host;
    const writer = this.#writer;
    peer.writeControl(writer);
    if (carried !== undefined) {
      let count = 0;
      let bytes = 0;
      while (writer.length < WRITE_BYTES) {
        const message = carried.nextOutbound();
        if (message === undefined) break;
        peer.writeMessage(writer, message);
        count += 1;
        bytes += costOf(message);
      }
      this.#sendingCount = count;
      this.#sendingBytes = bytes;
    }
    if (writer.length > 0) this.#write();
    else this.#host.emptied();
  }

  /** Writes what the protocol still has to say, whatever is queued. */
  flushControl(): void {
    if (this.#isWriting || this.#stream.writableEnded) return;
    this.#host.peer.writeControl(this.#writer);
    if (this.#writer.length > 0) this.#write();
  }

  /** The messages of the last batch are written, or lost with the stream. */
  settle(): void {
    const count = this.#sendingCount;
    if (count === 0) return;
    const bytes = this.#sendingBytes;
    this.#sendingCount = 0;
    this.#sendingBytes = 0;
    this.#host.pipe?.settled(count, bytes);
  }

  #write(): void {
    const { chunks, batches } = this.#writer.take();
    this.#isWriting = true;
    this.#batches = batches;
    const stream = this.#stream;
    const last = chunks.length - 1;
    if (last > 0) stream.cork();
    for (let index = 0; index < last; index += 1) {
      this.#host.writing(chunks[index]!);
      stream.write(chunks[index]!);
    }
    this.#host.writing(chunks[last]!);
    stream.write(chunks[last]!, this.#written);
    if (last > 0) stream.uncork();
  }

  readonly #written = (error?: Error | null): void => {
    if (error) return; // "close" follows
    this.#isWriting = false;
    recycle(this.#batches);
    this.#batches = [];
    this.settle();
    this.flush();
  };
}

function flushScheduled(outlet: Outlet): void {
  outlet.flushNow();
}
