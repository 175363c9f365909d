/**
 * Servers of both kinds and clients of all kinds, that do by chance what applications do, while servers are killed and stopped, the
 * event loop is held and the wall's clock steps. Every answer is judged by the history. What chance alone meets seldom stands in scenarios
 * (scenarios.ts), which each world begins with, and goes on with by chance.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { connect } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { CacheClient, CacheClientOptions, NearCacheOptions } from "../../../../src/cache/index.ts";
import { placementOf } from "../../../../src/cache/client/pool/placement.ts";
import { parseServer } from "../../../../src/cache/client/operations/server-address.ts";
import type { Clock } from "../../../../src/core/clock.ts";
import { codeOf } from "../../../../src/core/errors.ts";
import { between, pick, seeded, type Random } from "../../../../src/core/random.ts";
import { freePort, stop } from "../support/test-servers.ts";
import { History, RECOVERY_MS, type Asked, type Removal, type SharedRemoval, type Span, type Write } from "./history.ts";
import { SCENARIOS } from "./scenarios.ts";
import { type LateTick, ServerClock } from "./server-clock.ts";

const ROOT = join(import.meta.dirname, "../../../..");

/** What a call may take; the hold of the event loop is longer. */
const TIMEOUT_MS = 800;
const HOLD_MS = 1300;
const NEAR_TTL_MS = 400;
/** Of a near cache that keeps what lives for less, so that it must look at its end. */
const LONG_NEAR_TTL_MS = 5000;
/** 300 ms in which a timer of 30 ms did not fire. */
const STARVED_MS = 300;

const LOADER_FAILS = "the loader fails";

const TAGS = ["red", "green"];

const TRACE_LINES_MAX = 4000;

/** Values of more than a kilobyte are asked for once by calls of one tick. */
const LONG_BYTES = 2000;

/** Keys that everybody changes all the time, and keys that mostly live to their end. */
const BUSY = ["a", "b", "with a space", "größe"];
const QUIET = Array.from({ length: 12 }, (_, index) => `quiet ${index}`);
const KEYS = [...BUSY, ...QUIET];
const QUIET_CHANGE_SHARE = 0.05;

export interface WorldOptions {
  readonly seed: number;
  readonly forMs: number;
  /** Default by chance: 1 or 2. */
  readonly copies?: number | undefined;
  /** The client's class: that of the sources, or one with a planted fault. */
  readonly Client: typeof CacheClient;
  readonly clock: Clock;
}

export interface Verdict {
  readonly copies: number;
  readonly calls: number;
  /** How often each verb was called, each fault done. */
  readonly counts: ReadonlyMap<string, number>;
  /** What no model allows. */
  readonly wrong: readonly string[];
}

/** What a value that is fetched is given. */
interface Life {
  readonly options: { ttl: number; tags: readonly string[]; stale?: string; early?: string; staleWhileRevalidate?: string };
  readonly mostS: number;
}

/** What chance decides where a scenario does not. */
export interface Choice {
  /** Seconds to live. */
  readonly ttl?: number;
  readonly tags?: readonly string[];
  /** Of fetch: how long the loader takes, in ms. */
  readonly loadMs?: number;
}

export interface Member {
  readonly name: string;
  readonly cache: CacheClient;
  readonly near: NearCacheOptions | undefined;
}

interface Peer {
  readonly address: string;
  readonly command: readonly [string, ...string[]];
  process: ChildProcess;
}

/** Runs until the time is over, or the first wrong answer came. */
export async function runWorld({ seed, forMs, copies, ...code }: WorldOptions): Promise<Verdict> {
  const random = seeded(seed);
  const peers = await Promise.all([memcachedPeer(), memcachedPeer(), holdfastPeer()]);
  const world = new World(random, peers, copies ?? between(random, 1, 2), code);
  try {
    await world.run(forMs);
  } finally {
    await world.close();
    await Promise.all(peers.map((peer) => stop(peer.process)));
  }
  return { copies: world.copies, calls: world.calls, counts: world.counts, wrong: world.wrong };
}

export class World {
  readonly counts = new Map<string, number>();
  readonly wrong: string[] = [];
  calls = 0;
  readonly random: Random;
  readonly members: Member[] = [];
  readonly copies: number;
  readonly #peers: readonly Peer[];
  readonly #code: Pick<WorldOptions, "Client" | "clock">;
  readonly #history: History;
  readonly #seenWrong = Promise.withResolvers<void>();
  #wallStepMs = 0;
  #values = 0;
  #running = true;

  constructor(random: Random, peers: readonly Peer[], copies: number, code: Pick<WorldOptions, "Client" | "clock">) {
    this.random = random;
    this.#peers = peers;
    this.copies = copies;
    this.#code = code;
    const placement = placementOf(
      "ketama",
      peers.map(({ address }) => parseServer(address)),
    );
    this.#history = new History({
      tolerances: { afterEndMs: 250, nearMs: 600 },
      owners: (key) => {
        const wireKey = Buffer.from(key).toString("latin1");
        const owners: number[] = [];
        while (owners.length < copies) owners.push(placement.pick(wireKey, (index) => !owners.includes(index)));
        return owners;
      },
    });
    for (let index = 0; index < 6; index += 1) this.members.push(this.#join(index));
  }

  /** Whether nothing wrong was seen, and there is time left. */
  going: () => boolean = () => false;

  async run(forMs: number): Promise<void> {
    const endMs = performance.now() + forMs;
    this.going = () => this.#running && performance.now() < endMs && this.wrong.length === 0;
    const prelude = Promise.all(Object.keys(SCENARIOS).map((name) => this.#play(name)));
    const actors = Array.from({ length: 10 }, async () => {
      while (this.going()) {
        if (this.random() < SCENARIO_SHARE) await this.#play(pick(this.random, Object.keys(SCENARIOS)));
        // Calls of one tick share a write, a request for the same key, and what they wait for.
        const together = this.random() < 0.1 ? between(this.random, 2, 12) : 1;
        await Promise.all(Array.from({ length: together }, () => this.#act()));
        await sleep(between(this.random, 0, 12));
      }
    });
    const faults = (async () => {
      await prelude;
      for (let first = true; this.going(); first = false) {
        if (!first) await sleep(between(this.random, 300, 1200));
        if (this.going()) await this.#fault(first ? "held" : undefined);
        this.#history.prune(performance.now());
      }
    })();
    const starvation = this.#watchStarvation();
    const clocks = this.#peers.map(({ address }) => new ServerClock(address, (tick) => this.#lags(tick)));
    await Promise.race([Promise.all([...actors, faults, prelude]), this.#seenWrong.promise]);
    clearInterval(starvation);
    for (const each of clocks) each.close();
  }

  async close(): Promise<void> {
    this.#running = false;
    for (const peer of this.#peers) peer.process.kill("SIGCONT");
    await Promise.all(this.members.map(({ cache }) => cache.close()));
  }

  /** Where the machine lets this process wait, it may let servers wait as long: then all is excused, which a hold is not. */
  #watchStarvation(): NodeJS.Timeout {
    let lastMs = performance.now();
    return setInterval(() => {
      const nowMs = performance.now();
      const span = { startMs: lastMs, endMs: nowMs };
      if (nowMs - lastMs > STARVED_MS && !this.#history.held(span)) this.#history.faults.push(span);
      this.#lags({ ...span, lagMs: nowMs - lastMs - STARVED_MS / 10 });
      lastMs = nowMs;
    }, STARVED_MS / 10);
  }

  #lags(tick: LateTick): void {
    if (tick.lagMs <= STARVED_MS / 10) return;
    this.#history.lags.push(tick);
    this.#note(`(a clock is ${tick.lagMs.toFixed(0)} ms late)`, tick.startMs);
  }

  /** A client with options by chance. The first ones are chosen, so that each kind takes part in every run. */
  #join(index: number): Member {
    const random = this.random;
    const name = `client ${(this.#values += 1)}`;
    const near: (NearCacheOptions | undefined)[] = [
      undefined,
      { ttl: NEAR_TTL_MS },
      { watch: true, ttl: NEAR_TTL_MS },
      { validate: true, ttl: NEAR_TTL_MS },
      { ttl: LONG_NEAR_TTL_MS },
    ];
    const nearCache = near[index] ?? pick(random, near);
    const options: CacheClientOptions = {
      servers: this.#peers.map(({ address }) => address),
      keys: "base64",
      copies: this.copies,
      timeout: TIMEOUT_MS,
      backoff: { max: "200ms" },
      random,
      clock: { ...this.#code.clock, wallMs: () => Date.now() + this.#wallStepMs },
      ...(nearCache && { nearCache }),
    };
    if (nearCache) this.#history.near.set(name, nearCache.ttl as number);
    const cache = new this.#code.Client(options);
    cache.on("failed", ({ verb, key, server, error }) => {
      const endMs = performance.now();
      if (codeOf(error) === "CACHE_TIMEOUT") this.#history.silences.push({ startMs: endMs - TIMEOUT_MS, endMs });
      this.#note(`${verb} '${key}' ${name} at ${server}: (${error.message})`, endMs - TIMEOUT_MS);
    });
    cache.on("ejected", ({ server, error }) => {
      const nowMs = performance.now();
      if (!this.#history.faulty({ startMs: nowMs - TIMEOUT_MS - HOLD_MS, endMs: nowMs }, RECOVERY_MS))
        this.#blame(`${name} ejected ${server}, with which nothing was wrong: ${error?.message}`);
    });
    return { name, cache, near: nearCache };
  }

  readonly #trace: string[] = [];

  async #act(): Promise<void> {
    const { random } = this;
    const key = pick(random, random() < 0.5 ? BUSY : QUIET);
    let verb = pickVerb(random);
    while (QUIET.includes(key) && !READS.has(verb) && random() > QUIET_CHANGE_SHARE) verb = pickVerb(random);
    await this.do(verb, pick(random, this.members), key);
  }

  async #play(name: string): Promise<void> {
    this.#count(name);
    await SCENARIOS[name]!(this);
  }

  /** A key that nobody else uses. @param onHoldfast of which Holdfast's server is the first */
  freshKey(onHoldfast = false): string {
    for (;;) {
      const key = `fresh ${(this.#values += 1)}`;
      if (!onHoldfast || this.#history.owners(key)[0] === this.#peers.length - 1) return key;
    }
  }

  freshTag(): string {
    return `tag ${(this.#values += 1)}`;
  }

  /** A call, whose answer is judged. */
  async do(verb: Verb, member: Member, key: string, choice: Choice = {}): Promise<void> {
    this.#count(verb);
    this.calls += 1;
    const asked: Asked = { client: member.name, startMs: performance.now(), endMs: Infinity };
    try {
      await this.#verbs[verb](member, key, asked, choice);
      this.#note(`${verb} '${key}' ${member.name}`, asked.startMs);
    } catch (error) {
      this.#note(`${verb} '${key}' ${member.name} failed ${(error as Error).message}`, asked.startMs);
      asked.endMs = performance.now();
      if ((error as Error).message === LOADER_FAILS) return; // the loader of another that this call shared
      const code = codeOf(error);
      if (code === undefined || code.startsWith("ERR_")) throw error;
      if (code === "CLOSED" || !this.members.includes(member)) return; // the client left meanwhile
      if (!this.#history.faulty({ ...asked, startMs: asked.startMs - TIMEOUT_MS }, RECOVERY_MS))
        this.#blame(`${verb} of '${key}' by ${member.name} failed without a fault: ${(error as Error).message}`);
    }
  }

  readonly #verbs: Record<Verb, (member: Member, key: string, asked: Asked, choice: Choice) => Promise<void>> = {
    get: async ({ cache }, key, asked) => this.#read("get", key, await cache.get<string>(key), asked),
    gets: async ({ cache }, key, asked) => this.#read("gets", key, (await cache.gets<string>(key))?.value, asked),
    getMany: async ({ cache }, _key, asked) => {
      const found = await cache.getMany<string>(KEYS);
      for (const key of KEYS) this.#read("getMany", key, found.get(key), asked);
    },
    getEach: async ({ cache }, _key, asked) => {
      for await (const [key, value] of cache.getEach<string>(KEYS)) this.#read("getEach", key, value, asked);
    },
    getWithTtl: async ({ cache }, key, asked) => {
      const timed = await cache.getWithTtl<string>(key);
      this.#read("getWithTtl", key, timed?.value, asked);
    },
    getAndTouch: async ({ cache }, key, asked, { ttl: seconds = between(this.random, 1, 4) }) => {
      const value = await this.#touching(key, asked, seconds, () => cache.getAndTouch<string>(key, seconds));
      this.#read("getAndTouch", key, value, asked);
    },
    touch: async ({ cache }, key, asked, { ttl: seconds = between(this.random, 1, 4) }) => {
      this.#judgeFound("touch", key, await this.#touching(key, asked, seconds, () => cache.touch(key, seconds)), asked);
    },
    set: async ({ cache }, key, asked, choice) => {
      const { write, ttl } = this.#writing(key, asked, choice, true);
      const stored = await cache.set(key, write.value, ttl);
      if (stored) write.endMs = performance.now();
      this.#note(`set '${key}' ${asked.client} ${write.value} ${ttl.ttl} ${ttl.tags?.join() ?? ""} ${stored}`, asked.startMs);
    },
    add: async ({ cache }, key, asked, choice) => {
      const { write, ttl } = this.#writing(key, asked, choice, true);
      const stored = await cache.add(key, write.value, ttl);
      this.#judgeFound("add", key, !stored, asked, write);
      this.#wrote(key, write, stored, asked);
    },
    replace: async ({ cache }, key, asked, choice) => {
      const { write, ttl } = this.#writing(key, asked, choice, true);
      const stored = await cache.replace(key, write.value, ttl);
      this.#judgeFound("replace", key, stored, asked, write);
      this.#wrote(key, write, stored, asked);
    },
    cas: async ({ cache }, key, asked, choice) => {
      const read = await cache.gets<string>(key);
      const again: Asked = { ...asked, startMs: performance.now() };
      const { write, ttl } = this.#writing(key, again, choice, false);
      const outcome = await cache.cas(key, write.value, read?.cas ?? 2n ** 60n, ttl);
      this.#judgeFound(`cas (${outcome})`, key, outcome !== "missing", again, write);
      this.#wrote(key, write, outcome === "stored", again);
    },
    delete: async ({ cache }, key, asked) => {
      const removal = this.#removing(key, asked);
      this.#judgeFound("delete", key, await cache.delete(key), asked);
      removal.endMs = asked.endMs;
    },
    invalidate: async ({ cache }, key, asked) => {
      // Of a placeholder it is a delete; of an item the readers go on having it.
      const found = await cache.invalidate(key);
      this.#judgeFound("invalidate", key, found, asked);
      this.#history.of(key).invalidations.push({ ...asked });
    },
    incr: async ({ cache }, key, asked) => {
      const counted = await cache.incr(key).catch((error: unknown) => {
        if (codeOf(error) !== "CACHE_REFUSED") throw error;
        return 0n; // there is an item, which is no number
      });
      this.#judgeFound("incr", key, counted !== undefined, asked);
    },
    invalidateTag: async ({ cache }, _key, asked, { tags: [tag = ""] = [pick(this.random, TAGS)] }) => {
      const removal = this.#removingAll(asked, tag);
      await cache.invalidateTag(tag);
      removal.endMs = performance.now();
      this.#note(`invalidateTag ${tag} ${asked.client} of all (flush)`, asked.startMs);
    },
    flush: async ({ cache }, _key, asked) => {
      const removal = this.#removingAll(asked);
      await cache.flush();
      removal.endMs = performance.now();
    },
    fetch: (member, key, asked, choice) => this.#fetch(member, key, asked, choice),
    fetchMany: async (member, key, asked) => {
      const keys = [key, ...KEYS.filter((each) => each !== key && this.random() < 0.3)];
      const life = this.#life();
      const loads = new Map<string, () => void>();
      const found = await member.cache.fetchMany<string>(
        keys,
        async (missing) => {
          const computed = missing.map((each) => this.#computing(member, each, life));
          await sleep(between(this.random, 0, 300));
          missing.forEach((each, index) => loads.set(each, computed[index]!.computed()));
          return new Map(missing.map((each, index) => [each, computed[index]!.value]));
        },
        { ...life.options, timeout: "30s" },
      );
      for (const done of loads.values()) done();
      asked.endMs = performance.now();
      for (const each of keys) this.#judge("fetchMany", each, found.get(each), asked);
    },
    join: async (member) => {
      if (this.random() < 0.8) return;
      const index = this.members.indexOf(member);
      if (index < 0) return;
      this.members[index] = this.#join(-1);
      const nowMs = performance.now();
      this.#history.departures.push({ startMs: nowMs, endMs: nowMs, client: member.name });
      await member.cache.close();
    },
  };

  async #fetch(member: Member, key: string, asked: Asked, { loadMs, ...choice }: Choice): Promise<void> {
    const { random } = this;
    const life = this.#life(choice);
    const slow = loadMs ?? (random() < 0.2 ? between(random, 1000, 4000) : between(random, 0, 200));
    const fails = loadMs === undefined && random() < 0.1;
    let finished = (): void => {};
    let loaded: string | undefined;
    const load = async (): Promise<string> => {
      const { value, computed, failed } = this.#computing(member, key, life);
      await sleep(slow);
      if (fails) {
        failed();
        throw new Error(LOADER_FAILS);
      }
      finished = computed();
      loaded = value;
      return value;
    };
    const options = { ...life.options, timeout: "30s" } as const;
    const value = await member.cache.fetch<string>(key, load, options).catch((error: unknown) => {
      if ((error as Error).message !== LOADER_FAILS) throw error;
      return undefined;
    });
    asked.endMs = performance.now();
    if (value === loaded) finished();
    else setTimeout(finished, 2 * TIMEOUT_MS); // computed in the background, and stored by then
    if (value !== undefined) this.#judge("fetch", key, value, asked);
  }

  /** A loader begins: its value may be stored once it is done. */
  #computing(member: Member, key: string, life: Life): { value: string; computed: () => () => void; failed: () => void } {
    const { writes, loaders } = this.#history.of(key);
    const startMs = performance.now();
    this.#note(`loader of '${key}' ${member.name}`, startMs);
    const second = this.#history.secondLoader(key, member.name, startMs);
    if (second !== undefined) this.#blame(`'${key}' is computed by ${member.name} too: ${second}`);
    const loader = { startMs, endMs: Infinity, client: member.name };
    loaders.push(loader);
    const value = this.#value(key);
    const write: Write = {
      value,
      client: member.name,
      startMs,
      endMs: Infinity,
      endsAtLeastMs: 0,
      endsAtMostMs: Infinity,
      tags: life.options.tags,
      loader,
    };
    writes.push(write);
    return {
      value,
      /** The loader gives the value; the function given is called once it is surely stored. */
      computed: () => {
        loader.endMs = performance.now();
        this.#note(`loader of '${key}' ${member.name} gave ${value} ${life.options.tags.join()}`, startMs);
        return () => {
          write.endMs = performance.now();
          write.endsAtMostMs = Math.min(write.endsAtMostMs, write.endMs + life.mostS * 1000);
        };
      },
      failed: () => {
        loader.endMs = performance.now();
        writes.splice(writes.indexOf(write), 1);
      },
    };
  }

  #life({ ttl: chosen, tags = this.#tags() }: Choice = {}): Life {
    const { random } = this;
    const ttl = chosen ?? between(random, 2, 6);
    if (chosen !== undefined) return { options: { ttl, tags }, mostS: ttl };
    const extra = random() < 0.4 ? between(random, 1, 3) : 0;
    if (extra === 0) return { options: { ttl, tags }, mostS: ttl };
    const kind = pick(random, ["stale", "early", "staleWhileRevalidate"] as const);
    return { options: { ttl, tags, [kind]: `${extra}s` }, mostS: kind === "early" ? ttl : ttl + extra };
  }

  #tags(): string[] {
    return TAGS.filter(() => this.random() < 0.2);
  }

  /** @param copied whether all servers of the key get it */
  #writing(
    key: string,
    asked: Asked,
    { ttl: chosen, tags = this.#tags() }: Choice,
    copied: boolean,
  ): { write: Write; ttl: { ttl?: number; tags?: readonly string[] } } {
    const endless = this.copies === 1 && this.random() < 0.3;
    const seconds = chosen ?? (endless ? undefined : between(this.random, 1, 5));
    const write: Write = {
      value: this.#value(key),
      client: asked.client,
      startMs: asked.startMs,
      endMs: Infinity,
      endsAtLeastMs: seconds === undefined ? Infinity : asked.startMs + (seconds - 1) * 1000 - 50,
      endsAtMostMs: Infinity,
      tags,
      copied,
    };
    Object.defineProperty(write, "endMs", {
      get: () => this.#ends.get(write) ?? Infinity,
      set: (endMs: number) => {
        this.#ends.set(write, endMs);
        if (seconds !== undefined) write.endsAtMostMs = Math.min(write.endsAtMostMs, endMs + seconds * 1000);
      },
    });
    this.#history.of(key).writes.push(write);
    return { write, ttl: { ...(seconds !== undefined && { ttl: seconds }), ...(tags.length > 0 && { tags }) } };
  }

  readonly #ends = new WeakMap<Write, number>();

  #wrote(key: string, write: Write, stored: boolean, asked: Asked): void {
    const { writes } = this.#history.of(key);
    // A "no" of a client that a fault kept from asking is no answer.
    if (stored) write.endMs = performance.now();
    else if (!this.#history.faulty(asked, RECOVERY_MS)) writes.splice(writes.indexOf(write), 1);
  }

  #removing(key: string, { client, startMs }: Asked): Removal {
    const removal: Removal = { client, startMs, endMs: Infinity };
    this.#history.of(key).removals.push(removal);
    return removal;
  }

  /** @param tag only what has it */
  #removingAll({ client, startMs }: Asked, tag?: string): Removal {
    const removal: SharedRemoval = {
      client,
      startMs,
      endMs: Infinity,
      ...(tag !== undefined && { tag }),
      appliesTo: () => true,
    };
    this.#history.shared.push(removal);
    return removal;
  }

  /** What is there may live until then, and no longer than before if it was not found. */
  /** What is stored while the call lasts may be touched by it too. */
  async #touching<T>(key: string, asked: Asked, seconds: number, call: () => Promise<T>): Promise<T> {
    this.#touched(key, asked, seconds);
    try {
      return await call();
    } finally {
      this.#touched(key, asked, seconds);
    }
  }

  #touched(key: string, asked: Asked, seconds: number): void {
    for (const write of this.#history.of(key).writes) {
      write.endsAtLeastMs = Math.min(write.endsAtLeastMs, asked.startMs + (seconds - 1) * 1000 - 50);
      write.endsAtMostMs = Infinity;
    }
  }

  #read(verb: string, key: string, value: string | undefined, asked: Asked): void {
    asked.endMs = performance.now();
    this.#note(`${verb} '${key}' ${asked.client} gave ${value}`, asked.startMs);
    if (value === undefined) {
      if (this.#history.mustExist(key, asked, FROM_ANY.has(verb) ? "any" : "first"))
        this.#blame(`${verb} of '${key}' by ${asked.client} missed what is there`);
    } else if (typeof value !== "string") this.#blame(`${verb} of '${key}' by ${asked.client} gave ${JSON.stringify(value)}`);
    else this.#judge(verb, key, value, asked);
  }

  #judge(verb: string, key: string, value: string | undefined, asked: Asked): void {
    this.#note(`${verb} '${key}' ${asked.client} gave ${value}`, asked.startMs);
    if (value === undefined) return;
    const wrong = verb.startsWith("fetch")
      ? this.#history.wrongFetch(key, value, asked)
      : this.#history.wrongValue(key, value, asked);
    if (wrong !== undefined) this.#blame(`${verb} of '${key}' by ${asked.client} gave '${value}', which ${wrong}`);
  }

  /** @param own what the call itself stored is no answer to whether something was there */
  #judgeFound(verb: string, key: string, found: boolean, asked: Asked, own?: Write): void {
    asked.endMs = performance.now();
    this.#note(`${verb} '${key}' ${asked.client} ${own?.value ?? ""} ${own?.tags.join() ?? ""} found ${found}`, asked.startMs);
    if (this.#history.faulty(asked, RECOVERY_MS)) return; // a server that is away is a miss
    const { writes } = this.#history.of(key);
    const at = own ? writes.indexOf(own) : -1;
    if (at >= 0) writes.splice(at, 1);
    if (found && !this.#history.mayExist(key, asked, verb !== "add"))
      this.#blame(`${verb} of '${key}' by ${asked.client} found what is not there`);
    if (!found && this.#history.mustExist(key, asked))
      this.#blame(`${verb} of '${key}' by ${asked.client} missed what is there`);
    if (at >= 0) writes.splice(at, 0, own!);
  }

  async #fault(chosen?: "held"): Promise<void> {
    const { random } = this;
    const kind = chosen ?? pick(random, ["killed", "stopped", "held", "held", "stepped"] as const);
    this.#count(kind);
    const span: Span = { startMs: performance.now(), endMs: Infinity };
    switch (kind) {
      case "killed": {
        const index = between(random, 0, this.#peers.length - 1);
        this.#history.faults.push(span);
        const loss = { server: index, client: "nobody", startMs: span.startMs, endMs: Infinity };
        const appliesTo = (key: string): boolean => this.#history.owners(key)[0] === index;
        if (this.copies > 1) this.#history.losses.push(loss);
        else this.#history.shared.push({ ...loss, appliesTo });
        const peer = this.#peers[index]!;
        await stop(peer.process);
        await sleep(between(random, 0, 500));
        peer.process = launch(peer.command);
        const ended = this.copies > 1 ? loss : this.#history.shared.findLast(({ startMs }) => startMs === span.startMs)!;
        ended.endMs = performance.now();
        await listening(peer.address);
        break;
      }
      case "stopped": {
        const { process } = pick(random, this.#peers);
        this.#history.faults.push(span);
        process.kill("SIGSTOP");
        await sleep(between(random, 100, 2 * TIMEOUT_MS));
        process.kill("SIGCONT");
        break;
      }
      case "held": {
        this.#history.holds.push(span);
        const underWay = Array.from({ length: 20 }, () => this.#act());
        const untilMs = performance.now() + HOLD_MS;
        while (performance.now() < untilMs);
        await Promise.all(underWay);
        break;
      }
      case "stepped":
        this.#wallStepMs = between(random, -3_600_000, 3_600_000);
    }
    span.endMs = performance.now();
    this.#note(`(${kind})`, span.startMs);
    if (kind === "killed" || kind === "stopped") await sleep(RECOVERY_MS); // then the quiet in which all must be right
  }

  #value(key: string): string {
    this.#values += 1;
    const value = `${key}#${this.#values}`;
    return this.random() < 0.2 ? value.padEnd(LONG_BYTES, "~") : value;
  }

  #count(what: string): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1);
  }

  /** What was done last, for whoever must find out what went wrong. */
  #note(what: string, startMs: number): void {
    this.#trace.push(`${startMs.toFixed(0)}-${performance.now().toFixed(0)} ${what.replaceAll(/~~+/g, "~")}`);
    if (this.#trace.length > TRACE_LINES_MAX) this.#trace.shift();
  }

  #blame(what: string): void {
    if (!this.#running) return;
    const key = /'([^']*)'/.exec(what)?.[1];
    const lines = this.#trace.filter((line) => line.includes(`'${key}'`) || line.endsWith(")") || line.includes("flush"));
    this.#seenWrong.resolve();
    this.wrong.push(
      `${what.replaceAll(/~~+/g, "~")}\n  at ${performance.now().toFixed(0)}; before:\n  ${lines.slice(-80).join("\n  ")}`,
    );
  }
}

/** How often each verb is called, beside the others. */
const VERBS = {
  get: 20,
  gets: 4,
  getMany: 6,
  getEach: 2,
  getWithTtl: 4,
  getAndTouch: 2,
  touch: 3,
  set: 10,
  add: 3,
  replace: 3,
  cas: 4,
  delete: 6,
  invalidate: 3,
  incr: 2,
  invalidateTag: 0.3,
  flush: 0.05,
  fetch: 20,
  fetchMany: 3,
  join: 0.5,
} as const;

export type Verb = keyof typeof VERBS;

/** Reads that any server of a key answers. */
const FROM_ANY: ReadonlySet<string> = new Set<Verb>(["get", "getMany", "getEach"]);

/** How often an actor plays a scenario before it acts. */
const SCENARIO_SHARE = 0.02;

const READS: ReadonlySet<Verb> = new Set(["get", "gets", "getMany", "getEach", "getWithTtl", "fetch", "fetchMany", "join"]);

const VERB_SUM = Object.values(VERBS).reduce((sum, share) => sum + share, 0);

function pickVerb(random: Random): Verb {
  let at = random() * VERB_SUM;
  for (const [verb, share] of Object.entries(VERBS)) {
    at -= share;
    if (at < 0) return verb as Verb;
  }
  return "get";
}

async function memcachedPeer(): Promise<Peer> {
  const port = await freePort();
  return started(`127.0.0.1:${port}`, ["memcached", "-u", "root", "-l", "127.0.0.1", "-p", String(port), "-U", "0"]);
}

async function holdfastPeer(): Promise<Peer> {
  const port = await freePort();
  const main = join(ROOT, "src/cli/main.ts");
  const node = ["--conditions=holdfast-source", "--disable-warning=ExperimentalWarning", main];
  return started(`127.0.0.1:${port}`, [process.execPath, ...node, "cache", "-l", "127.0.0.1", "-p", String(port)]);
}

async function started(address: string, command: readonly [string, ...string[]]): Promise<Peer> {
  const peer = { address, command, process: launch(command) };
  await listening(address);
  return peer;
}

function launch([command, ...args]: readonly [string, ...string[]]): ChildProcess {
  return spawn(command, args, { stdio: "ignore" });
}

async function listening(address: string): Promise<void> {
  const [host, port] = address.split(":") as [string, string];
  for (let attempt = 0; attempt < 1000; attempt += 1) {
    const socket = connect({ host, port: Number(port) });
    const opened = await once(socket, "connect").then(
      () => true,
      () => false,
    );
    socket.destroy();
    if (opened) return;
    await sleep(20);
  }
  throw new Error(`nothing listens at ${address}`);
}
