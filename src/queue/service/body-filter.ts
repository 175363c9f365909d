/** ○ Fields of JSON bodies that a search asks for: `customer.id=42` is in `{ "customer": { "id": 42 } }`, as is `items.0.name=tea`. */
import { UsageError } from "../../core/errors.ts";

/** A field, and what it must be. */
export interface BodyField {
  readonly path: readonly string[];
  /** As it would be written: 42, true, null, or the text itself. */
  readonly value: string;
}

/** @throws UsageError QUEUE_OPTIONS_INVALID */
export function readWhere(text: string): BodyField {
  const equals = text.indexOf("=");
  if (equals < 1)
    throw new UsageError("QUEUE_OPTIONS_INVALID", `Cannot search by '${text}': write a field and its value: customer.id=42`);
  return { path: text.slice(0, equals).split("."), value: text.slice(equals + 1) };
}

const decoder = new TextDecoder();

/** Whether a body is JSON in which all fields are so. */
export function hasFields(body: Uint8Array, fields: readonly BodyField[]): boolean {
  let json: unknown;
  try {
    json = JSON.parse(decoder.decode(body));
  } catch {
    // Bodies of other kinds have no fields.
    return false;
  }
  return fields.every(({ path, value }) => {
    const found = path.reduce<unknown>((at, name) => (isParent(at) && Object.hasOwn(at, name) ? at[name] : undefined), json);
    if (found === undefined) return false;
    return (typeof found === "string" ? found : JSON.stringify(found)) === value;
  });
}

function isParent(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
