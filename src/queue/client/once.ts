/**
 * ● An effect on the application's database that happens once, however often its task runs: the effect and the mark that it was done are one
 * transaction. Invariant: no effect without its mark, no mark without its effect; of two runs at the same time one waits for the other.
 */
import { UsageError } from "../../core/errors.ts";
import { checkDatabase, checkTable, type SqlDatabase, inTransaction, type Transaction } from "./sql-database.ts";

/** The mark of an effect. */
export interface OnceOptions {
  /** What the mark is called: an order's number, say. Default: the task's id. A handler with several effects names each. */
  readonly key?: string;
  /** The table of marks, as `onceTable` makes it. Default "holdfast_once". */
  readonly table?: string;
}

/** Does the effect unless it has been done; resolves to what the effect returned, when it was done earlier to what it returned then. */
export type Once = <T>(
  db: SqlDatabase,
  effect: (transaction: Transaction) => Promise<T> | T,
  options?: OnceOptions,
) => Promise<T>;

const TABLE_DEFAULT = "holdfast_once";

/**
 * The statement that makes the table of marks for `task.once`, on PostgreSQL and SQLite. Marks are small and stay until the application deletes
 * them: those that are older than any task that may still run.
 *
 * @throws UsageError QUEUE_OPTIONS_INVALID
 */
export function onceTable(table: string = TABLE_DEFAULT): string {
  return `CREATE TABLE IF NOT EXISTS ${checkTable(table)} (key TEXT PRIMARY KEY, result TEXT, at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP)`;
}

/** The effects of one run of a task. */
export function onceIn(id: string): Once {
  let used: Set<string> | undefined; // most runs have none
  return async <T>(
    db: SqlDatabase,
    effect: (transaction: Transaction) => Promise<T> | T,
    { key = id, table = TABLE_DEFAULT }: OnceOptions = {},
  ): Promise<T> => {
    checkDatabase(db);
    checkTable(table);
    if (typeof key !== "string" || key === "")
      throw new UsageError("QUEUE_OPTIONS_INVALID", "Cannot mark an effect: its key is text");
    if (used?.has(key))
      throw new UsageError(
        "QUEUE_OPTIONS_INVALID",
        `Cannot do a second effect under the mark '${key}': give each of a handler's effects a key of its own`,
      );
    (used ??= new Set()).add(key);
    return inTransaction(db, async (transaction) => {
      const mark = await transaction.query(
        `INSERT INTO ${table} (key) VALUES ($1) ON CONFLICT (key) DO NOTHING RETURNING key`,
        [key],
      );
      if (mark.rows.length === 0)
        return resultOf(await transaction.query(`SELECT result FROM ${table} WHERE key = $1`, [key])) as T;
      const value = await effect(transaction);
      const result = value === undefined ? null : JSON.stringify(value);
      await transaction.query(`UPDATE ${table} SET result = $1 WHERE key = $2`, [result, key]);
      return value;
    });
  };
}

function resultOf({ rows: [row] }: { readonly rows: readonly { readonly result?: unknown }[] }): unknown {
  return typeof row?.result === "string" ? JSON.parse(row.result) : undefined;
}
