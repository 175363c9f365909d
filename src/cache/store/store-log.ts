/** ○ The events of single items that a store reports for `watch`. While nobody watches they cost one comparison a call. */

/** memcached's words for what became of a fetch. */
export type FetchStatus = "not_found" | "found" | "flushed" | "expired";

/** memcached's words for what became of a store. */
export type StoreStatus = "not_stored" | "stored" | "exists" | "not_found" | "too_large" | "no_memory";

/** Keys are views into shared memory or a read buffer: copy them to keep them. */
export interface StoreLog {
  fetched?(event: {
    readonly key: Uint8Array;
    readonly status: FetchStatus;
    readonly slabClass: number;
    readonly valueBytes: number;
  }): void;
  stored?(event: {
    readonly key: Uint8Array;
    readonly status: StoreStatus;
    readonly command: string;
    readonly ttlSeconds: number;
    readonly slabClass: number;
    readonly valueBytes: number;
  }): void;
  evicted?(event: {
    readonly key: Uint8Array;
    readonly fetched: boolean;
    readonly ttlSeconds: number;
    readonly idleSeconds: number;
    readonly slabClass: number;
    readonly valueBytes: number;
  }): void;
  deleted?(event: {
    readonly key: Uint8Array;
    readonly command: "delete" | "md";
    readonly slabClass: number;
    readonly valueBytes: number;
  }): void;
  /** An item changed in another way than by a store or a deletion: memcached has no line for it. */
  changed?(event: { readonly key: Uint8Array; readonly command: ChangeCommand }): void;
  /** From this second on everything is flushed that was stored before. */
  flushed?(): void;
}

/** What changes an item in its place: another time to live, another number, marked as out of date. */
export type ChangeCommand = "touch" | "mg" | "md" | "incr" | "decr";
