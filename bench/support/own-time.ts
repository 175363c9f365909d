/**
 * How long a piece of work takes this thread, waiting for a processor left out: on a machine that does other things, too, wall time
 * tells of them. The kernel counts the waiting of each thread in nanoseconds (/proc/thread-self/schedstat); CPU clocks would do,
 * but count in ticks of up to 4 ms on some kernels. Linux only.
 */
import { openSync, readSync } from "node:fs";
import { PerformanceObserver } from "node:perf_hooks";

/** One measured piece of work. */
interface Sample {
  readonly startMs: number;
  readonly wallMs: number;
  readonly ownMs: number;
}

export class OwnTime {
  readonly #schedstat = openSync("/proc/thread-self/schedstat", "r");
  readonly #bytes = Buffer.alloc(96);
  readonly #samples = new Map<string, Sample[]>();
  readonly #collections: { readonly startMs: number; readonly endMs: number }[] = [];
  readonly #observer = new PerformanceObserver((list) => {
    for (const { startTime, duration } of list.getEntries()) {
      this.#collections.push({ startMs: startTime, endMs: startTime + duration });
    }
  });

  constructor() {
    this.#observer.observe({ entryTypes: ["gc"] });
  }

  /** Does the work and remembers what it took. */
  readonly measure = (name: string, work: () => void): void => {
    const waitedMs = this.#waitedMs();
    const startMs = performance.now();
    work();
    const wallMs = performance.now() - startMs;
    const sample = { startMs, wallMs, ownMs: Math.max(0, wallMs - (this.#waitedMs() - waitedMs)) };
    const samples = this.#samples.get(name);
    if (samples) samples.push(sample);
    else this.#samples.set(name, [sample]);
  };

  get names(): readonly string[] {
    return [...this.#samples.keys()];
  }

  count(name: string): number {
    return this.#samples.get(name)!.length;
  }

  /** The milliseconds that a share of the pieces stayed below, garbage collections that fell into them left out or not. */
  quantileMs(name: string, share: number, { withCollections = false } = {}): number {
    const costs = this.#samples.get(name)!.map((sample) => sample.ownMs - (withCollections ? 0 : this.#collectedMs(sample)));
    costs.sort((a, b) => a - b);
    return Math.max(0, costs[Math.min(costs.length - 1, Math.floor(costs.length * share))]!);
  }

  /** Call when a turn of the loop has passed since the last measurement, and before the quantiles: collections are told late. */
  close(): void {
    this.#observer.disconnect();
  }

  #collectedMs({ startMs, wallMs }: Sample): number {
    if (wallMs < 0.5) return 0; // too short to be worth the search
    let sum = 0;
    for (const collection of this.#collections) {
      const overlap = Math.min(collection.endMs, startMs + wallMs) - Math.max(collection.startMs, startMs);
      if (overlap > 0) sum += overlap;
    }
    return sum;
  }

  #waitedMs(): number {
    const length = readSync(this.#schedstat, this.#bytes, 0, this.#bytes.length, 0);
    return Number(this.#bytes.toString("latin1", 0, length).split(" ")[1]) / 1e6;
  }
}
