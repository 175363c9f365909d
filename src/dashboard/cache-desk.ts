/**
 * ● What the cache view asks of the cache, in memcached's own words over a connection of its own, so that any memcached could be
 * shown: `stats slabs`, `stats items`, `lru_crawler metadump`, and `get` for a value that somebody asked to see.
 */
import { connect } from "node:net";
import { parseAddress } from "../core/address.ts";
import { OperationError, UsageError, messageOf } from "../core/errors.ts";
import { showBytes } from "../wire/index.ts";
import { detailsOf, prefixesOf } from "./cache-details.ts";
import type { CacheDetails, PrefixShares } from "./cache-details.ts";
import { ASK_MS_MAX, PREFIX_KEYS_MAX } from "./limits.ts";
import type { CachePart } from "./parts.ts";

/** 4 MiB of an answer: 20,000 keys of the longest kind are 6 MB, and it stops before. */
const ANSWER_BYTES_MAX = 4 * 1024 * 1024;
/** 4000 characters of a value are shown. */
const VALUE_CHARS_MAX = 4000;

export class CacheDesk {
  readonly #part: CachePart;

  constructor(part: CachePart) {
    this.#part = part;
  }

  async details(): Promise<CacheDetails> {
    const [slabs, items] = await Promise.all([this.#ask("stats slabs"), this.#ask("stats items")]);
    return detailsOf(slabs, items);
  }

  /** Looks at up to PREFIX_KEYS_MAX keys. */
  async prefixes(): Promise<PrefixShares> {
    return prefixesOf(await this.#ask("lru_crawler metadump all", PREFIX_KEYS_MAX));
  }

  /** A value as text that is safe to show, or undefined when the key is not there. */
  async value(key: string): Promise<{ text: string; bytes: number } | undefined> {
    if (!isKey(key)) return undefined;
    const [head, ...lines] = await this.#ask(`get ${latin1(key)}`);
    const bytes = Number(/^VALUE \S+ \d+ (\d+)/.exec(head ?? "")?.[1] ?? -1);
    if (bytes < 0) return undefined;
    const value = Buffer.from(lines.join("\r\n"), "latin1").subarray(0, bytes);
    return { text: showBytes(value, VALUE_CHARS_MAX), bytes };
  }

  /** Stores a text by hand. */
  async store(key: string, value: string, seconds: number): Promise<void> {
    const bytes = Buffer.from(value);
    if (!isKey(key))
      throw new UsageError("DASHBOARD_REQUEST_INVALID", "Cannot store: a key has no spaces and at most 250 bytes");
    const [answer] = await this.#ask(`set ${latin1(key)} 0 ${seconds} ${bytes.length}\r\n${bytes.toString("latin1")}`, 1);
    if (answer !== "STORED") throw new OperationError("DASHBOARD_PART_SILENT", `Cannot store: the cache says ${answer}`);
  }

  /** Sends a command and gathers lines until END, or until there are enough. */
  async #ask(command: string, linesMax = Infinity): Promise<string[]> {
    const { address } = this.#part;
    const target = address.startsWith("unix:") ? { path: address.slice(5) } : parseAddress(address, "address");
    const socket = connect(target);
    const timer = setTimeout(() => socket.destroy(new Error("it did not answer in time")), ASK_MS_MAX);
    const lines: string[] = [];
    let rest = "";
    let total = 0;
    try {
      socket.setEncoding("latin1").write(Buffer.from(`${command}\r\n`, "latin1"));
      for await (const chunk of socket as AsyncIterable<string>) {
        total += chunk.length;
        const parts = (rest + chunk).split("\r\n");
        rest = parts.pop()!;
        for (const line of parts) {
          if (line === "END") return lines;
          lines.push(line);
        }
        if (lines.length >= linesMax || total > ANSWER_BYTES_MAX) return lines;
      }
      throw new Error("it ended the connection");
    } catch (error) {
      throw new OperationError("DASHBOARD_PART_SILENT", `Cannot ask the cache at ${address}: ${messageOf(error)}`, {
        cause: error,
      });
    } finally {
      clearTimeout(timer);
      socket.destroy();
    }
  }
}

/** What memcached takes for a key: 1 to 250 bytes, none of them a space or a control character. */
function isKey(key: string): boolean {
  const bytes = Buffer.from(key);
  return bytes.length > 0 && bytes.length <= 250 && bytes.every((octet) => octet > 0x20 && octet !== 0x7f);
}

/** The text's UTF-8 bytes, one character each. */
function latin1(text: string): string {
  return Buffer.from(text).toString("latin1");
}
