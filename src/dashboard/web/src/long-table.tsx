/**
 * ● A table of a list that may have thousands of rows: the server is asked for the rows that can be seen, and only those are drawn. The
 * search, the order and the place in the list are the server's (list-page.ts).
 */
import { useEffect, useRef, useState } from "preact/hooks";
import type { ListPage } from "../../snapshot/list-page.ts";
import { Empty, usePolled } from "./components.tsx";
import { read } from "./live.ts";
import { Cells, Head, type Sorting, type TableProps } from "./table.tsx";

/** The height of a row in the style sheet. */
const ROW_PX = 37;
/** Rows drawn beyond those that are seen, above and below. */
const SPARE_ROWS = 6;
/** 12 rows at once: enough to compare, and what comes below stays in sight. */
const SEEN_ROWS_MAX = 12;

interface LongTableProps<Row> extends Omit<TableProps<Row>, "rows"> {
  /** "/api/queues". */
  readonly path: string;
  /** What is looked for, and the order. */
  readonly query: Readonly<Record<string, string>>;
  readonly everyMs: number;
  readonly sorting?: Sorting;
  /** How many there are, in words, below the table. */
  readonly countOf: (page: ListPage<Row>) => string;
  /** Told of each answer. */
  readonly loaded?: (page: ListPage<Row>) => void;
}

export function LongTable<Row>(props: LongTableProps<Row>) {
  const { caption, columns, path, query, everyMs, sorting, keyOf, toneOf, countOf, empty, loaded } = props;
  const host = useRef<HTMLDivElement>(null);
  const [firstSeen, setFirstSeen] = useState(0);
  const offset = Math.max(0, firstSeen - SPARE_ROWS);
  const asked = new URLSearchParams({ ...query, offset: String(offset), limit: String(SEEN_ROWS_MAX + 2 * SPARE_ROWS) });
  const { value, failed } = usePolled(() => read<ListPage<Row>>(`${path}?${asked}`), everyMs, asked.toString());
  useEffect(() => {
    if (value) loaded?.(value);
  }, [value]);
  // Another search or order begins at the top.
  const what = JSON.stringify(query);
  useEffect(() => {
    if (host.current) host.current.scrollTop = 0;
    setFirstSeen(0);
  }, [what]);
  if (!value) return failed ? <p class="bad">{failed}</p> : null;
  if (value.matched === 0) return <Empty>{empty}</Empty>;
  const after = Math.max(0, value.matched - value.offset - value.rows.length);
  return (
    <>
      <div
        ref={host}
        class="scroll long"
        tabIndex={0}
        role="region"
        aria-label={`Table: ${caption}`}
        onScroll={(event) => setFirstSeen(Math.floor(event.currentTarget.scrollTop / ROW_PX))}
      >
        <table aria-rowcount={value.matched + 1}>
          <caption class="hidden">{caption}</caption>
          <Head columns={columns} {...(sorting && { sorting })} />
          <tbody>
            <Spacer rows={value.offset} />
            {value.rows.map((row, index) => (
              <Cells key={keyOf(row)} row={row} columns={columns} tone={toneOf?.(row)} index={value.offset + index + 2} />
            ))}
            <Spacer rows={after} />
          </tbody>
        </table>
      </div>
      {failed ? <p class="bad">{failed}</p> : <p class="count">{countOf(value)}</p>}
    </>
  );
}

/** Stands for the rows that are not drawn, so that the scroll bar tells the truth. */
function Spacer({ rows }: { rows: number }) {
  return rows === 0 ? null : <tr class="spacer" aria-hidden="true" style={{ height: `${rows * ROW_PX}px` }} />;
}
