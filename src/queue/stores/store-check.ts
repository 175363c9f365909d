/**
 * ● What of a store's files is whole: `holdfast queue check`. Reads everything there is, past any damage, and with `salvage` writes it
 * into a fresh store that takes the place of the old one. Invariant: the old files are kept under another name, and until the last
 * step no broker can start on a store that lacks something; cut off, it is run again.
 */
import type { Fact } from "../../store/store.ts";
import { readFact } from "../../store/sqlite/database.ts";
import { closeSync, existsSync, fsyncSync, openSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { EMPTY } from "../../core/bytes.ts";
import { codeOf, messageOf, OperationError, readable } from "../../core/errors.ts";
import { EPOCHS_BEFORE_SETTING } from "./move.ts";
import type { StoreOp } from "../../store/store.ts";
import { FLAG_DAMAGED } from "../tasks/task-columns.ts";
import { decodeHead, decodeState, encodeState, type TaskHead, type TaskRecord } from "../tasks/task-record.ts";
import { DatabaseFile } from "../../store/sqlite/database-file.ts";
import { DatabasePages, type Row } from "../../store/sqlite/database-pages.ts";
import { checkBeforeUse } from "../../store/sqlite/open-check.ts";
import {
  isOfFile,
  isWhole,
  isWholeSetting,
  LOCKED_CODES,
  OWN_SETTINGS,
  SALVAGED,
  sqliteCode,
} from "../../store/sqlite/schema.ts";
import { SqliteStore } from "../../store/sqlite/sqlite-store.ts";

/** What there is of one queue. */
export interface QueueCheck {
  readonly name: string;
  readonly whole: number;
  /** Tasks of which it is known that they were there. */
  readonly damaged: number;
}

/** What of a store can be read. */
export interface StoreCheck {
  /** Why a broker refuses the store; undefined: it starts, and what is damaged is dead. */
  readonly refused: string | undefined;
  readonly queues: readonly QueueCheck[];
  /** Damaged tasks of which not even the queue is known. */
  readonly unknown: number;
  /** Settings and schedules that are damaged. */
  readonly settings: number;
  /** Pages of the file that hold nothing that can be read: tasks may have been there. */
  readonly pages: number;
  /** Where the old files are kept, when a fresh store took their place. */
  readonly kept: string | undefined;
}

/** What to do beside reading. */
export interface StoreCheckOptions {
  /** Writes a fresh store of what is whole. The old files are kept. Default false. */
  readonly salvage?: boolean;
}

/** 1000 tasks or 4 MiB a batch. */
const BATCH_TASKS = 1000;
const BATCH_BYTES = 4 * 1024 ** 2;

/**
 * Reads all of a store that no broker uses.
 *
 * @param folder the folder of the store
 * @throws OperationError QUEUE_STORE_LOCKED when a broker uses it, QUEUE_STORE_UNAVAILABLE when there is none or the disk fails
 */
export async function checkStore(folder: string, { salvage = false }: StoreCheckOptions = {}): Promise<StoreCheck> {
  const file = join(folder, "queue.db");
  const fresh = join(folder, SALVAGED);
  // A salvage was cut off when the fresh store was whole.
  const isCutOff = !existsSync(file) && existsSync(join(fresh, "queue.db"));
  const kept = salvage && isCutOff ? putInPlace(folder, fresh) : undefined;
  if (!existsSync(file)) {
    const why = isCutOff ? "a salvage was cut off; give --salvage again" : "there is no queue.db";
    throw new OperationError("QUEUE_STORE_UNAVAILABLE", `Cannot check ${folder}: ${why}`);
  }
  const refused = refusal(file);
  const database = new DatabaseFile(file);
  try {
    const found = new Found(database);
    if (!salvage || kept !== undefined) {
      for (const _ of found.tasks());
      return found.check(refused, kept);
    }
    rmSync(fresh, { recursive: true, force: true });
    await writeFresh(fresh, found);
    return found.check(refused, putInPlace(folder, fresh));
  } finally {
    database.close();
  }
}

function refusal(file: string): string | undefined {
  try {
    checkBeforeUse(file);
    return undefined;
  } catch (error) {
    if (codeOf(error) === "QUEUE_STORE_CORRUPT" || isOfFile(error)) return messageOf(error).split(";")[0]!;
    if (sqliteCode(error) === 0) throw error;
    const code = LOCKED_CODES.has(sqliteCode(error)) ? "QUEUE_STORE_LOCKED" : "QUEUE_STORE_UNAVAILABLE";
    throw new OperationError(code, `Cannot check ${file}: ${messageOf(error)}`, { cause: error });
  }
}

interface WholeTask {
  readonly id: number;
  readonly head: Uint8Array;
  readonly state: Uint8Array;
  readonly body: Uint8Array;
  readonly facts: readonly Fact[];
}

/** All that is in a file, first what goes with tasks, then the tasks. */
class Found {
  readonly #pages: DatabasePages;
  readonly #big = new Map<number, Uint8Array>();
  readonly #facts = new Map<number, { readonly number: number; readonly fact: Fact }[]>();
  readonly settings = new Map<string, string>();
  readonly #queues = new Map<string, { whole: number; damaged: number }>();
  #unknown = 0;
  #damagedSettings = 0;
  readonly #unnumberedTo: number;
  /** The largest number of a task, and of an opening, that is seen. */
  lastId = 0;
  epoch = 0;

  constructor(database: DatabaseFile) {
    this.#pages = new DatabasePages(database);
    for (const row of this.#pages.rows()) this.#takeBeside(row);
    this.lastId = Number(this.settings.get("lastId") ?? 0);
    this.#unnumberedTo = Number(this.settings.get("unnumberedTo") ?? Infinity);
    this.epoch = Number(this.settings.get("epoch") ?? 0) + Number(this.settings.get(EPOCHS_BEFORE_SETTING) ?? 0);
  }

  *tasks(): IterableIterator<WholeTask> {
    for (const { id, columns } of this.#pages.rows()) {
      if (columns.length !== 7) continue;
      const task = this.#task(id, columns);
      if (!task) continue;
      this.lastId = Math.max(this.lastId, id);
      yield task;
    }
  }

  check(refused: string | undefined, kept: string | undefined): StoreCheck {
    const queues = [...this.#queues].map(([name, counts]) => ({ name, ...counts }));
    return {
      refused,
      queues: queues.sort((a, b) => (a.name < b.name ? -1 : 1)),
      unknown: this.#unknown,
      settings: this.#damagedSettings,
      pages: this.#pages.unreadable,
      kept,
    };
  }

  #takeBeside({ id, columns }: Row): void {
    const [first, second, third = null] = columns;
    if (columns.length === 2 && first === null && second instanceof Uint8Array) this.#big.set(id, second);
    else if (typeof first === "number" && typeof second === "number" && (columns.length === 3 || columns.length === 6)) {
      // A row of before version 3 has three columns still.
      const [, , payload, kind = 0, name = "", sum = null] = columns;
      const fact = readFact({ kind, name, payload, sum }, first);
      if (fact) this.#facts.set(first, [...(this.#facts.get(first) ?? []), { number: second, fact }]);
    } else if (typeof first === "string" && typeof second === "string" && columns.length <= 3) {
      const isKept = (third === null || typeof third === "number") && isWholeSetting(first, second, third);
      if (isKept) this.settings.set(first, second);
      else this.#damagedSettings += 1;
    }
  }

  #task(id: number, columns: Row["columns"]): WholeTask | undefined {
    const [, headBytes, stateBytes, inline, headSum, stateSum, bodySum] = columns;
    const whole = (bytes: unknown, sum: unknown): bytes is Uint8Array =>
      bytes instanceof Uint8Array && typeof sum === "number" && isWhole(bytes, sum, id, this.#unnumberedTo);
    const head = whole(headBytes, headSum) ? readable(() => decodeHead(headBytes)) : undefined;
    if (!head) {
      this.#unknown += 1;
      return undefined;
    }
    const record = whole(stateBytes, stateSum) ? readable(() => decodeState(stateBytes)) : undefined;
    if (record) this.epoch = Math.max(this.epoch, Math.floor(record.token / 2 ** 32));
    const body = inline ?? this.#big.get(id);
    const isAllWhole = record !== undefined && whole(body, bodySum) && (record.flags & FLAG_DAMAGED) === 0;
    this.#count(head, isAllWhole);
    const facts = (this.#facts.get(id) ?? []).sort((a, b) => a.number - b.number).map(({ fact }) => fact);
    const parts = { id, head: headBytes as Uint8Array, facts };
    if (isAllWhole) return { ...parts, state: stateBytes as Uint8Array, body };
    return { ...parts, state: encodeState({ ...DEAD, atMs: record?.atMs ?? head.createdMs }), body: EMPTY };
  }

  #count({ queue }: TaskHead, isWholeTask: boolean): void {
    let counts = this.#queues.get(queue);
    if (!counts) this.#queues.set(queue, (counts = { whole: 0, damaged: 0 }));
    counts[isWholeTask ? "whole" : "damaged"] += 1;
  }
}

/** What is left of a task of which only the head is whole: whoever waits for it is told. */
const DEAD: Omit<TaskRecord, "atMs"> = {
  state: "dead",
  flags: FLAG_DAMAGED,
  token: 0,
  attempts: 0,
  lost: 0,
  bodyBytes: 0,
  resultBytes: 0,
};

async function writeFresh(folder: string, found: Found): Promise<void> {
  const store = new SqliteStore({ folder });
  await store.open();
  try {
    let ops: StoreOp[] = [];
    let bytes = 0;
    for (const task of found.tasks()) {
      ops.push({ kind: "keep", ...task });
      bytes += task.body.length;
      if (ops.length < BATCH_TASKS && bytes < BATCH_BYTES) continue;
      await store.write(ops);
      ops = [];
      bytes = 0;
    }
    for (const [name, value] of found.settings) {
      if (!(OWN_SETTINGS as readonly string[]).includes(name)) ops.push({ kind: "set", name, value });
    }
    // No number and no token is given twice.
    ops.push({ kind: "set", name: EPOCHS_BEFORE_SETTING, value: `${found.epoch}` });
    ops.push(
      { kind: "add", id: found.lastId + 1, head: EMPTY, state: EMPTY, body: EMPTY },
      { kind: "remove", id: found.lastId + 1 },
    );
    await store.write(ops);
  } finally {
    await store.close();
  }
}

/**
 * The fresh store takes the place of the old one. In between there is no database, which a broker refuses as long as there is a count
 * of its commits; run again, this goes on.
 *
 * @returns the name under which the old database is kept
 */
function putInPlace(folder: string, fresh: string): string {
  const file = join(folder, "queue.db");
  let count = 1;
  const isTaken = (): boolean => existsSync(`${file}.damaged-${count}`) && existsSync(file);
  while (isTaken() || existsSync(`${file}.damaged-${count + 1}`)) count += 1;
  const kept = `${file}.damaged-${count}`;
  for (const name of ["", "-wal", "-shm"]) {
    if (!existsSync(`${file}${name}`)) continue;
    renameSync(`${file}${name}`, `${kept}${name}`);
    syncFolder(folder);
  }
  for (const name of ["", "-acknowledged"]) {
    renameSync(join(fresh, `queue.db${name}`), `${file}${name}`);
    syncFolder(folder);
  }
  rmSync(fresh, { recursive: true });
  return kept;
}

function syncFolder(folder: string): void {
  const descriptor = openSync(folder, "r");
  fsyncSync(descriptor);
  closeSync(descriptor);
}
