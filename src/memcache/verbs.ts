/** ○ The verbs of the text protocol, classic and meta, and how a command line's first word finds its verb without a string. */

/** Classic and meta commands; the numbers are places in a table and mean nothing else. */
export const VERB = {
  get: 0,
  gets: 1,
  gat: 2,
  gats: 3,
  set: 4,
  add: 5,
  replace: 6,
  append: 7,
  prepend: 8,
  cas: 9,
  delete: 10,
  incr: 11,
  decr: 12,
  touch: 13,
  mg: 14,
  ms: 15,
  md: 16,
  ma: 17,
  me: 18,
  mn: 19,
  flush_all: 20,
  version: 21,
  verbosity: 22,
  stats: 23,
  quit: 24,
  watch: 25,
  shutdown: 26,
  slabs: 27,
  cache_memlimit: 28,
  lru: 29,
  lru_crawler: 30,
  refresh_certs: 31,
  debugtime: 32,
  debugitem: 33,
  config: 34,
} as const;

const NAMES = Object.keys(VERB);

/** First three bytes and length; no two verbs agree in both. */
const byShape = new Map<number, number>(
  NAMES.map((verb, index) => [shape(verb.length, verb.charCodeAt(0), verb.charCodeAt(1), verb.charCodeAt(2)), index]),
);

function shape(length: number, first: number, second: number, third: number): number {
  return length * 2 ** 24 + ((first << 16) | (second << 8) | (third || 0));
}

/** The number of the verb in `bytes[start, end)`, or -1. */
export function verbAt(bytes: Uint8Array, start: number, end: number): number {
  const length = end - start;
  const third = length > 2 ? bytes[start + 2]! : 0;
  const found = byShape.get(shape(length, bytes[start]!, bytes[start + 1]!, third));
  if (found === undefined) return -1;
  const verb = NAMES[found]!;
  for (let index = 3; index < length; index += 1) if (bytes[start + index] !== verb.charCodeAt(index)) return -1;
  return found;
}
