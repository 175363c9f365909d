/**
 * Load that checks itself: each value names its key and version, so that a value of another key, an old one, or a torn one is
 * seen at once. A read may give the last acknowledged version, a later one, one whose store failed without saying whether it
 * was done, or nothing (a cache may lose, never mix up).
 */
import { setTimeout as delay } from "node:timers/promises";
import type { CacheClient } from "../../../../src/cache/index.ts";
import { codeOf, messageOf } from "../../../../src/core/errors.ts";
import { between, type Random } from "../../../../src/core/random.ts";

export interface Checked {
  readonly calls: number;
  readonly hits: number;
  /** Error code → how many calls rejected with it. */
  readonly failures: ReadonlyMap<string, number>;
  /** What must be empty: values that no correct client can return, and calls that settled too late. */
  readonly wrong: readonly string[];
  /** The longest a call took, in ms. */
  readonly longestMs: number;
}

interface Item {
  issued: number;
  acknowledged: number;
  readonly uncertain: Set<number>;
}

/** Values from 50 bytes to 60 KB, so that replies fit one chunk, many to a chunk, and many chunks. */
function valueOf(key: string, version: number): string {
  return `${key}|${version}|${"x".repeat(((version * 7919) % 300) * (version % 17 === 0 ? 200 : 1))}|${key}`;
}

/** A running load; `stop` ends it and tells what it saw. */
export class CheckedLoad {
  readonly #cache: CacheClient;
  readonly #random: Random;
  readonly #lateMs: number;
  readonly #items = new Map<string, Item>();
  readonly #callers: Promise<void>[];
  readonly #failures = new Map<string, number>();
  readonly #wrong: string[] = [];
  #running = true;
  #calls = 0;
  #hits = 0;
  #longestMs = 0;

  /** @param lateMs a call that takes longer has broken the promise */
  constructor(
    cache: CacheClient,
    { callers, keys, lateMs, random }: { callers: number; keys: number; lateMs: number; random: Random },
  ) {
    this.#cache = cache;
    this.#random = random;
    this.#lateMs = lateMs;
    for (let index = 0; index < keys; index += 1) {
      this.#items.set(`item:${index}`, { issued: 0, acknowledged: 0, uncertain: new Set() });
    }
    this.#callers = Array.from({ length: callers }, () => this.#caller());
  }

  get hits(): number {
    return this.#hits;
  }

  /** Error code → how many calls rejected with it, so far. */
  get failures(): ReadonlyMap<string, number> {
    return this.#failures;
  }

  get calls(): number {
    return this.#calls;
  }

  async stop(): Promise<Checked> {
    this.#running = false;
    const hung = delay(this.#lateMs * 2 + 2000, "hung", { ref: false });
    if ((await Promise.race([Promise.all(this.#callers), hung])) === "hung") this.#wrong.push("calls hang");
    return {
      calls: this.#calls,
      hits: this.#hits,
      failures: this.#failures,
      wrong: this.#wrong,
      longestMs: this.#longestMs,
    };
  }

  async #caller(): Promise<void> {
    const keys = [...this.#items.keys()];
    while (this.#running) {
      const key = keys[between(this.#random, 0, keys.length - 1)]!;
      const startedMs = performance.now();
      try {
        const dice = this.#random();
        if (dice < 0.3) await this.#store(key);
        else if (dice < 0.8) await this.#read(key);
        else await this.#readMany(keys);
      } catch (error) {
        const code = codeOf(error) ?? messageOf(error);
        this.#failures.set(code, (this.#failures.get(code) ?? 0) + 1);
        await delay(1);
      }
      this.#calls += 1;
      const tookMs = performance.now() - startedMs;
      this.#longestMs = Math.max(this.#longestMs, tookMs);
      if (tookMs > this.#lateMs) this.#wrong.push(`a call took ${Math.round(tookMs)} ms`);
      if (this.#calls % 64 === 0) await new Promise(setImmediate);
    }
  }

  async #store(key: string): Promise<void> {
    const item = this.#items.get(key)!;
    const version = (item.issued += 1);
    item.uncertain.add(version);
    if (!(await this.#cache.set(key, valueOf(key, version)))) return;
    item.uncertain.delete(version);
    item.acknowledged = Math.max(item.acknowledged, version);
  }

  async #read(key: string): Promise<void> {
    const { acknowledged } = this.#items.get(key)!;
    this.#check(key, await this.#cache.get<string>(key), acknowledged);
  }

  async #readMany(keys: readonly string[]): Promise<void> {
    const start = between(this.#random, 0, keys.length - 1);
    const some = keys.slice(start, start + 20);
    const before = new Map(some.map((key) => [key, this.#items.get(key)!.acknowledged]));
    for (const [key, value] of await this.#cache.getMany<string>(some)) this.#check(key, value, before.get(key)!);
  }

  #check(key: string, value: string | undefined, acknowledgedBefore: number): void {
    if (value === undefined) return;
    this.#hits += 1;
    const version = Number(value.split("|")[1]);
    if (value !== valueOf(key, version)) this.#wrong.push(`${key} gave '${value.slice(0, 60)}'`);
    const { uncertain, issued } = this.#items.get(key)!;
    if (version > issued || (version < acknowledgedBefore && !uncertain.has(version))) {
      this.#wrong.push(`${key} gave version ${version}, ${acknowledgedBefore} was acknowledged before`);
    }
  }
}
