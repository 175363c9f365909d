/**
 * ● Keeps the leases of this process's workers while its event loop is blocked: a thread (keeper-thread.ts) with connections of its own,
 * one to each address where a worker's broker may be found, shared by all workers of the process. It starts with the first worker that a broker welcomes, ends
 * with the last, and keeps no process alive. It takes about 20 MB, 0.1 s of CPU once, and one more connection at each broker.
 */
import { packageCode } from "../../core/package-file.ts";
import { randomUUID } from "node:crypto";
import { Worker as Thread } from "node:worker_threads";
import type { Log } from "../../core/log.ts";
import type { LeaseRef } from "../service/dispatcher.ts";
import type { ClientSecurity } from "./broker-connection.ts";
import { LeaseBoard } from "./lease-board.ts";

/** Names this process to brokers: whoever knows it is believed to be part of it, so it cannot be guessed. */
export const PROCESS_NAME = randomUUID();

/** Whose leases are kept. */
export interface KeeperTarget {
  /** Its name; several addresses may lead to it. */
  readonly broker: string;
  readonly security: ClientSecurity | undefined;
  readonly queue: string;
}

export type KeeperMessage =
  | (KeeperTarget & {
      readonly kind: "keep";
      readonly key: number;
      readonly addresses: readonly string[];
      readonly memory: SharedArrayBuffer;
    })
  | { readonly kind: "giveBack"; readonly key: number; readonly lease: LeaseRef }
  | { readonly kind: "release"; readonly key: number };

/** Its modules take 10 MB of the old generation; past three times that it has a fault, and is started again. */
const RESOURCES = { maxOldGenerationSizeMb: 32, maxYoungGenerationSizeMb: 4 };

/** 1 s before a thread that has ended is started again. */
const AGAIN_MS = 1000;

/** The leases of one worker at one broker. */
export class KeptLeases {
  readonly target: KeeperTarget;
  readonly board: LeaseBoard;
  readonly #key: number;

  readonly log: Log;
  addresses: readonly string[] = [];

  /** @param places how many leases at once */
  constructor(target: KeeperTarget, { places, log }: { places: number; log: Log }) {
    this.target = target;
    this.log = log;
    this.board = new LeaseBoard(places);
    this.#key = keeper.add(this);
  }

  /** Where the broker may be found now. */
  at(addresses: readonly string[]): void {
    this.addresses = addresses;
    keeper.keep(this.#key, this);
  }

  /** The worker cannot say so itself: its connection is down. */
  giveBack(lease: LeaseRef): void {
    keeper.post({ kind: "giveBack", key: this.#key, lease });
  }

  release(): void {
    keeper.release(this.#key);
  }
}

class Keeper {
  readonly #kept = new Map<number, KeptLeases>();
  #keys = 0;
  #thread: Thread | undefined;

  add(kept: KeptLeases): number {
    const key = (this.#keys += 1);
    this.#kept.set(key, kept);
    if (!this.#thread) this.#start();
    return key;
  }

  keep(key: number, { target, board, addresses }: KeptLeases): void {
    this.post({ kind: "keep", key, ...target, addresses, memory: board.memory });
  }

  post(message: KeeperMessage): void {
    this.#thread?.postMessage(message);
  }

  release(key: number): void {
    if (!this.#kept.delete(key)) return;
    this.post({ kind: "release", key });
    // The thread ends when it has released its last.
    if (this.#kept.size === 0) this.#thread = undefined;
  }

  #start(): void {
    // Its file needs none of the program's flags, and some forbid it (--input-type).
    const options = { workerData: PROCESS_NAME, execArgv: [], resourceLimits: RESOURCES, name: "holdfast-queue-keeper" };
    let thread: Thread;
    try {
      thread = new Thread(packageCode("queue/client/keeper-thread"), options);
    } catch (error) {
      // The program may start no threads.
      this.#lost(error);
      return;
    }
    thread.unref();
    this.#thread = thread;
    thread.on("error", (error) => this.#lost(error));
    thread.on("exit", () => {
      if (this.#thread !== thread) return;
      this.#thread = undefined;
      setTimeout(() => {
        if (!this.#thread && this.#kept.size > 0) this.#start();
      }, AGAIN_MS).unref();
    });
    for (const [key, kept] of this.#kept) this.keep(key, kept);
  }

  /** Without it a blocked event loop costs leases: no reason to end the program. */
  #lost(error: unknown): void {
    for (const { log } of this.#kept.values()) return log("queue.keeper-lost", { error });
  }
}

const keeper = new Keeper();
