/** ● The OpenAPI 3.1 document of the HTTP API, made from its table. */
import type { JsonSchema } from "../../core/schema.ts";
import { type ApiOperation, SCOPES } from "./api-operation.ts";

const ERROR: JsonSchema = {
  type: "object",
  properties: { code: { type: "string" }, error: { type: "string" } },
  required: ["code", "error"],
};
const BYTES: JsonSchema = { "application/octet-stream": { schema: { type: "string", format: "binary" } } };

/** @param server where the API is: "/api/v1", or "/ops/api/v1" */
export function openApi(operations: readonly ApiOperation[], server: string): object {
  const paths: Record<string, Record<string, object>> = {};
  for (const operation of operations) {
    for (const [index, path] of operation.paths.entries())
      (paths[path] ??= {})[operation.method.toLowerCase()] = pathItem(operation, path, index);
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "Holdfast",
      version: "1",
      description:
        "Tasks, queues, schedules and the cache of a Holdfast process. An error is told as `{ code, error }`, with a stable code.",
    },
    servers: [{ url: server }],
    security: [{ token: [] }, {}],
    paths,
    components: {
      securitySchemes: {
        token: { type: "http", scheme: "bearer", description: `A token's scopes are some of ${SCOPES.join(", ")}` },
      },
      schemas: { Error: ERROR },
    },
  };
}

function pathItem(operation: ApiOperation, path: string, index: number): object {
  const { name, does, scope, destroys, method, input, takesBytes, hasKey, answers } = operation;
  const inPath = [...path.matchAll(/\{(\w+)\}/g)].map((match) => match[1]!);
  // Of an operation with a path for one task and another for many, each has the fields that it can have.
  const others = operation.paths.flatMap((other) => [...other.matchAll(/\{(\w+)\}/g)].map((match) => match[1]!));
  const isForOne = operation.paths.length > 1 && inPath.includes("id");
  const fields = Object.entries(input.fields ?? {}).filter(
    ([field]) => !inPath.includes(field) && !others.includes(field) && (!isForOne || field === "undoMs"),
  );
  const inQuery = method === "GET" || method === "DELETE" || takesBytes === true;
  const parameters = [
    ...inPath.map((field) => ({ name: field, in: "path", required: true, schema: input.fields![field]!.json })),
    ...(inQuery
      ? fields.map(([field, { json, isOptional }]) => ({ name: field, in: "query", required: !isOptional, schema: json }))
      : []),
    ...(hasKey
      ? [
          {
            name: "Idempotency-Key",
            in: "header",
            required: false,
            schema: { type: "string" },
            description: "While a task is known under it, that task is the answer",
          },
        ]
      : []),
  ];
  const properties = Object.fromEntries(fields.map(([field, { json }]) => [field, json]));
  const required = fields.filter(([, { isOptional }]) => !isOptional).map(([field]) => field);
  const json = { "application/json": { schema: { type: "object", properties, required } } };
  return {
    operationId: index === 0 ? name : `${name}Many`,
    summary: does,
    "x-scope": scope,
    "x-destroys": destroys,
    parameters,
    ...(!inQuery && fields.length > 0 && { requestBody: { required: required.length > 0, content: json } }),
    ...(takesBytes && { requestBody: { required: true, content: BYTES } }),
    responses: {
      ...Object.fromEntries(Object.entries(answers).map(([status, answer]) => [status, response(status, answer)])),
      default: {
        description: "It was not done",
        content: { "application/json": { schema: { $ref: "#/components/schemas/Error" } } },
      },
    },
  };
}

function response(status: string, answer: JsonSchema | "bytes" | undefined): object {
  const description = { "200": "Done", "201": "Added", "202": "It has not ended yet", "204": "Done", "404": "There is none" }[
    status
  ];
  if (answer === undefined) return { description };
  return { description, content: answer === "bytes" ? BYTES : { "application/json": { schema: answer } } };
}
