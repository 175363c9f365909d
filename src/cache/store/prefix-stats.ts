/** ○ `stats detail`: gets, hits, sets and deletes by the part of the key before the delimiter, while it is switched on. */

interface Prefix {
  gets: number;
  hits: number;
  sets: number;
  deletes: number;
}

/** One prefix's numbers, as threads send them to each other. */
export type PrefixCount = readonly [name: string, counts: Readonly<Prefix>];

const decoder = new TextDecoder("latin1");

/** 64 Ki prefixes: without a bound, keys without a common prefix would take all memory. Later ones are not counted. */
const PREFIXES_MAX = 65_536;

export class PrefixStats {
  readonly #delimiter: number;
  readonly #prefixes = new Map<string, Prefix>();

  constructor(delimiter: string) {
    this.#delimiter = delimiter.charCodeAt(0);
  }

  get(key: Uint8Array, start: number, length: number, hit: boolean): void {
    const prefix = this.#of(key, start, length);
    if (!prefix) return;
    prefix.gets += 1;
    if (hit) prefix.hits += 1;
  }

  set(key: Uint8Array, start: number, length: number): void {
    const prefix = this.#of(key, start, length);
    if (prefix) prefix.sets += 1;
  }

  delete(key: Uint8Array, start: number, length: number): void {
    const prefix = this.#of(key, start, length);
    if (prefix) prefix.deletes += 1;
  }

  clear(): void {
    this.#prefixes.clear();
  }

  counts(): readonly PrefixCount[] {
    return [...this.#prefixes];
  }

  /** The lines of `stats detail dump`, with what other threads counted. */
  dump(others: readonly (readonly PrefixCount[])[] = []): string {
    const all = new Map<string, Readonly<Prefix>>(this.#prefixes);
    for (const [name, counts] of others.flat()) {
      const own = all.get(name);
      all.set(name, own ? added(own, counts) : counts);
    }
    let text = "";
    for (const [name, { gets, hits, sets, deletes }] of all) {
      text += `PREFIX ${name} get ${gets} hit ${hits} set ${sets} del ${deletes}\r\n`;
    }
    return `${text}END\r\n`;
  }

  /** Keys without a delimiter are not counted, as in memcached. */
  #of(key: Uint8Array, start: number, length: number): Prefix | undefined {
    const at = key.indexOf(this.#delimiter, start);
    if (at < 0 || at >= start + length) return undefined;
    const name = decoder.decode(key.slice(start, at));
    let prefix = this.#prefixes.get(name);
    if (!prefix && this.#prefixes.size < PREFIXES_MAX) {
      prefix = { gets: 0, hits: 0, sets: 0, deletes: 0 };
      this.#prefixes.set(name, prefix);
    }
    return prefix;
  }
}

function added(one: Readonly<Prefix>, other: Readonly<Prefix>): Prefix {
  return {
    gets: one.gets + other.gets,
    hits: one.hits + other.hits,
    sets: one.sets + other.sets,
    deletes: one.deletes + other.deletes,
  };
}
