import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { constants } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { ERROR_CODES } from "../../src/core/error-codes.ts";
import { AssertionFailed, codeOf, HoldfastError, messageOf, ProtocolError, UsageError } from "../../src/core/errors.ts";

test("whose fault an error is shows in its class, what happened in its code", () => {
  const error = new ProtocolError("CLOSED", "Cannot read reply: connection ended", { cause: new Error("EPIPE") });
  assert.ok(error instanceof HoldfastError && !(error instanceof UsageError));
  assert.deepEqual([error.name, error.code, messageOf(error.cause)], ["ProtocolError", "CLOSED", "EPIPE"]);
  assert.equal(codeOf(error), "CLOSED");
  assert.equal(codeOf("text"), undefined);
});

test("a broken invariant is named in words", () => {
  assert.match(new AssertionFailed("length stays below capacity").message, /length stays below capacity/);
});

test("every listed code is used, and says in a sentence what it means", () => {
  const root = join(import.meta.dirname, "../..");
  const text = globSync("src/**/*.ts", { cwd: root })
    .filter((path) => !path.endsWith("error-codes.ts"))
    .map((path) => readFileSync(join(root, path), "utf8"))
    .join("\n");
  // Some are made of parts (`ERR_X_${name}`), and the system's own pass through as they are.
  const prefixes = [...text.matchAll(/`([A-Z_]+_)\$\{/g)].map((match) => match[1]!);
  const isUsed = (code: string): boolean =>
    text.includes(`"${code}"`) || code in constants.errno || prefixes.some((prefix) => code.startsWith(prefix));
  const unused = Object.keys(ERROR_CODES).filter((code) => !isUsed(code));
  assert.deepEqual(unused, []);
  for (const [code, meaning] of Object.entries(ERROR_CODES)) {
    assert.match(code, /^[A-Z][A-Z0-9]*(_[A-Z0-9]+)*$/);
    assert.match(meaning, /^[A-Z'].{15,}[^.]$/, code);
  }
});
