/**
 * ○ What an option may be set to: its type, its range, libzmq's number for it. A value that cannot be is told where it is set, as the
 * `zeromq` package does: the wrong type as a TypeError, the wrong value as EINVAL. Numbers lose their fraction, as there.
 */
import { Buffer } from "node:buffer";
import { KEY_BYTES } from "../../zmtp/curve/curve-box.ts";
import { decodeZ85, encodeZ85 } from "../../zmtp/curve/z85.ts";
import { wrongType, zmqError } from "../errors.ts";

/** The largest 32-bit number: what libzmq keeps options in. */
export const INT32_MAX = 2 ** 31 - 1;

interface Rule {
  /** libzmq's number, by which `get…Option` and `set…Option` know it. */
  readonly id?: number;
  /** Takes effect at once on a socket that is bound or connected already. */
  readonly atOnce?: true;
  /** @returns the value as it is kept; throws when it cannot be */
  readonly check: (name: string, value: unknown) => unknown;
}

type Facts = Pick<Rule, "id" | "atOnce">;

export type OptionRules<Name extends string = string> = Readonly<Record<Name, Rule>>;

export function flag(facts: Facts = {}): Rule {
  return {
    ...facts,
    check: (_, value) => {
      if (typeof value !== "boolean") throw wrongType("Option value must be a boolean");
      return value;
    },
  };
}

/** A whole number from `least` to `most`. */
export function whole(least: number, { most = INT32_MAX, ...facts }: Facts & { readonly most?: number } = {}): Rule {
  return {
    ...facts,
    check: (name, value) => {
      if (typeof value !== "number") throw wrongType("Option value must be a number");
      const kept = Math.trunc(value) + 0; // no negative zero
      if (!(kept >= least && kept <= most)) throw refused(name, `${value} is not from ${least} to ${most}`);
      return kept;
    },
  };
}

/** A number of which only whole steps are kept, none below zero. */
export function inSteps(step: number, rule: Rule): Rule {
  return { ...rule, check: (name, value) => Math.max(0, Math.trunc((rule.check(name, value) as number) / step) * step) };
}

/** Text of `least` to `most` octets, or bytes; null: none. */
export function text({
  least = 1,
  most = Infinity,
  ...facts
}: Facts & { readonly least?: number; readonly most?: number } = {}): Rule {
  return {
    ...facts,
    check: (name, value) => {
      if (value === null) return null;
      const bytes = octetsOf(value);
      if (bytes.length < least || bytes.length > most)
        throw refused(name, `${bytes.length} octets are not ${least} to ${most}`);
      return typeof value === "string" ? value : readable(bytes);
    },
  };
}

/** A CURVE key: 40 characters of Z85, or 32 octets, kept as the former; null: none. */
export function key(facts: Facts): Rule {
  return {
    ...facts,
    check: (name, value) => {
      if (value === null) return null;
      const bytes = octetsOf(value);
      if (bytes.length === KEY_BYTES && typeof value !== "string") return encodeZ85(bytes);
      const asText = bytes.toString("latin1");
      if (!isKey(asText)) throw refused(name, "it is no key of 40 characters of Z85"); // not repeated: it may be a secret
      return asText;
    },
  };
}

export function oneOf(choices: readonly unknown[], facts: Facts = {}): Rule {
  return {
    ...facts,
    check: (name, value) => {
      if (!choices.includes(value)) throw refused(name, `it is none of ${choices.join(", ")}`);
      return value;
    },
  };
}

/** A function, or null: none. */
export function call(): Rule {
  return {
    check: (_, value) => {
      if (value !== null && typeof value !== "function") throw wrongType("Option value must be a function");
      return value;
    },
  };
}

/** The octets of a text or of bytes. @throws TypeError */
export function octetsOf(value: unknown): Buffer {
  if (typeof value === "string") return Buffer.from(value);
  if (Buffer.isBuffer(value)) return value;
  if (ArrayBuffer.isView(value)) return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  throw wrongType("Option value must be a string or buffer");
}

/** Bytes read back as text where they are text. */
function readable(bytes: Buffer): string | Buffer {
  const asText = bytes.toString();
  return Buffer.from(asText).equals(bytes) ? asText : Buffer.from(bytes);
}

function isKey(asText: string): boolean {
  try {
    return decodeZ85(asText).length === KEY_BYTES;
  } catch {
    return false;
  }
}

function refused(name: string, reason: string): Error {
  return zmqError("EINVAL", `Cannot set ${name}: ${reason}`);
}
