/**
 * ● inproc between two threads: each has one end of a port. What is queued crosses in batches, copied once into memory that is handed over.
 * Invariant: at most `BATCHES_UNDER_WAY` have not been taken by the other side, which does not take one while its pipe is full; messages stay
 * counted in their pipe until then, so that the bound is that of both pipes together. The port closes with its thread: that ends the
 * connection.
 */
import { Buffer } from "node:buffer";
import type { MessagePort } from "node:worker_threads";
import { WRITE_BYTES } from "../limits.ts";
import type { Message } from "../../zmtp/message-parts.ts";
import { costOf, type PipeTransport } from "../patterns/pipe.ts";
import { after, SOCKET, type SocketState } from "../socket-core/life-cycle.ts";
import { hold, release } from "../socket-core/process-life.ts";
import type { InprocSide } from "./inproc.ts";

/** 2: one is on its way while the other one is taken. */
const BATCHES_UNDER_WAY = 2;

/** 256 messages in a batch: what crossing costs is shared by as many. */
const BATCH_MESSAGES_MAX = 256;

interface Hello {
  readonly socketType: string;
  readonly routingId: Uint8Array;
}

/** Messages: how many parts each has, how long each part is, the octets of all. */
interface Batch {
  readonly counts: readonly number[];
  readonly lengths: readonly number[];
  readonly octets: Uint8Array;
}

/** What crosses: who is there, messages, how many batches were taken. */
type Crossing = { readonly hello: Hello } | { readonly batch: Batch } | { readonly taken: number };

export class ThreadConnection implements PipeTransport {
  readonly #address: string;
  readonly #side: InprocSide;
  readonly #port: MessagePort;
  #state: SocketState = "open";
  #isJoined = false;
  #isScheduled = false;
  /** Count and bytes of the batches that the other side has not taken. */
  readonly #underWay: [count: number, bytes: number][] = [];
  /** Taken here, and not told yet since the pipe is full. */
  #untold = 0;
  #reason: Error | undefined;
  /** Closed before it was known who is there: what is queued crosses when it is. */
  #isLeaving = false;

  constructor(address: string, side: InprocSide, port: MessagePort) {
    this.#address = address;
    this.#side = side;
    this.#port = port;
    port.on("message", (crossing: Crossing) => this.#received(crossing));
    port.on("close", () => this.#over());
    port.unref();
    hold(); // until what was sent before has crossed
    this.#post({ hello: { socketType: side.socketType, routingId: side.routingId } });
  }

  wake(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    process.nextTick(() => {
      this.#isScheduled = false;
      this.#flush(BATCHES_UNDER_WAY);
    });
  }

  resume(): void {
    if (this.#untold === 0) return;
    this.#post({ taken: this.#untold });
    this.#untold = 0;
  }

  stop(): void {}

  end(reason: Error): void {
    this.close(reason);
  }

  /** What was sent crosses first. */
  close(reason: Error | undefined): void {
    if (this.#state !== "open") return;
    this.#reason = reason;
    if (this.#isJoined) this.#flush(Infinity);
    else if (!this.#isLeaving && this.#side.pipe.outboundCount > 0) {
      this.#isLeaving = true;
      return;
    }
    this.#port.close();
    this.#over();
  }

  #received(crossing: Crossing): void {
    if (this.#state !== "open") return;
    if ("hello" in crossing) this.#join(crossing.hello);
    else if ("batch" in crossing) this.#deliver(crossing.batch);
    else {
      for (const [count, bytes] of this.#underWay.splice(0, crossing.taken)) this.#side.pipe.settled(count, bytes);
      this.#flush(BATCHES_UNDER_WAY);
    }
  }

  #join({ socketType, routingId }: Hello): void {
    const { core, pipe } = this.#side;
    this.#isJoined = true;
    release();
    pipe.transport = this;
    const announcedId = Buffer.from(routingId);
    const info = { address: this.#address, remoteAddress: this.#address, announcedId, socketType, userId: undefined };
    if (core.connected(pipe, info) && !this.#isLeaving) this.#flush(BATCHES_UNDER_WAY);
    else this.close(undefined);
  }

  #deliver({ counts, lengths, octets }: Batch): void {
    const { core, pipe } = this.#side;
    const all = Buffer.from(octets.buffer, octets.byteOffset, octets.length);
    let part = 0;
    let at = 0;
    try {
      for (const count of counts) {
        const message: Message = [];
        for (let index = 0; index < count; index += 1) {
          message.push(all.subarray(at, at + lengths[part]!));
          at += lengths[part]!;
          part += 1;
        }
        core.incoming(pipe, message);
      }
    } catch (error) {
      this.close(error as Error);
      return;
    }
    this.#untold += 1;
    if (pipe.inbound.length > 0) pipe.announce();
    if (!pipe.inboundFull) this.resume();
  }

  #flush(most: number): void {
    const { pipe } = this.#side;
    while (this.#state === "open" && this.#isJoined && this.#underWay.length < most) {
      const messages: Message[] = [];
      let bytes = 0;
      while (messages.length < BATCH_MESSAGES_MAX && bytes < WRITE_BYTES) {
        const message = pipe.nextOutbound();
        if (message === undefined) break;
        messages.push(message);
        bytes += costOf(message);
      }
      if (messages.length === 0) return;
      this.#underWay.push([messages.length, bytes]);
      const batch = batchOf(messages);
      this.#post({ batch }, [batch.octets.buffer as ArrayBuffer]);
    }
  }

  #post(crossing: Crossing, transfer: ArrayBuffer[] = []): void {
    this.#port.postMessage(crossing, transfer);
  }

  #over(): void {
    if (this.#state !== "open") return;
    this.#state = after(SOCKET, this.#state, "close");
    if (!this.#isJoined) release();
    for (const [count, bytes] of this.#underWay.splice(0)) this.#side.pipe.settled(count, bytes);
    this.#side.ended(this.#reason);
    this.#state = after(SOCKET, this.#state, "gone");
  }
}

function batchOf(messages: readonly Message[]): Batch {
  const parts = messages.flat();
  const lengths = parts.map(({ length }) => length);
  const octets = new Uint8Array(lengths.reduce((sum, length) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    octets.set(part, at);
    at += part.length;
  }
  return { counts: messages.map(({ length }) => length), lengths, octets };
}
