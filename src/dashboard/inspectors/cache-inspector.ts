/**
 * ● The cache view's requests to the cache, in memcached's protocol over a separate connection, so that any memcached can be shown:
 * `stats slabs`, `stats items`, `lru_crawler metadump`, and `get` for a value that a user looks up.
 */
import { connect } from "node:net";
import { parseAddress } from "../../core/address.ts";
import { OperationError, UsageError, messageOf } from "../../core/errors.ts";
import { showBytes } from "../../wire/index.ts";
import { detailsOf, prefixesOf, type CacheDetails, type PrefixShares } from "./cache-details.ts";
import { REQUEST_MS_MAX } from "../limits.ts";
import type { CachePart } from "../snapshot/monitored-parts.ts";

/** 2 MiB of an answer: about 20,000 keys of a dump, enough to estimate prefix shares to 1 %; a longer value is cut. */
const ANSWER_BYTES_MAX = 2 * 1024 * 1024;
/** 4000 characters of a value are shown. */
const VALUE_CHARS_MAX = 4000;

export class CacheInspector {
  readonly #part: CachePart;

  constructor(part: CachePart) {
    this.#part = part;
  }

  async details(): Promise<CacheDetails> {
    const [slabs, items] = await Promise.all([
      this.#request("stats slabs", endsWithEnd),
      this.#request("stats items", endsWithEnd),
    ]);
    return detailsOf(linesOf(slabs), linesOf(items));
  }

  /** Scans the keys in the first ANSWER_BYTES_MAX of a dump. */
  async prefixes(): Promise<PrefixShares> {
    return prefixesOf(linesOf(await this.#request("lru_crawler metadump all", endsWithEnd)));
  }

  /** A value as text that is safe to print, or undefined if the key is not stored. */
  async value(key: string): Promise<{ text: string; bytes: number } | undefined> {
    const bytes = await this.get(key);
    return bytes && { text: showBytes(Buffer.from(bytes), VALUE_CHARS_MAX), bytes: bytes.length };
  }

  /** A value as it is stored, or undefined if the key is not. */
  async get(key: string): Promise<Uint8Array<ArrayBuffer> | undefined> {
    if (!isKey(key)) return undefined;
    const answer = await this.#request(`get ${latin1(key)}`, (text) => text.length >= answerLength(text));
    const [head, bytes] = valueHead(answer);
    if (bytes === undefined) return undefined;
    if (answer.length < head + bytes)
      throw new OperationError("DASHBOARD_PART_SILENT", `Cannot read a value of ${bytes} bytes: at most ${ANSWER_BYTES_MAX}`);
    return new Uint8Array(Buffer.from(answer.slice(head, head + bytes), "latin1"));
  }

  /** @returns false when the key is not stored */
  async delete(key: string): Promise<boolean> {
    if (!isKey(key)) return false;
    return (await this.#request(`delete ${latin1(key)}`, (text) => text.endsWith("\r\n"))) === "DELETED\r\n";
  }

  /** Stores a value. */
  async store(key: string, value: Uint8Array, seconds: number): Promise<void> {
    if (!isKey(key))
      throw new UsageError("DASHBOARD_REQUEST_INVALID", "Cannot store: a key must have 1 to 250 bytes and no spaces");
    const bytes = Buffer.from(value).toString("latin1");
    const answer = await this.#request(`set ${latin1(key)} 0 ${seconds} ${bytes.length}\r\n${bytes}`, (text) =>
      text.endsWith("\r\n"),
    );
    if (answer !== "STORED\r\n")
      throw new OperationError("DASHBOARD_PART_SILENT", `Cannot store: the cache answered ${answer.trim()}`);
  }

  /** Sends a command and collects the answer, one character per byte, until it is complete or ANSWER_BYTES_MAX long. */
  async #request(command: string, isWhole: (text: string) => boolean): Promise<string> {
    const { address } = this.#part;
    const target = address.startsWith("unix:") ? { path: address.slice(5) } : parseAddress(address, "address");
    const socket = connect(target);
    const timer = setTimeout(() => socket.destroy(new Error("no answer before the deadline")), REQUEST_MS_MAX);
    let text = "";
    try {
      socket.setEncoding("latin1").write(Buffer.from(`${command}\r\n`, "latin1"));
      for await (const chunk of socket as AsyncIterable<string>) {
        text += chunk;
        if (text.length > ANSWER_BYTES_MAX || isWhole(text)) return text;
      }
      throw new Error("it closed the connection");
    } catch (error) {
      throw new OperationError("DASHBOARD_PART_SILENT", `No answer from the cache at ${address}: ${messageOf(error)}`, {
        cause: error,
      });
    } finally {
      clearTimeout(timer);
      socket.destroy();
    }
  }
}

function endsWithEnd(text: string): boolean {
  return text.endsWith("END\r\n") || /^(?:ERROR|CLIENT_ERROR|SERVER_ERROR|BUSY)[^\n]*\n$/.test(text);
}

/** The lines of `stats` end with CR LF, those of a dump with LF. */
function linesOf(text: string): string[] {
  return text.split(/\r?\n/);
}

/** Start and length of the value: `VALUE key flags bytes`. */
function valueHead(text: string): [number, number | undefined] {
  const head = /^VALUE \S+ \d+ (\d+)[^\n]*\n/.exec(text);
  return head ? [head[0].length, Number(head[1])] : [0, undefined];
}

/** Length of the complete answer to a `get` of one key, or Infinity until its first line is complete. */
function answerLength(text: string): number {
  const [head, bytes] = valueHead(text);
  if (bytes !== undefined) return head + bytes + "\r\nEND\r\n".length;
  return text.includes("\n") ? text.length : Infinity;
}

/** A valid memcached key: 1 to 250 bytes, none of them a space or a control character. */
function isKey(key: string): boolean {
  const bytes = Buffer.from(key);
  return bytes.length > 0 && bytes.length <= 250 && bytes.every((octet) => octet > 0x20 && octet !== 0x7f);
}

/** The text's UTF-8 bytes, one character per byte. */
function latin1(text: string): string {
  return Buffer.from(text).toString("latin1");
}
