/**
 * ○ Which workers are here and which left lately, for STATS. Remembers no more than LEFT_MAX of the latter, and lists no more than
 * WORKERS_LISTED_MAX of the former, the newest, however many there are.
 */
import type { Consumer } from "./consumers.ts";
import { LEFT_MAX, LEFT_MS, WORKERS_LISTED_MAX } from "../limits.ts";

/** One worker of one queue; a peer that works on several queues is one in each. */
export interface WorkerStats {
  /** Its routing id: as text where it is printable, else in hex; `local N` for a client in the broker's process. */
  readonly peer: string;
  /** Its protocol: "own" is the native one, "lecture" `Ready`; "majordomo 0.1", "majordomo 0.2". */
  readonly dialect: string;
  readonly queue: string;
  /** Tasks it works on at once. */
  readonly slots: number;
  /** Tasks it holds now, or held when it left. */
  readonly held: number;
  /** Queue time: wall time as of the broker's start, in ms. */
  readonly sinceMs: number;
}

export interface WorkerLeft extends WorkerStats {
  readonly leftMs: number;
  /** Its connection broke or it fell silent; false when it left in good order. */
  readonly lost: boolean;
}

export interface WorkerRegistryStats {
  /** Newest first. */
  readonly workers: readonly WorkerStats[];
  /** The latest first. */
  readonly workersLeft: readonly WorkerLeft[];
}

export class WorkerRegistry {
  /** In the order of their coming. */
  readonly #here = new Map<Consumer, number>();
  #left: WorkerLeft[] = [];

  joined(consumer: Consumer, nowMs: number): void {
    this.#here.set(consumer, nowMs);
  }

  /** Call it before what the worker has is given back. */
  left(consumer: Consumer, { nowMs, lost }: { nowMs: number; lost: boolean }): void {
    const sinceMs = this.#here.get(consumer);
    if (sinceMs === undefined) return;
    this.#here.delete(consumer);
    this.#left.push({ ...described(consumer, sinceMs), leftMs: nowMs, lost });
    if (this.#left.length > LEFT_MAX) this.#left.shift();
  }

  stats(nowMs: number): WorkerRegistryStats {
    const newest = [...this.#here].slice(-WORKERS_LISTED_MAX).reverse();
    this.#left = this.#left.filter(({ leftMs }) => nowMs - leftMs < LEFT_MS);
    return {
      workers: newest.map(([consumer, sinceMs]) => described(consumer, sinceMs)),
      workersLeft: this.#left.toReversed(),
    };
  }
}

function described({ peer, protocol, queue, slots, held }: Consumer, sinceMs: number): WorkerStats {
  return { peer, dialect: protocol, queue: queue.name, slots, held, sinceMs };
}
