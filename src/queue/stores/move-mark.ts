/**
 * ○ The mark that a move leaves in both stores (move.ts), and what it means to a broker that opens one of them. Invariant: of the two
 * stores of a move at most one can be worked with; while it is under way, neither.
 */
import { OperationError } from "../../core/errors.ts";
import type { StoreOpening } from "./store.ts";

/** The setting that holds the mark. */
export const MOVE_SETTING = "move";

/** The setting that holds how many times the stores were opened in which the queue was before. */
export const EPOCHS_BEFORE_SETTING = "epochs before";

/** How many times the queue was opened, in this store and those before: grows with each, so that leases outlive no move. */
export function epochsOf({ epoch, settings }: StoreOpening): number {
  return epoch + Number(settings.get(EPOCHS_BEFORE_SETTING) ?? 0);
}

/**
 * - `leaving`: the source, from before the first task is copied until all are
 * - `left`: the source, from then on
 * - `arriving`: the target, until all has arrived
 * - `arrived`: the target, from then on; it is a store as any other
 */
export type MoveState = "leaving" | "left" | "arriving" | "arrived";

export interface MoveMark {
  readonly state: MoveState;
  /** Names the move: the same in both stores. */
  readonly id: string;
  /** The other store, as it may be shown. */
  readonly other: string;
}

export function readMoveMark(settings: ReadonlyMap<string, string>): MoveMark | undefined {
  const text = settings.get(MOVE_SETTING);
  return text === undefined ? undefined : (JSON.parse(text) as MoveMark);
}

/**
 * What a broker asks of the settings of the store it opened.
 *
 * @throws OperationError QUEUE_STORE_MOVED when its tasks are, or will be, another store's
 */
export function refuseMoved(settings: ReadonlyMap<string, string>): void {
  const mark = readMoveMark(settings);
  if (!mark || mark.state === "arrived") return;
  const sentences = {
    leaving: `a move to ${mark.other} is not finished: run 'holdfast queue move' again, or abandon it with --give-up`,
    left: `it was moved to ${mark.other}, and this is an old copy`,
    arriving: `a move from ${mark.other} into it is not finished: run 'holdfast queue move' again`,
  };
  throw new OperationError("QUEUE_STORE_MOVED", `Cannot use this store: ${sentences[mark.state]}`);
}
