/** ○ The JSON Schema of an access file, for editors: `holdfast access schema`. */
import { ACTIONS } from "./right.ts";

export function accessSchema(): Readonly<Record<string, unknown>> {
  const parts = Object.entries(ACTIONS).map(
    ([part, actions]) => `${part}:(\\*|(${actions.join("|")})(,(${actions.join("|")}))*):.+`,
  );
  const secret = { type: "string", minLength: 1 };
  return {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    title: "Who may what: an access file of holdfast",
    type: "object",
    additionalProperties: false,
    properties: {
      $schema: { type: "string" },
      roles: {
        description: "By a role's name its rights, PART:ACTION:NAMES each",
        type: "object",
        additionalProperties: { type: "array", items: { type: "string", pattern: `^(\\*|${parts.join("|")})$` } },
      },
      users: {
        description: "By a user's name its roles, and what it proves itself with; '*' is whoever comes",
        type: "object",
        additionalProperties: {
          type: "object",
          additionalProperties: false,
          properties: {
            roles: { type: "array", items: { type: "string" } },
            password: { ...secret, description: "Of the queue (PLAIN), the cache (SASL, ASCII) under the user's name" },
            token: { ...secret, minLength: 16, description: "Of the page and the HTTP API" },
            curveKey: { ...secret, pattern: String.raw`^\S{40}$`, description: "The public key of its CURVE pair (Z85)" },
            certificate: { ...secret, description: "The common name (CN) of its TLS certificate" },
          },
        },
      },
    },
  };
}
