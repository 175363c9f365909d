/**
 * ○ Moves a page from one class to another: empties the oldest page of the source chunk by chunk, rescuing live items into other
 * chunks of their class, then hands it over. Works in bounded steps; requests go on between them. Invariant: chunks of the page
 * that are done are on no list and belong to nobody.
 */
import * as Item from "../store/item.ts";
import type { Items } from "../store/items.ts";
import { GLOBAL } from "../store/memory.ts";

/** Rounds over a page with held items before these are given up; memcached's number. */
const BUSY_LOOPS_MAX = 5000;
/** Evictions tried for one rescue; memcached's number. */
const EVICTIONS_MAX = 10;
/** Per step: chunks looked at and bytes copied, under 0.1 ms except for a chunk of half a page; the caller repeats the step. */
const CHUNKS_PER_STEP = 64;
const BYTES_PER_STEP = 64 * 1024;

/** Why the slab rebalancer found a chunk busy, by `GLOBAL.reassignLastBusy`. */
export const BUSY_STATUS = [
  "none",
  "pass",
  "from_slab",
  "from_lru",
  "busy",
  "busy_uploading",
  "busy_active",
  "busy_floating",
  "locked",
] as const;
/** memcached's answers to `slabs reassign`. */
export const REASSIGN = {
  ok: "OK",
  running: "BUSY currently processing reassign request",
  badClass: "BADCLASS invalid src or dst class id",
  noSpare: "NOSPARE source class has no spare pages",
  same: "SAME src and dst class are identical",
} as const;

export class SlabRebalancer {
  readonly #items: Items;
  #source = 0;
  #target = 0;
  #page = 0;
  #position = 0;
  #completed = new Uint8Array(0);
  #busyItems = 0;
  #busyLoops = 0;
  #mayEvict = false;
  #pickFrom = 1;
  #copied = 0;

  constructor(items: Items) {
    this.#items = items;
  }

  get running(): boolean {
    return this.#page !== 0;
  }

  /**
   * Starts a move.
   *
   * @param source a class, 0 for the pool, -1 for any class that can spare a page
   * @returns one of REASSIGN
   */
  start(source: number, target: number, mayEvict: boolean): string {
    const { memory, slabs } = this.#items;
    if (memory.globals[GLOBAL.reassignRunning] !== 0) return REASSIGN.running;
    if (source === target) return REASSIGN.same;
    const from = source === -1 ? this.#anySource(target) : source;
    if (from < 0 || from > slabs.largest || target < 0 || target > slabs.largest) return REASSIGN.badClass;
    const pages = from === 0 ? memory.globals[GLOBAL.poolPages]! : memory.classPages[from]!;
    if (pages < 2) return REASSIGN.noSpare;
    this.#source = from;
    this.#target = target;
    this.#page = memory.classFirstPage[from]!;
    this.#position = 0;
    this.#completed = new Uint8Array(from === 0 ? 0 : memory.classPerPage[from]!);
    this.#busyItems = 0;
    this.#busyLoops = 0;
    this.#mayEvict = mayEvict || (this.#limitReached() && memory.globals[GLOBAL.poolPages] === 0);
    memory.globals[GLOBAL.reassignRunning] = 1;
    return REASSIGN.ok;
  }

  /** Does a bounded part of the move. Returns false when some items were held and it is better to wait a little. */
  step(): boolean {
    this.#copied = 0;
    for (let count = 0; count < CHUNKS_PER_STEP && this.#copied < BYTES_PER_STEP; count += 1) {
      if (this.#position >= this.#completed.length) {
        if (this.#busyItems === 0) {
          this.#finish();
          return true;
        }
        this.#items.memory.globals[GLOBAL.reassignBusyItems]! += this.#busyItems;
        this.#busyItems = 0;
        this.#busyLoops += 1;
        this.#position = 0;
        return false;
      }
      if (this.#completed[this.#position] === 0) this.#clear(this.#position);
      this.#position += 1;
    }
    return true;
  }

  #finish(): void {
    const { memory, slabs } = this.#items;
    slabs.finishMove(this.#source, this.#target);
    this.#page = 0;
    memory.globals[GLOBAL.reassignRunning] = 0;
  }

  #limitReached(): boolean {
    const { globals } = this.#items.memory;
    return globals[GLOBAL.memoryTaken]! >= globals[GLOBAL.memoryLimit]!;
  }

  /** Some class other than the target with more than one page, a different one each time. */
  #anySource(target: number): number {
    const { memory, slabs } = this.#items;
    for (let count = 0; count < slabs.largest; count += 1) {
      const slabClass = this.#pickFrom;
      this.#pickFrom = slabClass >= slabs.largest ? 1 : slabClass + 1;
      if (slabClass !== target && memory.classPages[slabClass]! > 1) return slabClass;
    }
    return -1;
  }

  #chunkAt(position: number): number {
    const { memory, slabs } = this.#items;
    return slabs.pageStart(this.#page) + (position * memory.classBytes[this.#source]!) / 8;
  }

  #inPage(chunk: number): boolean {
    const start = this.#items.slabs.pageStart(this.#page);
    return chunk >= start && chunk < start + 131_072;
  }

  /** Frees one chunk of the page, or counts it busy. */
  #clear(position: number): void {
    const items = this.#items;
    const { words, slabs } = items;
    const chunk = this.#chunkAt(position);
    if (Item.has(words, chunk, Item.SLABBED)) {
      slabs.unlinkFree(chunk, this.#source);
      this.#done(position);
      return;
    }
    const item = Item.has(words, chunk, Item.CHUNK) ? Item.chunkOwner(words, chunk) : chunk;
    if (!Item.has(words, item, Item.LINKED)) {
      this.#busy("busy_floating");
      return;
    }
    if (items.locked.size > 0 && items.locked.has(Item.hash(words, item))) {
      this.#busy("locked");
      return;
    }
    if (items.isExpiredOrFlushed(item)) {
      items.unlink(item);
      if (!Item.has(words, chunk, Item.SLABBED)) this.#busy("busy");
      else this.#clear(position);
      return;
    }
    if (Item.references(words, item) !== 1) {
      this.#rescueHeld(item);
      return;
    }
    const room = this.#room();
    if (this.#completed[position] !== 0) {
      if (room !== 0) slabs.free(room, this.#source); // the eviction that made room freed this very chunk
      return;
    }
    if (room === 0 || !Item.has(words, item, Item.LINKED)) {
      if (room !== 0) slabs.free(room, this.#source);
      else items.memory.globals[GLOBAL.reassignBusyNoMemory]! += 1;
      this.#busy("from_lru");
      return;
    }
    if (item === chunk) this.#rescue(chunk, room);
    else this.#rescueChunk(chunk, room);
    this.#done(position);
  }

  /** A free chunk of the class outside the page, or 0. */
  #room(): number {
    const items = this.#items;
    let room = this.#takeFree();
    if (room !== 0) return room;
    if (!this.#mayEvict && this.#busyLoops > BUSY_LOOPS_MAX) {
      if (this.#limitReached()) this.#mayEvict = true;
      else return items.slabs.allocate(this.#source);
    }
    for (let tries = 0; this.#mayEvict && room === 0 && tries < EVICTIONS_MAX; tries += 1) {
      items.makeRoom(this.#source);
      room = this.#takeFree();
    }
    return room;
  }

  #takeFree(): number {
    const { slabs, memory } = this.#items;
    for (;;) {
      const chunk = slabs.allocate(this.#source, false);
      if (chunk === 0 || !this.#inPage(chunk)) return chunk;
      const position = ((chunk - slabs.pageStart(this.#page)) * 8) / memory.classBytes[this.#source]!;
      this.#done(position);
      memory.globals[GLOBAL.reassignInlineReclaim]! += 1;
    }
  }

  /** Moves an item into other memory, in its place in LRU list and index. */
  #rescue(from: number, to: number): void {
    const items = this.#items;
    const { words, index, lruLists, memory } = items;
    this.#copy(from, to);
    index.replace(from, to);
    lruLists.replace(to);
    if (Item.has(words, to, Item.CHUNKED)) {
      for (let chunk = Item.firstChunk(words, to); chunk !== 0; chunk = Item.next(words, chunk)) {
        Item.setChunkOwner(words, chunk, to);
      }
    }
    memory.globals[GLOBAL.reassignRescues]! += 1;
  }

  #rescueChunk(from: number, to: number): void {
    const items = this.#items;
    const { words } = items;
    this.#copy(from, to);
    const prev = Item.prev(words, to);
    const next = Item.next(words, to);
    if (prev !== 0) Item.setNext(words, prev, to);
    else Item.setFirstChunk(words, Item.chunkOwner(words, to), to);
    if (next !== 0) Item.setPrev(words, next, to);
    items.memory.globals[GLOBAL.reassignChunkRescues]! += 1;
  }

  #copy(from: number, to: number): void {
    const bytes = this.#items.memory.classBytes[this.#source]!;
    this.#items.bytes.copyWithin(to * 8, from * 8, from * 8 + bytes);
    this.#copied += bytes;
  }

  /** An item that someone else holds: a copy takes its place under its key; the held memory is freed when it is released. */
  #rescueHeld(item: number): void {
    const items = this.#items;
    const { words, memory } = items;
    const chunked = Item.has(words, item, Item.CHUNKED);
    if (!chunked) {
      const room = this.#room();
      if (room !== 0 && Item.has(words, item, Item.LINKED)) {
        this.#copy(item, room);
        Item.clearFlags(words, room, Item.LINKED);
        Item.setReferences(words, room, 0);
        const hash = Item.hash(words, item);
        items.link(room, hash, item);
        memory.globals[GLOBAL.reassignRescues]! += 1;
      } else if (room !== 0) {
        items.slabs.free(room, this.#source);
      } else {
        memory.globals[GLOBAL.reassignBusyNoMemory]! += 1;
      }
    } else if (this.#busyLoops > BUSY_LOOPS_MAX) {
      items.logEviction(item);
      items.unlink(item);
      memory.globals[GLOBAL.reassignBusyDeletes]! += 1;
    }
    this.#busy("busy_active");
  }

  #busy(status: (typeof BUSY_STATUS)[number]): void {
    this.#busyItems += 1;
    this.#items.memory.globals[GLOBAL.reassignLastBusy] = BUSY_STATUS.indexOf(status);
  }

  #done(position: number): void {
    this.#completed[position] = 1;
  }
}
