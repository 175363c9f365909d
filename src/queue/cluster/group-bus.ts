/**
 * ● What the brokers of a group send to each other beside the log: heartbeats to all, chunks of relay sessions to one. Core NATS
 * subjects: what is lost is not sent again, and the receiver notices. `hall` (the leader's core) and `door` (a follower) are
 * subjects that brokers of older versions know.
 */
import type { Msg } from "@nats-io/transport-node";
import type { ClusterConnection } from "../../store/nats/cluster-connection.ts";
import { type GroupHeartbeat, Heartbeats } from "../../store/log/heartbeats.ts";
import { readObject } from "../protocols/messages.ts";
import { type Chunk, decodeChunk, unreadable } from "./relay/relay-codec.ts";

/** What a broker tells the others of its process, for people; as its page says it (dashboard/farm/member.ts), and read there. */
interface GroupNews {
  readonly writer: string;
  readonly about: unknown;
}

/** 64 KiB of news: a process tells a few hundred bytes of itself. */
const NEWS_BYTES_MAX = 64 * 1024;

/** @throws ProtocolError QUEUE_PROTOCOL */
function readNews(bytes: Uint8Array): GroupNews {
  if (bytes.length > NEWS_BYTES_MAX) throw unreadable("news of a broker");
  const { writer, about } = readObject(Buffer.from(bytes));
  if (typeof writer !== "string" || !/^[0-9a-f]{16}$/.test(writer)) throw unreadable("news of a broker");
  return { writer, about };
}

export interface BusListener {
  heartbeat(heartbeat: GroupHeartbeat): void;
  /** Without it nothing is heard of them. */
  news?(news: GroupNews): void;
  /** For the broker core here. */
  toCore(chunk: Chunk): void;
  /** For the peer relay here. */
  toPeerRelay(chunk: Chunk): void;
  trouble(error: unknown): void;
}

export class GroupBus {
  readonly #connection: ClusterConnection;
  readonly #prefix: string;
  readonly #heartbeats: Heartbeats;
  readonly #subscriptions: { unsubscribe(): void }[] = [];

  constructor(connection: ClusterConnection, group: string, writer: string, listener: BusListener) {
    this.#connection = connection;
    this.#prefix = `holdfast.${group}`;
    const hear = (subject: string, take: (message: Msg) => void): void => {
      const callback = (error: Error | null, message: Msg): void => {
        try {
          if (error) throw error;
          take(message);
        } catch (trouble) {
          listener.trouble(trouble);
        }
      };
      this.#subscriptions.push(connection.nats.subscribe(`${this.#prefix}.${subject}`, { callback }));
    };
    this.#heartbeats = new Heartbeats(connection, group, {
      heard: (heartbeat) => listener.heartbeat(heartbeat),
      trouble: (error) => listener.trouble(error),
    });
    if (listener.news) hear("news", (message) => listener.news!(readNews(message.data)));
    hear(`hall.${writer}`, (message) => listener.toCore(decodeChunk(message.data)));
    hear(`door.${writer}`, (message) => listener.toPeerRelay(decodeChunk(message.data)));
  }

  heartbeat(heartbeat: GroupHeartbeat): void {
    this.#heartbeats.send(heartbeat);
  }

  news(news: GroupNews): void {
    this.#publish("news", Buffer.from(JSON.stringify(news)));
  }

  toCore(writer: string, chunk: Buffer): void {
    this.#publish(`hall.${writer}`, chunk);
  }

  toPeerRelay(writer: string, chunk: Buffer): void {
    this.#publish(`door.${writer}`, chunk);
  }

  /** Resolves when what was published has been sent. */
  async flush(): Promise<void> {
    if (this.#connection.isUp) await this.#connection.nats.flush();
  }

  close(): void {
    this.#heartbeats.close();
    for (const subscription of this.#subscriptions) subscription.unsubscribe();
  }

  #publish(subject: string, bytes: Buffer): void {
    // While no server is connected it would be kept, and be sent when it is no longer true.
    if (this.#connection.isUp) this.#connection.nats.publish(`${this.#prefix}.${subject}`, bytes);
  }
}
