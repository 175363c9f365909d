/**
 * ○ Who holds which active rows. LeaseTable have small numbers, so that a row needs four bytes to name its own. Invariant: a row is in
 * the list of the lease owner whose number it bears, and in no other (`audit`).
 */
import { assert } from "../../core/assert.ts";
import { CONSUMER, RowList, type TaskColumns } from "./task-columns.ts";

/** Who holds leases: a consumer's number and its rows. */
export interface LeaseOwner {
  readonly index: number;
  readonly leases: RowList;
}

export class LeaseTable {
  readonly #table: TaskColumns;
  readonly #leaseOwners: (LeaseOwner | undefined)[] = [undefined];
  readonly #free: number[] = [];

  constructor(table: TaskColumns) {
    this.#table = table;
  }

  add(): LeaseOwner {
    const index = this.#free.pop() ?? this.#leaseOwners.length;
    const leaseOwner: LeaseOwner = { index, leases: new RowList(this.#table) };
    this.#leaseOwners[index] = leaseOwner;
    return leaseOwner;
  }

  /** The lease owner has no leases any more and goes. */
  remove(leaseOwner: LeaseOwner): void {
    assert(leaseOwner.leases.count === 0, "a holder that goes has given its leases back");
    this.#leaseOwners[leaseOwner.index] = undefined;
    this.#free.push(leaseOwner.index);
  }

  hold(row: number, leaseOwner: LeaseOwner): void {
    this.#table.setU(row, CONSUMER, leaseOwner.index);
    leaseOwner.leases.pushBack(row);
  }

  /** Takes the row from its lease owner, if it has one: after a restart none has it yet. */
  release(row: number): void {
    const leaseOwner = this.#table.u(row, CONSUMER);
    if (leaseOwner !== 0) this.#leaseOwners[leaseOwner]!.leases.remove(row);
    this.#table.setU(row, CONSUMER, 0);
  }

  /**
   * @param isLeased whether the row's state says so
   * @throws AssertionFailed
   */
  audit(isLeased: (row: number) => boolean): void {
    for (const leaseOwner of this.#leaseOwners) {
      for (const row of leaseOwner?.leases.rows() ?? []) {
        assert(isLeased(row), "a held row is leased");
        assert(this.#table.u(row, CONSUMER) === leaseOwner!.index, "a held row names its holder");
      }
    }
  }
}
