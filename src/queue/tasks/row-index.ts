/**
 * ○ Finds rows by a hash: open addressing in typed arrays, 8 bytes a slot (hash, row), outside the JavaScript heap. The hash stands
 * beside the row so that a row is looked at only when it is likely the one: rows lie far apart, and each look is a cache miss.
 * Split into shards that grow one by one, so that ten million entries are never moved in one pause. What makes two rows equal
 * is the caller's business.
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
    for (let at = home(hash, mask); slots[at + 1] !== 0; at = (at + 2) & mask) {
      if (slots[at] === hash && matches(slots[at + 1]!)) return slots[at + 1]!;
    }
    return 0;
  }

  insert(row: number): void {
    const hash = this.#hashOf(row);
    const shard = this.#shard(hash);
    if ((shard.count + 1) * 8 > shard.slots.length * 3) grow(shard);
    place(shard.slots, hash, row);
    shard.count += 1;
  }

  /** Removes the row; closes the gap, so that no markers of the removed are left to walk over. */
  remove(row: number): void {
    const hash = this.#hashOf(row);
    const shard = this.#shard(hash);
    const { slots } = shard;
    const mask = slots.length - 1;
    let gap = home(hash, mask);
    while (slots[gap + 1] !== row) {
      if (slots[gap + 1] === 0) return;
      gap = (gap + 2) & mask;
    }
    for (let at = (gap + 2) & mask; slots[at + 1] !== 0; at = (at + 2) & mask) {
      const start = home(slots[at]!, mask);
      if (((at - start) & mask) >= ((at - gap) & mask)) {
        slots[gap] = slots[at]!;
        slots[gap + 1] = slots[at + 1]!;
        gap = at;
      }
    }
    slots[gap + 1] = 0;
    shard.count -= 1;
  }

  #shard(hash: number): Shard {
    return this.#shards[hash >>> 24]!;
  }
}

class Shard {
  /** Pairs: hash, row. A row of 0 is an empty slot. */
  slots = new Uint32Array(SLOTS_MIN * 2);
  count = 0;
}

/** Where a hash's pair begins if nothing is in its way. */
function home(hash: number, mask: number): number {
  return (hash << 1) & mask;
}

function place(slots: Uint32Array, hash: number, row: number): void {
  const mask = slots.length - 1;
  let at = home(hash, mask);
  while (slots[at + 1] !== 0) at = (at + 2) & mask;
  slots[at] = hash;
  slots[at + 1] = row;
}

function grow(shard: Shard): void {
  const { slots } = shard;
  const grown = new Uint32Array(slots.length * 2);
  for (let at = 0; at < slots.length; at += 2) if (slots[at + 1] !== 0) place(grown, slots[at]!, slots[at + 1]!);
  shard.slots = grown;
}

/** Scatters a whole number (a task's id) over 32 bits. */
export function hashNumber(value: number): number {
  let hash = (value ^ Math.floor(value / 2 ** 32)) | 0;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
