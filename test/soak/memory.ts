/**
 * ○ Is memory flat? A process's resident memory goes up and down with its garbage; a leak is what stays. The rule: after the warm-up
 * the samples are cut into BLOCKS equal stretches, each is represented by its median (which a single collection or burst does not
 * move), and a line is fitted through the medians by least squares. Memory is flat when the line's slope is not above zero with 99 %
 * confidence, or when what it adds up to over the whole time measured is below a floor, a share of the memory.
 */

/** 12 medians: enough for ten degrees of freedom, and each is over many collections of garbage. */
const BLOCKS = 12;
/** One-sided 99 % quantile of Student's t with BLOCKS - 2 degrees of freedom. */
const T_99 = 2.764;
/** 30 min: over less than that what a process learns (compiled code, sizes of buffers) is not told from what it leaks. */
const LONG_SECONDS = 1800;
/** 1 % of 150 MiB in 45 minutes: a leak of 2 MiB an hour goes unnoticed, one of 3 does not. */
const FLOOR_SHARE_LONG = 0.01;
/** 5 % in two minutes: only what leaks with each operation is found, from about 300 bytes an operation. */
const FLOOR_SHARE_SHORT = 0.05;

export interface Slope {
  readonly bytesPerHour: number;
  /** Standard error of the slope, in the same unit. */
  readonly errorPerHour: number;
  /** What the line adds up to over the time measured, as a share of the mean. */
  readonly growthShare: number;
  readonly flat: boolean;
}

/**
 * @param samples one a second, in bytes, without the warm-up
 * @throws RangeError when there are too few to speak of
 */
export function slopeOf(samples: readonly number[]): Slope {
  const length = Math.floor(samples.length / BLOCKS);
  if (length < 3) throw new RangeError(`Cannot tell a slope from ${samples.length} samples, at least ${3 * BLOCKS} needed`);
  const medians = Array.from({ length: BLOCKS }, (_, block) => median(samples.slice(block * length, (block + 1) * length)));
  const meanX = (BLOCKS - 1) / 2;
  const meanY = medians.reduce((sum, value) => sum + value, 0) / BLOCKS;
  let covariance = 0;
  let spread = 0;
  for (const [x, y] of medians.entries()) {
    covariance += (x - meanX) * (y - meanY);
    spread += (x - meanX) ** 2;
  }
  const slope = covariance / spread;
  const residual = medians.reduce((sum, y, x) => sum + (y - meanY - slope * (x - meanX)) ** 2, 0);
  const error = Math.sqrt(residual / (BLOCKS - 2) / spread);
  const perHour = 3600 / length;
  const growthShare = (slope * BLOCKS) / meanY;
  const flat = slope <= T_99 * error || growthShare < (samples.length < LONG_SECONDS ? FLOOR_SHARE_SHORT : FLOOR_SHARE_LONG);
  return { bytesPerHour: slope * perHour, errorPerHour: error * perHour, growthShare, flat };
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
