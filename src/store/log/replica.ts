/**
 * ● What the log says, applied entry by entry to a store on this machine. It is a copy and nothing depends on it: damaged, of
 * another log, or too far behind, it is thrown away and made anew from the log. Invariant: what is written is written together
 * with the place in the log that it goes up to.
 */
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { codeOf, messageOf, ProtocolError } from "../../core/errors.ts";
import { decodeOps } from "../op-codec.ts";
import { SqliteStore } from "../sqlite/sqlite-store.ts";
import type { Inspection, StoredEvents, StoredTask, StoreOp, StoreOpening } from "../store.ts";
import { PendingOps } from "./pending-ops.ts";
import { BATCH, LEAD, type Entry, type EntryHead } from "./log-codec.ts";

export interface ReplicaOptions {
  /** Where it lies; without one it is in a temporary folder and goes with the process. */
  readonly folder?: string | undefined;
  log?(message: string): void;
  /** Called in order with what the local store has written. */
  written?(ops: readonly StoreOp[]): void;
}

/** Where it stands, as one setting of the store. */
interface Place {
  readonly created: string;
  readonly applied: number;
  readonly epoch: number;
  readonly lastId: number;
  /** Who led last. */
  readonly leader: string;
}

/** 200 ms: a task that is done by then costs one row instead of two changes, and the next leader has as little left to write. */
const WRITE_MS = 200;
/** 1 s after this machine's disk refused. */
const RETRY_MS = 1000;
/** 4 MiB that were not written: then the log waits. */
const PENDING_BYTES_MAX = 4 * 1024 ** 2;
const PLACE_SETTING = "log:place";
/** Settings of the local store's own. */
const OWN_SETTINGS = new Set([PLACE_SETTING, "epoch", "lastId"]);
const NOWHERE: Place = { created: "", applied: 0, epoch: 0, lastId: 0, leader: "" };

export class Replica {
  readonly #options: ReplicaOptions;
  readonly #folder: string;
  #store: SqliteStore | undefined;
  #place = NOWHERE;
  #settings = new Map<string, string>();
  #lastEvent: StoreOpening["lastEvent"];
  readonly #pending = new PendingOps();
  /** What the disk did not take; it goes first with the next try. */
  #unwritten: StoreOp[] | undefined;
  /** The place that was written. */
  #written = 0;
  #writing: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: ReplicaOptions) {
    this.#options = options;
    this.#folder = options.folder ?? mkdtempSync(join(tmpdir(), "holdfast-replica-"));
  }

  /** Opens what there is from before. @throws OperationError QUEUE_STORE_LOCKED, QUEUE_STORE_UNAVAILABLE */
  async open(): Promise<void> {
    try {
      await this.#openStore();
    } catch (error) {
      if (codeOf(error) !== "QUEUE_STORE_CORRUPT") throw error;
      this.#options.log?.("the local copy of the log is damaged and is rebuilt");
      this.#remove();
      await this.#openStore();
    }
  }

  /** When the log was made that this is a copy of; "" = of none yet. */
  get created(): string {
    return this.#place.created;
  }

  get applied(): number {
    return this.#place.applied;
  }

  get epoch(): number {
    return this.#place.epoch;
  }

  /** The writer of the newest `lead` entry; "" when none was read. */
  get leader(): string {
    return this.#place.leader;
  }

  get lastId(): number {
    return this.#place.lastId;
  }

  get settings(): ReadonlyMap<string, string> {
    return this.#settings;
  }

  /** The newest event of the ring. */
  get lastEvent(): StoreOpening["lastEvent"] {
    return this.#lastEvent;
  }

  /** Empties it, to begin at another log or at what is left of this one. @param applied the sequence before the first to come */
  async begin(created: string, applied: number): Promise<void> {
    this.#pending.take();
    if (this.#place.applied > 0) {
      await this.#writing?.catch(() => {}); // Told by who began it; what was written is removed.
      this.#unwritten = undefined;
      await this.#store?.close();
      this.#remove();
      await this.#openStore();
    }
    this.#place = { ...NOWHERE, created, applied };
  }

  /** Applies a whole entry that ends at this sequence: all of it or nothing. @throws ProtocolError QUEUE_STORE_CORRUPT */
  apply(sequence: number, entry: Entry): void {
    this.take(sequence, entry, entry.kind === BATCH ? [...decodeOps(entry.payload)] : []);
  }

  /** The same when its changes are decoded already. Written soon, and before anything is read. */
  take(sequence: number, { kind, epoch, lastId, writer }: EntryHead, ops: Iterable<StoreOp>): void {
    const before = this.#place;
    this.#place = {
      created: before.created,
      applied: sequence,
      epoch: Math.max(before.epoch, epoch),
      lastId: Math.max(before.lastId, lastId),
      leader: kind === LEAD ? writer : before.leader,
    };
    for (const op of ops) {
      this.#pending.push(op);
      if (op.kind === "events") this.#lastEvent = { epoch: op.epoch, number: op.last };
      if (op.kind !== "set") continue;
      if (op.value === undefined) this.#settings.delete(op.name);
      else this.#settings.set(op.name, op.value);
    }
    this.#timer ??= setTimeout(() => this.#writeSoon(), WRITE_MS).unref();
  }

  /** Resolves when there is room for more. @throws OperationError QUEUE_STORE_UNAVAILABLE: nothing is lost, it is tried again */
  async room(): Promise<void> {
    if (this.#pending.bytes > PENDING_BYTES_MAX) await this.write();
  }

  /** Writes what was taken in. @throws OperationError QUEUE_STORE_UNAVAILABLE */
  async write(): Promise<void> {
    while (this.#writing) await this.#writing;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (!this.#unwritten && this.#written === this.#place.applied) return;
    const ops = [...(this.#unwritten ?? []), ...this.#pending.take()];
    const place = this.#place;
    this.#unwritten = ops;
    this.#writing = this.#open
      .write([...ops, { kind: "set", name: PLACE_SETTING, value: JSON.stringify(place) }])
      .then(() => {
        this.#unwritten = undefined;
        this.#written = place.applied;
        this.#told(ops);
      })
      .finally(() => (this.#writing = undefined));
    await this.#writing;
  }

  async *tasks(): AsyncIterable<readonly StoredTask[]> {
    await this.write();
    for await (const portion of this.#open.tasks()) {
      const damaged = portion.find((task) => task.damaged);
      if (damaged)
        throw new ProtocolError("QUEUE_STORE_CORRUPT", `Cannot read the local copy of the log: task ${damaged.id} is damaged`);
      yield portion;
    }
  }

  async read(ids: readonly number[]): Promise<readonly (Uint8Array | undefined)[]> {
    await this.write();
    return this.#open.read(ids);
  }

  async inspect(id: number): Promise<Inspection | undefined> {
    await this.write();
    return this.#open.inspect(id);
  }

  async events(from: number, bytesMax: number): Promise<readonly StoredEvents[]> {
    await this.write();
    return this.#open.events(from, bytesMax);
  }

  async whole(after: number, bytesMax: number): Promise<StoreOp[]> {
    await this.write();
    return this.#open.whole(after, bytesMax);
  }

  async close(): Promise<void> {
    const store = this.#store;
    if (store) await this.write().catch((error: unknown) => this.#options.log?.(String(error)));
    this.#store = undefined;
    await store?.close();
    if (this.#options.folder === undefined) this.#remove();
  }

  get #open(): SqliteStore {
    return this.#store!;
  }

  /** It is written: whatever those who are told do with it cannot fail that. */
  #told(ops: readonly StoreOp[]): void {
    const { written, log } = this.#options;
    try {
      written?.(ops);
    } catch (error) {
      log?.(`program error after the local copy was written: ${error instanceof Error ? error.stack : String(error)}`);
    }
  }

  #writeSoon(): void {
    this.#timer = undefined;
    if (!this.#store) return;
    this.write().catch((error: unknown) => {
      this.#options.log?.(`the local copy of the log cannot be written: ${messageOf(error)}`);
      this.#timer ??= setTimeout(() => this.#writeSoon(), RETRY_MS).unref();
    });
  }

  async #openStore(): Promise<void> {
    const { log } = this.#options;
    const store = new SqliteStore({ folder: this.#folder, sync: "none", ...(log && { log }) });
    const { settings, lastEvent } = await store.open();
    this.#store = store;
    this.#lastEvent = lastEvent;
    this.#settings = new Map([...settings].filter(([name]) => !OWN_SETTINGS.has(name)));
    const place = settings.get(PLACE_SETTING);
    this.#place = place === undefined ? NOWHERE : (JSON.parse(place) as Place);
    this.#written = this.#place.applied;
  }

  #remove(): void {
    if (!existsSync(this.#folder)) return;
    for (const ending of ["", "-wal", "-shm", "-acknowledged"])
      rmSync(join(this.#folder, `queue.db${ending}`), { force: true });
    if (this.#options.folder === undefined) rmSync(this.#folder, { recursive: true, force: true });
  }
}
