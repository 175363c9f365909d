/**
 * ● memcached's own command line: the same short and long flags, `-o` suboptions and sentences for what is wrong, so that a script
 * which starts memcached can start this. Reads words, starts nothing.
 */
import type { CacheServerOptions } from "../../cache/server/index.ts";

/** A command line that memcached refuses, in its words. */
export class FlagError extends Error {}

/** What `holdfast cache` is to do. */
export interface CacheCommand {
  readonly act: "help" | "version" | "licence" | "serve";
  readonly options: CacheServerOptions;
  readonly daemon: boolean;
  readonly pidFile: string | undefined;
  readonly user: string | undefined;
  /** `-r`: core files as large as the system allows. */
  readonly coreFiles: boolean;
  /** What is accepted and has no effect here, in words for stderr. */
  readonly notes: readonly string[];
}

/** Long flag, short flag, whether a value follows. memcached's names. */
const FLAGS: readonly (readonly [long: string, short: string, valued: boolean])[] = [
  ["unix-mask", "a", true],
  ["enable-shutdown", "A", false],
  ["enable-ssl", "Z", false],
  ["port", "p", true],
  ["unix-socket", "s", true],
  ["udp-port", "U", true],
  ["memory-limit", "m", true],
  ["disable-evictions", "M", false],
  ["conn-limit", "c", true],
  ["lock-memory", "k", false],
  ["help", "h", false],
  ["license", "i", false],
  ["version", "V", false],
  ["enable-coredumps", "r", false],
  ["verbose", "v", false],
  ["daemon", "d", false],
  ["listen", "l", true],
  ["user", "u", true],
  ["pidfile", "P", true],
  ["slab-growth-factor", "f", true],
  ["slab-min-size", "n", true],
  ["threads", "t", true],
  ["enable-largepages", "L", false],
  ["max-reqs-per-event", "R", true],
  ["disable-cas", "C", false],
  ["listen-backlog", "b", true],
  ["protocol", "B", true],
  ["max-item-size", "I", true],
  ["enable-sasl", "S", false],
  ["disable-flush-all", "F", false],
  ["disable-dumping", "X", false],
  ["disable-watch", "W", false],
  ["auth-file", "Y", true],
  ["memory-file", "e", true],
  ["extended", "o", true],
  ["napi-ids", "N", true],
  ["delimiter", "D", true],
  ["cluster", "cluster", true],
];
const byShort = new Map(FLAGS.map((flag) => [flag[1], flag]));
const byLong = new Map(FLAGS.map((flag) => [flag[0], flag]));

type Writable<T> = { -readonly [K in keyof T]: T[K] };
type Tune = NonNullable<Writable<NonNullable<CacheServerOptions["tune"]>>>;

/** What the flags have said so far. */
export class FlagState {
  options: Writable<CacheServerOptions> = {};
  store: Writable<NonNullable<CacheServerOptions["store"]>> = {};
  tune: Tune = {};
  features: Writable<NonNullable<CacheServerOptions["features"]>> = {};
  tls: Writable<NonNullable<CacheServerOptions["tls"]>> = {};
  useTls = false;
  port: number | undefined;
  udpPort = 0;
  unixSocket: string | undefined;
  hosts: string[] = [];
  memoryMegabytes = 64;
  itemBytes = 1024 * 1024;
  chunkBytesMax: number | undefined;
  chunked = true;
  slabSizes: string | undefined;
  protocol: "auto" | "ascii" | "binary" | undefined;
  maintainer = true;
  verbosity = 0;
  daemon = false;
  act: CacheCommand["act"] = "serve";
  pidFile: string | undefined;
  user: string | undefined;
  notes: string[] = [];
  coreFiles = false;
}

/** One flag as met: its short name and its value. */
export type ParsedFlag = readonly [flag: string, value: string];

/**
 * Cuts a command line into flags, as getopt does: `-vvp11211`, `-p 11211`, `--port=11211`.
 *
 * @throws FlagError
 */
export function parseFlags(argv: readonly string[]): ParsedFlag[] {
  const parsed: ParsedFlag[] = [];
  for (let index = 0; index < argv.length; index += 1) {
    const word = argv[index]!;
    const next = (): string => {
      index += 1;
      if (index >= argv.length) throw new FlagError(`holdfast cache: option requires an argument -- '${word}'`);
      return argv[index]!.trimStart();
    };
    if (word.startsWith("--")) {
      const [name, inline] = splitOnce(word.slice(2), "=");
      const flag = byLong.get(name);
      if (!flag) throw new FlagError(`holdfast cache: unrecognized option '${word}'`);
      parsed.push([flag[1], flag[2] ? (inline ?? next()) : ""]);
    } else if (word.startsWith("-") && word.length > 1) {
      for (let at = 1; at < word.length; at += 1) {
        const flag = byShort.get(word[at]!);
        if (!flag) throw new FlagError(`holdfast cache: invalid option -- '${word[at]}'\nIllegal argument "?"`);
        const rest = word.slice(at + 1);
        parsed.push([flag[1], flag[2] ? (rest === "" ? next() : rest.trimStart()) : ""]);
        if (flag[2]) break;
      }
    }
  }
  return parsed;
}

export function splitOnce(text: string, separator: string): [string, string | undefined] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + separator.length)];
}

/** C's atoi: the number at the beginning, or 0. */
export function leadingInteger(text: string): number {
  return Number(/^\s*[+-]?\d+/.exec(text)?.[0] ?? 0);
}

export function leadingReal(text: string): number {
  return Number(/^\s*[+-]?(\d+\.?\d*|\.\d+)/.exec(text)?.[0] ?? 0);
}

export function refuse(sentence: string): never {
  throw new FlagError(sentence);
}

/** A positive whole number, or memcached's sentence. */
export function positive(value: string, sentence: string): number {
  const number = leadingInteger(value);
  return number > 0 ? number : refuse(sentence);
}
