/** ● The table of every view, described by its columns; a table that is too wide scrolls. */
import type { ComponentChildren } from "preact";
import { Empty } from "./components.tsx";

export interface ColumnOptions<Row> {
  /** Rows whose cell is marked. */
  readonly isBad?: (row: Row) => boolean;
  /** A number: aligned right. */
  readonly number?: true;
  /** The name under which the server orders by this column. */
  readonly sort?: string;
}

/** A column: its header, its cell of a row, and how it is shown. The first column is the row header. */
export type Column<Row> = readonly [head: string, cell: (row: Row) => ComponentChildren, options?: ColumnOptions<Row>];

/** How a table is ordered, and what a click on a header does. */
export interface Sorting {
  readonly by: string;
  readonly descending: boolean;
  choose(by: string, descending: boolean): void;
}

export interface TableProps<Row> {
  /** Said to screen readers: the card's title is above it. */
  readonly caption: string;
  readonly columns: readonly Column<Row>[];
  /** Undefined: not loaded yet. */
  readonly rows: readonly Row[] | undefined;
  readonly keyOf: (row: Row) => string | number;
  /** "chosen" or "gone". */
  readonly toneOf?: (row: Row) => string | undefined;
  /** The text when there are no rows. */
  readonly empty: ComponentChildren;
}

export function Table<Row>({ caption, columns, rows, keyOf, toneOf, empty }: TableProps<Row>) {
  if (rows === undefined) return null;
  if (rows.length === 0) return <Empty>{empty}</Empty>;
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label={`Table: ${caption}`}>
      <table>
        <caption class="hidden">{caption}</caption>
        <Head columns={columns} />
        <tbody>
          {rows.map((row) => (
            <Cells key={keyOf(row)} row={row} columns={columns} tone={toneOf?.(row)} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

export function Head<Row>({ columns, sorting }: { columns: readonly Column<Row>[]; sorting?: Sorting }) {
  return (
    <thead>
      <tr>
        {columns.map(([name, , { number, sort } = {}]) => {
          const isSorted = sort !== undefined && sorting?.by === sort;
          return (
            <th
              key={name}
              scope="col"
              class={number ? "number" : undefined}
              aria-sort={isSorted ? (sorting.descending ? "descending" : "ascending") : undefined}
            >
              {sort === undefined || !sorting ? (
                name
              ) : (
                <button
                  type="button"
                  class="sort"
                  onClick={() => sorting.choose(sort, isSorted ? !sorting.descending : number === true)}
                >
                  {name}
                  <span aria-hidden="true">{isSorted ? (sorting.descending ? " ▼" : " ▲") : ""}</span>
                </button>
              )}
            </th>
          );
        })}
      </tr>
    </thead>
  );
}

interface CellsProps<Row> {
  readonly row: Row;
  readonly columns: readonly Column<Row>[];
  readonly tone: string | undefined;
  /** Its place in the whole list, from 1, where only a part is drawn. */
  readonly index?: number;
}

export function Cells<Row>({ row, columns, tone, index }: CellsProps<Row>) {
  const [[, headOf], ...others] = columns as [Column<Row>, ...Column<Row>[]];
  return (
    <tr class={tone} aria-rowindex={index}>
      <th scope="row" class="key">
        {headOf(row)}
      </th>
      {others.map(([name, cell, { isBad, number } = {}]) => (
        <td key={name} class={`${number ? "number" : ""} ${isBad?.(row) ? "bad" : ""}`.trim() || undefined}>
          {cell(row)}
        </td>
      ))}
    </tr>
  );
}
