/** Which broker of a group leads, as they say themselves. */
import type { Holdfast } from "../../../support/holdfast.ts";

/** The epoch of the lead that a broker took last and has not lost since, as far as it knows; -1 when there is none. */
export function leadingEpoch({ stderr }: Holdfast): number {
  const said = [...stderr.matchAll(/ queue\.(?:leading .*epoch=(\d+)|leader-lost|following)/gm)].at(-1);
  return Number(said?.[1] ?? -1);
}
