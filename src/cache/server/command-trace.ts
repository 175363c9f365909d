/**
 * ○ What `-vv` and `verbosity 2` print: connections, the command lines of the text protocol and the lines that answer them, in
 * memcached's form, with the connection's number of `stats conns` in place of its file descriptor. Values are never printed.
 */
import type { Buffer } from "node:buffer";
import { LF } from "../../core/ascii.ts";
import { printable } from "../../core/printable.ts";
import type { ReplyBuffer } from "../../memcached/reply-buffer.ts";
import { BinarySession } from "../protocol/binary/binary-session.ts";
import type { Memory } from "../store/memory.ts";
import type { CacheSession } from "../protocol/cache-session.ts";
import { TUNE } from "../store/settings.ts";

/** memcached prints clients and commands from this level on. */
const TRACED_VERBOSITY = 2;

const OPENED = {
  auto: "new auto-negotiating client connection",
  ascii: "new ascii client connection.",
  binary: "new binary client connection.",
} as const;

/** A connection's session, with the buffer that its replies go to. */
export interface TracedSession {
  readonly id: number;
  readonly session: CacheSession;
  readonly out: ReplyBuffer;
}

export class CommandTrace {
  readonly #tune: Float64Array;
  readonly #print: ((text: string) => void) | undefined;

  /** @param print takes whole lines; undefined to print nothing at any verbosity */
  constructor(tune: Float64Array, print: ((text: string) => void) | undefined) {
    this.#tune = tune;
    this.#print = print;
  }

  /** Asked at every read: `verbosity` takes effect on connections that are open. */
  get on(): boolean {
    return this.#print !== undefined && this.#tune[TUNE.verbosity]! >= TRACED_VERBOSITY;
  }

  print(lines: string): void {
    if (lines !== "") this.#print?.(lines);
  }

  /** The classes of the store and what is listened on, numbered as in `stats conns`. */
  started(memory: Memory, largestClass: number, listening: readonly string[]): void {
    if (!this.on) return;
    for (let slabClass = 1; slabClass <= largestClass; slabClass += 1) {
      const [size, perPage] = [memory.classBytes[slabClass]!, memory.classPerPage[slabClass]!];
      const columns = [pad(slabClass, 3), `: chunk size ${pad(size, 9)}`, ` perslab ${pad(perPage, 7)}`];
      this.print(`slab class ${columns.join("")}\n`);
    }
    for (const [index, what] of listening.entries()) this.print(`<${index + 1} server listening (${what})\n`);
  }

  opened(id: number, protocol: keyof typeof OPENED): void {
    this.print(`<${id} ${OPENED[protocol]}\n`);
  }

  closed(id: number): void {
    this.print(`<${id} connection closed.\n`);
  }
}

/** `session.consume`, line by line, with what is to be printed about it. */
export function consumeTraced(
  { id, session, out }: TracedSession,
  input: Buffer,
  start: number,
  end: number,
): { readonly rest: number; readonly lines: string } {
  const isText = !(session instanceof BinarySession);
  let lines = "";
  let at = start;
  while (at < end) {
    const lf = input.indexOf(LF, at);
    const next = lf < 0 || lf >= end ? end : lf + 1;
    if (isText && lf === next - 1 && session.state === "conn_read") lines += commandLine(id, input.toString("latin1", at, lf));
    const before = out.length;
    let rest = session.consume(input, at, next, at > start);
    if (rest < next && going(session)) rest = session.consume(input, rest, end, true); // it wants more than a line at once
    if (isText) lines += replyLines(id, out.bytes.toString("latin1", before, Math.max(before, out.length)));
    if (rest === at || !going(session)) return { rest, lines };
    at = rest;
  }
  return { rest: at, lines };
}

function pad(number: number, width: number): string {
  return String(number).padStart(width);
}

function going(session: CacheSession): boolean {
  return session.ending === undefined && !session.blocked;
}

function commandLine(id: number, line: string): string {
  return `<${id} ${printable(line.endsWith("\r") ? line.slice(0, -1) : line)}\n`;
}

/** The lines of replies without values, and without statistics, as memcached leaves them out. */
function replyLines(id: number, replies: string): string {
  let lines = "";
  for (let at = 0; at < replies.length;) {
    const found = replies.indexOf("\r\n", at);
    const end = found < 0 ? replies.length : found;
    const line = replies.slice(at, end);
    const [, key, valueBytes, metaBytes] = /^(?:VALUE (\S+) \d+ (\d+)|VA (\d+))(?: |$)/.exec(line) ?? [];
    const bytes = valueBytes ?? metaBytes;
    at = end + 2 + (bytes === undefined ? 0 : Number(bytes) + 2);
    if (!line.startsWith("STAT ")) lines += `>${id} ${printable(key === undefined ? line : `sending key ${key}`)}\n`;
  }
  return lines;
}
