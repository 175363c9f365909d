/**
 * ● What the processes that share a log say of who leads it: heartbeats to all, on a subject of core NATS beside the log. What is lost is not
 * sent again: silence is what the others act on (election.ts).
 */
import type { Msg } from "@nats-io/transport-node";
import { ProtocolError } from "../../core/errors.ts";
import type { ClusterConnection } from "../nats/cluster-connection.ts";

export interface GroupHeartbeat {
  /** `leading`: I lead. `resigned`: I led and leave. `asking`: I am new, who leads? */
  readonly kind: "leading" | "resigned" | "asking";
  readonly writer: string;
  readonly epoch: number;
  /** What it leads is open to clients. */
  readonly ready: boolean;
  /** Where the log ends. */
  readonly sequence: number;
  /** The first part of a queue's task ids; "" when it does not know. */
  readonly broker: string;
  /** Where it listens for clients; for people. */
  readonly address: string;
}

/** 4 KiB: a heartbeat is a few hundred bytes. */
const HEARTBEAT_BYTES_MAX = 4096;

export class Heartbeats {
  readonly #connection: ClusterConnection;
  readonly #subject: string;
  readonly #subscription: { unsubscribe(): void };

  constructor(
    connection: ClusterConnection,
    group: string,
    { heard, trouble }: { heard: (heartbeat: GroupHeartbeat) => void; trouble: (error: unknown) => void },
  ) {
    this.#connection = connection;
    this.#subject = `holdfast.${group}.beat`;
    const callback = (error: Error | null, message: Msg): void => {
      try {
        if (error) throw error;
        heard(readHeartbeat(message.data));
      } catch (failure) {
        trouble(failure);
      }
    };
    this.#subscription = connection.nats.subscribe(this.#subject, { callback });
  }

  /** While no server is connected it is dropped: kept, it would be sent when it is no longer true. */
  send(heartbeat: GroupHeartbeat): void {
    if (this.#connection.isUp) this.#connection.nats.publish(this.#subject, Buffer.from(JSON.stringify(heartbeat)));
  }

  close(): void {
    this.#subscription.unsubscribe();
  }
}

/** @throws ProtocolError QUEUE_PROTOCOL */
export function readHeartbeat(bytes: Uint8Array): GroupHeartbeat {
  const { kind, writer, epoch, ready, sequence, broker, address } = readObject(bytes);
  const isHeartbeat =
    (kind === "leading" || kind === "resigned" || kind === "asking") &&
    typeof writer === "string" &&
    /^[0-9a-f]{16}$/.test(writer) &&
    isCount(epoch) &&
    isCount(sequence) &&
    typeof ready === "boolean" &&
    typeof broker === "string" &&
    typeof address === "string";
  if (!isHeartbeat) throw unreadable();
  return { kind, writer, epoch, ready, sequence, broker, address };
}

function readObject(bytes: Uint8Array): Record<string, unknown> {
  if (bytes.length > HEARTBEAT_BYTES_MAX) throw unreadable();
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(bytes).toString());
  } catch {
    throw unreadable();
  }
  if (typeof value !== "object" || value === null) throw unreadable();
  return value as Record<string, unknown>;
}

function unreadable(): ProtocolError {
  return new ProtocolError("QUEUE_PROTOCOL", "Cannot read a heartbeat of the group: it may be of another version");
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
