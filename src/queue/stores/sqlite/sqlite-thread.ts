/**
 * ● The store's thread: owns the SQLite file, so that only the next batch waits for the disk. It answers
 * the messages of sqlite-store.ts one by one, in order.
 */
import { closePort } from "../../../core/close-port.ts";
import { DatabaseSync, type StatementSync } from "node:sqlite";
import { closeSync, fdatasync, openSync, statSync } from "node:fs";
import { parentPort, workerData } from "node:worker_threads";
import { codeOf, HoldfastError, messageOf, OperationError } from "../../../core/errors.ts";
import { ERRORS_MAX } from "../../limits.ts";
import { decodeOps, encodeOps, PortionWriter } from "../op-codec.ts";
import { AcknowledgedCommits } from "./acknowledged.ts";
import { checkBeforeUse } from "./open-check.ts";
import { Reserve } from "./reserve.ts";
import {
  corrupt,
  FROM_1,
  isOfFile,
  isWhole,
  LOCKED_CODES,
  OWN_SETTINGS,
  SCHEMA,
  SCHEMA_VERSION,
  settingSum,
  sqliteCode,
  sumOf,
} from "./schema.ts";
import type { Fault, ThreadAnswer, ThreadData, ThreadRequest } from "./sqlite-store.ts";
import type { Inspection, StoreOp, StoreOpening } from "../store.ts";

const { file, sync, intervalMs, reserveBytes, faults } = workerData as ThreadData;

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

const FILES = [file, `${file}-wal`];

/** 0 when there is no such file. */
function inodeOf(name: string): bigint {
  return statSync(name, { bigint: true, throwIfNoEntry: false })?.ino ?? 0n;
}

class Database {
  readonly #db: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();
  /** The last task that `tasks` has read. */
  #readTo = 0;
  #lastId = 0;
  #commits = 0;
  #acknowledged: AcknowledgedCommits | undefined;
  /** Whether the side tables hold anything: empty ones are not asked. */
  #hasBig = false;
  #hasNotes = false;
  /** The files themselves, whatever bears their names later. */
  #inodes: readonly bigint[] = [];
  #syncFd: number | undefined;
  #syncTimer: NodeJS.Timeout | undefined;
  readonly #reserve: Reserve;
  #roomTimer: NodeJS.Timeout | undefined;

  readonly opening: StoreOpening;

  constructor(reserve: Reserve) {
    this.#reserve = reserve;
    this.#db = new DatabaseSync(file, { timeout: 0, readBigInts: false });
    this.opening = this.#open();
    if (!reserve.make()) this.#ranFull();
  }

  #open(): StoreOpening {
    const db = this.#db;
    db.exec("PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL;");
    db.exec(`PRAGMA synchronous = ${sync === "none" ? "OFF" : sync === "interval" ? "NORMAL" : "FULL"}`);
    db.exec(`PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES}; PRAGMA cache_size = -${CACHE_KIB}; PRAGMA temp_store = MEMORY`);
    const { user_version: version } = db.prepare("PRAGMA user_version").get() as { user_version: number };
    db.exec(`BEGIN IMMEDIATE; ${version === 1 ? FROM_1 : ""}; ${SCHEMA} PRAGMA user_version = ${SCHEMA_VERSION}`);
    const settings = new Map<string, string>();
    for (const { name, value } of db.prepare("SELECT name, value FROM setting").all())
      settings.set(String(name), String(value));
    const epoch = Number(settings.get("epoch") ?? 0) + 1;
    this.#commits = Number(settings.get("commits") ?? 0) + 1;
    this.#lastId = this.#largestId(settings);
    this.#set("epoch", String(epoch));
    this.#set("commits", String(this.#commits));
    db.exec("COMMIT");
    this.#hasBig = db.prepare("SELECT 1 FROM big LIMIT 1").get() !== undefined;
    this.#hasNotes = db.prepare("SELECT 1 FROM note LIMIT 1").get() !== undefined;
    if (sync === "interval") this.#syncEvery(intervalMs);
    for (const own of OWN_SETTINGS) settings.delete(own);
    this.#inodes = FILES.map(inodeOf);
    const failed = (error: unknown): void => reply({ kind: "log", message: messageOf(error) });
    if (sync !== "none") this.#acknowledged = new AcknowledgedCommits(file, failed);
    this.#committed();
    return { epoch, lastId: this.#lastId, settings };
  }

  /** A row under a number that was never given belongs to no task: its number is damaged. */
  #largestId(settings: ReadonlyMap<string, string>): number {
    const written = settings.get("lastId");
    if (written === undefined) {
      const { last } = this.#db.prepare("SELECT max(id) AS last FROM task").get() as { last: number | null };
      return last ?? 0;
    }
    const { changes } = this.#db.prepare("DELETE FROM task WHERE id < 1 OR id > ?").run(Number(written));
    if (Number(changes) > 0) reply({ kind: "log", message: `${changes} rows had damaged numbers and belonged to no task` });
    return Number(written);
  }

  /** The next portion of tasks; empty at the end. Their checksums go along: the other side has time to check them. */
  tasks(first: boolean): Uint8Array {
    if (first) this.#readTo = 0;
    const sql = "SELECT id, head, state, head_sum, state_sum FROM task WHERE id > ? ORDER BY id LIMIT ?";
    const statement = this.#statement(sql);
    statement.setReturnArrays(true);
    const rows = statement.all(this.#readTo, PORTION_TASKS) as unknown as TaskRow[];
    const portion = new PortionWriter();
    for (const [id, head, state, headSum, stateSum] of rows) portion.add({ id, head, state }, headSum, stateSum);
    this.#readTo = rows.at(-1)?.[0] ?? Number.MAX_SAFE_INTEGER;
    return portion.take();
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
      inject("write");
      inject("sync");
      this.#db.exec("COMMIT");
      this.#commits += 1;
      this.#committed();
    } catch (error) {
      this.#lastId = before;
      this.#rollBack();
      if (sqliteCode(error) === FULL_CODE) {
        if (this.#reserve.release()) this.#ranFull();
        this.#fold();
      }
      throw error;
    }
  }

  #committed(): void {
    if (sync === "group" || sync === "always") this.#acknowledged!.write(this.#commits);
  }

  /** What is written into a file that has lost its name is gone with this process, so it is not acknowledged. 4 us a commit. */
  #mustBeInPlace(): void {
    const gone = FILES.find((name, index) => inodeOf(name) !== this.#inodes[index]);
    if (gone !== undefined) throw new OperationError("QUEUE_STORE_UNAVAILABLE", `${gone} was removed or replaced while in use`);
  }

  /** The reserve is given up, or cannot be made: new tasks are refused until it is there again. */
  #ranFull(): void {
    this.#db.exec(`PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES_FULL}`);
    reply({ kind: "full", missing: this.#reserve.missing });
    this.#roomTimer = setInterval(() => {
      if (!this.#reserve.make()) return;
      clearInterval(this.#roomTimer);
      this.#db.exec(`PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES}`);
      reply({ kind: "full", missing: undefined });
    }, ROOM_LOOK_MS);
  }

  /** The disk is full: the log, folded into the file, may make the room that the next try needs. */
  #fold(): void {
    try {
      this.#db.exec("PRAGMA wal_checkpoint(TRUNCATE)");
    } catch (error) {
      reply({ kind: "log", message: messageOf(error) });
    }
  }

  read(ids: readonly number[]): (Uint8Array | undefined)[] {
    inject("read");
    return ids.map((id) => {
      const row = this.#get("SELECT body, body_sum FROM task WHERE id = ?", id) as BodyRow | undefined;
      return row && this.#bodyOf(id, row);
    });
  }

  /** undefined: it is not what was written. */
  #bodyOf(id: number, row: BodyRow): Uint8Array | undefined {
    const body = row.body ?? (this.#get("SELECT body FROM big WHERE id = ?", id) as BodyRow | undefined)?.body;
    return body && isWhole(body, row.body_sum, id) ? body : undefined;
  }

  inspect(id: number): Inspection | undefined {
    const row = this.#get("SELECT head, head_sum FROM task WHERE id = ?", id) as WholeRow | undefined;
    return row && { head: isWhole(row.head, row.head_sum, id) ? row.head : undefined, notes: this.#notes(id) };
  }

  #notes(id: number): string[] {
    const rows = this.#statement("SELECT note FROM note WHERE task = ? ORDER BY number").all(id);
    return rows.map(({ note }) => String(note));
  }

  /** Tasks with all that is known of them, as `keep` changes. */
  whole(after: number, bytesMax: number): Uint8Array {
    const sql = "SELECT id, head, state, body, head_sum, state_sum, body_sum FROM task WHERE id > ? ORDER BY id LIMIT ?";
    const ops: StoreOp[] = [];
    let bytes = 0;
    for (const row of this.#statement(sql).iterate(after, PORTION_TASKS) as Iterable<BodyRow & WholeRow>) {
      const { id, head, state } = row;
      if (!isWhole(head, row.head_sum, id) || !isWhole(state, row.state_sum, id))
        throw corrupt(file, `task ${id} does not match its checksum`);
      const body = this.#bodyOf(id, row);
      if (!body) throw corrupt(file, `the body of task ${id} does not match its checksum`);
      const notes = this.#hasNotes ? this.#notes(id) : [];
      ops.push({ kind: "keep", id, head, state, body, notes });
      bytes += head.length + state.length + body.length;
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
      case "note":
        this.#addError(op.id, op.note);
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
    for (const note of op.notes) this.#addError(op.id, note);
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

  #addError(id: number, note: string): void {
    const sql = `INSERT INTO note SELECT id, coalesce((SELECT max(number) FROM note WHERE task = id), 0) + 1, ?
      FROM task WHERE id = ?`;
    this.#run(sql, note, id);
    this.#run(
      "DELETE FROM note WHERE task = ? AND number <= (SELECT max(number) FROM note WHERE task = ?) - ?",
      id,
      id,
      ERRORS_MAX,
    );
    this.#hasNotes = true;
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
      if (this.#hasNotes) this.#run("DELETE FROM note WHERE task BETWEEN ? AND ?", first, last);
      start = end + 1;
    }
  }

  #rollBack(): void {
    try {
      if (this.#db.isTransaction) this.#db.exec("ROLLBACK");
    } catch (error) {
      // SQLite has rolled back by itself after some errors; anything else shows again with the next BEGIN.
      reply({ kind: "log", message: messageOf(error) });
    }
  }

  /** For `--sync interval`: what was committed reaches the disk this often. */
  #syncEvery(everyMs: number): void {
    let syncing = false;
    this.#syncTimer = setInterval(() => {
      if (syncing) return;
      syncing = true;
      this.#syncFd ??= openSync(`${file}-wal`, "r+");
      const commits = this.#commits;
      fdatasync(this.#syncFd, (error) => {
        syncing = false;
        if (error) reply({ kind: "log", message: error.message });
        else this.#acknowledged?.write(commits);
      });
    }, everyMs);
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

type TaskRow = readonly [id: number, head: Uint8Array, state: Uint8Array, headSum: number, stateSum: number];

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

/** Fails as the disk would, when a test has asked for it. */
function inject(point: Fault): void {
  const at = point === "write" ? 0 : point === "sync" ? 1 : 2;
  if (faults && Atomics.load(faults, at) > 0) {
    Atomics.sub(faults, at, 1);
    throw new OperationError("QUEUE_STORE_UNAVAILABLE", `injected: ${point} failed`);
  }
}

/** SQLITE_CORRUPT, SQLITE_NOTADB: the low byte of the extended code. */
const CORRUPT_CODES = [11, 26];
/** SQLITE_FULL. */
const FULL_CODE = 13;
/** SQLITE_IOERR: on a full disk the small file that SQLite makes beside the log cannot be made. */
const IO_CODE = 10;

function isForRoom(error: unknown): boolean {
  return sqliteCode(error) === FULL_CODE || sqliteCode(error) === IO_CODE || codeOf(error) === "ENOSPC";
}

function translate(error: unknown): HoldfastError {
  if (error instanceof HoldfastError) return error;
  const code = sqliteCode(error);
  if (CORRUPT_CODES.includes(code)) return corrupt(file, messageOf(error));
  if (LOCKED_CODES.has(code)) return new OperationError("QUEUE_STORE_LOCKED", `Cannot use ${file}: ${messageOf(error)}`);
  return new OperationError("QUEUE_STORE_UNAVAILABLE", `${file}: ${messageOf(error)}`);
}

function reply(answer: ThreadAnswer, transfer: ArrayBuffer[] = []): void {
  parentPort!.postMessage(answer, transfer);
}

/** On a full disk the reserve makes the room that a start needs. */
function open(reserve: Reserve): Database {
  try {
    checkBeforeUse(file);
    return new Database(reserve);
  } catch (error) {
    if (isOfFile(error)) throw corrupt(file, messageOf(error));
    if (!isForRoom(error) || !reserve.release()) throw error;
    return open(reserve);
  }
}

let database: Database | undefined;

function answer(request: ThreadRequest): unknown {
  switch (request.kind) {
    case "open":
      return (database = open(new Reserve(file, reserveBytes))).opening;
    case "tasks":
      return database!.tasks(request.first);
    case "write":
      return database!.write(request.batch);
    case "read":
      return database!.read(request.ids);
    case "whole":
      return database!.whole(request.after, request.bytesMax);
    case "inspect":
      return database!.inspect(request.id);
    case "close":
      database?.close();
      database = undefined;
  }
  return undefined;
}

parentPort!.on("message", (request: ThreadRequest) => {
  try {
    const value = answer(request);
    reply({ kind: "answer", value }, value instanceof Uint8Array ? [value.buffer as ArrayBuffer] : []);
  } catch (error) {
    const { code, message } = translate(error);
    reply({ kind: "failure", code, message });
  }
  if (request.kind === "close") closePort(parentPort!);
});
