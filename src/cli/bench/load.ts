/**
 * ● A load test: keeps a number of operations in flight for a time and measures each, with a progress bar on a terminal. Latencies
 * go into buckets of 2 % width, so that memory does not grow with the duration.
 */
import { systemClock } from "../../core/clock.ts";
import { ProgressBar } from "../shared/progress-bar.ts";

export interface LoadReport {
  readonly operations: number;
  readonly errors: number;
  readonly seconds: number;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly p999Ms: number;
}

/** Bucket n holds latencies from 1.02^n µs on; 1500 buckets reach over two hours. */
const BUCKET_GROWTH = Math.log(1.02);
const BUCKETS = 1500;

const REDRAW_MS = 100;

export class Load {
  readonly #durationMs: number;
  readonly #inFlight: number;
  readonly #buckets = new Uint32Array(BUCKETS);
  #operations = 0;
  #errors = 0;

  constructor({ durationMs, inFlight }: { durationMs: number; inFlight: number }) {
    this.#durationMs = durationMs;
    this.#inFlight = inFlight;
  }

  /** Runs the operation over and over, `inFlight` at once. An operation that rejects is counted, not thrown. */
  async run(operation: () => Promise<unknown>): Promise<LoadReport> {
    const startMs = systemClock.now();
    const endMs = startMs + this.#durationMs;
    const bar = new ProgressBar();
    const redraw = bar.isShown ? setInterval(() => this.#draw(bar, startMs), REDRAW_MS) : undefined;
    await Promise.all(Array.from({ length: this.#inFlight }, () => this.#loop(operation, endMs)));
    clearInterval(redraw);
    bar.clear();
    const seconds = (systemClock.now() - startMs) / 1000;
    return {
      operations: this.#operations,
      errors: this.#errors,
      seconds,
      perSecond: this.#operations / seconds,
      p50Ms: this.#quantileMs(0.5),
      p99Ms: this.#quantileMs(0.99),
      p999Ms: this.#quantileMs(0.999),
    };
  }

  async #loop(operation: () => Promise<unknown>, endMs: number): Promise<void> {
    for (let nowMs = systemClock.now(); nowMs < endMs;) {
      try {
        await operation();
        this.#operations += 1;
      } catch {
        this.#errors += 1; // counted in the report; the test goes on
      }
      const doneMs = systemClock.now();
      this.#count(doneMs - nowMs);
      nowMs = doneMs;
    }
  }

  #count(latencyMs: number): void {
    const bucket = Math.floor(Math.log(Math.max(1, latencyMs * 1000)) / BUCKET_GROWTH);
    this.#buckets[Math.min(bucket, BUCKETS - 1)]! += 1;
  }

  #quantileMs(share: number): number {
    let left = share * (this.#operations + this.#errors);
    const bucket = this.#buckets.findIndex((count) => (left -= count) <= 0);
    return Math.exp((bucket + 1) * BUCKET_GROWTH) / 1000;
  }

  #draw(bar: ProgressBar, startMs: number): void {
    const nowMs = systemClock.now();
    const passedMs = nowMs - startMs;
    bar.draw(passedMs / this.#durationMs, `${((this.#operations / passedMs) * 1000).toFixed(0)}/s`, nowMs);
  }
}
