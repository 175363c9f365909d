/**
 * ○ The rows of a SQLite file, read page by page without SQLite, which stops at damage that this passes by. Every page that is not
 * free and looks like a leaf is taken for one, whether or not a way leads to it; whether a row is what was written, its checksums say
 * (schema.ts). The format: sqlite.org/fileformat2.html, sections 1.5, 1.6 and 2.
 */

export const PAGE_BYTES = 4096;

/** Page 1 is the list of tables; these were made first, in this order, and so lie always here: task, big, fact, setting. */
const ROOTS = [2, 3, 4, 5];

const TABLE_LEAF = 0x0d;
const TABLE_INTERIOR = 0x05;
const INDEX_LEAF = 0x0a;
const INDEX_INTERIOR = 0x02;

/** 256 MiB: twice the largest message; a longer one is no length but damage. */
const PAYLOAD_BYTES_MAX = 256 * 1024 ** 2;

export interface PageSource {
  /** Pages are counted from 1. */
  readonly count: number;
  page(number: number): Uint8Array;
}

export type StoredColumn = number | string | Uint8Array | null;

export interface Row {
  /** Of a table with row numbers; of others 0. */
  readonly id: number;
  readonly columns: readonly StoredColumn[];
}

const decoder = new TextDecoder();

export class DatabasePages {
  readonly #source: PageSource;
  readonly #isUsed: (number: number) => boolean;
  /** Pages that long rows continue on. */
  readonly #overflow = new Set<number>();
  #unreadable = 0;

  constructor(source: PageSource) {
    this.#source = source;
    const free = this.#freePages();
    const reached = free ? undefined : this.#reachedPages();
    this.#isUsed = (number) => (free ? !free.has(number) : reached!.has(number));
  }

  /** After all rows were read: pages that hold nothing that can be read. */
  get unreadable(): number {
    return this.#unreadable;
  }

  /** All rows that can be read as rows, in no order. */
  *rows(): IterableIterator<Row> {
    const unknown: number[] = [];
    for (let number = 2; number <= this.#source.count; number += 1) {
      if (!this.#isUsed(number)) continue;
      const page = this.#source.page(number);
      if (page[0] === TABLE_LEAF || page[0] === INDEX_LEAF || page[0] === INDEX_INTERIOR) yield* this.#rowsOf(page);
      else if (page[0] !== TABLE_INTERIOR) unknown.push(number);
    }
    this.#unreadable = unknown.filter((number) => !this.#overflow.has(number)).length;
  }

  *#rowsOf(page: Uint8Array): IterableIterator<Row> {
    for (const at of cells(page)) {
      const row = readCell(page, at, (first, bytes) => this.#continued(first, bytes));
      if (row) yield row;
    }
  }

  /** What a row has beyond its page; undefined when the chain of pages breaks. */
  #continued(first: number, bytes: number): Uint8Array | undefined {
    const out = new Uint8Array(bytes);
    let at = 0;
    for (let number = first; at < bytes;) {
      if (number < 2 || number > this.#source.count) return undefined;
      this.#overflow.add(number);
      const page = this.#source.page(number);
      const part = page.subarray(4, 4 + Math.min(PAGE_BYTES - 4, bytes - at));
      out.set(part, at);
      at += part.length;
      number = u32(page, 0);
    }
    return out;
  }

  /** Pages that are free still hold rows of long ago. undefined: the list of them is damaged. */
  #freePages(): Set<number> | undefined {
    if (this.#source.count < 1) return undefined;
    const header = this.#source.page(1);
    if (decoder.decode(header.subarray(0, 15)) !== "SQLite format 3") return undefined;
    const free = new Set<number>();
    const isNew = (number: number): boolean => number > 1 && number <= this.#source.count && !free.has(number);
    for (let trunk = u32(header, 32); trunk !== 0;) {
      if (!isNew(trunk)) return undefined;
      free.add(trunk);
      const page = this.#source.page(trunk);
      const leaves = u32(page, 4);
      if (leaves > PAGE_BYTES / 4 - 2) return undefined;
      for (let leaf = 0; leaf < leaves; leaf += 1) {
        const number = u32(page, 8 + leaf * 4);
        if (!isNew(number)) return undefined;
        free.add(number);
      }
      trunk = u32(page, 0);
    }
    return free.size === u32(header, 36) ? free : undefined;
  }

  /** The pages of the tables' trees, without what long rows continue on. */
  #reachedPages(): Set<number> {
    const reached = new Set<number>();
    const next = [...ROOTS];
    for (let number = next.pop(); number !== undefined; number = next.pop()) {
      if (number < 2 || number > this.#source.count || reached.has(number)) continue;
      reached.add(number);
      const page = this.#source.page(number);
      if (page[0] !== TABLE_INTERIOR && page[0] !== INDEX_INTERIOR) continue;
      next.push(u32(page, 8), ...cells(page).map((at) => u32(page, at)));
    }
    return reached;
  }
}

/** Where the cells of a page begin. */
function cells(page: Uint8Array): number[] {
  const isInterior = page[0] === TABLE_INTERIOR || page[0] === INDEX_INTERIOR;
  const start = isInterior ? 12 : 8;
  const count = Math.min(u16(page, 3), (PAGE_BYTES - start) / 2);
  return Array.from({ length: count }, (_, index) => u16(page, start + index * 2)).filter(
    (at) => at >= start + count * 2 && at <= PAGE_BYTES - 4,
  );
}

function readCell(
  page: Uint8Array,
  at: number,
  continued: (first: number, bytes: number) => Uint8Array | undefined,
): Row | undefined {
  const isTable = page[0] === TABLE_LEAF;
  const reader = new VarintReader(page, page[0] === INDEX_INTERIOR ? at + 4 : at);
  const bytes = reader.next();
  const id = isTable ? reader.next() : 0;
  if (bytes > PAYLOAD_BYTES_MAX || !Number.isSafeInteger(id)) return undefined;
  const local = localBytes(bytes, isTable);
  if (reader.at + local > PAGE_BYTES - (local < bytes ? 4 : 0)) return undefined;
  const here = page.subarray(reader.at, reader.at + local);
  if (local === bytes) return readRecord(here, id);
  const rest = continued(u32(page, reader.at + local), bytes - local);
  if (!rest) return undefined;
  const whole = new Uint8Array(bytes);
  whole.set(here);
  whole.set(rest, local);
  return readRecord(whole, id);
}

/** How much of a row lies in its own page (section 1.6). */
function localBytes(bytes: number, isTable: boolean): number {
  const most = isTable ? PAGE_BYTES - 35 : Math.floor(((PAGE_BYTES - 12) * 64) / 255) - 23;
  if (bytes <= most) return bytes;
  const least = Math.floor(((PAGE_BYTES - 12) * 32) / 255) - 23;
  const local = least + ((bytes - least) % (PAGE_BYTES - 4));
  return local <= most ? local : least;
}

/** A row's columns (section 2.1). */
function readRecord(bytes: Uint8Array, id: number): Row | undefined {
  const reader = new VarintReader(bytes, 0);
  const headerBytes = reader.next();
  if (headerBytes > bytes.length) return undefined;
  const columns: StoredColumn[] = [];
  let at = headerBytes;
  while (reader.at < headerBytes) {
    const type = reader.next();
    const size = sizeOf(type);
    if (at + size > bytes.length) return undefined;
    columns.push(readColumn(bytes.subarray(at, at + size), type));
    at += size;
  }
  return { id, columns };
}

/** Bytes of the serial types 0 to 11: null, whole numbers of 1 to 8 bytes, a float, 0, 1, and two that are not used. */
const SIZES = [0, 1, 2, 3, 4, 6, 8, 8, 0, 0, 0, 0];

function sizeOf(type: number): number {
  return SIZES[type] ?? Math.floor((type - 12) / 2);
}

function readColumn(bytes: Uint8Array, type: number): StoredColumn {
  if (type >= 12) return type % 2 === 0 ? bytes : decoder.decode(bytes);
  if (type === 8 || type === 9) return type - 8;
  if (type < 1 || type > 6) return null;
  let value = bytes[0]! >= 128 ? -1 : 0;
  for (const byte of bytes) value = value * 256 + byte;
  return value;
}

/** SQLite's numbers of 1 to 9 bytes; beyond the end it reads zeros. */
class VarintReader {
  readonly #bytes: Uint8Array;
  at: number;

  constructor(bytes: Uint8Array, at: number) {
    this.#bytes = bytes;
    this.at = at;
  }

  next(): number {
    let value = 0;
    for (let index = 0; index < 9; index += 1) {
      const byte = this.#bytes[this.at] ?? 0;
      this.at += 1;
      if (index === 8) return value * 256 + byte;
      value = value * 128 + (byte & 127);
      if (byte < 128) return value;
    }
    return value;
  }
}

function u16(bytes: Uint8Array, at: number): number {
  return bytes[at]! * 256 + bytes[at + 1]!;
}

function u32(bytes: Uint8Array, at: number): number {
  return u16(bytes, at) * 65_536 + u16(bytes, at + 2);
}
