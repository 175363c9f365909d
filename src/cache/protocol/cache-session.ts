/**
 * ○ The protocol of one connection, seen from the server: bytes in, replies into the thread's reply buffer. A session is pure state;
 * sockets, timers and back-pressure are the server's.
 */
import type { Buffer } from "node:buffer";
import type { ReplyBuffer } from "../../memcached/reply-buffer.ts";
import type { CrawlKind } from "../background/lru-crawler.ts";
import type { PrefixCount } from "../store/prefix-stats.ts";
import type { ItemStore } from "../store/item-store.ts";

/** memcached's words for why a connection ends. */
export type CloseReason = "error" | "normal" | "idle_timeout" | "shutdown";

export interface CacheSession {
  /**
   * Executes what is whole in `input[start, end)`. The rest is to be offered again, with more behind it.
   *
   * @param goesOn this is still the turn of the call before: its bounds go on counting. Default false
   * @returns where the rest starts
   */
  consume(input: Buffer, start: number, end: number, goesOn?: boolean): number;
  /** Set when the connection is to be closed once its replies are written. */
  readonly ending: CloseReason | undefined;
  /** True when replies have reached their bound in the middle of a command: call `consume` again once they are written. */
  readonly blocked: boolean;
  /** memcached's word for what the session waits for or does. */
  readonly state: string;
  /** Gives up a half-received item. Call once when the connection is gone. */
  release(): void;
}

/** What the administration commands need from the server around a session. */
export interface ServerControl {
  /** The version of memcached that `version` and `stats` name. */
  readonly version: string;
  /** `stats` lines that only the server knows, in memcached's names and order. */
  serverStats(): readonly StatLine[];
  settingsStats(): readonly StatLine[];
  connectionStats(): readonly StatLine[];
  /** `stats reset`, for what the server and other threads count. */
  resetStats(): void;
  /** `shutdown`: false when it is not enabled. */
  shutdown(graceful: boolean): boolean;
  /** `watch`: the refusal, or undefined once the connection whose command is being executed is a watcher. */
  watch(kinds: readonly string[]): string | undefined;
  /** `lru_crawler metadump` and the like: the refusal, or undefined once the dump is on its way. */
  crawl(kind: CrawlKind, classes: string): string | undefined;
  /**
   * Asks the other threads for their part of an answer. True when there are some: `answer` is called later, and the session is to
   * do nothing before.
   */
  askOthers<Name extends ThreadStatName>(name: Name, answer: (parts: readonly ThreadStats[Name][]) => void): boolean;
  /** `slabs reassign` */
  reassign(source: number, target: number): string;
  /** `refresh_certs`: the refusal, or undefined when done. */
  refreshCertificates(): string | undefined;
  /** The answer to `config get cluster`, or undefined when this server has no cluster configured. */
  clusterConfig(): string | undefined;
  /** `debugtime`: moves the store's clock by seconds, or pauses it. */
  debugTime(change: number | "pause" | "resume"): void;
  readonly features: Features;
}

/** Statistics of which each thread has only its own part. */
export interface ThreadStats {
  readonly connections: readonly StatLine[];
  readonly prefixes: readonly PrefixCount[];
}
export type ThreadStatName = keyof ThreadStats;

export type StatLine = readonly [name: string, value: string | number];

/** What the flags of the command line allow. */
export interface Features {
  /** `-F` turns it off. */
  readonly flush: boolean;
  /** `-X` turns it off. */
  readonly dump: boolean;
  /** `-W` turns it off. */
  readonly watch: boolean;
  /** `-A` turns it on. */
  readonly shutdown: boolean;
  /** Hidden commands of a debug build: `debugtime`, `debugitem`. */
  readonly debug: boolean;
}

/** What all sessions of a thread share. */
export interface SessionContext {
  readonly store: ItemStore;
  readonly out: ReplyBuffer;
  readonly server: ServerControl;
  /** `-R`: commands of one connection before others get their turn; infinite when not asked for. */
  readonly commandsPerTurn: number;
  /** Answers that one connection may have waiting; infinite unless `read_buf_mem_limit` bounds them. */
  readonly answersMax: number;
}
