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

/** First two bytes, last one and length; no two verbs agree in all. */
const byShape = new Map<number, number>(NAMES.map((verb, index) => [shapeOf(verb), index]));

function shapeOf(verb: string): number {
  return shape(verb.length, verb.charCodeAt(0), verb.charCodeAt(1), verb.charCodeAt(verb.length - 1));
}

function shape(length: number, first: number, second: number, last: number): number {
  return length * 2 ** 24 + ((first << 16) | (second << 8) | last);
}

/** The number of the verb in `bytes[start, end)`, or -1. */
export function verbAt(bytes: Uint8Array, start: number, end: number): number {
  const found = byShape.get(shape(end - start, bytes[start]!, bytes[start + 1]!, bytes[end - 1]!));
  if (found === undefined) return -1;
  const verb = NAMES[found]!;
  for (let index = 2; index < verb.length; index += 1) if (bytes[start + index] !== verb.charCodeAt(index)) return -1;
  return found;
}
