/**
 * ● The store on disk: one SQLite file in WAL mode, in a thread of its own (sqlite-thread.ts). A batch is one transaction; with
 * sync "always" and "group" it is on the disk, fsynced, before `write` resolves. Every row carries checksums: damage is reported,
 * never handed out or passed over.
 */
import { packageCode } from "../../core/package-file.ts";
import { join } from "node:path";
import { setImmediate as pause } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import type { ErrorCode } from "../../core/error-codes.ts";
import { type HoldfastError, messageOf, OperationError, ProtocolError } from "../../core/errors.ts";
import { type OpenFiles, privateFolder } from "../../core/private-files.ts";
import { showSize } from "../../core/units.ts";
import { Ring } from "../../core/ring.ts";
import { decodeOps, encodeOps } from "../op-codec.ts";
import type { Inspection, Store, StoredEvents, StoredTask, StoreOp, StoreOpening } from "../store.ts";
import { isOwnFile } from "./schema.ts";
import { decodePortion } from "./task-portion.ts";

/**
 * - `always`: one fsync for each change. What is answered survives a power cut.
 * - `group` (default): one fsync for all changes that came meanwhile. What is answered survives a power cut.
 * - `interval`: answered when the operating system has it, fsynced every second: a power cut costs up to that; kill -9 costs nothing.
 * - `none`: never fsynced. A power cut costs what the operating system had not written yet, about 30 s; kill -9 costs nothing.
 */
export type SyncMode = "always" | "group" | "interval" | "none";

export type Fault = "write" | "sync" | "read";

export interface SqliteStoreOptions {
  /** The folder; made when it is not there. */
  readonly folder: string;
  /** What the files in it are called: NAME.db and what stands beside it. Default "queue". */
  readonly name?: string;
  readonly sync?: SyncMode;
  /** For sync "interval"; default 1000. */
  readonly intervalMs?: number;
  /** Three counters for tests: so many of the next writes, syncs, reads fail. */
  readonly faults?: Int32Array;
  /** Bytes of the disk that are kept free for the day when it is full, at most a quarter of it; default 0: none. */
  readonly reserveBytes?: number;
  /** Told when the disk is full, with what to do, and (undefined) when there is room again. */
  full?(why: string | undefined): void;
  /** Told when the folder or files in it were open to others. */
  madePrivate?(what: OpenFiles): void;
  /** Told what went wrong where nobody waits for an answer. */
  log?(message: string): void;
}

export interface ThreadData {
  readonly file: string;
  readonly sync: SyncMode;
  readonly intervalMs: number;
  readonly reserveBytes: number;
  readonly faults: Int32Array | undefined;
}

export type ThreadRequest =
  | { readonly kind: "open" | "close" }
  /** The first portion, or the one after the last. */
  | { readonly kind: "tasks"; readonly first: boolean }
  | { readonly kind: "write"; readonly batch: Uint8Array }
  | { readonly kind: "read"; readonly ids: readonly number[] }
  | { readonly kind: "inspect"; readonly id: number }
  | { readonly kind: "events"; readonly from: number; readonly bytesMax: number }
  | { readonly kind: "whole"; readonly after: number; readonly bytesMax: number };

export type ThreadAnswer =
  | { readonly kind: "answer"; readonly value: unknown }
  | { readonly kind: "failure"; readonly code: ErrorCode; readonly message: string }
  | { readonly kind: "log"; readonly message: string }
  /** So many bytes must be free before new tasks are taken; undefined: they are. */
  | { readonly kind: "full"; readonly missing: number | undefined };

/** 1 s: what `--sync interval` may lose, as Redis' everysec. */
const INTERVAL_MS_DEFAULT = 1000;

interface Waiting {
  resolve(value: unknown): void;
  reject(error: HoldfastError): void;
}

export class SqliteStore implements Store {
  readonly #options: SqliteStoreOptions;
  readonly #waiting = new Ring<Waiting>();
  #thread: Worker | undefined;
  #full: string | undefined;
  #closing: Promise<void> | undefined;

  constructor(options: SqliteStoreOptions) {
    this.#options = options;
  }

  get full(): string | undefined {
    return this.#full;
  }

  async open(): Promise<StoreOpening> {
    const {
      folder,
      name = "queue",
      sync = "group",
      intervalMs = INTERVAL_MS_DEFAULT,
      reserveBytes = 0,
      faults,
    } = this.#options;
    const file = join(folder, `${name}.db`);
    try {
      const opened = privateFolder(folder, isOwnFile);
      if (opened) this.#options.madePrivate?.(opened);
    } catch (error) {
      throw new OperationError("QUEUE_STORE_UNAVAILABLE", `Cannot make the folder ${folder}: ${messageOf(error)}`, {
        cause: error,
      });
    }
    const workerData: ThreadData = { file, sync, intervalMs, reserveBytes, faults };
    this.#thread = new Worker(packageCode("store/sqlite/sqlite-thread"), { workerData, name: `holdfast-${name}-store` });
    this.#thread.on("message", (answer: ThreadAnswer) => this.#answered(answer));
    this.#thread.on("error", (error) => this.#lost(messageOf(error)));
    this.#thread.on("exit", () => this.#lost("the store's thread has ended"));
    try {
      return (await this.#ask({ kind: "open" })) as StoreOpening;
    } catch (error) {
      await this.#thread.terminate();
      throw error;
    }
  }

  async *tasks(): AsyncIterable<readonly StoredTask[]> {
    let next = this.#ask({ kind: "tasks", first: true });
    for (;;) {
      const portion = decodePortion((await next) as Uint8Array);
      if (portion.length === 0) return;
      // The thread reads the next portion while this one is taken in.
      next = this.#ask({ kind: "tasks", first: false });
      next.catch(() => {}); // Thrown where it is awaited, if it still is.
      yield portion;
      // A port that always has a message hands over one after the other and lets no timer run between them.
      await pause();
    }
  }

  async write(ops: readonly StoreOp[]): Promise<void> {
    const batch = encodeOps(ops);
    await this.#ask({ kind: "write", batch }, [batch.buffer as ArrayBuffer]);
  }

  async read(ids: readonly number[]): Promise<readonly (Uint8Array | undefined)[]> {
    return (await this.#ask({ kind: "read", ids })) as readonly (Uint8Array | undefined)[];
  }

  async inspect(id: number): Promise<Inspection | undefined> {
    return (await this.#ask({ kind: "inspect", id })) as Inspection | undefined;
  }

  async events(from: number, bytesMax: number): Promise<readonly StoredEvents[]> {
    return (await this.#ask({ kind: "events", from, bytesMax })) as readonly StoredEvents[];
  }

  /** Whole tasks with numbers above `after`, in ascending order, until they have so many bytes; none at the end. */
  async whole(after: number, bytesMax: number): Promise<StoreOp[]> {
    return [...decodeOps((await this.#ask({ kind: "whole", after, bytesMax })) as Uint8Array)];
  }

  async close(): Promise<void> {
    this.#closing ??= this.#close();
    await this.#closing;
  }

  async #close(): Promise<void> {
    const thread = this.#thread;
    if (!thread) return;
    const exited = new Promise((resolve) => thread.once("exit", resolve));
    await this.#ask({ kind: "close" });
    this.#thread = undefined;
    await exited;
  }

  #ask(request: ThreadRequest, transfer: ArrayBuffer[] = []): Promise<unknown> {
    const thread = this.#thread;
    if (!thread) return Promise.reject(new OperationError("QUEUE_STORE_UNAVAILABLE", "The store is not open"));
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      thread.postMessage(request, transfer);
    });
  }

  #answered(answer: ThreadAnswer): void {
    if (answer.kind === "log") {
      this.#options.log?.(answer.message);
      return;
    }
    if (answer.kind === "full") {
      this.#ranFull(answer.missing);
      return;
    }
    const { resolve, reject } = this.#waiting.shift()!;
    if (answer.kind === "answer") resolve(answer.value);
    else if (answer.code === "QUEUE_STORE_CORRUPT") reject(new ProtocolError(answer.code, answer.message));
    else reject(new OperationError(answer.code, answer.message));
  }

  #ranFull(missing: number | undefined): void {
    const room = missing === undefined ? "" : showSize(missing);
    const help = `free ${room} there, or move the queue to a larger disk (holdfast queue move); workers go on meanwhile`;
    this.#full =
      missing === undefined ? undefined : `Cannot take new tasks: the disk of ${this.#options.folder} is full; ${help}`;
    this.#options.full?.(this.#full);
  }

  #lost(reason: string): void {
    this.#thread = undefined;
    for (const { reject } of this.#waiting.drain()) reject(new OperationError("QUEUE_STORE_UNAVAILABLE", reason));
  }
}
