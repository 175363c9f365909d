/**
 * ○ What a value from outside must be: one description that checks it, is its type, and is JSON Schema for documents. Nothing is
 * changed on reading: what is a `Schema<T>`'s is a T as it is. Objects that are asked with refuse names that they do not know; objects
 * that are answered (`open`) may have more, as a later version's have.
 */
import { nearest } from "./nearest.ts";

export type JsonSchema = { readonly [name: string]: unknown };

export interface Schema<T> {
  /** JSON Schema 2020-12, which is what OpenAPI 3.1 has. */
  readonly json: JsonSchema;
  readonly isOptional: boolean;
  /** Of an object. */
  readonly fields?: Readonly<Record<string, Schema<unknown>>>;
  /** @returns what is wrong, beginning with the field's name; undefined: it is a T */
  wrong(value: unknown, name: string): string | undefined;
  /** Of types only. */
  readonly type?: T;
}

export type SchemaValue<S> = S extends Schema<infer T> ? T : never;

/** A field that may be left out. */
export interface OptionalSchema<T> extends Schema<T> {
  readonly isOptional: true;
}

type Fields = Readonly<Record<string, Schema<unknown>>>;

/** The object with these fields. */
export type ObjectValue<F extends Fields> = {
  readonly [Name in keyof F as F[Name] extends OptionalSchema<unknown> ? never : Name]: SchemaValue<F[Name]>;
} & { readonly [Name in keyof F as F[Name] extends OptionalSchema<unknown> ? Name : never]?: SchemaValue<F[Name]> | undefined };

function schema<T>(json: JsonSchema, is: (value: unknown) => boolean, should: string): Schema<T> {
  return { json, isOptional: false, wrong: (value, name) => (is(value) ? undefined : `'${name}' ${should}`) };
}

/** @param says what it is, for people: "is a name of 1 to 255 bytes" */
export function text({
  min = 0,
  max,
  pattern,
  says,
}: { min?: number; max?: number; pattern?: RegExp; says?: string } = {}): Schema<string> {
  const isText = (value: unknown): boolean =>
    typeof value === "string" && value.length >= min && value.length <= (max ?? Infinity) && (pattern?.test(value) ?? true);
  const bounds = { ...(min > 0 && { minLength: min }), ...(max !== undefined && { maxLength: max }) };
  return schema({ type: "string", ...bounds, ...(pattern && { pattern: pattern.source }) }, isText, says ?? "is a text");
}

export function whole(minimum = 0, maximum: number = Number.MAX_SAFE_INTEGER): Schema<number> {
  const isWhole = (value: unknown): boolean =>
    Number.isSafeInteger(value) && (value as number) >= minimum && (value as number) <= maximum;
  return schema({ type: "integer", minimum, maximum }, isWhole, `is a whole number from ${minimum} to ${maximum}`);
}

/** 8.64e15 ms from 1970: what a Date can show. */
const DATE_MS_MAX = 8.64e15;

/** A time in ms since 1970, or a stretch of time in ms. */
export const ms: Schema<number> = schema(
  { type: "number", description: "milliseconds; of a time, since 1970-01-01 UTC" },
  (value) => typeof value === "number" && Math.abs(value) <= DATE_MS_MAX,
  "is a number of milliseconds",
);

export const flag: Schema<boolean> = schema({ type: "boolean" }, (value) => typeof value === "boolean", "is true or false");

/** Any JSON. */
export const anything: Schema<unknown> = schema({}, () => true, "");

export function oneOf<const Word extends string>(words: readonly Word[]): Schema<Word> {
  const is = (value: unknown): boolean => words.some((word) => word === value);
  return schema({ type: "string", enum: words }, is, `is one of ${words.join(", ")}`);
}

export function listOf<T>(item: Schema<T>, { max }: { max?: number } = {}): Schema<readonly T[]> {
  return {
    json: { type: "array", items: item.json, ...(max !== undefined && { maxItems: max }) },
    isOptional: false,
    wrong(value, name) {
      if (!Array.isArray(value)) return `'${name}' is a list`;
      if (max !== undefined && value.length > max) return `'${name}' is a list of at most ${max}`;
      for (const each of value) {
        const wrong = item.wrong(each, name);
        if (wrong !== undefined) return wrong;
      }
      return undefined;
    },
  };
}

/** One, or a list of them. */
export function oneOrMany<T>(item: Schema<T>): Schema<T | readonly T[]> {
  const list = listOf(item);
  const wrong: Schema<T>["wrong"] = (value, name) => (Array.isArray(value) ? list : item).wrong(value, name);
  return { json: { anyOf: [item.json, list.json] }, isOptional: false, wrong };
}

export function orNull<T>(inner: Schema<T>): Schema<T | null> {
  const wrong: Schema<T>["wrong"] = (value, name) => (value === null ? undefined : inner.wrong(value, name));
  return { json: { anyOf: [inner.json, { type: "null" }] }, isOptional: false, wrong };
}

export function optional<T>(inner: Schema<T>): OptionalSchema<T> {
  const wrong: Schema<T>["wrong"] = (value, name) => (value === undefined ? undefined : inner.wrong(value, name));
  return { ...inner, isOptional: true, wrong };
}

/** With what it means, for documents. */
export function described<S extends Schema<unknown>>(inner: S, description: string): S {
  return { ...inner, json: { ...inner.json, description } };
}

/** @param open other fields may be there too */
export function object<F extends Fields>(fields: F, { open = false }: { open?: boolean } = {}): Schema<ObjectValue<F>> {
  const names = Object.keys(fields);
  return {
    json: {
      type: "object",
      properties: Object.fromEntries(names.map((name) => [name, fields[name]!.json])),
      required: names.filter((name) => !fields[name]!.isOptional),
      ...(!open && { additionalProperties: false }),
    },
    isOptional: false,
    fields,
    wrong(value, at) {
      if (typeof value !== "object" || value === null || Array.isArray(value)) return `'${at}' is an object`;
      for (const name of names) {
        const wrong = fields[name]!.wrong((value as Record<string, unknown>)[name], name);
        if (wrong !== undefined) return wrong;
      }
      const unknown = open ? undefined : Object.keys(value).find((name) => !Object.hasOwn(fields, name));
      if (unknown === undefined) return undefined;
      const like = nearest(unknown, names);
      return `'${unknown}' is unknown${like === undefined ? "" : `; is it '${like}'?`}`;
    },
  };
}
