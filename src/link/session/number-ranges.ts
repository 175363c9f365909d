/** ○ A set of numbers as ranges, in order. Invariant: ranges do not touch. Numbers near the end are added fastest. */

/** The numbers from `from` to `to`, both included. */
export interface NumberRange {
  readonly from: number;
  readonly to: number;
}

export class NumberRanges {
  readonly #ranges: { from: number; to: number }[] = [];

  get isEmpty(): boolean {
    return this.#ranges.length === 0;
  }

  has(number: number): boolean {
    const range = this.#ranges[this.#after(number) - 1];
    return range !== undefined && number <= range.to;
  }

  /** Adds numbers of which none is in the set. */
  add(from: number, to: number): void {
    const at = this.#after(from);
    const before = this.#ranges[at - 1];
    const behind = this.#ranges[at];
    if (before?.to === from - 1) {
      before.to = to;
      if (behind?.from !== to + 1) return;
      before.to = behind.to;
      this.#ranges.splice(at, 1);
    } else if (behind?.from === to + 1) behind.from = from;
    else this.#ranges.splice(at, 0, { from, to });
  }

  /** Removes the range that follows `number`, and returns its last; or `number`. */
  advance(number: number): number {
    return this.#ranges[0]?.from === number + 1 ? this.#ranges.shift()!.to : number;
  }

  /** Removes and returns the first ranges, at most so many, without what lies up to `number`. */
  takeAfter(number: number, countMax: number): NumberRange[] {
    while (this.#ranges.length > 0 && this.#ranges[0]!.to <= number) this.#ranges.shift();
    return this.#ranges.splice(0, countMax);
  }

  copy(): NumberRanges {
    const copy = new NumberRanges();
    for (const { from, to } of this.#ranges) copy.#ranges.push({ from, to });
    return copy;
  }

  /** Index of the first range that begins after `number`. */
  #after(number: number): number {
    let low = 0;
    let high = this.#ranges.length;
    if (high > 0 && this.#ranges[high - 1]!.from <= number) return high;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#ranges[middle]!.from <= number) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
