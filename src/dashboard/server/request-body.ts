/** ○ A JSON request body, validated: each value is read by name and checked against its limits. */
import { UsageError } from "../../core/errors.ts";

export class RequestBody {
  readonly #values: Readonly<Record<string, unknown>>;

  /** @throws UsageError DASHBOARD_REQUEST_INVALID when it is not a JSON object */
  constructor(json: unknown) {
    if (typeof json !== "object" || json === null || Array.isArray(json)) throw invalid("it is not a JSON object");
    this.#values = json as Record<string, unknown>;
  }

  text(name: string, { charsMax, optional = false }: { charsMax: number; optional?: boolean }): string {
    const value = this.#values[name];
    if (value === undefined && optional) return "";
    if (typeof value !== "string" || value.length > charsMax || (!optional && value === "")) {
      throw invalid(`${name} must be a text of 1 to ${charsMax} characters`);
    }
    return value;
  }

  whole(name: string, { min, max }: { min: number; max: number }): number {
    const value = this.#values[name];
    if (typeof value !== "number" || !Number.isSafeInteger(value) || value < min || value > max) {
      throw invalid(`${name} must be a whole number from ${min} to ${max}`);
    }
    return value;
  }

  oneOf<Word extends string>(name: string, words: readonly Word[]): Word {
    const found = words.find((word) => word === this.#values[name]);
    if (found === undefined) throw invalid(`${name} must be one of ${words.join(", ")}`);
    return found;
  }
}

function invalid(why: string): UsageError {
  return new UsageError("DASHBOARD_REQUEST_INVALID", `Invalid request: ${why}`);
}
