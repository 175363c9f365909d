/**
 * ○ Reads the replies of commands, in the words of the classic and of the meta protocol alike. A reply that does not belong to
 * the question throws: the connection has lost its place.
 */
import { unexpected } from "../protocol/in-flight.ts";
import type { Interpret } from "../operations/operation.ts";

const YES = { result: true } as const;
const NO = { result: false } as const;

/** set, add, replace, append, prepend: whether the value was stored. */
export const storedOrNot: Interpret<boolean> = (reply, verb) => {
  switch (reply.kind) {
    case "STORED":
    case "HD":
      return YES;
    case "NOT_STORED":
    case "NS":
      return NO;
    default:
      throw unexpected(reply, verb);
  }
};

/** How a compare-and-store ended: "stored", "exists" (another version is there) or "missing" (nothing is). */
export type CasOutcome = "stored" | "exists" | "missing";

export const casOutcome: Interpret<CasOutcome> = (reply, verb) => {
  switch (reply.kind) {
    case "STORED":
    case "HD":
      return { result: "stored" };
    case "EXISTS":
    case "EX":
      return { result: "exists" };
    case "NOT_FOUND":
    case "NF":
      return { result: "missing" };
    default:
      throw unexpected(reply, verb);
  }
};

/** delete and touch: whether the item was there. */
export const foundOrNot: Interpret<boolean> = (reply, verb) => {
  switch (reply.kind) {
    case "DELETED":
    case "TOUCHED":
    case "HD":
      return YES;
    case "NOT_FOUND":
    case "NF":
    case "EN":
      return NO;
    default:
      throw unexpected(reply, verb);
  }
};

/** incr and decr: the new number, or undefined when there is no item. */
export const counter: Interpret<bigint | undefined> = (reply, verb) => {
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

export const ok: Interpret<boolean> = (reply, verb) => {
  if (reply.kind === "OK" || reply.kind === "RESET") return YES;
  throw unexpected(reply, verb);
};

export const versionText: Interpret<string> = (reply, verb) => {
  if (reply.kind === "VERSION") return { result: reply.text };
  throw unexpected(reply, verb);
};

/** Collects the lines of `stats`, name → value, until END. */
export function statistics(): Interpret<ReadonlyMap<string, string>> {
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
