/**
 * ● The outbox: tasks that are written in the application's own transaction, and relayed to the broker after its commit. Invariant: a row leaves
 * the table only when the broker has its task on disk, and is submitted under one key however often; a row that is no task is set aside with
 * the reason, and holds up nobody.
 */
import { Buffer } from "node:buffer";
import { randomBytes } from "node:crypto";
import { codeOf, messageOf, ProtocolError } from "../../core/errors.ts";
import { type Duration, durationMs } from "../../core/units.ts";
import { checkOptions, type OptionTable, anything, duration, isObject, when, whole } from "../option-check.ts";
import type { TaskOptions } from "../tasks/task-policy.ts";
import { checkDatabase, checkTable, type SqlDatabase } from "./sql-database.ts";
import { QueueClient } from "./queue-client.ts";

/** "holdfast_outbox": nobody else's. */
export const OUTBOX_TABLE = "holdfast_outbox";

/** 1 s: what was committed by a process that is gone waits no longer. */
const EVERY_DEFAULT = "1s";
/** 500 rows at once: their submissions are on their way together. */
const ROWS_DEFAULT = 500;
const ROWS_MAX = 10_000;
/** 10 s to the broker; then the row is submitted again, under the same key. */
const SUBMIT_MS = 10_000;
/** 30 s at most between two tries while the database or the broker is away. */
const TROUBLE_MS_MAX = 30_000;

/** What can be said of a relay. */
export interface OutboxRelayOptions {
  /** The application's database: a connection of the relay's own, or a pool. */
  readonly db: SqlDatabase;
  /** Where the tasks go. */
  readonly client: QueueClient;
  /** As `outboxTable` made it. Default "holdfast_outbox". */
  readonly table?: string;
  /** How often it looks for rows that it was not told of. Default "1s". */
  readonly every?: Duration;
  /** Rows at once; default 500. */
  readonly rows?: number;
}

/** Counted since it was started. */
export interface OutboxRelayStats {
  /** Rows whose tasks the broker has, and that are gone. */
  readonly relayed: number;
  /** Rows that are no task. */
  readonly setAside: number;
}

/** Takes tasks from the outbox to the broker. Made by `outboxRelay()`. */
export interface OutboxRelay {
  /** Looks now: call it after a commit. Resolves when it has looked. */
  wake(): Promise<void>;
  stats(): OutboxRelayStats;
  /** Ends when the round that goes on has ended. The client and the database stay open. May be called twice. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

const RELAY: OptionTable = {
  act: "start the relay",
  known: {
    db: when(isObject, "is an object with query(text, values)"),
    client: when((value) => value instanceof QueueClient, "is a QueueClient"),
    table: anything,
    every: duration(),
    rows: whole(1, ROWS_MAX),
  } satisfies Record<keyof OutboxRelayOptions, unknown>,
  bullmq: {},
};

/**
 * The statement that makes the outbox, on PostgreSQL and SQLite.
 *
 * @throws UsageError QUEUE_OPTIONS_INVALID
 */
export function outboxTable(table: string = OUTBOX_TABLE): string {
  return `CREATE TABLE IF NOT EXISTS ${checkTable(table)} (key TEXT PRIMARY KEY, queue TEXT NOT NULL, options TEXT NOT NULL, body BYTEA NOT NULL, error TEXT)`;
}

/** By this process: rows are relayed in the order of their keys. */
let enqueued = 0;

/** Writes a row. */
export async function toOutbox(
  db: SqlDatabase,
  {
    queue,
    options,
    body,
    table,
    nowMs,
  }: { queue: string; options: TaskOptions; body: Uint8Array; table: string; nowMs: number },
): Promise<void> {
  checkDatabase(db);
  enqueued += 1;
  const order = [Math.floor(nowMs), enqueued].map((number) => number.toString(36).padStart(9, "0"));
  const key = ["outbox", ...order, randomBytes(12).toString("base64url")].join(".");
  const values = [key, queue, JSON.stringify(options), Buffer.from(body)];
  await db.query(`INSERT INTO ${checkTable(table)} (key, queue, options, body) VALUES ($1, $2, $3, $4)`, values);
}

/** Refusals that will be the same tomorrow. */
const NO_TASK: ReadonlySet<unknown> = new Set([
  "QUEUE_OPTIONS_INVALID",
  "QUEUE_NAME_INVALID",
  "QUEUE_BODY_TOO_LARGE",
  "QUEUE_TOO_MANY",
  "QUEUE_TASK_UNKNOWN",
  "QUEUE_KEY_CONFLICT",
  "QUEUE_PROTOCOL",
]);

interface Row {
  readonly key: string;
  readonly queue: string;
  readonly options: TaskOptions;
  readonly body: Uint8Array;
}

/**
 * Starts to relay: rows of the outbox become tasks, each once, whatever dies meanwhile. Any number of processes may do so.
 *
 * @throws UsageError QUEUE_OPTIONS_INVALID, UNIT_INVALID
 * @example
 * const relay = outboxRelay({ db: pool, client });
 * await relay.close();
 */
export function outboxRelay(options: OutboxRelayOptions): OutboxRelay {
  checkOptions(options, RELAY);
  return new Relay(options);
}

class Relay implements OutboxRelay {
  readonly #db: SqlDatabase;
  readonly #client: QueueClient;
  readonly #table: string;
  readonly #everyMs: number;
  readonly #rowsMax: number;
  #relayed = 0;
  #setAside = 0;
  /** Rounds in a row that failed. */
  #troubles = 0;
  #round: Promise<void> | undefined;
  /** Somebody asked while a round went on: what he committed may have come too late for it. */
  #again = false;
  #cancelTimer: (() => void) | undefined;
  #closed = false;

  constructor({ db, client, table = OUTBOX_TABLE, every = EVERY_DEFAULT, rows = ROWS_DEFAULT }: OutboxRelayOptions) {
    checkDatabase(db);
    this.#db = db;
    this.#client = client;
    this.#table = checkTable(table);
    this.#everyMs = durationMs(every, "every");
    this.#rowsMax = rows;
    void this.wake();
  }

  async wake(): Promise<void> {
    if (this.#closed) return;
    if (this.#round) this.#again = true;
    await (this.#round ??= this.#rounds());
  }

  stats(): OutboxRelayStats {
    return { relayed: this.#relayed, setAside: this.#setAside };
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#cancelTimer?.();
    await this.#round;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Never rejects. */
  async #rounds(): Promise<void> {
    this.#cancelTimer?.();
    try {
      do {
        this.#again = false;
        while ((await this.#relaySome()) && !this.#closed);
      } while (this.#again && !this.#closed);
      if (this.#troubles > 0) this.#client.log("queue.outbox-recovered", { table: this.#table });
      this.#troubles = 0;
    } catch (error) {
      this.#troubles += 1;
      if (this.#troubles === 1) this.#client.log("queue.outbox-trouble", { table: this.#table, error });
    }
    this.#round = undefined;
    if (this.#closed) return;
    const { clock } = this.#client;
    const waitMs =
      this.#troubles === 0
        ? this.#everyMs
        : Math.min(this.#everyMs * 2 ** this.#troubles, Math.max(this.#everyMs, TROUBLE_MS_MAX));
    this.#cancelTimer = clock.at(clock.now() + waitMs, () => void this.wake());
  }

  /**
   * @returns whether there may be more
   * @throws what the database throws, and what the broker refuses for now
   */
  async #relaySome(): Promise<boolean> {
    const { rows } = await this.#db.query(
      `SELECT key, queue, options, body FROM ${this.#table} WHERE error IS NULL ORDER BY key LIMIT ${this.#rowsMax}`,
      [],
    );
    if (rows.length === 0) return false;
    const ended = await Promise.allSettled(rows.map((row) => this.#submit(row)));
    const reasonOf = (index: number): unknown => {
      const each = ended[index]!;
      return each.status === "rejected" ? each.reason : undefined;
    };
    const done = rows.filter((_, index) => ended[index]!.status === "fulfilled").map(keyOf);
    if (done.length > 0) {
      // Dies it here, the rows are submitted again, and answered with the same tasks.
      const places = done.map((_, index) => `$${index + 1}`).join();
      await this.#db.query(`DELETE FROM ${this.#table} WHERE key IN (${places})`, done);
      this.#relayed += done.length;
    }
    for (const [index, row] of rows.entries())
      if (NO_TASK.has(codeOf(reasonOf(index)))) await this.#putAside(row, reasonOf(index));
    const later = ended.findIndex((each, index) => each.status === "rejected" && !NO_TASK.has(codeOf(reasonOf(index))));
    if (later >= 0) throw reasonOf(later);
    return rows.length === this.#rowsMax;
  }

  async #submit(found: unknown): Promise<void> {
    const { key, queue, options, body } = readRow(found);
    await this.#client.add(
      { queue, options: { ...options, key: options.key ?? key }, bodies: [body] },
      { timeoutMs: SUBMIT_MS },
    );
  }

  async #putAside(found: unknown, error: unknown): Promise<void> {
    const key = keyOf(found);
    await this.#db.query(`UPDATE ${this.#table} SET error = $1 WHERE key = $2`, [
      `${String(codeOf(error))}: ${messageOf(error)}`,
      key,
    ]);
    this.#setAside += 1;
    this.#client.log("queue.outbox-set-aside", { table: this.#table, key, error });
  }
}

function keyOf(found: unknown): unknown {
  return (found as { readonly key?: unknown }).key;
}

/** @throws ProtocolError QUEUE_PROTOCOL: what stands there is no task */
function readRow(found: unknown): Row {
  const { key, queue, options, body } = found as Readonly<Record<string, unknown>>;
  if (typeof key !== "string" || typeof queue !== "string") throw noTask("its key and its queue are text");
  if (!(body instanceof Uint8Array)) throw noTask("its body is no bytes");
  let read: unknown;
  try {
    read = JSON.parse(String(options));
  } catch (error) {
    throw noTask(`its options are no JSON: ${messageOf(error)}`);
  }
  if (!isObject(read) || Array.isArray(read)) throw noTask("its options are no JSON object");
  return { key, queue, options: read, body };
}

function noTask(why: string): ProtocolError {
  return new ProtocolError("QUEUE_PROTOCOL", `Cannot submit a row of the outbox: ${why}`);
}
