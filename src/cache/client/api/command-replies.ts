/**
 * ○ Reads the replies of commands, in the words of the classic and of the meta protocol alike. A reply that cannot belong to
 * the command throws: the connection is out of step.
 */
import { Buffer } from "node:buffer";
import type { ReplyKind } from "../../../memcached/reply.ts";
import { LEASE_FLAGS } from "../operations/codec.ts";
import { unexpected } from "../protocol/in-flight.ts";
import type { ReplyReader } from "../operations/operation.ts";

/** A reader of replies of which the first word tells all. */
function byKind<T extends boolean | string>(results: Readonly<Partial<Record<ReplyKind, T>>>): ReplyReader<T> {
  return (reply, verb) => {
    const result = results[reply.kind];
    if (result === undefined) throw unexpected(reply, verb);
    return { result };
  };
}

/** set, add, replace, append, prepend: whether the value was stored. */
export const storedOrNot = byKind({ STORED: true, HD: true, NOT_STORED: false, NS: false });

/** How a compare-and-store ended: "stored", "exists" (another version is there) or "missing" (nothing is). */
export type CasOutcome = "stored" | "exists" | "missing";

export const casOutcome = byKind<CasOutcome>({
  STORED: "stored",
  HD: "stored",
  EXISTS: "exists",
  EX: "exists",
  NOT_FOUND: "missing",
  NF: "missing",
});

/** delete and touch: whether the item was there. */
export const foundOrNot = byKind({ DELETED: true, TOUCHED: true, HD: true, NOT_FOUND: false, NF: false, EN: false });

/** Stores and deletes of the meta protocol that name a version: false where the item is gone, changed or not stored. */
export const metaDone = byKind({ HD: true, NF: false, EX: false, NS: false });

export const ok = byKind({ OK: true, RESET: true });

/** incr and decr: the new number, or undefined when there is no item. */
export const counter: ReplyReader<bigint | undefined> = (reply, verb) => {
  switch (reply.kind) {
    case "NUMBER":
    case "VA":
      return { result: reply.number };
    case "NOT_FOUND":
    case "NF":
      return { result: undefined };
    default:
      throw unexpected(reply, verb);
  }
};

/** What gat found: bytes of its own. */
export interface TouchedItem {
  readonly bytes: Buffer;
  readonly flags: number;
}

/** gat: the item, or undefined where there is none, or a lease's placeholder. */
export function gatReply(): ReplyReader<TouchedItem | undefined> {
  let found: TouchedItem | undefined;
  return (reply, verb) => {
    switch (reply.kind) {
      case "VALUE":
      case "VA":
        if (reply.flags !== LEASE_FLAGS) {
          found = { bytes: Buffer.from(reply.valueBytes), flags: reply.flags };
        }
        return reply.kind === "VA" ? { result: found } : undefined;
      case "END":
      case "EN":
      case "NOT_FOUND":
        return { result: found };
      default:
        throw unexpected(reply, verb);
    }
  };
}

export const versionText: ReplyReader<string> = (reply, verb) => {
  if (reply.kind === "VERSION") return { result: reply.text };
  throw unexpected(reply, verb);
};

/** Collects the lines of `stats`, name → value, until END. */
export function statistics(): ReplyReader<ReadonlyMap<string, string>> {
  const lines = new Map<string, string>();
  return (reply, verb) => {
    switch (reply.kind) {
      case "STAT":
      case "LINE": {
        const line = reply.kind === "STAT" ? reply.text : reply.wholeLine.replace(/^ITEM /, "");
        const space = line.indexOf(" ");
        lines.set(space < 0 ? line : line.slice(0, space), space < 0 ? "" : line.slice(space + 1));
        return undefined;
      }
      case "END":
      case "RESET":
      case "OK":
        return { result: lines };
      default:
        throw unexpected(reply, verb);
    }
  };
}
