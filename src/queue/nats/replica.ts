/**
 * ● What the log says, applied entry by entry to a store on this machine. It is a copy and nothing depends on it: damaged, of another
 * log, or too far behind, it is thrown away and made anew from the log. Invariant: `applied` is the end of the last whole entry that
 * the store has taken in, and is written with it.
 */
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { codeOf } from "../../core/errors.ts";
import { makeFolder } from "../../core/make-folder.ts";
import { decodeOps } from "../op-codec.ts";
import { SqliteStore } from "../sqlite-store.ts";
import type { StoredTask, StoreOp } from "../store.ts";
import { BATCH, LEAD, type Entry, type EntryHead } from "./log-codec.ts";

export interface ReplicaOptions {
  /** Where it lies; without one it is in a temporary folder and goes with the process. */
  readonly folder?: string | undefined;
  log?(message: string): void;
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
      this.#options.log?.("the local copy of the log is damaged and is made anew");
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

  /** Empties it, to begin at another log or at what is left of this one. @param applied the sequence before the first to come */
  async begin(created: string, applied: number): Promise<void> {
    if (this.#place.applied > 0) {
      await this.#store?.close();
      this.#remove();
      await this.#openStore();
    }
    this.#place = { ...NOWHERE, created, applied };
  }

  /** Takes in a whole entry that ends at this sequence. */
  async apply(sequence: number, entry: Entry): Promise<void> {
    await this.write(sequence, entry, entry.kind === BATCH ? [...decodeOps(entry.payload)] : []);
  }

  /** The same when its changes are at hand. What is read after this was called sees them. */
  async write(sequence: number, { kind, epoch, lastId, writer }: EntryHead, ops: readonly StoreOp[]): Promise<void> {
    const before = this.#place;
    const place: Place = {
      created: before.created,
      applied: sequence,
      epoch: Math.max(before.epoch, epoch),
      lastId: Math.max(before.lastId, lastId),
      leader: kind === LEAD ? writer : before.leader,
    };
    await this.#open.write([...ops, { kind: "set", name: PLACE_SETTING, value: JSON.stringify(place) }]);
    this.#place = place;
    for (const op of ops) {
      if (op.kind !== "set") continue;
      if (op.value === undefined) this.#settings.delete(op.name);
      else this.#settings.set(op.name, op.value);
    }
  }

  tasks(): AsyncIterable<readonly StoredTask[]> {
    return this.#open.tasks();
  }

  read(ids: readonly number[]): Promise<readonly (Uint8Array | undefined)[]> {
    return this.#open.read(ids);
  }

  inspect(id: number): Promise<{ readonly head: Uint8Array; readonly notes: readonly string[] } | undefined> {
    return this.#open.inspect(id);
  }

  whole(after: number, bytesMax: number): Promise<StoreOp[]> {
    return this.#open.whole(after, bytesMax);
  }

  async close(): Promise<void> {
    const store = this.#store;
    this.#store = undefined;
    await store?.close();
    if (this.#options.folder === undefined) this.#remove();
  }

  get #open(): SqliteStore {
    return this.#store!;
  }

  async #openStore(): Promise<void> {
    makeFolder(this.#folder);
    const { log } = this.#options;
    const store = new SqliteStore({ folder: this.#folder, sync: "none", ...(log && { log }) });
    const { settings } = await store.open();
    this.#store = store;
    this.#settings = new Map([...settings].filter(([name]) => !OWN_SETTINGS.has(name)));
    const place = settings.get(PLACE_SETTING);
    this.#place = place === undefined ? NOWHERE : (JSON.parse(place) as Place);
  }

  #remove(): void {
    if (!existsSync(this.#folder)) return;
    for (const ending of ["", "-wal", "-shm"]) rmSync(join(this.#folder, `queue.db${ending}`), { force: true });
    if (this.#options.folder === undefined) rmSync(this.#folder, { recursive: true, force: true });
  }
}
