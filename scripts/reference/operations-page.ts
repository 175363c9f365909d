/** ● docs/reference/operations.md: the table of operations (src/queue/operations/table.ts), with what each takes and answers. */
import type { JsonSchema, Schema } from "../../src/core/schema.ts";
import { type AnyOperation, OPERATIONS } from "../../src/queue/operations/table.ts";

const HEAD = `# Operations

What people and programs ask of a queue's broker about its tasks. Each is one row of a table, and the same everywhere: in TypeScript
([queue.md](queue.md)), in the message \`OPERATE\` ([queue-protocol.md](../queue-protocol.md#operations)), in the HTTP API
([http-api.md](../http-api.md)) and in the command. What changes something is told in the log as \`queue.operation\`.

The right is what a token of the HTTP API must have as its scope.
`;

export function operationsPage(): string {
  const sections = Object.entries(OPERATIONS).map(([name, row]) => section(name, row as unknown as AnyOperation));
  return `${HEAD}\n${sections.join("\n")}`;
}

function section(name: string, { does, right, destroys, http, input, output, body }: AnyOperation): string {
  const [method, ...paths] = http;
  const takes = fieldsOf(input);
  return [
    `## ${name}\n`,
    `${does}.\n`,
    `Right \`${right}\`${destroys ? "; cannot be taken back" : ""}. ${paths.map((path) => `\`${method} ${path}\``).join(", ")}\n`,
    takes.length > 0 ? `Takes:\n\n${takes.join("\n")}\n` : "",
    body === "asked" ? "A body goes with it.\n" : "",
    `Answers:\n\n${fieldsOf(output).join("\n") || "- nothing"}\n`,
    body === "answered" ? "The body, or the result, comes with it.\n" : "",
  ]
    .filter((part) => part !== "")
    .join("\n");
}

function fieldsOf({ fields = {} }: Schema<unknown>): string[] {
  return Object.entries(fields).map(([name, { json, isOptional }]) => {
    const about = typeof json["description"] === "string" ? `: ${json["description"]}` : "";
    return `- \`${name}\`${isOptional ? ", optional" : ""} (${typeName(json)})${about}`;
  });
}

function typeName({ type, enum: words, items, anyOf }: JsonSchema): string {
  if (Array.isArray(words)) return words.map((word) => `\`${String(word)}\``).join(", ");
  if (Array.isArray(anyOf)) return anyOf.map((each) => typeName(each as JsonSchema)).join(" or ");
  if (type === "array") return `list of ${typeName(items as JsonSchema)}`;
  return typeof type === "string" ? type : "any JSON";
}
