/** ○ The JSON Schema of a settings file, for editors: `holdfast config schema`. */
import type { NamedSetting } from "./table.ts";

type Schema = Readonly<Record<string, unknown>>;

export function jsonSchema(all: readonly NamedSetting[]): Schema {
  const parts = Object.groupBy(all, ({ part }) => part);
  return {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    title: "Settings of holdfast",
    type: "object",
    additionalProperties: false,
    properties: {
      $schema: { type: "string" },
      ...Object.fromEntries(Object.entries(parts).map(([part, settings]) => [part, partSchema(settings ?? [])])),
    },
  };
}

function partSchema(settings: readonly NamedSetting[]): Schema {
  return { type: "object", additionalProperties: false, properties: Object.fromEntries(settings.flatMap(properties)) };
}

function properties({ key, setting: { kind, text, default: usual } }: NamedSetting): [string, Schema][] {
  const own: Schema = { ...kind.schema, description: text, ...(usual !== undefined && { default: usual }) };
  const file: Schema = { type: "string", description: `File whose first line is: ${text}` };
  return kind.isSecret
    ? [
        [key, own],
        [`${key}File`, file],
      ]
    : [[key, own]];
}
