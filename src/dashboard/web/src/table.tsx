/** ● The table of every view, described by its columns; a table that is too wide scrolls. */
import type { ComponentChildren } from "preact";
import { Empty } from "./components.tsx";

/** A column: its header, its cell of a row, and which rows are marked as bad. The first column is the row header. */
export type Column<Row> = readonly [head: string, cell: (row: Row) => ComponentChildren, isBad?: (row: Row) => boolean];

interface TableProps<Row> {
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
  const [[, headOf], ...others] = columns as [Column<Row>, ...Column<Row>[]];
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label={`Table: ${caption}`}>
      <table>
        <caption>{caption}</caption>
        <thead>
          <tr>
            {columns.map(([name]) => (
              <th key={name} scope="col">
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={keyOf(row)} class={toneOf?.(row)}>
              <th scope="row" class="key">
                {headOf(row)}
              </th>
              {others.map(([name, cell, isBad]) => (
                <td key={name} class={isBad?.(row) ? "bad" : undefined}>
                  {cell(row)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
