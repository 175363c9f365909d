/** ○ What a page may ask for, read strictly: each value by name, with its bounds; anything else is refused with a sentence. */
import { UsageError } from "../../core/errors.ts";

export class RequestBody {
  readonly #values: Readonly<Record<string, unknown>>;

  /** @throws UsageError DASHBOARD_REQUEST_INVALID when it is no JSON object */
  constructor(json: unknown) {
    if (typeof json !== "object" || json === null || Array.isArray(json)) throw invalid("it is no JSON object");
    this.#values = json as Record<string, unknown>;
  }

  text(name: string, { charsMax, optional = false }: { charsMax: number; optional?: boolean }): string {
    const value = this.#values[name];
    if (value === undefined && optional) return "";
    if (typeof value !== "string" || value.length > charsMax || (!optional && value === "")) {
      throw invalid(`${name} is not a text of 1 to ${charsMax} characters`);
    }
    return value;
  }

  whole(name: string, { min, max }: { min: number; max: number }): number {
    const value = this.#values[name];
    if (typeof value !== "number" || !Number.isSafeInteger(value) || value < min || value > max) {
      throw invalid(`${name} is not a whole number from ${min} to ${max}`);
    }
    return value;
  }

  oneOf<Word extends string>(name: string, words: readonly Word[]): Word {
    const found = words.find((word) => word === this.#values[name]);
    if (found === undefined) throw invalid(`${name} is none of ${words.join(", ")}`);
    return found;
  }
}

function invalid(why: string): UsageError {
  return new UsageError("DASHBOARD_REQUEST_INVALID", `Cannot do what was asked: ${why}`);
}
