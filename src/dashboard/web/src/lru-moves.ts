/** ● How items move between the lists of the LRU: what the server has counted between two looks, so that watching costs nothing. */
import { useRef } from "preact/hooks";
import type { SlabClassStats, CacheDetails } from "../../inspectors/cache-details.ts";

/** A slab class, and how many of its items moved a second since the look before; undefined at the first. */
export interface SlabClassMoves extends SlabClassStats {
  readonly moves: { readonly toWarm: number; readonly toCold: number; readonly evicted: number } | undefined;
}

interface Look {
  readonly details: CacheDetails;
  readonly atMs: number;
  readonly classes: readonly SlabClassMoves[];
}

export function useLruMoves(details: CacheDetails | undefined): readonly SlabClassMoves[] | undefined {
  const last = useRef<Look>(undefined);
  if (details !== undefined && details !== last.current?.details) {
    const atMs = performance.now();
    last.current = { details, atMs, classes: movesSince(last.current, details, atMs) };
  }
  return last.current?.classes;
}

function movesSince(before: Look | undefined, { classes }: CacheDetails, atMs: number): SlabClassMoves[] {
  return classes.map((now) => {
    const then = before?.classes.find(({ id }) => id === now.id);
    if (before === undefined || then === undefined) return { ...now, moves: undefined };
    const perSecond = (count: (of: SlabClassStats) => number): number =>
      Math.max(0, ((count(now) - count(then)) * 1000) / (atMs - before.atMs));
    return {
      ...now,
      moves: {
        toWarm: perSecond(({ movesToWarm }) => movesToWarm),
        toCold: perSecond(({ movesToCold }) => movesToCold),
        evicted: perSecond(({ evicted }) => evicted),
      },
    };
  });
}
