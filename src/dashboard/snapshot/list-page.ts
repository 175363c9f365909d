/**
 * ○ The part of a long list that a page shows: what is looked for, in the order wanted, from one row on. Thousands of queues or
 * connections stay at the server; what is sent is what can be seen.
 */
import { ROWS_MAX } from "../limits.ts";

export interface ListRequest {
  /** Part of a row's name, in any case. */
  readonly search?: string | undefined;
  /** The one row of this name. */
  readonly name?: string | undefined;
  /** The column to order by; unknown ones are the first of the list's. */
  readonly sort?: string | undefined;
  readonly order?: string | undefined;
  readonly offset?: number | undefined;
  readonly limit?: number | undefined;
}

export interface ListPage<Row> {
  readonly total: number;
  /** How many pass the search. */
  readonly matched: number;
  /** Of the first of `rows` among those that pass. */
  readonly offset: number;
  readonly rows: readonly Row[];
}

/** By which value each column orders, and whether the largest comes first unless asked otherwise. */
export type Orders<Row> = Readonly<Record<string, { by(row: Row): number | string; readonly descending: boolean }>>;

interface ListOf<Row> {
  readonly orders: Orders<Row>;
  nameOf(row: Row): string;
}

export function pageOf<Row>(
  all: readonly Row[],
  { orders, nameOf }: ListOf<Row>,
  { search = "", name, sort = "", order, offset = 0, limit = ROWS_MAX }: ListRequest,
): ListPage<Row> {
  const wanted = search.toLowerCase();
  const passes = (row: Row): boolean =>
    name === undefined ? nameOf(row).toLowerCase().includes(wanted) : nameOf(row) === name;
  const matching = wanted === "" && name === undefined ? all : all.filter(passes);
  const { by, descending } = (Object.hasOwn(orders, sort) ? orders[sort] : Object.values(orders)[0])!;
  const sign = (order === undefined ? descending : order === "desc") ? -1 : 1;
  const sorted = matching.toSorted((a, b) => sign * compare(by(a), by(b)) || compare(nameOf(a), nameOf(b)));
  const from = Math.max(0, Math.min(Math.trunc(offset) || 0, sorted.length));
  const most = Math.max(1, Math.min(Math.trunc(limit) || ROWS_MAX, ROWS_MAX));
  return { total: all.length, matched: sorted.length, offset: from, rows: sorted.slice(from, from + most) };
}

function compare(a: number | string, b: number | string): number {
  return a === b ? 0 : a < b ? -1 : 1;
}
