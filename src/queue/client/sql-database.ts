/**
 * ● The application's own database, through one function: PostgreSQL as package `pg` has it, or SQLite behind an adapter of five lines. Statements
 * stay within what both understand. Invariant: transactions of one connection follow one another.
 */
import { UsageError } from "../../core/errors.ts";

/** A connection, or a pool of them, such as `Client` and `Pool` of package `pg`. Values stand for `$1`, `$2`, … in the text. */
export interface SqlDatabase {
  query(text: string, values: unknown[]): PromiseLike<{ readonly rows: unknown[] }> | { readonly rows: unknown[] };
}

/** A transaction on the application's database. */
export interface Transaction extends SqlDatabase {
  query(text: string, values?: unknown[]): Promise<{ readonly rows: any[] }>; // oxlint-disable-line typescript/no-explicit-any -- rows are the application's
}

interface Connection extends SqlDatabase {
  release?(broken?: boolean): void;
}

interface Pool extends SqlDatabase {
  connect(): Promise<Connection>;
}

/** As `pg` has it. Its single connections have a `connect` too, but count nothing. */
function isPool(db: SqlDatabase): db is Pool {
  return "idleCount" in db && "connect" in db && typeof db.connect === "function";
}

/** The last transaction of each connection that is no pool's. */
const last = new WeakMap<SqlDatabase, Promise<unknown>>();

/** Runs the function in a transaction: committed when it resolves, rolled back when it rejects. */
export async function inTransaction<T>(db: SqlDatabase, run: (transaction: Transaction) => Promise<T>): Promise<T> {
  if (isPool(db)) {
    const connection = await db.connect();
    return transact(connection, run);
  }
  const before = last.get(db);
  const own = (async () => {
    await before?.catch(() => {});
    return transact(db, run);
  })();
  last.set(db, own);
  return own;
}

async function transact<T>(connection: Connection, run: (transaction: Transaction) => Promise<T>): Promise<T> {
  let isBroken = false;
  try {
    await connection.query("BEGIN", []);
    const value = await run({ query: async (text, values = []) => connection.query(text, values) });
    await connection.query("COMMIT", []);
    return value;
  } catch (error) {
    try {
      await connection.query("ROLLBACK", []);
    } catch {
      // What it failed of is told; a connection that cannot even roll back is given up.
      isBroken = true;
    }
    throw error;
  } finally {
    connection.release?.(isBroken);
  }
}

/** @throws UsageError QUEUE_OPTIONS_INVALID for what is no object with a function `query` */
export function checkDatabase(db: unknown): asserts db is SqlDatabase {
  if (typeof db === "object" && db !== null && "query" in db && typeof db.query === "function") return;
  throw new UsageError(
    "QUEUE_OPTIONS_INVALID",
    "Cannot use the database: it is an object with query(text, values), such as pg's Pool",
  );
}

const TABLE = /^[a-z_][a-z0-9_]{0,62}(\.[a-z_][a-z0-9_]{0,62})?$/i;

/** @throws UsageError QUEUE_OPTIONS_INVALID when it cannot stand in a statement as it is */
export function checkTable(table: string): string {
  if (typeof table === "string" && TABLE.test(table)) return table;
  throw new UsageError("QUEUE_OPTIONS_INVALID", `Cannot use table '${table}': write NAME or SCHEMA.NAME`);
}
