/**
 * ● Looks at the parts once a second and remembers: rates, history, problems. A look that takes long (10,000 connections) is
 * repeated less often, so that watching never takes more than a fiftieth of the servers' time.
 */
import type { Cancel, Clock } from "../core/clock.ts";
import { History } from "./history.ts";
import { SAMPLE_MS, SAMPLE_SHARE } from "./limits.ts";
import type { Parts } from "./parts.ts";
import { ProblemList } from "./problems.ts";
import { snapshotOf } from "./snapshot.ts";
import type { Addresses, Sample, Snapshot } from "./snapshot.ts";

export class Sampler {
  readonly history = new History();
  readonly #parts: Parts;
  readonly #clock: Clock;
  readonly #startedMs: number;
  readonly #problems = new ProblemList();
  readonly #onSnapshot: (snapshot: Snapshot) => void;
  #before: Sample | undefined;
  #latest: Snapshot;
  #cancel: Cancel | undefined;
  /** How long the look before took. */
  #tookMs = 0;

  constructor({ parts, clock, onSnapshot }: { parts: Parts; clock: Clock; onSnapshot: (snapshot: Snapshot) => void }) {
    this.#parts = parts;
    this.#clock = clock;
    this.#startedMs = clock.now();
    this.#onSnapshot = onSnapshot;
    this.#latest = this.#look();
  }

  get latest(): Snapshot {
    return this.#latest;
  }

  get upMs(): number {
    return this.#clock.now() - this.#startedMs;
  }

  start(): void {
    const began = this.#clock.now();
    this.#latest = this.#look();
    this.history.add(this.#latest);
    this.#onSnapshot(this.#latest);
    // The shorter of two looks: one that was slow by accident, as the very first is, says nothing of the next.
    const tookMs = this.#clock.now() - began;
    const costMs = Math.min(tookMs, this.#tookMs);
    this.#tookMs = tookMs;
    this.#cancel = this.#clock.at(began + Math.max(SAMPLE_MS, costMs / SAMPLE_SHARE), () => this.start());
  }

  stop(): void {
    this.#cancel?.();
  }

  #look(): Snapshot {
    const sample = this.#sample();
    const problems = this.#problems.update(sample, this.#before);
    const addresses = addressesOf(this.#parts);
    const snapshot = snapshotOf(sample, this.#before, { addresses, startedMs: this.#startedMs, problems });
    this.#before = sample;
    return snapshot;
  }

  #sample(): Sample {
    const { cache, queue, link } = this.#parts;
    const { rss, heapUsed } = process.memoryUsage();
    const { user, system } = process.cpuUsage();
    return {
      nowMs: this.#clock.now(),
      wallMs: this.#clock.wallMs(),
      cache: cache?.stats(),
      queue: queue?.stats(),
      link: link?.stats(),
      memory: { residentBytes: rss, heapBytes: heapUsed },
      cpuMs: (user + system) / 1000,
    };
  }
}

function addressesOf({ cache, queue, link }: Parts): Addresses {
  return { cache: cache?.address, queue: queue?.address, link: link?.address };
}
