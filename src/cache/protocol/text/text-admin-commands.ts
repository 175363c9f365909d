/** ○ The administration commands of the text protocol: statistics, tuning, dumps, shutdown. Rare, so replies are built as strings. */
import type { ReplyBuffer } from "../../../memcached/reply-buffer.ts";
import type { Tokens } from "../../../memcached/tokens.ts";
import { VERB, verbAt } from "../../../memcached/verbs.ts";
import { COUNT } from "../../store/counters.ts";
import { SLAB_CLASSES_MAX } from "../../store/limits.ts";
import { R } from "../text-replies.ts";
import type { SessionContext, ServerControl, ThreadStatName, ThreadStats, CacheSession, StatLine } from "../cache-session.ts";
import { TUNE } from "../../store/settings.ts";
import { cacheDump, statLines } from "../stats.ts";
import type { ItemStore } from "../../store/item-store.ts";

/** memcached's MAX_VERBOSITY_LEVEL. */
const VERBOSITY_MAX = 2;

/** `cache_memlimit` below this, in MiB, is refused; above that, it is taken for bytes. */
const MEMLIMIT_MIN = 8;
const MEMLIMIT_MAX = 1_000_000_000;

/** What memcached finds by its first word even behind spaces. */
const ANYWHERE: readonly number[] = [
  VERB.shutdown,
  VERB.slabs,
  VERB.cache_memlimit,
  VERB.debugtime,
  VERB.debugitem,
  VERB.flush_all,
  VERB.lru_crawler,
  VERB.verbosity,
  VERB.lru,
  VERB.refresh_certs,
];

const WATCH_KINDS = [
  "rawcmds",
  "evictions",
  "fetchers",
  "mutations",
  "sysevents",
  "connevents",
  "proxyreqs",
  "proxyevents",
  "proxyuser",
  "deletions",
  "changes", // our own: what changes an item without a store or a deletion, and flush_all
] as const;

/** Kinds of `stats` that any beginning of the word names, as in memcached; and those that only the whole word does. */
const BEGUN_STATS = ["reset", "settings", "conns"] as const;
const WHOLE_STATS = ["items", "slabs", "sizes"] as const;

/** The session whose commands are executed, which they can end or block. */
interface EndableSession extends CacheSession {
  ending: CacheSession["ending"];
  blocked: boolean;
}

export class TextAdminCommands {
  readonly #store: ItemStore;
  readonly #out: ReplyBuffer;
  readonly #server: ServerControl;
  readonly #session: EndableSession;
  /** The item that `debugitem ref` holds. */
  #held = 0;

  constructor({ store, out, server }: SessionContext, session: EndableSession) {
    this.#store = store;
    this.#out = out;
    this.#server = server;
    this.#session = session;
  }

  /** Executes a line whose first word is `verb`, or -1 when it is no verb. */
  execute(tokens: Tokens, verb: number): void {
    const found = verb >= 0 || tokens.count === 0 ? verb : this.#anywhere(tokens);
    switch (found) {
      case VERB.version:
        this.#line(`VERSION ${this.#server.version}`);
        return;
      case VERB.stats:
        this.#stats(tokens);
        return;
      case VERB.watch:
        this.#watch(tokens);
        return;
      case VERB.config:
        this.#config(tokens);
        return;
    }
    const noreply = tokens.is(tokens.count - 1, "noreply");
    const start = this.#out.length;
    switch (found) {
      case VERB.flush_all:
        this.#flushAll(tokens, noreply);
        break;
      case VERB.verbosity:
        this.#verbosity(tokens);
        break;
      case VERB.cache_memlimit:
        this.#memoryLimit(tokens);
        break;
      case VERB.lru:
        this.#lru(tokens);
        break;
      case VERB.slabs:
        this.#slabs(tokens);
        break;
      case VERB.lru_crawler:
        this.#crawler(tokens);
        break;
      case VERB.shutdown:
        this.#shutdown(tokens);
        break;
      case VERB.refresh_certs:
        this.#line(this.#server.refreshCertificates() ?? "OK");
        break;
      case VERB.debugtime:
      case VERB.debugitem:
        if (!this.#server.features.debug) this.#out.put(R.error);
        else if (found === VERB.debugtime) this.#debugTime(tokens);
        else this.#debugItem(tokens);
        break;
      default:
        this.#unknown(tokens);
    }
    if (noreply) this.#out.length = start;
  }

  /** Writes a STAT line for each name and value, then END. */
  lines(lines: readonly StatLine[]): void {
    for (const [name, value] of lines) this.#out.text(`STAT ${name} ${value}\r\n`);
    this.#out.put(R.end);
  }

  #line(text: string): void {
    this.#out.text(`${text}\r\n`);
  }

  #anywhere(tokens: Tokens): number {
    const verb = verbAt(tokens.bytes, tokens.starts[0]!, tokens.ends[0]!);
    return ANYWHERE.includes(verb) ? verb : -1;
  }

  /** A request of a browser or a scanner ends the connection without an answer. */
  #unknown(tokens: Tokens): void {
    if (tokens.count > 1 && tokens.text(tokens.count - 1).startsWith("HTTP/")) this.#session.ending = "error";
    else this.#out.put(R.error);
  }

  #flushAll(tokens: Tokens, noreply: boolean): void {
    this.#store.counters.add(COUNT.flushCommands);
    if (!this.#server.features.flush) {
      this.#out.put(R.flushNotAllowed);
      return;
    }
    let exptime = 0;
    if (tokens.count !== (noreply ? 2 : 1)) {
      exptime = tokens.i32(1);
      if (Number.isNaN(exptime)) {
        this.#out.put(R.badExptime);
        return;
      }
    }
    this.#store.flushAll(exptime);
    this.#out.put(R.ok);
  }

  #verbosity(tokens: Tokens): void {
    const level = tokens.u32(1);
    if (level < 0) {
      this.#out.put(R.badFormat);
      return;
    }
    this.#store.memory.tune[TUNE.verbosity] = Math.min(level, VERBOSITY_MAX);
    this.#out.put(R.ok);
  }

  #memoryLimit(tokens: Tokens): void {
    const megabytes = tokens.u32(1);
    if (megabytes < 0) this.#out.put(R.error);
    else if (megabytes < MEMLIMIT_MIN) this.#line("MEMLIMIT_TOO_SMALL cannot set maxbytes to less than 8m");
    else if (megabytes > MEMLIMIT_MAX) this.#line("MEMLIMIT_ADJUST_FAILED input value is megabytes not bytes");
    else if (this.#store.items.slabs.setLimit(megabytes * 1024 * 1024)) this.#out.put(R.ok);
    else this.#line("MEMLIMIT_ADJUST_FAILED out of bounds or unable to adjust");
  }

  #crawler(tokens: Tokens): void {
    const { tune } = this.#store.memory;
    if (tokens.count === 3 && tokens.begins(1, "crawl")) {
      if (tune[TUNE.crawlerEnabled] === 0) this.#line("CLIENT_ERROR lru crawler disabled");
      else this.#line(this.#server.crawl("expired", tokens.text(2)) ?? "OK");
    } else if (tokens.count === 3 && (tokens.begins(1, "metadump") || tokens.begins(1, "mgdump"))) {
      this.#dump(tokens);
    } else if (tokens.count === 3 && tokens.begins(1, "tocrawl")) {
      const count = tokens.u32(2);
      if (count >= 0) tune[TUNE.crawlerToCrawl] = count;
      this.#out.put(count < 0 ? R.badFormat : R.ok);
    } else if (tokens.count === 3 && tokens.begins(1, "sleep")) {
      const microseconds = tokens.u32(2);
      if (microseconds > 1_000_000) {
        this.#line("CLIENT_ERROR sleep must be one second or less");
        return;
      }
      if (microseconds >= 0) tune[TUNE.crawlerSleepUs] = microseconds;
      this.#out.put(microseconds < 0 ? R.badFormat : R.ok);
    } else if (tokens.count === 2 && (tokens.begins(1, "enable") || tokens.begins(1, "disable"))) {
      tune[TUNE.crawlerEnabled] = tokens.begins(1, "enable") ? 1 : 0;
      this.#out.put(R.ok);
    } else {
      this.#out.put(R.error);
    }
  }

  #dump(tokens: Tokens): void {
    const kind = tokens.begins(1, "metadump") ? "metadump" : "mgdump";
    if (this.#store.memory.tune[TUNE.crawlerEnabled] === 0) this.#line("CLIENT_ERROR lru crawler disabled");
    else if (!this.#server.features.dump) this.#line(`ERROR ${kind === "metadump" ? "metadump" : "key dump"} not allowed`);
    else if (this.#out.length > 0) this.#line(`ERROR cannot pipeline other commands before ${kind}`);
    else {
      const refusal = this.#server.crawl(kind, tokens.text(2));
      if (refusal === undefined) this.#session.blocked = true;
      else this.#line(refusal);
    }
  }

  /** `lru tune`, `lru mode`, `lru temp_ttl` */
  #lru(tokens: Tokens): void {
    const { tune } = this.#store.memory;
    const maintained = tune[TUNE.maintainer] !== 0;
    if (tokens.begins(1, "tune") && tokens.count >= 6) {
      this.#lruTune(tokens);
    } else if (tokens.begins(1, "mode") && tokens.count >= 3 && maintained) {
      const flat = tokens.begins(2, "flat");
      if (this.#store.memory.ghosts) {
        this.#line("CLIENT_ERROR eviction is s3fifo");
      } else if (flat || tokens.begins(2, "segmented")) {
        tune[TUNE.segmented] = flat ? 0 : 1;
        this.#out.put(R.ok);
      } else {
        this.#out.put(R.error);
      }
    } else if (tokens.begins(1, "temp_ttl") && tokens.count >= 3 && maintained) {
      const ttl = tokens.i32(2);
      if (Number.isNaN(ttl)) {
        this.#out.put(R.error);
        return;
      }
      tune[TUNE.tempLru] = ttl < 0 ? 0 : 1;
      if (ttl >= 0) tune[TUNE.tempTtl] = ttl;
      this.#out.put(R.ok);
    } else {
      this.#out.put(R.error);
    }
  }

  #lruTune(tokens: Tokens): void {
    const { tune } = this.#store.memory;
    const hot = tokens.u32(2);
    const warm = tokens.u32(3);
    const hotFactor = real(tokens.text(4));
    const warmFactor = real(tokens.text(5));
    if (hot < 0 || warm < 0 || Number.isNaN(hotFactor) || Number.isNaN(warmFactor)) this.#out.put(R.error);
    else if (hot + warm > 80) this.#line("ERROR hot and warm pcts must not exceed 80");
    else if (warmFactor <= 0 || hotFactor <= 0) this.#line("ERROR hot/warm age factors must be greater than 0");
    else {
      tune[TUNE.hotPercent] = hot;
      tune[TUNE.warmPercent] = warm;
      tune[TUNE.hotMaxFactor] = hotFactor;
      tune[TUNE.warmMaxFactor] = warmFactor;
      this.#out.put(R.ok);
    }
  }

  /** `slabs reassign`, `slabs automove` */
  #slabs(tokens: Tokens): void {
    if (tokens.count === 4 && tokens.begins(1, "reassign")) {
      const source = tokens.i32(2);
      const target = tokens.i32(3);
      if (!this.#store.memory.settings.slabReassign) this.#line("CLIENT_ERROR slab reassignment disabled");
      else if (Number.isNaN(source) || Number.isNaN(target)) this.#out.put(R.badFormat);
      else this.#line(this.#server.reassign(source, target));
    } else if (tokens.count >= 3 && tokens.begins(1, "automove")) {
      this.#automove(tokens);
    } else {
      this.#out.put(R.error);
    }
  }

  #automove(tokens: Tokens): void {
    const { tune } = this.#store.memory;
    if (tokens.begins(2, "ratio") || tokens.begins(2, "freeratio")) {
      const ratio = real(tokens.text(3));
      if (Number.isNaN(ratio)) {
        this.#out.put(R.error);
        return;
      }
      tune[tokens.begins(2, "ratio") ? TUNE.automoveRatio : TUNE.automoveFreeRatio] = ratio;
      tune[TUNE.automoveVersion]! += 1;
    } else if (tokens.begins(2, "window")) {
      const seconds = tokens.u32(3);
      if (seconds < 0) {
        this.#out.put(R.badFormat);
        return;
      }
      if (seconds < 3 || seconds > 1800) {
        this.#line("CLIENT_ERROR automove window too low or too high");
        return;
      }
      tune[TUNE.automoveWindow] = seconds;
      tune[TUNE.automoveVersion]! += 1;
    } else {
      const level = tokens.u32(2);
      if (level < 0 || level > 2) {
        this.#out.put(level < 0 ? R.badFormat : R.error);
        return;
      }
      tune[TUNE.automove] = level;
    }
    this.#out.put(R.ok);
  }

  #shutdown(tokens: Tokens): void {
    if (tokens.count > 2 || (tokens.count === 2 && !tokens.begins(1, "graceful"))) {
      this.#line(this.#server.features.shutdown ? "CLIENT_ERROR invalid shutdown mode" : "SERVER_ERROR: shutdown not enabled");
    } else if (this.#server.shutdown(tokens.count === 2)) {
      this.#session.ending = "shutdown";
    } else {
      this.#line("SERVER_ERROR: shutdown not enabled");
    }
  }

  #watch(tokens: Tokens): void {
    if (!this.#server.features.watch) {
      this.#line("CLIENT_ERROR watch commands not allowed");
      return;
    }
    if (this.#out.length > 0) {
      this.#line("ERROR cannot pipeline other commands before watch");
      return;
    }
    const kinds: string[] = [];
    for (let token = 1; token < tokens.count; token += 1) {
      const kind = WATCH_KINDS.find((word) => tokens.begins(token, word));
      if (kind === undefined) {
        this.#out.put(R.error);
        return;
      }
      kinds.push(kind);
    }
    const refusal = this.#server.watch(kinds.length === 0 ? ["fetchers"] : kinds);
    if (refusal !== undefined) this.#line(refusal);
    else this.#withOthers("connections", () => this.#line("OK")); // which have heard of the watcher once they answer
  }

  /** `config get cluster`, as ElastiCache answers it. */
  #config(tokens: Tokens): void {
    const answer = tokens.is(1, "get") && tokens.is(2, "cluster") ? this.#server.clusterConfig() : undefined;
    if (answer === undefined) this.#out.put(R.error);
    else this.#out.text(`CONFIG cluster 0 ${answer.length}\r\n${answer}\r\nEND\r\n`);
  }

  #stats(tokens: Tokens): void {
    if (tokens.begins(1, "detail")) {
      this.#statsDetail(tokens);
      return;
    }
    if (tokens.begins(1, "cachedump")) {
      this.#cacheDump(tokens);
      return;
    }
    const name =
      tokens.count === 1
        ? ""
        : (BEGUN_STATS.find((word) => tokens.begins(1, word)) ?? WHOLE_STATS.find((word) => tokens.is(1, word)));
    const lines = name === undefined ? undefined : statLines({ store: this.#store, server: this.#server }, name);
    if (name === "conns") {
      this.#withOthers("connections", (parts) => this.lines([...lines!, ...parts.flat()]));
      return;
    }
    if (lines === undefined) this.#out.put(R.error);
    else if (name === "reset") this.#out.put(R.reset);
    else this.lines(lines);
  }

  #statsDetail(tokens: Tokens): void {
    const { tune } = this.#store.memory;
    if (!this.#server.features.dump) this.#line("CLIENT_ERROR stats detail not allowed");
    else if (tokens.begins(2, "on") || tokens.begins(2, "off")) {
      tune[TUNE.detail] = tokens.begins(2, "on") ? 1 : 0;
      this.#out.put(R.ok);
    } else if (tokens.begins(2, "dump")) {
      this.#withOthers("prefixes", (parts) => this.#out.text(this.#store.prefixes.dump(parts)));
    } else this.#line("CLIENT_ERROR usage: stats detail on|off|dump");
  }

  /** Answers at once, or once the other threads have sent their part. */
  #withOthers<Name extends ThreadStatName>(name: Name, answer: (parts: readonly ThreadStats[Name][]) => void): void {
    if (this.#server.askOthers(name, answer)) this.#session.blocked = true;
    else answer([]);
  }

  #cacheDump(tokens: Tokens): void {
    const slabClass = tokens.u32(2);
    const limit = tokens.u32(3);
    if (!this.#server.features.dump) this.#line("CLIENT_ERROR stats cachedump not allowed");
    else if (tokens.count < 4) this.#out.put(R.badLine);
    else if (slabClass < 0 || limit < 0) this.#out.put(R.badFormat);
    else if (slabClass >= SLAB_CLASSES_MAX) this.#line("CLIENT_ERROR Illegal slab id");
    else this.#out.text(cacheDump(this.#store, slabClass, limit));
  }

  #debugTime(tokens: Tokens): void {
    const seconds = tokens.i32(1);
    if (tokens.is(1, "p")) this.#server.debugTime("pause");
    else if (tokens.is(1, "r")) this.#server.debugTime("resume");
    else if (Number.isNaN(seconds)) {
      this.#out.put(R.error);
      return;
    } else this.#server.debugTime(seconds);
    this.#out.put(R.ok);
  }

  /** `debugitem ref KEY` holds an item as a slow reader would; `unref KEY` or `unref reffed` releases it. */
  #debugItem(tokens: Tokens): void {
    const store = this.#store;
    const { items } = store;
    if (tokens.count < 3) {
      this.#out.put(R.error);
      return;
    }
    if (tokens.is(1, "unref") && tokens.is(2, "reffed")) {
      if (this.#held !== 0) items.release(this.#held);
      this.#held = 0;
    } else if (tokens.is(1, "ref") || tokens.is(1, "unref")) {
      const start = tokens.starts[2]!;
      const length = tokens.lengthOf(2);
      const item = store.find(tokens.bytes, start, length, store.hash(tokens.bytes, start, length));
      if (item === 0) {
        this.#line("MISS");
        return;
      }
      if (tokens.is(1, "ref")) {
        items.hold(item);
        this.#held = item;
      } else {
        items.release(item);
      }
    } else if (tokens.is(1, "lock") || tokens.is(1, "unlock")) {
      const hash = store.hash(tokens.bytes, tokens.starts[2]!, tokens.lengthOf(2)) >>> 0;
      if (tokens.is(1, "lock")) items.locked.add(hash);
      else items.locked.delete(hash);
    } else {
      this.#out.put(R.error);
      return;
    }
    this.#out.put(R.ok);
  }
}

/** A number as C's strtod reads it; NaN when it is none. */
function real(text: string): number {
  return /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) ? Number(text) : Number.NaN;
}
