/** ○ Describes one line of memcached's text and meta protocol (doc/protocol.txt): its text, and how many bytes of value follow. */
import type { Side } from "./decoded-message.ts";
import { SHOWN_CHARS_MAX } from "../limits.ts";
import { showBytes } from "./show.ts";

export interface NamedLine {
  readonly text: string;
  /** Bytes of the value after the line, with its CR LF. */
  readonly valueBytes?: number;
  readonly unreadable?: true;
}

/** Beyond 1 GiB memcached has no item (`-I` allows at most half of that): such a length is invalid. */
const VALUE_BYTES_MAX = 2 ** 30;

/** Keys shown of one multi-get. */
const KEYS_SHOWN_MAX = 4;

/** Printable ASCII, shown unchanged. */
const PLAIN = /^[ -~]*$/;

type Words = readonly string[];

const REQUESTS: Readonly<Record<string, (words: Words) => NamedLine>> = {
  get: retrieval(1),
  gets: retrieval(1),
  gat: retrieval(2),
  gats: retrieval(2),
  set: storage,
  add: storage,
  replace: storage,
  append: storage,
  prepend: storage,
  cas: storage,
  mg: meta,
  md: meta,
  ma: meta,
  me: meta,
  ms: metaSet,
  mn: plain,
  delete: keyed,
  incr: keyed,
  decr: keyed,
  touch: keyed,
  flush_all: plain,
  version: plain,
  stats: plain,
  verbosity: plain,
  quit: plain,
  watch: plain,
  lru: plain,
  lru_crawler: plain,
  slabs: plain,
  cache_memlimit: plain,
  shutdown: plain,
  mop: plain,
  config: plain,
  debugtime: plain,
  refresh_certs: plain,
};

const REPLIES: Readonly<Record<string, (words: Words) => NamedLine>> = {
  VALUE: value(3),
  VA: value(1),
  CONFIG: value(3),
};

/** Replies shown as they are. */
const REPLY_WORDS = new Set(
  (
    "END STORED NOT_STORED EXISTS NOT_FOUND DELETED TOUCHED OK RESET VERSION STAT ITEM BUSY BADCLASS NOSPARE NOTFULL UNSAFE " +
    "SAME ERROR CLIENT_ERROR SERVER_ERROR HD EN NF NS EX MN ME"
  ).split(" "),
);

/** Describes a line of one side. */
export function nameLine(side: Side, line: Uint8Array): NamedLine {
  const text = latin1(line);
  const words = text.split(" ").filter((word) => word !== "");
  const verb = words[0] ?? "";
  const named = side === "client" ? REQUESTS[verb] : REPLIES[verb];
  if (named && Object.hasOwn(side === "client" ? REQUESTS : REPLIES, verb)) return named(words);
  if (side === "server" && isReply(verb)) return { text: show(text) };
  return garbage(line);
}

/** A number answers incr and decr; `key=` and `ts=` start the lines of lru_crawler and watch. */
function isReply(verb: string): boolean {
  return REPLY_WORDS.has(verb) || /^\d+$/.test(verb) || verb.startsWith("key=") || verb.startsWith("ts=");
}

function retrieval(firstKey: number): (words: Words) => NamedLine {
  return (words) => {
    const keys = words.slice(firstKey);
    if (keys.length === 0) return incomplete(words);
    const more = keys.length > KEYS_SHOWN_MAX ? ` … (${keys.length} keys)` : "";
    return { text: `${[words[0]!, ...keys.slice(0, KEYS_SHOWN_MAX).map(show)].join(" ")}${more}` };
  };
}

function storage(words: Words): NamedLine {
  const [verb, key, flags, expiry, length] = words;
  const bytes = lengthOf(length);
  if (key === undefined || bytes === undefined) return incomplete(words);
  const facts = [`${bytes} B`];
  if (expiry !== "0") facts.push(`expires ${show(expiry!)}`);
  if (flags !== "0") facts.push(`flags ${show(flags!)}`);
  if (verb === "cas") facts.push(`cas ${show(words[5] ?? "")}`);
  if (words.at(-1) === "noreply") facts.push("noreply");
  return { text: `${verb} ${show(key)} (${facts.join(", ")})`, valueBytes: bytes + 2 };
}

function metaSet(words: Words): NamedLine {
  const bytes = lengthOf(words[2]);
  if (bytes === undefined) return incomplete(words);
  return {
    text: `${["ms", ...words.slice(1, 2).map(show)].join(" ")} (${facts(bytes, words.slice(3))})`,
    valueBytes: bytes + 2,
  };
}

function meta(words: Words): NamedLine {
  if (words.length < 2) return incomplete(words);
  const flags = words.slice(2).map(show);
  return { text: `${words[0]} ${show(words[1]!)}${flags.length > 0 ? ` (flags ${flags.join(" ")})` : ""}` };
}

function keyed(words: Words): NamedLine {
  return words.length < 2 ? incomplete(words) : plain(words);
}

function plain(words: Words): NamedLine {
  return { text: words.map(show).join(" ") };
}

/** VALUE key flags bytes [cas], and VA bytes flags*. */
function value(lengthAt: number): (words: Words) => NamedLine {
  return (words) => {
    const bytes = lengthOf(words[lengthAt]);
    if (bytes === undefined) return incomplete(words);
    const text =
      words[0] === "VA" ? `VA (hit, ${facts(bytes, words.slice(2))})` : `${words[0]} ${show(words[1]!)} (hit, ${bytes} B)`;
    return { text, valueBytes: bytes + 2 };
  };
}

function facts(bytes: number, flags: Words): string {
  return [`${bytes} B`, ...(flags.length > 0 ? [`flags ${flags.map(show).join(" ")}`] : [])].join(", ");
}

function lengthOf(word: string | undefined): number | undefined {
  if (word === undefined || !/^\d{1,10}$/.test(word)) return undefined;
  return Number(word) <= VALUE_BYTES_MAX ? Number(word) : undefined;
}

function incomplete(words: Words): NamedLine {
  return { text: `unreadable: incomplete command ${words[0]}`, unreadable: true };
}

function garbage(line: Uint8Array): NamedLine {
  return { text: `unreadable: '${showBytes(line, 32)}'`, unreadable: true };
}

/** Words were split as Latin-1, one character per byte; shown as UTF-8 where they are. */
function show(word: string): string {
  if (word.length <= SHOWN_CHARS_MAX && PLAIN.test(word)) return word;
  const bytes = Uint8Array.from(word, (char) => char.charCodeAt(0));
  return showBytes(bytes);
}

/** Also in a browser, whose "latin1" is another one. */
function latin1(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
}
