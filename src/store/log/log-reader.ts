/**
 * ● Reads the queue's log from a sequence on, and goes on as it grows: an ordered push consumer that is made anew when it falls
 * silent or skips. Invariant: messages are delivered one after the other in the order of their sequences; a gap is one that the
 * log itself has, since its beginning was purged. Bounded by the server's flow control: the next are sent when these were taken.
 */
import { randomBytes } from "node:crypto";
import type { Msg } from "@nats-io/transport-node";
import type { ClusterConnection } from "../nats/cluster-connection.ts";
import type { GroupLog } from "./log.ts";

export interface LogReaderListener {
  /** May take its time: the next message waits. */
  message(sequence: number, bytes: Uint8Array): Promise<void> | void;
  /** All that was in the log when this was read has been delivered. */
  caughtUp(): void;
  trouble(error: unknown): void;
}

const MS = 1_000_000;
/** 500 ms between heartbeats of the server: a consumer whose server died is replaced within three of them. */
const HEARTBEAT_MS = 500;
const SILENT_MS = 3 * HEARTBEAT_MS;
/** 30 s: the server forgets a consumer that nobody listens to. */
const FORGET_MS = 30_000;
const RETRY_MS = 200;
/** 3 s: what was written is delivered within milliseconds, and by a cluster in trouble within a second. */
const BEHIND_MS = 3000;

export class LogReader {
  readonly #connection: ClusterConnection;
  readonly #log: GroupLog;
  readonly #listener: LogReaderListener;
  #next: number;
  #heardMs = 0;
  /** When a message was taken last, or the reading began. */
  #tookMs = 0;
  #generation = 0;
  /** The consumer's own count of what it has sent: a gap in it is a message that was lost on the way. */
  #consumed = 0;
  #consumer: string | undefined;
  #subscription: { unsubscribe(): void } | undefined;
  #timer: NodeJS.Timeout | undefined;
  #work: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(connection: ClusterConnection, log: GroupLog, fromSequence: number, listener: LogReaderListener) {
    this.#connection = connection;
    this.#log = log;
    this.#next = fromSequence;
    this.#listener = listener;
    void this.#begin();
  }

  /**
   * The log is known to reach this far. A consumer on a nats-server that applies nothing more (log.ts) goes on sending heartbeats and
   * delivers nothing: another is made, most likely on another server.
   */
  reaches(sequence: number): void {
    const nowMs = performance.now();
    if (sequence < this.#next || nowMs - this.#tookMs <= BEHIND_MS) return;
    this.#tookMs = nowMs;
    void this.#begin();
  }

  /** Ends it; resolves when the message in hand has been taken. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#end();
    await this.#work;
  }

  async #begin(): Promise<void> {
    this.#end();
    this.#generation += 1;
    const generation = this.#generation;
    const subject = `_INBOX.${randomBytes(12).toString("hex")}`;
    this.#consumed = 0;
    try {
      // What was delivered and is not yet taken decides where to begin.
      await this.#work;
      if (this.#closed || generation !== this.#generation) return;
      this.#heardMs = performance.now();
      this.#tookMs = this.#heardMs;
      this.#timer = setInterval(() => this.#look(), HEARTBEAT_MS);
      this.#timer.unref();
      this.#subscription = this.#connection.nats.subscribe(subject, {
        callback: (error, message) => {
          if (generation !== this.#generation) return;
          if (error) this.#listener.trouble(error);
          else this.#heard(message, generation);
        },
      });
      const info = await this.#connection.manager.consumers.add(this.#log.stream, {
        deliver_subject: subject,
        deliver_policy: "by_start_sequence",
        opt_start_seq: this.#next,
        ack_policy: "none",
        flow_control: true,
        idle_heartbeat: HEARTBEAT_MS * MS,
        inactive_threshold: FORGET_MS * MS,
        mem_storage: true,
        num_replicas: 1,
      });
      if (generation !== this.#generation) return;
      this.#consumer = info.name;
      if (info.num_pending === 0) this.#then(generation, () => this.#listener.caughtUp());
    } catch (error) {
      if (this.#closed || generation !== this.#generation) return;
      this.#listener.trouble(error);
      this.#beginLater();
    }
  }

  #beginLater(): void {
    this.#end();
    if (this.#closed) return;
    this.#timer = setTimeout(() => void this.#begin(), RETRY_MS);
    this.#timer.unref();
  }

  #end(): void {
    clearInterval(this.#timer);
    this.#subscription?.unsubscribe();
    this.#subscription = undefined;
    const consumer = this.#consumer;
    this.#consumer = undefined;
    this.#generation += 1;
    if (consumer === undefined || !this.#connection.isUp) return;
    // A server that does not hear this forgets it by itself.
    this.#connection.manager.consumers.delete(this.#log.stream, consumer).catch(() => {});
  }

  #look(): void {
    if (performance.now() - this.#heardMs > SILENT_MS) void this.#begin();
  }

  #heard(message: Msg, generation: number): void {
    this.#heardMs = performance.now();
    if (message.headers?.code === 100) {
      // A flow control request is answered, and a stalled consumer set going again, when all before it has been taken.
      const stalled = message.headers.get("Nats-Consumer-Stalled");
      if (message.reply) this.#then(generation, () => void message.respond());
      else if (stalled) this.#then(generation, () => this.#connection.nats.publish(stalled));
      return;
    }
    const { sequence, consumed, pending } = placeOf(message.reply ?? "");
    if (consumed !== this.#consumed + 1) {
      void this.#begin();
      return;
    }
    this.#consumed = consumed;
    this.#then(generation, async () => {
      if (sequence < this.#next) return;
      await this.#listener.message(sequence, message.data);
      this.#next = sequence + 1;
      this.#tookMs = performance.now();
      if (pending === 0) this.#listener.caughtUp();
    });
  }

  #then(generation: number, act: () => Promise<void> | void): void {
    this.#work = this.#work.then(async () => {
      if (generation !== this.#generation) return;
      try {
        await act();
      } catch (error) {
        this.#listener.trouble(error);
        if (generation === this.#generation) this.#beginLater();
      }
    });
  }
}

/** `$JS.ACK.[DOMAIN.ACCOUNT.]STREAM.CONSUMER.DELIVERED.STREAM-SEQUENCE.CONSUMER-SEQUENCE.TIME.PENDING[.RANDOM]` */
function placeOf(reply: string): { sequence: number; consumed: number; pending: number } {
  const words = reply.split(".");
  const at = words.length >= 11 ? 7 : 5;
  return { sequence: Number(words[at]), consumed: Number(words[at + 1]), pending: Number(words[at + 3]) };
}
