/** The worker's book. Messages of a session are numbered from 1, so that a lost one leaves a hole and a doubled one is known. */
import type { Reading } from "holdfast/link";

export class Ledger {
  readings = 0;
  twice = 0;
  readonly #seen = new Map<string, Set<number>>();

  enter({ sensor, number }: Reading): void {
    const seen = this.#seen.get(sensor) ?? new Set();
    this.#seen.set(sensor, seen);
    if (seen.has(number)) this.twice += 1;
    seen.add(number);
    this.readings += 1;
  }

  /** Numbers below a sensor's highest that never came. */
  get missing(): number {
    let missing = 0;
    for (const seen of this.#seen.values()) missing += Math.max(...seen) - seen.size;
    return missing;
  }

  get sensors(): number {
    return this.#seen.size;
  }
}
