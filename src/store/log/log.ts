/**
 * ● The log of a group: one JetStream stream with one subject. Entries are appended where the writer believes the log to end, and
 * nowhere else: that is the fence between leaders. Invariant: `append` says "written" or "fenced" only when it knows; as long as
 * it does not, it asks and tries again.
 */
import type { StreamInfo } from "@nats-io/jetstream";
import { setTimeout as sleep } from "node:timers/promises";
import { crc32 } from "node:zlib";
import { messageOf, OperationError } from "../../core/errors.ts";
import type { ClusterConnection } from "../nats/cluster-connection.ts";
import { decodeEntry, decodePart, encodeEntry, type EntryHead, HEAD_BYTES, PART } from "./log-codec.ts";
import { isNoRoom, isAnswer, isNotNow, isStreamMissing, isWrongSequence, natsError } from "../nats/nats-errors.ts";
import { retryWhileLeaderless } from "../nats/retry-while-leaderless.ts";

export interface LogInfo {
  /** When the stream was made: another stream of the same name is another log. */
  readonly created: string;
  readonly firstSequence: number;
  /** 0 when nothing was ever written. */
  readonly lastSequence: number;
  readonly bytes: number;
  /** Infinity when it has no bound of its own. */
  readonly bytesMax: number;
  readonly replicas: number;
  /** The nats-server that leads the stream; "" while none does, and of a stream without replicas. */
  readonly leader: string;
}

export type Appended =
  | { readonly kind: "written"; readonly sequence: number }
  /** Another has written there. */
  | { readonly kind: "fenced" }
  /** NATS refused; `sequence` is where the log ends for this writer now: parts of the entry may be in it. */
  | { readonly kind: "refused"; readonly error: OperationError; readonly sequence: number };

/** 1.5 s for an acknowledgement; then the log is asked whether the message is there. */
const ACK_MS = 1500;
/** 100 ms between tries while the outcome is not known. */
const RETRY_MS = 100;
/** 512 KiB at most in a message, whatever the server takes: four of them in flight instead of one long one. */
const MESSAGE_BYTES_MAX = 512 * 1024;
/** 1 KiB of the longest message that NATS takes is left for headers. */
const HEADER_BYTES = 1024;

/** 4 s in which a stream's leader answers and takes no entry. One that was just elected takes them at once. */
const DOUBT_MS = 4000;

const NOBODY = { leader: "", sinceMs: 0 };
const DISCONNECTED = new OperationError("QUEUE_STORE_UNAVAILABLE", "No NATS server is connected");

export class GroupLog {
  readonly stream: string;
  readonly subject: string;
  readonly #connection: ClusterConnection;
  readonly #tell: (message: string) => void;
  /** The stream's leader that answers and takes nothing, since when in performance.now()'s ms. */
  #doubted = NOBODY;
  #closed = false;

  /** @param tell is called with what operators should know */
  constructor(connection: ClusterConnection, group: string, tell: (message: string) => void = () => {}) {
    this.#connection = connection;
    this.#tell = tell;
    this.stream = `HOLDFAST_${group}`;
    this.subject = `holdfast.${group}.log`;
  }

  /**
   * Makes the stream, or takes it as it is.
   *
   * @param replicas of a new one
   * @throws OperationError QUEUE_STORE_UNAVAILABLE, QUEUE_STORE_DENIED, QUEUE_STORE_FULL
   */
  async open(replicas: number): Promise<LogInfo> {
    try {
      // Of a stream that another broker is just making a cluster may say nothing at all.
      let isMade = false;
      const knownOrMade = async (): Promise<StreamInfo> => {
        const known = await this.#known();
        if (known) return known;
        if (!isMade) await this.#make(replicas);
        isMade = true;
        // Of two brokers that make it at once one is answered as if its own were it; and not every server knows of it yet.
        return this.#connection.manager.streams.info(this.stream);
      };
      return infoOf(await retryWhileLeaderless(knownOrMade, (error) => isNotNow(error) || (isMade && isStreamMissing(error))));
    } catch (error) {
      throw natsError(`Cannot open the log, stream ${this.stream}`, error);
    }
  }

  async #known(): Promise<StreamInfo | undefined> {
    try {
      return await this.#connection.manager.streams.info(this.stream);
    } catch (error) {
      if (isStreamMissing(error)) return undefined;
      throw error;
    }
  }

  async #make(replicas: number): Promise<void> {
    try {
      await this.#connection.manager.streams.add({
        name: this.stream,
        description: "The log of a Holdfast queue; docs/queue-log.md",
        subjects: [this.subject],
        storage: "file",
        retention: "limits",
        discard: "new",
        num_replicas: replicas,
        allow_direct: true,
        // The queue's log has no use for it, and each message would cost a place in a table.
        duplicate_window: 1_000_000_000,
      });
    } catch (error) {
      // Another broker may have made it at the same moment.
      if (!(await this.#known())) throw error;
    }
  }

  /** @throws OperationError QUEUE_STORE_UNAVAILABLE, QUEUE_STORE_DENIED */
  async info(): Promise<LogInfo> {
    try {
      return infoOf(await this.#connection.manager.streams.info(this.stream));
    } catch (error) {
      throw natsError(`Cannot ask for the queue's log, stream ${this.stream}`, error);
    }
  }

  /** Appends right after `lastSequence`. Never rejects; ends without an outcome only when the log is closed. */
  async append(head: EntryHead, payload: Uint8Array, lastSequence: number): Promise<Appended> {
    const messageBytesMax = Math.min(MESSAGE_BYTES_MAX, this.#connection.messageBytesMax - HEADER_BYTES);
    const messages = encodeEntry(head, payload, { messageBytesMax, checkSum: crc32 });
    let written = 0;
    this.#doubted = NOBODY;
    for (;;) {
      if (this.#closed) return new Promise(() => {});
      const results = await this.#publishAll(messages.slice(written), lastSequence + written);
      const failed = results.findIndex(({ status }) => status === "rejected");
      if (failed < 0) return { kind: "written", sequence: lastSequence + messages.length };
      written += failed;
      const error: unknown = (results[failed] as PromiseRejectedResult).reason;
      if (isAnswer(error) && !isWrongSequence(error)) {
        const refusal = natsError("Cannot append to the queue's log", error) as OperationError;
        if (isFinal(error)) return { kind: "refused", error: refusal, sequence: lastSequence + written };
      }
      const there = await this.#look(head, { sequence: lastSequence + written + 1, index: written, error });
      if (there === "other") return { kind: "fenced" };
      if (there === "own") {
        written += 1;
        this.#doubted = NOBODY;
      } else await sleep(RETRY_MS);
      if (written === messages.length) return { kind: "written", sequence: lastSequence + written };
    }
  }

  /** Forgets all before this sequence. @throws OperationError */
  async purgeBefore(sequence: number): Promise<void> {
    try {
      await this.#connection.manager.streams.purge(this.stream, { seq: sequence });
    } catch (error) {
      throw natsError("Cannot clean the queue's log", error);
    }
  }

  /** Nothing more is tried. */
  close(): void {
    this.#closed = true;
  }

  /** All at once, in order; each is accepted only right after the one before. */
  async #publishAll(messages: readonly Uint8Array[], lastSequence: number): Promise<PromiseSettledResult<unknown>[]> {
    // While no server is there, what is published would be kept in memory and sent when it no longer matters.
    if (!this.#connection.isUp) return [{ status: "rejected", reason: DISCONNECTED }];
    const sent = messages.map((message, index) =>
      this.#connection.jetstream.publish(this.subject, message, {
        expect: { lastSequence: lastSequence + index, streamName: this.stream },
        timeout: ACK_MS,
      }),
    );
    let stop = (): void => {};
    const cut = new Promise<PromiseSettledResult<unknown>[]>((resolve) => {
      stop = this.#connection.listen(({ kind }) => {
        if (kind === "down") resolve([{ status: "rejected", reason: DISCONNECTED }]);
      });
    });
    try {
      return await Promise.race([Promise.allSettled(sent), cut]);
    } finally {
      stop();
    }
  }

  /**
   * NATS' leader of the stream answers questions and takes no entry. nats-server 2.9.10 has elected one that was thousands of messages
   * behind and went on applying none ("has high message lag"); only when it no longer leads does the log go on.
   */
  #doubt(leader: string): void {
    const nowMs = performance.now();
    if (leader !== this.#doubted.leader) this.#doubted = { leader, sinceMs: nowMs };
    if (leader === "" || nowMs - this.#doubted.sinceMs < DOUBT_MS) return;
    this.#doubted = { leader, sinceMs: nowMs };
    this.#tell(`nats-server ${leader}, the leader of the log, accepts no messages; requesting another leader`);
    void this.#askForAnother().catch((error: unknown) => this.#tell(`requesting another leader failed: ${messageOf(error)}`));
  }

  /** docs.nats.io, JetStream wire API: the only answers are success and an error. */
  async #askForAnother(): Promise<void> {
    const subject = `$JS.API.STREAM.LEADER.STEPDOWN.${this.stream}`;
    const answer = await this.#connection.nats.request(subject, undefined, { timeout: ACK_MS });
    const { error } = answer.json<{ error?: { description?: string } }>();
    if (error) throw new OperationError("QUEUE_STORE_UNAVAILABLE", error.description ?? "no reason was given");
  }

  /** What stands where a message was to stand. */
  async #look(
    head: EntryHead,
    { sequence, index, error: why }: { sequence: number; index: number; error: unknown },
  ): Promise<"own" | "other" | "none"> {
    let bytes: Uint8Array | undefined;
    const read = async (): Promise<Uint8Array | undefined> =>
      (await this.#connection.manager.streams.getMessage(this.stream, { seq: sequence }))?.data;
    try {
      bytes = await read();
      if (!bytes) {
        const { lastSequence, leader } = await this.info();
        // The log is shorter than it was: NATS has lost its end. What this writer knows is of another log.
        if (isWrongSequence(why) && lastSequence < sequence - 1) return "other";
        if (lastSequence < sequence) {
          this.#doubt(leader);
          return "none";
        }
        // It may have come between the two questions.
        bytes = await read();
      }
    } catch {
      return "none"; // Not known; asked again after the next try.
    }
    // It was there and is purged: only a leader after this writer's time does that.
    if (!bytes || bytes.length < HEAD_BYTES) return "other";
    try {
      const entry = decodeEntry(bytes, { checkSum: crc32, place: sequence });
      if (entry.writer !== head.writer || entry.serial !== head.serial) return "other";
      return entry.kind !== PART || decodePart(entry, sequence).index === index ? "own" : "other";
    } catch (error) {
      throw new OperationError("QUEUE_STORE_UNAVAILABLE", messageOf(error), { cause: error });
    }
  }
}

/** A refusal that trying again at once will not change. */
function isFinal(error: unknown): boolean {
  return isNoRoom(error) || !isJetStreamTrouble(error);
}

/** JetStream's status for "not now": a cluster without a leader, a server that is starting. */
const UNAVAILABLE_STATUS = 503;

function isJetStreamTrouble(error: unknown): boolean {
  return error instanceof Error && "status" in error && error.status === UNAVAILABLE_STATUS;
}

function infoOf({ config, state, created, cluster }: StreamInfo): LogInfo {
  return {
    created,
    firstSequence: state.first_seq,
    lastSequence: state.last_seq,
    bytes: state.bytes,
    bytesMax: config.max_bytes > 0 ? config.max_bytes : Infinity,
    replicas: config.num_replicas,
    leader: config.num_replicas > 1 ? (cluster?.leader ?? "") : "",
  };
}
