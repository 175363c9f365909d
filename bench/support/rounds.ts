/**
 * Fair comparison on a machine that is not quiet: the contenders are measured one after the other in each round, in an order
 * that turns from round to round, and a ratio is taken within a round. What disturbs a whole round cancels out of its ratio.
 */

/** Median and extremes of a figure over the rounds. */
export interface Spread {
  readonly median: number;
  readonly low: number;
  readonly high: number;
}

/** What each contender measured, round by round: `rounds.holdfast[2]` and `rounds.memcached[2]` belong together. */
export type Rounds<Name extends string> = Readonly<Record<Name, readonly number[]>>;

/**
 * Measures every contender once a round, for `count` rounds, after one round that does not count (warm caches, compiled code).
 *
 * @param contenders name → one measurement
 */
export async function pairedRounds<Name extends string>(
  count: number,
  contenders: Readonly<Record<Name, () => Promise<number>>>,
): Promise<Rounds<Name>> {
  const names = Object.keys(contenders) as Name[];
  const rounds = Object.fromEntries(names.map((name) => [name, [] as number[]])) as Record<Name, number[]>;
  for (let round = -1; round < count; round += 1) {
    const turn = (round + names.length) % names.length;
    for (const name of [...names.slice(turn), ...names.slice(0, turn)]) {
      const figure = await contenders[name]();
      if (round >= 0) rounds[name].push(figure);
    }
  }
  return rounds;
}

/** Ratio of two contenders' figures within each round: below 1 when the first is the smaller. */
export function ratio(first: readonly number[], second: readonly number[]): Spread {
  return spread(first.map((figure, round) => figure / second[round]!));
}

/** @throws RangeError when there are no figures */
export function spread(figures: readonly number[]): Spread {
  if (figures.length === 0) throw new RangeError("Cannot take the spread of no figures");
  const sorted = [...figures].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  const median = sorted.length % 2 === 1 ? sorted[Math.floor(middle)]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
  return { median, low: sorted[0]!, high: sorted.at(-1)! };
}
