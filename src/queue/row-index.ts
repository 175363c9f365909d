/**
 * ○ Finds rows by a hash: open addressing in typed arrays, 4 bytes a slot, outside the JavaScript heap. Split into shards that
 * grow one by one, so that ten million entries never stop the world to be moved. Holds row numbers only: what makes two rows
 * equal is the caller's business.
 */

const SHARDS = 256;
const SLOTS_MIN = 16;

export class RowIndex {
  readonly #shards: Shard[] = Array.from({ length: SHARDS }, () => new Shard());
  readonly #hashOf: (row: number) => number;

  /** @param hashOf the row's 32-bit hash; must not change while the row is in the index */
  constructor(hashOf: (row: number) => number) {
    this.#hashOf = hashOf;
  }

  get bytes(): number {
    return this.#shards.reduce((sum, shard) => sum + shard.slots.byteLength, 0);
  }

  /** The row with this hash for which `matches` holds, or 0. */
  find(hash: number, matches: (row: number) => boolean): number {
    const { slots } = this.#shard(hash);
    const mask = slots.length - 1;
    for (let slot = hash & mask; slots[slot] !== 0; slot = (slot + 1) & mask) {
      if (matches(slots[slot]!)) return slots[slot]!;
    }
    return 0;
  }

  insert(row: number): void {
    const hash = this.#hashOf(row);
    const shard = this.#shard(hash);
    if ((shard.count + 1) * 4 > shard.slots.length * 3) this.#grow(shard);
    place(shard.slots, hash, row);
    shard.count += 1;
  }

  /** Removes the row; closes the gap, so that no markers of the removed are left to walk over. */
  remove(row: number): void {
    const hash = this.#hashOf(row);
    const shard = this.#shard(hash);
    const { slots } = shard;
    const mask = slots.length - 1;
    let gap = hash & mask;
    while (slots[gap] !== row) {
      if (slots[gap] === 0) return;
      gap = (gap + 1) & mask;
    }
    for (let slot = (gap + 1) & mask; slots[slot] !== 0; slot = (slot + 1) & mask) {
      const home = this.#hashOf(slots[slot]!) & mask;
      if (((slot - home) & mask) >= ((slot - gap) & mask)) {
        slots[gap] = slots[slot]!;
        gap = slot;
      }
    }
    slots[gap] = 0;
    shard.count -= 1;
  }

  #shard(hash: number): Shard {
    return this.#shards[hash >>> 24]!;
  }

  #grow(shard: Shard): void {
    const grown = new Uint32Array(shard.slots.length * 2);
    for (const row of shard.slots) if (row !== 0) place(grown, this.#hashOf(row), row);
    shard.slots = grown;
  }
}

class Shard {
  slots = new Uint32Array(SLOTS_MIN);
  count = 0;
}

function place(slots: Uint32Array, hash: number, row: number): void {
  const mask = slots.length - 1;
  let slot = hash & mask;
  while (slots[slot] !== 0) slot = (slot + 1) & mask;
  slots[slot] = row;
}

/** Scatters a whole number (a task's id) over 32 bits. */
export function hashNumber(value: number): number {
  let hash = (value ^ Math.floor(value / 2 ** 32)) | 0;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
