/**
 * ○ Leases in memcached's meta protocol (doc/protocol.txt, "Stampeding herd"): `mg … N R` reads an item and, when it is missing or
 * about to expire, tells exactly one reader to recompute it (W); the others are told that one does (Z). In place of a missing
 * item the server stores an empty placeholder for as long as the lease lasts. Invariant: a winner stores with the CAS number it
 * won with, so that what it computed does not overwrite a later store or delete.
 */
import type { Buffer } from "node:buffer";
import type { MemcachedReply } from "../../../memcached/reply.ts";
import type { Codec } from "../operations/codec.ts";
import { unexpected } from "../protocol/in-flight.ts";
import type { CommandFields, ReplyReader } from "../operations/operation.ts";
import { isBase64 } from "../operations/wire-key.ts";

/** The reply to a leased read. */
export interface LeasedItem<T> {
  /** The value; undefined when there is none yet or the codec cannot read it. */
  readonly found: { readonly value: T } | undefined;
  readonly cas: bigint;
  /** Seconds until it expires; undefined: never. */
  readonly leftS: number | undefined;
  /** This reader alone shall recompute. */
  readonly won: boolean;
  /** Another reader recomputes. */
  readonly claimed: boolean;
  /** The item was invalidated (`md I`): what is found is out of date. */
  readonly stale: boolean;
}

/** `leaseS`: how long others wait for the winner; `recacheS`: an item with less time left than this has a winner chosen too. */
export function leasedRead(wireKey: string, { leaseS, recacheS }: { leaseS: number; recacheS: number }): CommandFields {
  const recache = recacheS > 0 ? ` R${recacheS}` : "";
  return { words: `mg ${metaKey(wireKey)} v f c t N${leaseS}${recache}` };
}

/** Stores what the winner computed, if the item is still the one that was won. */
export function leasedStore(
  wireKey: string,
  { cas, exptime, flags, body }: { cas: bigint; exptime: number; flags: number; body: string | Uint8Array },
): CommandFields {
  const [key, base64] = keyAndMark(wireKey);
  return { words: `ms ${key}`, tail: `${base64} C${cas} F${flags} T${exptime}`, body };
}

/** Gives a lease up: deletes its placeholder, so that the next reader wins. */
export function leaseDropped(wireKey: string, cas: bigint): CommandFields {
  return { words: `md ${metaKey(wireKey)} C${cas}` };
}

/** Marks the item as out of date, so that the next reader wins; `leftS` shortens its life. */
export function invalidation(wireKey: string, { cas, leftS }: { cas?: bigint; leftS?: number }): CommandFields {
  const only = cas === undefined ? "" : ` C${cas}`;
  return { words: `md ${metaKey(wireKey)} I${only}${leftS === undefined ? "" : ` T${leftS}`}` };
}

/** Reads an item's version and end alone. */
export function versionRequest(wireKey: string): CommandFields {
  return { words: `mg ${metaKey(wireKey)} c t` };
}

/** An item's version and end. */
export interface ItemVersion {
  readonly cas: bigint;
  /** Seconds left; -1 without end. */
  readonly leftS: number | undefined;
  readonly won: boolean;
}

/** The version, or undefined when there is no item. */
export const versionReply: ReplyReader<ItemVersion | undefined> = (reply, verb) => {
  switch (reply.kind) {
    case "HD":
      return { result: { cas: reply.cas, leftS: reply.ttl, won: reply.won } };
    case "EN":
      return { result: undefined };
    default:
      throw unexpected(reply, verb);
  }
};

/** @param keep called with a value that is not to be recomputed; its bytes are borrowed */
export function leasedReply<T>(
  codec: Codec<T>,
  keep?: (reply: MemcachedReply) => void,
): ReplyReader<LeasedItem<T> | undefined> {
  return (reply, verb) => {
    switch (reply.kind) {
      case "VA":
        if (!reply.won && !reply.claimed && !reply.stale) keep?.(reply);
        return { result: read(reply, codec) };
      case "EN":
        return { result: undefined };
      default:
        throw unexpected(reply, verb);
    }
  };
}

function read<T>(reply: MemcachedReply, codec: Codec<T>): LeasedItem<T> {
  const { cas, ttl, won, claimed, stale, flags, valueStart, valueEnd } = reply;
  // A lease's placeholder looks like a stored empty string; only while a reader holds the lease (W or Z) is it taken for one.
  const placeholder = valueStart === valueEnd && flags === 0 && (won || claimed);
  return {
    found: placeholder ? undefined : decoded(codec, reply.valueBytes, flags),
    cas,
    leftS: ttl === undefined || ttl < 0 ? undefined : ttl,
    won,
    claimed,
    stale,
  };
}

/** The value; undefined when the codec cannot read it: what another version of the caller wrote counts as a miss. */
export function decoded<T>(codec: Codec<T>, bytes: Buffer, flags: number): { value: T } | undefined {
  try {
    return { value: codec.decode(bytes, flags) };
  } catch {
    return undefined;
  }
}

function metaKey(wireKey: string): string {
  return keyAndMark(wireKey).join("");
}

function keyAndMark(wireKey: string): readonly [key: string, mark: string] {
  return isBase64(wireKey) ? [wireKey.slice(1), " b"] : [wireKey, ""];
}
