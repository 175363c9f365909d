/**
 * How long the cache holds its thread at a time: every turn of the background work (maintainer, crawler, page mover, planner) during
 * a storm of sets, and the requests that have most to do. The store, its maintenance and the sessions are the server's own; the
 * network is left out, so that what is measured is their work alone.
 *
 *   node --conditions=holdfast-source bench/cache-pauses.ts [--sets 8000000] [--megabytes 1024] [--json]
 *
 * Wanted: no turn of background work, and no turn of a request, over 2 ms of the thread's own time. Beside them a fixed computation
 * of half a millisecond is measured in the same way, which holds no more than that: what it shows beyond is the machine's.
 */
import { setImmediate as turn } from "node:timers/promises";
import { parseArgs } from "node:util";
import { type DumpSink, BackgroundScheduler } from "../src/cache/background/background-scheduler.ts";
import { GLOBAL } from "../src/cache/store/memory.ts";
import { systemClock } from "../src/core/clock.ts";
import { between, type Random, seeded } from "../src/core/random.ts";
import { DirectCache } from "../test/support/direct-cache.ts";
import { OwnTime } from "./support/own-time.ts";
import { type Finding, finding, report } from "./support/report.ts";

const WANTED_MS = 2;
/** The store's second passes after so many sets: time goes faster than outside, so that items expire during the storm. */
const SETS_PER_SECOND = 50_000;
/** Commands in one turn of a connection: what a client with a deep pipeline sends at once. */
const SETS_PER_TURN = 50;
/** A `get` of an item stored up to so many sets ago. */
const RECENT = 500_000;
const KEY_DIGITS = 8;
const CONTROL = "control: a fixed computation";
/** About half a millisecond, as long as a turn of the crawler. */
const CONTROL_STEPS = 400_000;

/** Touches no memory and makes nothing. */
function compute(): number {
  let hash = 1;
  for (let step = 0; step < CONTROL_STEPS; step += 1) hash = Math.imul(hash ^ step, 0x9e3779b1);
  return hash;
}

/** Requests whose keys are written in later, so that the storm itself makes no garbage. */
interface Template {
  readonly bytes: Buffer;
  readonly sets: readonly number[];
  readonly gets: readonly number[];
}

function template(random: Random, sizeOf: () => number): Template {
  const sets: number[] = [];
  const gets: number[] = [];
  let text = "";
  for (let index = 0; index < SETS_PER_TURN; index += 1) {
    const bytes = sizeOf();
    const exptime = between(random, 0, 2) === 0 ? between(random, 1, 90) : 0;
    sets.push(text.length + "set key:".length);
    text += `set key:${"0".repeat(KEY_DIGITS)} 0 ${exptime} ${bytes} noreply\r\n${"v".repeat(bytes)}\r\n`;
    if (index % 3 > 0) continue;
    gets.push(text.length + "get key:".length);
    text += `get key:${"0".repeat(KEY_DIGITS)}\r\n`;
  }
  return { bytes: Buffer.from(text, "latin1"), sets, gets };
}

function writeKey(bytes: Buffer, at: number, key: number): void {
  let rest = key;
  for (let place = KEY_DIGITS - 1; place >= 0; place -= 1) {
    bytes[at + place] = 0x30 + (rest % 10);
    rest = Math.floor(rest / 10);
  }
}

class Storm {
  readonly cache: DirectCache;
  readonly time = new OwnTime();
  readonly background: BackgroundScheduler;
  readonly random = seeded(7);
  /** The key of the next set. */
  next = 0;

  constructor(megabytes: number) {
    this.cache = new DirectCache({ memoryBytes: megabytes * 1024 ** 2, trackSizes: true });
    this.background = new BackgroundScheduler(this.cache.store, systemClock, undefined, this.time.measure);
    this.background.start();
  }

  async blow(sets: number, sizeOf: () => number): Promise<void> {
    const { cache, background, random } = this;
    const { store, context } = cache;
    const templates = Array.from({ length: 64 }, () => template(random, sizeOf));
    const end = this.next + sets;
    for (let round = 0; this.next < end; round += 1) {
      const { bytes, sets: places, gets } = templates[round % templates.length]!;
      for (const at of places) writeKey(bytes, at, (this.next += 1));
      for (const at of gets) writeKey(bytes, at, Math.max(0, this.next - between(random, 0, RECENT)));
      this.time.measure("50 sets and 17 gets", () => void cache.session.consume(bytes, 0, bytes.length));
      context.out.reset();
      if (round % 8 === 0) this.time.measure(CONTROL, compute);
      if (round % (SETS_PER_SECOND / SETS_PER_TURN) === 0) store.now += 1;
      if (round % 500 === 0) background.reassign(-1, between(random, 1, store.items.slabs.largest));
      await turn();
    }
  }

  /** Every turn that the answer to a request takes. */
  ask(name: string, request: string): void {
    const { session, context } = this.cache;
    const bytes = Buffer.from(request, "latin1");
    let at = 0;
    do {
      this.time.measure(name, () => (at = session.consume(bytes, at, bytes.length)));
      context.out.reset();
    } while (session.blocked);
  }

  recentKey(): string {
    return `key:${String(between(this.random, Math.max(0, this.next - RECENT), this.next)).padStart(KEY_DIGITS, "0")}`;
  }

  /** A whole `lru_crawler metadump`, whose turns are the crawler's. */
  async dump(): Promise<void> {
    while (this.cache.store.memory.globals[GLOBAL.crawlerRunning] !== 0) await turn();
    const awake = setInterval(() => {}, 1000); // the crawler's own timers keep no process alive
    await new Promise<void>((resolve) => {
      const reader: DumpSink = { closed: false, hold() {}, release: resolve, send: () => true, onceDrained() {} };
      this.background.crawl("metadump", "all", reader);
    });
    clearInterval(awake);
  }
}

export async function measurePauses({ sets, megabytes }: { sets: number; megabytes: number }): Promise<readonly Finding[]> {
  const storm = new Storm(megabytes);
  const small = (): number => between(storm.random, 1, 120);
  const mixed = (): number => Math.floor(10 * 1000 ** storm.random()); // 10 B to 10 KB, each tenfold as frequent as the next
  await storm.blow(sets / 2, small);
  await storm.blow(sets / 4, mixed);
  await storm.blow(sets / 4, small);
  await storm.dump();
  const { items } = storm.cache.store;
  const large = items.slabs.classOf(200);
  for (let round = 0; round < 10; round += 1) {
    for (const kind of ["", " items", " slabs", " sizes"]) storm.ask(`stats${kind}`, `stats${kind}\r\n`);
    storm.ask("stats cachedump", `stats cachedump ${large} 0\r\n`);
    storm.ask("get of 10,000 keys", `get ${Array.from({ length: 10_000 }, () => storm.recentKey()).join(" ")}\r\n`);
    storm.ask("64 KiB of gets", Array.from({ length: 3500 }, () => `get ${storm.recentKey()}\r\n`).join(""));
    storm.ask("set, append and get of 500 KB", bigValue(500_000));
  }
  storm.ask("get of 500,000 missing keys", `get ${Array.from({ length: 500_000 }, (_, key) => `m${key}`).join(" ")}\r\n`);
  await storm.blow(sets / 20, small);
  storm.ask("flush_all", "flush_all\r\n");
  await storm.blow(sets / 20, mixed);
  storm.background.stop();
  await turn();
  storm.time.close();
  return storm.time.names.flatMap((name) => findings(storm.time, name));
}

function bigValue(bytes: number): string {
  return `set big 0 0 ${bytes}\r\n${"x".repeat(bytes)}\r\nappend big 0 0 1\r\nx\r\nget big\r\n`;
}

function findings(time: OwnTime, name: string): Finding[] {
  const of = (what: string, figureMs: number, target = {}): Finding =>
    finding({ name: `${name}: ${what}`, unit: "ms", ...target }, "holdfast", { holdfast: [figureMs] });
  return [
    of(`median of ${time.count(name)} turns`, time.quantileMs(name, 0.5)),
    of("p99.9", time.quantileMs(name, 0.999)),
    of("longest", time.quantileMs(name, 1), name === CONTROL ? {} : { target: { atMost: WANTED_MS } }),
    of("longest with garbage collection", time.quantileMs(name, 1, { withCollections: true })),
  ];
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      sets: { type: "string", default: "8000000" },
      megabytes: { type: "string", default: "1024" },
      json: { type: "boolean", default: false },
    },
  });
  report(await measurePauses({ sets: Number(values.sets), megabytes: Number(values.megabytes) }), { json: values.json });
}
