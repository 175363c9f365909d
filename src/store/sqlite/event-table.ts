/**
 * ● The ring of events in the SQLite file: a row an entry, by the number of its last event, with how many bytes there were before it.
 * Invariant: numbers, times and bytes grow from row to row, so that what has to go is always the first rows; the newest stays.
 */
import type { StatementSync } from "node:sqlite";
import type { StoredEvents, StoreOp, StoreOpening } from "../store.ts";
import { isWhole, sumOf } from "./schema.ts";

/** 64 rows that are too old go with one write: twice what comes, so that a smaller bound is reached soon and no write waits for it. */
const FORGET_ROWS = 64;

interface EventRow {
  readonly last: number;
  readonly epoch: number;
  readonly at: number;
  readonly before: number;
  readonly entry: Uint8Array;
  readonly sum: number;
}

type Oldest = Pick<EventRow, "last" | "at" | "before">;

export class EventTable {
  readonly #statement: (sql: string) => StatementSync;
  #total = 0;
  /** The first row that is left; undefined: not known. */
  #oldest: Oldest | undefined;

  /** @param statement prepared once */
  constructor(statement: (sql: string) => StatementSync) {
    this.#statement = statement;
  }

  /** The newest event. */
  open(): StoreOpening["lastEvent"] {
    const sql = "SELECT last, epoch, before + length(entry) AS total FROM event ORDER BY last DESC LIMIT 1";
    const newest = this.#statement(sql).get() as { last: number; epoch: number; total: number } | undefined;
    this.#total = newest?.total ?? 0;
    return newest && { epoch: newest.epoch, number: newest.last };
  }

  write({ epoch, last, atMs, entry, keepMs, bytesMax }: Extract<StoreOp, { kind: "events" }>): void {
    const row = [last, epoch, Math.round(atMs), this.#total, entry, sumOf(entry, last)];
    this.#total += entry.length;
    this.#statement("INSERT OR REPLACE INTO event VALUES (?, ?, ?, ?, ?, ?)").run(...row);
    this.#oldest ??= this.#rows(1)[0];
    const isOver = ({ at, before }: Oldest): boolean => at < atMs - keepMs || this.#total - before > bytesMax;
    if (!this.#oldest || this.#oldest.last === last || !isOver(this.#oldest)) return;
    const rows = this.#rows(FORGET_ROWS);
    const firstLeft = rows.find((each) => each.last === last || !isOver(each));
    this.#statement("DELETE FROM event WHERE last < ?").run(firstLeft?.last ?? rows.at(-1)!.last);
    this.#oldest = firstLeft ?? rows.at(-1);
  }

  /** What was written last was not. */
  rolledBack(): void {
    this.#oldest = undefined;
    this.open();
  }

  read(from: number, bytesMax: number): StoredEvents[] {
    const found: StoredEvents[] = [];
    let bytes = 0;
    const sql = "SELECT last, epoch, entry, sum FROM event WHERE last >= ? ORDER BY last";
    for (const { last, epoch, entry, sum } of this.#statement(sql).iterate(from) as Iterable<EventRow>) {
      found.push({ last, epoch, entry: entry instanceof Uint8Array && isWhole(entry, sum, last) ? entry : undefined });
      bytes += entry.length;
      if (bytes >= bytesMax) break;
    }
    return found;
  }

  /** The first that there are. */
  #rows(count: number): Oldest[] {
    return this.#statement("SELECT last, at, before FROM event ORDER BY last LIMIT ?").all(count) as unknown as Oldest[];
  }
}
