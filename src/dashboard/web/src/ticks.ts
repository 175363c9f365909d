/** ○ Round numbers for an axis that begins at 0: steps of 1, 2 or 5, and an end that is one of them. */

/** What is smaller is drawn as 0. */
const NOTHING = 1e-9;

/** 2 to 5 lines: a chart of 140 px has room for no more. */
const STEPS_MAX = 4;

export interface TickOptions {
  /** Bytes: steps are 1, 2, 5, 10 … of KiB, MiB and so on. */
  readonly binary?: boolean | undefined;
  /** Counts: no step is less than 1. */
  readonly whole?: boolean | undefined;
}

/** The ticks of an axis up to at least `high`. */
export function ticksTo(high: number, { binary = false, whole = false }: TickOptions = {}): number[] {
  const step = stepFor(Math.max(high, 0) / STEPS_MAX, binary, whole);
  const count = Math.max(1, Math.ceil(high / step - 1e-9));
  // Each is a product: adding steps up would add up their errors, and 0.30000000000000004 be shown.
  return Array.from({ length: count + 1 }, (_, index) => Number((index * step).toPrecision(12)));
}

/** The smallest round step of at least so much. */
function stepFor(atLeast: number, binary: boolean, whole: boolean): number {
  if (atLeast < NOTHING) return 1;
  const unit = binary ? 1024 ** Math.max(0, Math.floor(Math.log2(atLeast) / 10)) : 1;
  const size = atLeast / unit;
  const power = 10 ** Math.floor(Math.log10(size) + 1e-9);
  const round = [1, 2, 5, 10].find((each) => each * power >= size * (1 - 1e-9))! * power;
  // 1000 KiB are no round number of MiB: the next is 1 MiB.
  const step = binary && round >= 1000 ? 1024 * unit : round * unit;
  return whole || binary ? Math.max(1, step) : step;
}
