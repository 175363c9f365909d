/**
 * ● What lies in the SQLite file, and its checksums. The sum of a row's part is over its bytes and the row's number, so that a row
 * under another number is damaged too. Version 1 had no number in them, and none of settings; version 2 kept errors alone, without sums,
 * in a table of notes: what they wrote is taken as it is.
 */
import { crc32 } from "node:zlib";
import { utf8 } from "../../core/bytes.ts";
import { ProtocolError } from "../../core/errors.ts";

/** 2: sums with the row's number, sums of settings, and `commits`. 3: facts. Version 0.1.0 wrote 1, and refuses what is newer. */
export const SCHEMA_VERSION = 3;

export const SCHEMA = `
  CREATE TABLE IF NOT EXISTS task (
    id INTEGER PRIMARY KEY, head BLOB NOT NULL, state BLOB NOT NULL, body BLOB, head_sum INTEGER, state_sum INTEGER, body_sum INTEGER
  );
  CREATE TABLE IF NOT EXISTS big (id INTEGER PRIMARY KEY, body BLOB NOT NULL);
  CREATE TABLE IF NOT EXISTS fact (
    task INTEGER, number INTEGER, payload BLOB NOT NULL, kind INTEGER NOT NULL DEFAULT 0, name TEXT NOT NULL DEFAULT '', sum INTEGER,
    PRIMARY KEY (task, number)
  ) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS event (
    last INTEGER PRIMARY KEY, epoch INTEGER NOT NULL, at INTEGER NOT NULL, before INTEGER NOT NULL, entry BLOB NOT NULL, sum INTEGER
  );
  CREATE TABLE IF NOT EXISTS setting (name TEXT PRIMARY KEY, value TEXT NOT NULL, sum INTEGER) WITHOUT ROWID;
`;

const FROM_1 = "ALTER TABLE setting ADD COLUMN sum INTEGER;";
/** No row is written anew: a file of a hundred GB opens as fast as before. */
const FROM_2 = `
  ALTER TABLE note RENAME TO fact;
  ALTER TABLE fact RENAME COLUMN note TO payload;
  ALTER TABLE fact ADD COLUMN kind INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE fact ADD COLUMN name TEXT NOT NULL DEFAULT '';
  ALTER TABLE fact ADD COLUMN sum INTEGER;
`;

/** What carries a file of an earlier version over. */
export function migration(version: number): string {
  return version === 1 ? FROM_1 + FROM_2 : version === 2 ? FROM_2 : "";
}

/**
 * Settings of the store's own: how often it was opened, the largest number given, how many batches were written, and the largest number of
 * those rows that may have sums without their number.
 */
export const OWN_SETTINGS = ["epoch", "lastId", "commits", "unnumberedTo"] as const;

/** The name of the folder in which a salvaged store is made. */
export const SALVAGED = "salvaged";

/** Names of what lies in the data folder: the databases with all that stands beside them, and the page's history. */
export function isOwnFile(name: string): boolean {
  return name.startsWith("queue.db") || name.startsWith("sessions.db") || name.startsWith("history.json") || name === SALVAGED;
}

/** The sum of a head, a state or a body of this task. */
export function sumOf(bytes: Uint8Array, id: number): number {
  return crc32(bytes, id >>> 0);
}

/** The sum of a fact of this task, by the number of its kind. */
export function factSum({ payload, kind, name }: { payload: Uint8Array; kind: number; name: string }, id: number): number {
  return crc32(payload, crc32(utf8(`${kind} ${name}`), id >>> 0));
}

/**
 * Whether it is what was written.
 *
 * @param unnumberedTo up to this row the sum may be over the bytes alone, as version 1 wrote it. Of others that counts for nothing: a bit turned
 *   in the first four bytes is like one turned in the number that the sum begins with
 */
export function isWhole(bytes: Uint8Array, sum: number, id: number, unnumberedTo = 0): boolean {
  return sumOf(bytes, id) === sum || (id <= unnumberedTo && crc32(bytes) === sum);
}

export function settingSum(name: string, value: string): number {
  return crc32(utf8(`${name}\0${value}`));
}

/** @param sum null: version 1 wrote it */
export function isWholeSetting(name: string, value: string, sum: number | null): boolean {
  return sum === null || sum === settingSum(name, value);
}

/** SQLite's codes for what is no damage: busy, locked, no memory, interrupted, I/O error, full, cannot open, lock protocol. */
const NO_DAMAGE: ReadonlySet<number> = new Set([5, 6, 7, 9, 10, 13, 14, 15]);

/** SQLITE_CORRUPT, SQLITE_NOTADB. */
export const CORRUPT_CODES: ReadonlySet<number> = new Set([11, 26]);
/** SQLITE_FULL. */
export const FULL_CODE = 13;
/** SQLITE_BUSY, SQLITE_LOCKED. */
export const LOCKED_CODES: ReadonlySet<number> = new Set([5, 6]);

/** The primary code of an error of SQLite; 0 for any other. */
export function sqliteCode(error: unknown): number {
  return typeof error === "object" && error !== null && "errcode" in error ? Number(error.errcode) & 255 : 0;
}

/** Whether an error met before anything was written must come from the file: it is the only thing that is not known. */
export function isOfFile(error: unknown): boolean {
  const code = sqliteCode(error);
  return code !== 0 && !NO_DAMAGE.has(code);
}

/** @param what is damaged, as the rest of a sentence about the file */
export function corrupt(file: string, what: string): ProtocolError {
  const folder = file.slice(0, file.lastIndexOf("/")) || "/";
  if (file.endsWith("/sessions.db"))
    return new ProtocolError(
      "QUEUE_STORE_CORRUPT",
      `Cannot use ${file}: ${what}; move ${file}* away to begin anew: clients are told that their sessions are gone`,
    );
  const help = `'holdfast queue check ${folder}' says what is whole, and with --salvage makes a store of it`;
  return new ProtocolError("QUEUE_STORE_CORRUPT", `Cannot use ${file}: ${what}; ${help}`);
}
