/**
 * ○ Who holds which leased rows. Holders have small numbers, so that a row needs four bytes to name its own. Invariant: a row is in
 * the list of the holder whose number it bears, and in no other (`audit`).
 */
import { assert } from "../../core/assert.ts";
import { CONSUMER, RowList, type TaskTable } from "./task-columns.ts";

/** Who holds leases: a consumer's number and its rows. */
export interface Holder {
  readonly index: number;
  readonly leases: RowList;
}

export class Holders {
  readonly #table: TaskTable;
  readonly #holders: (Holder | undefined)[] = [undefined];
  readonly #free: number[] = [];

  constructor(table: TaskTable) {
    this.#table = table;
  }

  add(): Holder {
    const index = this.#free.pop() ?? this.#holders.length;
    const holder: Holder = { index, leases: new RowList(this.#table) };
    this.#holders[index] = holder;
    return holder;
  }

  /** The holder has no leases any more and goes. */
  remove(holder: Holder): void {
    assert(holder.leases.count === 0, "a holder that goes has given its leases back");
    this.#holders[holder.index] = undefined;
    this.#free.push(holder.index);
  }

  hold(row: number, holder: Holder): void {
    this.#table.setU(row, CONSUMER, holder.index);
    holder.leases.pushBack(row);
  }

  /** Takes the row from its holder, if it has one: after a restart none has it yet. */
  release(row: number): void {
    const holder = this.#table.u(row, CONSUMER);
    if (holder !== 0) this.#holders[holder]!.leases.remove(row);
    this.#table.setU(row, CONSUMER, 0);
  }

  /**
   * @param isLeased whether the row's state says so
   * @throws AssertionFailed
   */
  audit(isLeased: (row: number) => boolean): void {
    for (const holder of this.#holders) {
      for (const row of holder?.leases.rows() ?? []) {
        assert(isLeased(row), "a held row is leased");
        assert(this.#table.u(row, CONSUMER) === holder!.index, "a held row names its holder");
      }
    }
  }
}
