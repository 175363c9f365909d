/**
 * ○ Finds rows by their idempotency keys, of which it keeps hashes (key-hash.ts), and knows what several bodies under one key were.
 * Invariant: a row with FLAG_KEY is found under the key it was inserted with until it is removed, or a newer one has the key.
 */
import type { Random } from "../../core/random.ts";
import { hashKey, type KeyHash } from "./key-hash.ts";
import { RowIndex } from "./row-index.ts";
import { FLAG_KEY, FLAG_REMEMBERED, FLAGS, ID, KEY_A, KEY_B, KEY_C, NONE, type TaskColumns } from "./task-columns.ts";
import { isResendKey, type KeyedBodies, type TaskSpec } from "./task-policy.ts";

export class KeyIndex {
  readonly #table: TaskColumns;
  readonly #rows: RowIndex;
  /** By the number of the first what several bodies under one key were. */
  readonly #bodies = new Map<number, KeyedBodies>();
  readonly #seed: number;
  #lastHash: { readonly queue: string; readonly key: string; readonly hash: KeyHash };

  constructor(table: TaskColumns, random: Random) {
    this.#table = table;
    this.#rows = new RowIndex((row) => table.u(row, KEY_A));
    this.#seed = Math.floor(random() * 2 ** 32);
    this.#lastHash = { queue: "", key: "", hash: hashKey("", "", this.#seed) };
  }

  get bytes(): number {
    return this.#rows.bytes;
  }

  /** The row under this key, or 0. */
  find(queue: string, key: string): number {
    const { a, b, c } = this.#hashOf(queue, key);
    const table = this.#table;
    return this.#rows.find(a, (row) => table.u(row, KEY_A) === a && table.u(row, KEY_B) === b && table.u(row, KEY_C) === c);
  }

  /** What was submitted under the key of this row, when it was several bodies. */
  bodies(row: number): KeyedBodies | undefined {
    return this.#bodies.size === 0 ? undefined : this.#bodies.get(this.#table.f(row, ID));
  }

  insert(
    row: number,
    queue: string,
    { key, keyed, isKeyedMember, policy }: Pick<TaskSpec, "key" | "keyed" | "isKeyedMember" | "policy">,
  ): void {
    let flags = this.#table.u(row, FLAGS);
    const isAskedFor = key !== "" && !isResendKey(key);
    const isNewest = !isAskedFor || this.#displace(this.find(queue, key), row);
    if (key !== "") {
      const { a, b, c } = this.#hashOf(queue, key);
      this.#table.setU(row, KEY_A, a);
      this.#table.setU(row, KEY_B, b);
      this.#table.setU(row, KEY_C, c);
      if (isNewest) this.#rows.insert(row);
      flags = isNewest ? flags | FLAG_KEY : flags & ~FLAG_KEY;
    }
    if (keyed) this.#bodies.set(this.#table.f(row, ID), keyed);
    if (isKeyedMember || (isAskedFor && typeof policy.unique === "number")) flags |= FLAG_REMEMBERED;
    this.#table.setU(row, FLAGS, flags);
  }

  /** A key is the newest task's; one that had it before no longer does. @returns whether this row is the newest */
  #displace(before: number, row: number): boolean {
    if (before === NONE) return true;
    if (this.#table.f(before, ID) > this.#table.f(row, ID)) return false;
    this.remove(before);
    this.#table.setU(before, FLAGS, this.#table.u(before, FLAGS) & ~FLAG_KEY);
    return true;
  }

  remove(row: number): void {
    if (!(this.#table.u(row, FLAGS) & FLAG_KEY)) return;
    this.#rows.remove(row);
    this.#bodies.delete(this.#table.f(row, ID));
  }

  /** A key is looked up, and then mostly inserted: the last hash is kept. */
  #hashOf(queue: string, key: string): KeyHash {
    const last = this.#lastHash;
    if (last.key === key && last.queue === queue) return last.hash;
    const hash = hashKey(queue, key, this.#seed);
    this.#lastHash = { queue, key, hash };
    return hash;
  }
}
