/** ○ Kinds of settings: how the text of a flag, an environment variable or a file is read, and what an editor is told of it. */
import { UsageError } from "../core/errors.ts";
import { type Duration, durationMs, type Size, sizeBytes } from "../core/units.ts";

/** How one kind of setting is read. */
export interface Kind<T> {
  /** As flags show it: `<size>`; a list ends with dots. */
  readonly placeholder: string;
  /**
   * @param texts what was given; more than one only for a list
   * @param name the setting's name, for the error's sentence
   * @throws UsageError SETTING_INVALID
   */
  readonly read: (texts: readonly string[], name: string) => T;
  /** JSON Schema of the value in a file. */
  readonly schema: Readonly<Record<string, unknown>>;
  /** Never shown; may also come from a file of its own or a systemd credential. */
  readonly isSecret?: true;
}

/** Any text. */
export const text: Kind<string> = { placeholder: "<text>", read: ([given]) => given!, schema: { type: "string" } };

/** Text of a special sort, such as an address: the part that uses it checks it. */
export function named(placeholder: string): Kind<string> {
  return { ...text, placeholder: `<${placeholder}>` };
}

/** One text or several, with commas between them. */
export function list(placeholder: string): Kind<readonly string[]> {
  return {
    placeholder: `<${placeholder}...>`,
    read: (given) => given.flatMap((texts) => texts.split(",")),
    schema: { anyOf: [{ type: "string" }, { type: "array", items: { type: "string" }, minItems: 1 }] },
  };
}

/** A whole number, 0 or more, up to nine digits. */
export const count: Kind<number> = {
  placeholder: "<n>",
  read([given], name) {
    if (!/^\d{1,9}$/.test(given!)) throw invalid(name, given!, "a whole number");
    return Number(given);
  },
  schema: { type: "integer", minimum: 0, maximum: 999_999_999 },
};

/** Bytes: 512, 64k, 64m, 1g. */
export const size: Kind<Size> = {
  placeholder: "<size>",
  read: ([given], name) => checked(given!, name, "a size such as 64m", sizeBytes),
  schema: { type: ["string", "integer"], pattern: String.raw`^\d+(\.\d+)?[kmgtKMGT]?([iI]?[bB])?$` },
};

/** Time: 250ms, 5s, 10m, 2h, 7d. */
export const duration: Kind<Duration> = {
  placeholder: "<duration>",
  read: ([given], name) => checked(given!, name, "a duration such as 5s", durationMs),
  schema: { type: ["string", "number"], pattern: String.raw`^\d+(\.\d+)?(ms|s|m|h|d)?$` },
};

/** One of some words. */
export function choice<const Word extends string>(placeholder: string, words: readonly Word[]): Kind<Word> {
  return {
    placeholder: `<${placeholder}>`,
    read([given], name) {
      const word = words.find((candidate) => candidate === given);
      if (word === undefined) throw invalid(name, given!, `one of ${words.join(", ")}`);
      return word;
    },
    schema: { enum: words },
  };
}

/** Yes or no: on the command line a flag that is there or not. */
export const toggle: Kind<boolean> = {
  placeholder: "",
  read([given], name) {
    if (given !== "true" && given !== "false") throw invalid(name, given!, "true or false");
    return given === "true";
  },
  schema: { type: "boolean" },
};

/** What only this process should know. */
export const secret: Kind<string> = { ...text, placeholder: "<secret>", isSecret: true };

function checked<T extends string>(given: T, name: string, what: string, check: (value: T, name: string) => number): T {
  try {
    check(given, name);
    return given;
  } catch (cause) {
    throw invalid(name, given, what, cause);
  }
}

function invalid(name: string, given: string, what: string, cause?: unknown): UsageError {
  return new UsageError("SETTING_INVALID", `Cannot use ${name} '${given}': it must be ${what}`, { cause });
}
