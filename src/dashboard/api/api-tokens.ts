/** ● Tokens of the HTTP API, each with a name, for the log, and scopes. */
import { UsageError } from "../../core/errors.ts";
import { listOf, object, oneOf, text } from "../../core/schema.ts";
import { isSame } from "../access/access.ts";
import { type ApiScope, SCOPES } from "./api-operation.ts";

/** A token of the HTTP API. */
export interface ApiToken {
  /** Who has it; the broker's log says it. */
  readonly name: string;
  /** 16 characters at least. */
  readonly token: string;
  /** What whoever has it may do. */
  readonly scopes: readonly ApiScope[];
}

const TOKENS = listOf(
  object({
    name: text({ min: 1, max: 100 }),
    token: text({ min: 16, max: 1000, says: "is a text of 16 characters at least" }),
    scopes: listOf(oneOf(SCOPES)),
  }),
);

/** @param given the tokens, or JSON of them. @throws UsageError DASHBOARD_OPTIONS_INVALID */
export function checkTokens(given: readonly ApiToken[] | string): readonly ApiToken[] {
  const tokens = typeof given === "string" ? parsed(given) : given;
  const wrong = TOKENS.wrong(tokens, "apiTokens");
  // The value is a secret: it is not told.
  if (wrong !== undefined) throw new UsageError("DASHBOARD_OPTIONS_INVALID", `Cannot use the API's tokens: ${wrong}`);
  return tokens as readonly ApiToken[];
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Told as what it is not.
    return undefined;
  }
}

/** The token of an Authorization header; undefined: none of these. */
export function tokenOf(header: string | null, tokens: readonly ApiToken[]): ApiToken | undefined {
  const given = header?.replace(/^Bearer /i, "") ?? "";
  let found: ApiToken | undefined;
  // All are compared, so that the time says nothing of which one it is.
  for (const each of tokens) if (isSame(given, each.token)) found = each;
  return found;
}
