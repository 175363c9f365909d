/**
 * ○ Leases: one reader of a missing item computes it, the others wait. The winner is who adds a placeholder under the key, with flags
 * of its own (`LEASE_FLAGS`) and three seconds to live, and renews it each second while its loader runs; reads take it for a miss. For
 * an item that is there and is to be computed anew, memcached's meta protocol chooses the winner (W), tells the others (Z), and gives
 * the old value meanwhile. A claim whose version stands still for too long is its winner's no more, whatever its time to live says:
 * anybody's `touch` may have changed that. Invariant: a winner stores with the CAS number it has, so that what it computed does not overwrite a
 * later store or delete.
 */
import type { Buffer } from "node:buffer";
import type { MemcachedReply } from "../../../memcached/reply.ts";
import { LEASE_FLAGS, type Codec } from "../operations/codec.ts";
import { TAGGED_FLAG, tagsOf, withoutTags, type TagVersion } from "../operations/tagged.ts";
import { unexpected } from "../protocol/in-flight.ts";
import type { CommandFields, ReplyReader } from "../operations/operation.ts";
import { isBase64 } from "../operations/wire-key.ts";

/** A version, and the connection that told it: a server that is started anew begins its versions anew. */
export interface ToldVersion {
  readonly cas: bigint;
  readonly connection: number;
}

/** What a look at a key finds; undefined where that cannot be told: no meta commands, no answer. */
export type Look = "nothing" | SeenVersion | undefined;

/** An item, or a placeholder, which is none. */
export interface SeenVersion extends ToldVersion {
  readonly held: boolean;
  /** It has tags. */
  readonly tagged: boolean;
}

export function isPlaceholder(looked: Look): looked is SeenVersion {
  return typeof looked === "object" && looked.held;
}

export function isItem(looked: Look): looked is SeenVersion {
  return typeof looked === "object" && !looked.held;
}

/** The reply to a leased read. */
export interface LeasedItem<T> {
  /** The value; undefined when there is none yet or the codec cannot read it. */
  readonly found: { readonly value: T } | undefined;
  /** The server that was asked. */
  readonly server: string;
  readonly cas: bigint;
  /** Seconds until it expires; undefined: never. */
  readonly leftS: number | undefined;
  /** This reader alone shall recompute. */
  readonly won: boolean;
  /** Another reader recomputes. */
  readonly claimed: boolean;
  /** It is a placeholder: another reader computes. */
  readonly held: boolean;
  /** The item was invalidated (`md I`): what is found is out of date. */
  readonly stale: boolean;
  /** The versions of tags that it was stored with. */
  readonly tags: readonly TagVersion[] | undefined;
}

/**
 * 3 s: memcached's clock ticks whole seconds, so that a placeholder lives for more than two of them: a renewal a second is in time, also
 * where either side runs a second late. (Two were not enough: a tick right after the store left it little more than one.)
 */
export const PLACEHOLDER_S = 3;

/** 2 s: a placeholder that is seen unchanged for so long has a dead winner, since a living one renews it each second. */
export const STANDING_MS_MAX = 2000;

/** `recacheS`: of an item with less time left than this a winner is chosen. */
export function leasedRead(wireKey: string, { recacheS }: { recacheS: number }): CommandFields {
  return { words: `mg ${metaKey(wireKey)} v f c t${recacheS > 0 ? ` R${recacheS}` : ""}` };
}

/** Puts a placeholder where nothing is (no `over`), in the place of another, which renews it, or over whatever is there. */
export function placeholder(wireKey: string, token: string, over?: ToldVersion | "whatever is there"): CommandFields {
  const [key, base64] = keyAndMark(wireKey);
  const last = typeof over === "object" ? over : undefined;
  const where = last ? ` C${last.cas}` : over ? "" : " ME";
  return {
    words: `ms ${key}`,
    tail: `${base64}${where} T${PLACEHOLDER_S} F${LEASE_FLAGS} c`,
    body: token,
    ...(last && { connection: last.connection }),
  };
}

/** 1,024 keys that others compute, as seen by one process; of the one that is forgotten a dead winner is noticed later. */
const CLAIMS_MAX = 1024;

/** What others have claimed, as long as it is seen unchanged. */
export class SeenClaims {
  readonly #seen = new Map<string, { readonly cas: bigint; readonly sinceMs: number }>();

  /**
   * How long the claim has surely stood unchanged.
   *
   * @param askedMs when the reply that shows it was asked for
   */
  standingMs(wireKey: string, cas: bigint, { askedMs, nowMs }: { askedMs: number; nowMs: number }): number {
    const seen = this.#seen.get(wireKey);
    if (seen?.cas === cas) return Math.max(0, askedMs - seen.sinceMs);
    this.#seen.delete(wireKey);
    this.#seen.set(wireKey, { cas, sinceMs: nowMs });
    if (this.#seen.size > CLAIMS_MAX) this.#seen.delete(this.#seen.keys().next().value!);
    return 0;
  }

  /** Nobody computes it. */
  ended(wireKey: string): void {
    this.#seen.delete(wireKey);
  }
}

/** The placeholder's version; 0n where it was not put. */
export const placed: ReplyReader<bigint> = (reply, verb) => {
  switch (reply.kind) {
    case "HD":
      return { result: reply.cas };
    case "NS":
    case "EX":
    case "NF":
      return { result: 0n };
    default:
      throw unexpected(reply, verb);
  }
};

/** Stores what the winner computed, if the item is still the one that was won. */
export function leasedStore(
  wireKey: string,
  { cas, connection }: ToldVersion,
  { exptime, flags, body }: { exptime: number; flags: number; body: string | Uint8Array },
): CommandFields {
  const [key, base64] = keyAndMark(wireKey);
  return { words: `ms ${key}`, tail: `${base64} C${cas} F${flags} T${exptime}`, body, connection };
}

/** Gives a lease up: deletes its placeholder, so that the next reader wins. */
export function leaseDropped(wireKey: string, { cas, connection }: ToldVersion): CommandFields {
  return { words: `md ${metaKey(wireKey)} C${cas}`, connection };
}

/** Marks the item, whose version may be given, as out of date, so that the next reader wins; `leftS` shortens its life. */
export function invalidation(wireKey: string, leftS: number | undefined, only?: ToldVersion): CommandFields {
  const words = `md ${metaKey(wireKey)} I${leftS === undefined ? "" : ` T${leftS}`}`;
  return only ? { words: `${words} C${only.cas}`, connection: only.connection } : { words };
}

/** Reads an item's version and end alone. */
export function versionRequest(wireKey: string): CommandFields {
  return { words: `mg ${metaKey(wireKey)} c t f` };
}

/** An item's version and end. */
export interface ItemVersion {
  readonly cas: bigint;
  /** Seconds left; -1 without end. */
  readonly leftS: number | undefined;
  readonly won: boolean;
  readonly held: boolean;
  readonly tagged: boolean;
}

export const versionReply: ReplyReader<ItemVersion | "nothing" | undefined> = (reply, verb) => {
  switch (reply.kind) {
    case "HD":
      return {
        result: {
          cas: reply.cas,
          leftS: reply.ttl,
          won: reply.won,
          held: reply.flags === LEASE_FLAGS,
          tagged: reply.flags >= TAGGED_FLAG,
        },
      };
    case "EN":
      return { result: "nothing" };
    default:
      throw unexpected(reply, verb);
  }
};

const NOTHING = {
  found: undefined,
  cas: 0n,
  leftS: undefined,
  won: false,
  claimed: false,
  held: false,
  stale: false,
  tags: undefined,
} as const;

/**
 * @param server the one that is asked
 * @param keep called with an item that is there; its bytes are borrowed
 */
export function leasedReply<T>(
  codec: Codec<T>,
  server: string,
  keep?: (reply: MemcachedReply) => void,
): ReplyReader<LeasedItem<T> | undefined> {
  return (reply, verb) => {
    switch (reply.kind) {
      case "VA":
        if (reply.flags !== LEASE_FLAGS) keep?.(reply);
        return { result: read(reply, codec, server) };
      case "EN":
        return { result: { ...NOTHING, server } };
      default:
        throw unexpected(reply, verb);
    }
  };
}

function read<T>(reply: MemcachedReply, codec: Codec<T>, server: string): LeasedItem<T> {
  const { cas, ttl, won, claimed, stale, flags } = reply;
  const held = flags === LEASE_FLAGS;
  return {
    found: held ? undefined : decoded(codec, reply.valueBytes, flags),
    server,
    cas,
    leftS: ttl === undefined || ttl < 0 ? undefined : ttl,
    won,
    claimed,
    held,
    stale,
    tags: flags >= TAGGED_FLAG && !held ? tagsOf(reply.valueBytes, flags) : undefined,
  };
}

/** The value; undefined when the codec cannot read it: what another version of the caller wrote counts as a miss. */
export function decoded<T>(codec: Codec<T>, bytes: Buffer, flags: number): { value: T } | undefined {
  try {
    const item = withoutTags(bytes, flags);
    return { value: codec.decode(item.bytes, item.flags) };
  } catch {
    return undefined;
  }
}

export function metaKey(wireKey: string): string {
  return keyAndMark(wireKey).join("");
}

export function keyAndMark(wireKey: string): readonly [key: string, mark: string] {
  return isBase64(wireKey) ? [wireKey.slice(1), " b"] : [wireKey, ""];
}
