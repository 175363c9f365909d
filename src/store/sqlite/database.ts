/** ● The SQLite file, in the store's thread: its rows and transactions, and a full disk. Invariant: a batch is written whole or not at all. */
import { DatabaseSync, type StatementSync } from "node:sqlite";
import { closeSync, fdatasync, openSync, statSync } from "node:fs";
import { utf8 } from "../../core/bytes.ts";
import { messageOf, OperationError } from "../../core/errors.ts";
import { PRIVATE_FILE } from "../../core/private-files.ts";
import { decodeOps, encodeOps } from "../op-codec.ts";
import { EventTable } from "./event-table.ts";
import { checkPortion, NEXT_PORTION } from "./task-portion.ts";
import { AcknowledgedCommits } from "./acknowledged.ts";
import type { Reserve } from "./reserve.ts";
import {
  CORRUPT_CODES,
  corrupt,
  factSum,
  FULL_CODE,
  isWhole,
  migration,
  OWN_SETTINGS,
  SCHEMA,
  SCHEMA_VERSION,
  settingSum,
  sqliteCode,
  sumOf,
} from "./schema.ts";
import type { Fault, ThreadAnswer, ThreadData } from "./sqlite-store.ts";
import { ERRORS_MAX, factBytes } from "../facts.ts";
import { FACT_KINDS, type Fact, type Inspection, type StoredEvents, type StoreOp, type StoreOpening } from "../store.ts";

export interface DatabaseOptions extends Pick<ThreadData, "file" | "sync" | "intervalMs" | "faults"> {
  readonly reserve: Reserve;
  /** What nobody has asked for: a message for the log, or that the disk is full. */
  tell(answer: ThreadAnswer): void;
}

/** Bodies above this lie in a table of their own: SQLite rewrites a whole row when one of its columns changes. */
const INLINE_BYTES_MAX = 2048;
/** 4096 pages of 4 KiB: the log is folded into the file every 16 MB, which keeps both recovery and the fold short. */
const CHECKPOINT_PAGES = 4096;
/** 256 pages, 1 MiB, while the disk is full: the log must not take what is left. */
const CHECKPOINT_PAGES_FULL = 256;
/** 1 s between two looks for room. */
const ROOM_LOOK_MS = 1000;
/** 64 MiB of page cache: the leaves that a million-task queue works on. */
const CACHE_KIB = 64 * 1024;
const PORTION_TASKS = 4096;

const ADD = "INSERT INTO task VALUES (?, ?, ?, ?, ?, ?, ?)";

/** 0 when there is no such file. */
function inodeOf(name: string): bigint {
  return statSync(name, { bigint: true, throwIfNoEntry: false })?.ino ?? 0n;
}

export class Database {
  readonly #options: DatabaseOptions;
  readonly #db: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();
  /** The last task that `tasks` has read. */
  #readTo = 0;
  #lastId = 0;
  #unnumberedTo = 0;
  #commits = 0;
  #acknowledged: AcknowledgedCommits | undefined;
  /** Whether the side tables hold anything: empty ones are not asked. */
  #hasBig = false;
  #hasFacts = false;
  readonly #ring: EventTable;
  /** The files themselves, whatever bears their names later. */
  readonly #files: readonly string[];
  #inodes: readonly bigint[] = [];
  #syncFd: number | undefined;
  #syncTimer: NodeJS.Timeout | undefined;
  readonly #reserve: Reserve;
  #roomTimer: NodeJS.Timeout | undefined;
  readonly opening: StoreOpening;

  constructor(options: DatabaseOptions) {
    this.#options = options;
    this.#reserve = options.reserve;
    this.#files = [options.file, `${options.file}-wal`];
    // SQLite gives its log the mode that the file has.
    closeSync(openSync(options.file, "a", PRIVATE_FILE));
    this.#db = new DatabaseSync(options.file, { timeout: 0, readBigInts: false });
    this.#ring = new EventTable((sql) => this.#statement(sql));
    try {
      this.opening = this.#open();
    } catch (error) {
      this.#db.close();
      throw error;
    }
    if (!this.#reserve.make()) this.#ranFull();
  }

  #open(): StoreOpening {
    const db = this.#db;
    const { file, sync, intervalMs, tell } = this.#options;
    db.exec("PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL;");
    db.exec(`PRAGMA synchronous = ${sync === "none" ? "OFF" : sync === "interval" ? "NORMAL" : "FULL"}`);
    db.exec(`PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES}; PRAGMA cache_size = -${CACHE_KIB}; PRAGMA temp_store = MEMORY`);
    const { user_version: version } = db.prepare("PRAGMA user_version").get() as { user_version: number };
    db.exec(`BEGIN IMMEDIATE; ${migration(version)} ${SCHEMA} PRAGMA user_version = ${SCHEMA_VERSION}`);
    const rows = db.prepare("SELECT name, value FROM setting").all();
    const settings = new Map(rows.map(({ name, value }) => [String(name), String(value)]));
    if (version === 1) for (const [name, value] of settings) this.#set(name, value);
    const epoch = Number(settings.get("epoch") ?? 0) + 1;
    this.#commits = Number(settings.get("commits") ?? 0) + 1;
    this.#lastId = this.#largestId(settings);
    // All rows of a file that an earlier version wrote; of a new one none.
    this.#unnumberedTo = Number(settings.get("unnumberedTo") ?? (version === 0 ? 0 : this.#lastId));
    this.#set("unnumberedTo", String(this.#unnumberedTo));
    this.#set("epoch", String(epoch));
    this.#set("commits", String(this.#commits));
    db.exec("COMMIT");
    this.#hasBig = db.prepare("SELECT 1 FROM big LIMIT 1").get() !== undefined;
    this.#hasFacts = db.prepare("SELECT 1 FROM fact LIMIT 1").get() !== undefined;
    if (sync === "interval") this.#syncEvery(intervalMs);
    for (const own of OWN_SETTINGS) settings.delete(own);
    this.#inodes = this.#files.map(inodeOf);
    const failed = (error: unknown): void => tell({ kind: "log", message: messageOf(error) });
    if (sync !== "none") this.#acknowledged = new AcknowledgedCommits(file, failed);
    this.#committed();
    return { epoch, lastId: this.#lastId, settings, lastEvent: this.#ring.open() };
  }

  /** A row under a number that was never given belongs to no task: its number is damaged. */
  #largestId(settings: ReadonlyMap<string, string>): number {
    const written = settings.get("lastId");
    if (written === undefined) {
      const { last } = this.#db.prepare("SELECT max(id) AS last FROM task").get() as { last: number | null };
      return last ?? 0;
    }
    const { changes } = this.#db.prepare("DELETE FROM task WHERE id < 1 OR id > ?").run(Number(written));
    if (Number(changes) > 0)
      this.#options.tell({ kind: "log", message: `${changes} rows had damaged numbers and belonged to no task` });
    return Number(written);
  }

  /** The next portion of tasks (task-portion.ts), checked; empty at the end. */
  tasks(first: boolean): Uint8Array {
    if (first) this.#readTo = 0;
    const statement = this.#statement(NEXT_PORTION);
    statement.setReturnArrays(true);
    const [portion] = statement.get(this.#readTo, PORTION_TASKS) as unknown as [Uint8Array | null];
    if (portion === null) return new Uint8Array(0);
    this.#readTo = checkPortion(portion, this.#isWhole);
    if (Number.isNaN(this.#readTo)) throw corrupt(this.#options.file, "a row has a number that no task has");
    return portion;
  }

  write(batch: Uint8Array): void {
    this.#mustBeInPlace();
    this.#db.exec("BEGIN IMMEDIATE");
    const before = this.#lastId;
    try {
      const removed: number[] = [];
      for (const op of decodeOps(batch)) {
        if (op.kind === "remove") removed.push(op.id);
        else this.#apply(op);
      }
      this.#remove(removed);
      // Written with every batch, also an empty one: that is how it is found out whether the disk takes writes again.
      this.#set("lastId", String(this.#lastId));
      this.#set("commits", String(this.#commits + 1));
      this.#inject("write");
      this.#inject("sync");
      this.#db.exec("COMMIT");
      this.#commits += 1;
      this.#committed();
    } catch (error) {
      this.#lastId = before;
      this.#rollBack();
      this.#ring.rolledBack();
      if (sqliteCode(error) === FULL_CODE) {
        if (this.#reserve.release()) this.#ranFull();
        this.#fold();
      }
      throw error;
    }
  }

  #committed(): void {
    const { sync } = this.#options;
    if (sync === "group" || sync === "always") this.#acknowledged!.write(this.#commits);
  }

  /** What is written into a file that has lost its name is gone with this process, so it is not acknowledged. 4 us a commit. */
  #mustBeInPlace(): void {
    const gone = this.#files.find((name, index) => inodeOf(name) !== this.#inodes[index]);
    if (gone !== undefined) throw new OperationError("QUEUE_STORE_UNAVAILABLE", `${gone} was removed or replaced while in use`);
  }

  /** The reserve is given up, or cannot be made: new tasks are refused until it is there again. */
  #ranFull(): void {
    this.#db.exec(`PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES_FULL}`);
    this.#options.tell({ kind: "full", missing: this.#reserve.missing });
    this.#roomTimer = setInterval(() => {
      if (!this.#reserve.make()) return;
      clearInterval(this.#roomTimer);
      this.#db.exec(`PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES}`);
      this.#options.tell({ kind: "full", missing: undefined });
    }, ROOM_LOOK_MS);
  }

  /** The disk is full: the log, folded into the file, may make the room that the next try needs. */
  #fold(): void {
    try {
      this.#db.exec("PRAGMA wal_checkpoint(TRUNCATE)");
    } catch (error) {
      this.#options.tell({ kind: "log", message: messageOf(error) });
    }
  }

  read(ids: readonly number[]): (Uint8Array | undefined)[] {
    this.#inject("read");
    return ids.map((id) => {
      try {
        const row = this.#get("SELECT body, body_sum FROM task WHERE id = ?", id) as BodyRow | undefined;
        return row && this.#bodyOf(id, row);
      } catch (error) {
        // What SQLite finds damaged on the way there is damaged like what does not match its sum.
        if (CORRUPT_CODES.has(sqliteCode(error))) return undefined;
        throw error;
      }
    });
  }

  readonly #isWhole = (bytes: Uint8Array, sum: number, id: number): boolean => isWhole(bytes, sum, id, this.#unnumberedTo);

  /** undefined: it is not what was written. */
  #bodyOf(id: number, row: BodyRow): Uint8Array | undefined {
    const body = row.body ?? (this.#get("SELECT body FROM big WHERE id = ?", id) as BodyRow | undefined)?.body;
    return body && this.#isWhole(body, row.body_sum, id) ? body : undefined;
  }

  inspect(id: number): Inspection | undefined {
    const row = this.#get("SELECT head, head_sum FROM task WHERE id = ?", id) as WholeRow | undefined;
    return row && { head: this.#isWhole(row.head, row.head_sum, id) ? row.head : undefined, ...this.#facts(id) };
  }

  #facts(id: number): { facts: Fact[]; lacksFacts?: boolean } {
    const rows = this.#statement("SELECT kind, name, payload, sum FROM fact WHERE task = ? ORDER BY number").all(id);
    const facts = rows.map((row) => readFact(row, id)).filter((fact) => fact !== undefined);
    return facts.length < rows.length ? { facts, lacksFacts: true } : { facts };
  }

  events(from: number, bytesMax: number): readonly StoredEvents[] {
    return this.#ring.read(from, bytesMax);
  }

  /** Tasks with all that is known of them, as `keep` changes. */
  whole(after: number, bytesMax: number): Uint8Array {
    const sql = "SELECT id, head, state, body, head_sum, state_sum, body_sum FROM task WHERE id > ? ORDER BY id LIMIT ?";
    const ops: StoreOp[] = [];
    let bytes = 0;
    for (const row of this.#statement(sql).iterate(after, PORTION_TASKS) as Iterable<BodyRow & WholeRow>) {
      const { id, head, state } = row;
      if (!this.#isWhole(head, row.head_sum, id) || !this.#isWhole(state, row.state_sum, id))
        throw corrupt(this.#options.file, `task ${id} does not match its checksum`);
      const body = this.#bodyOf(id, row);
      if (!body) throw corrupt(this.#options.file, `the body of task ${id} does not match its checksum`);
      const { facts, lacksFacts } = this.#hasFacts ? this.#facts(id) : { facts: [] };
      if (lacksFacts) throw corrupt(this.#options.file, `a fact of task ${id} does not match its checksum`);
      ops.push({ kind: "keep", id, head, state, body, facts });
      bytes += head.length + state.length + body.length + factBytes(facts);
      if (bytes >= bytesMax) break;
    }
    return encodeOps(ops);
  }

  close(): void {
    clearInterval(this.#syncTimer);
    clearInterval(this.#roomTimer);
    if (this.#syncFd !== undefined) closeSync(this.#syncFd);
    this.#acknowledged?.close();
    this.#db.close();
  }

  #apply(op: Exclude<StoreOp, { kind: "remove" }>): void {
    switch (op.kind) {
      case "add":
        this.#run(ADD, ...this.#addRow(op));
        if (op.id > this.#lastId) this.#lastId = op.id;
        return;
      case "keep":
        this.#keep(op);
        return;
      case "rewrite":
        this.#rewrite(op);
        return;
      case "state":
        this.#run("UPDATE task SET state = ?, state_sum = ? WHERE id = ?", op.state, sumOf(op.state, op.id), op.id);
        return;
      case "end": {
        if (this.#hasBig) this.#run("DELETE FROM big WHERE id = ?", op.id);
        const result = this.#inline(op.id, op.result);
        const sql = "UPDATE task SET state = ?, state_sum = ?, body = ?, body_sum = ? WHERE id = ?";
        this.#run(sql, op.state, sumOf(op.state, op.id), result, sumOf(op.result, op.id), op.id);
        return;
      }
      case "fact":
        this.#addFact(op.id, op.fact);
        return;
      case "events":
        this.#ring.write(op);
        return;
      case "set":
        if (op.value === undefined) this.#run("DELETE FROM setting WHERE name = ?", op.name);
        else this.#set(op.name, op.value);
    }
  }

  #keep(op: Extract<StoreOp, { kind: "keep" }>): void {
    if (op.id > this.#lastId) this.#lastId = op.id;
    if (this.#get("SELECT 1 FROM task WHERE id = ?", op.id) !== undefined) return;
    this.#run(ADD, ...this.#addRow(op));
    for (const fact of op.facts) this.#addFact(op.id, fact);
  }

  #rewrite({ id, head, state, body }: Extract<StoreOp, { kind: "rewrite" }>): void {
    if (this.#get("SELECT 1 FROM task WHERE id = ?", id) === undefined) return;
    if (this.#hasBig) this.#run("DELETE FROM big WHERE id = ?", id);
    const sql = "UPDATE task SET head = ?, state = ?, body = ?, head_sum = ?, state_sum = ?, body_sum = ? WHERE id = ?";
    this.#run(sql, head, state, this.#inline(id, body), sumOf(head, id), sumOf(state, id), sumOf(body, id), id);
  }

  #addRow({ id, head, state, body }: Extract<StoreOp, { kind: "add" | "keep" }>): (number | Uint8Array | null)[] {
    return [id, head, state, this.#inline(id, body), sumOf(head, id), sumOf(state, id), sumOf(body, id)];
  }

  /** The body for the task's own row; null when it was put aside. */
  #inline(id: number, body: Uint8Array): Uint8Array | null {
    if (body.length <= INLINE_BYTES_MAX) return body;
    this.#run("INSERT OR REPLACE INTO big VALUES (?, ?)", id, body);
    this.#hasBig = true;
    return null;
  }

  #addFact(id: number, { kind, name, payload }: Fact): void {
    const number = FACT_KINDS.indexOf(kind);
    const sum = factSum({ payload, kind: number, name }, id);
    this.#hasFacts = true;
    if (kind !== "error") {
      const replace = "UPDATE fact SET payload = ?, sum = ? WHERE task = ? AND kind = ? AND name = ?";
      if (this.#statement(replace).run(payload, sum, id, number, name).changes !== 0) return;
    }
    const sql = `INSERT INTO fact SELECT id, coalesce((SELECT max(number) FROM fact WHERE task = id), 0) + 1, ?, ?, ?, ?
      FROM task WHERE id = ?`;
    this.#run(sql, payload, number, name, sum, id);
    if (kind !== "error") return;
    const oldest = `DELETE FROM fact WHERE task = ? AND number IN
      (SELECT number FROM fact WHERE task = ? AND kind = 0 ORDER BY number DESC LIMIT -1 OFFSET ?)`;
    this.#run(oldest, id, id, ERRORS_MAX);
  }

  /** Tasks end about in the order they came, so what goes together is mostly a run of numbers: one statement for each run. */
  #remove(ids: number[]): void {
    ids.sort((a, b) => a - b);
    for (let start = 0; start < ids.length;) {
      let end = start;
      while (end + 1 < ids.length && ids[end + 1]! <= ids[end]! + 1) end += 1;
      const [first, last] = [ids[start]!, ids[end]!];
      this.#run("DELETE FROM task WHERE id BETWEEN ? AND ?", first, last);
      if (this.#hasBig) this.#run("DELETE FROM big WHERE id BETWEEN ? AND ?", first, last);
      if (this.#hasFacts) this.#run("DELETE FROM fact WHERE task BETWEEN ? AND ?", first, last);
      start = end + 1;
    }
  }

  #rollBack(): void {
    try {
      if (this.#db.isTransaction) this.#db.exec("ROLLBACK");
    } catch (error) {
      // SQLite has rolled back by itself after some errors; anything else shows again with the next BEGIN.
      this.#options.tell({ kind: "log", message: messageOf(error) });
    }
  }

  /** For `--sync interval`: what was committed reaches the disk this often. */
  #syncEvery(everyMs: number): void {
    let syncing = false;
    this.#syncTimer = setInterval(() => {
      if (syncing) return;
      syncing = true;
      this.#syncFd ??= openSync(`${this.#options.file}-wal`, "r+");
      const commits = this.#commits;
      fdatasync(this.#syncFd, (error) => {
        syncing = false;
        if (error) this.#options.tell({ kind: "log", message: error.message });
        else this.#acknowledged?.write(commits);
      });
    }, everyMs);
  }

  /** Fails as the disk would, when a test has asked for it. */
  #inject(point: Fault): void {
    const { faults } = this.#options;
    const at = point === "write" ? 0 : point === "sync" ? 1 : 2;
    if (faults && Atomics.load(faults, at) > 0) {
      Atomics.sub(faults, at, 1);
      throw new OperationError("QUEUE_STORE_UNAVAILABLE", `injected: ${point} failed`);
    }
  }

  #set(name: string, value: string): void {
    this.#run("INSERT OR REPLACE INTO setting VALUES (?, ?, ?)", name, value, settingSum(name, value));
  }

  #run(sql: string, ...values: (string | number | Uint8Array | null)[]): void {
    this.#statement(sql).run(...values);
  }

  #get(sql: string, id: number): unknown {
    return this.#statement(sql).get(id);
  }

  #statement(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (!statement) this.#statements.set(sql, (statement = this.#db.prepare(sql)));
    return statement;
  }
}

/** undefined: it is not what was written. */
export function readFact({ kind, name, payload, sum }: Record<string, unknown>, id: number): Fact | undefined {
  const known = FACT_KINDS[Number(kind)];
  // Versions 1 and 2: an error as text, without a sum.
  if (typeof payload === "string" && sum === null) return { kind: "error", name: "", payload: utf8(payload) };
  if (!known || typeof name !== "string" || !(payload instanceof Uint8Array)) return undefined;
  return sum === factSum({ payload, kind: Number(kind), name }, id) ? { kind: known, name, payload } : undefined;
}

interface WholeRow {
  readonly id: number;
  readonly head: Uint8Array;
  readonly state: Uint8Array;
  readonly head_sum: number;
  readonly state_sum: number;
}

interface BodyRow {
  readonly body: Uint8Array | null;
  readonly body_sum: number;
}
