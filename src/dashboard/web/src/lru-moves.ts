/** ● How many items move between the LRU lists: the difference between two polls of the server's own counters. */
import { useRef } from "preact/hooks";
import type { SlabClassStats, CacheDetails } from "../../inspectors/cache-details.ts";

/** A slab class, and how many of its items moved per second since the last poll; undefined at the first. */
export interface SlabClassMoves extends SlabClassStats {
  readonly moves: { readonly toWarm: number; readonly toCold: number; readonly evicted: number } | undefined;
}

interface Poll {
  readonly details: CacheDetails;
  readonly atMs: number;
  readonly classes: readonly SlabClassMoves[];
}

export function useLruMoves(details: CacheDetails | undefined): readonly SlabClassMoves[] | undefined {
  const last = useRef<Poll>(undefined);
  if (details !== undefined && details !== last.current?.details) {
    const atMs = performance.now();
    last.current = { details, atMs, classes: movesSince(last.current, details, atMs) };
  }
  return last.current?.classes;
}

function movesSince(before: Poll | undefined, { classes }: CacheDetails, atMs: number): SlabClassMoves[] {
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
