/** The reference says what the sources say, and every option is explained. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { kept } from "../../scripts/cli-docs.ts";
import { reference } from "../../scripts/reference.ts";
import { ERROR_CODES } from "../../src/core/error-codes.ts";

suite("the reference", () => {
  const { files, unexplained } = reference();

  test("docs/reference is current; if not: npm run reference", () => {
    for (const [path, text] of Object.entries(files)) assert.equal(kept(path), text, path);
  });

  test("every option and member of the entry points is explained", () => {
    assert.deepEqual(unexplained, []);
  });

  test("every error code is explained and says who must act, and every code that an entry point names is one", () => {
    const { "docs/reference/errors.md": errors, ...entryPoints } = files;
    for (const code of Object.keys(ERROR_CODES)) {
      const section = new RegExp(`^### ${code}\\n\\n[^\\n]+\\.\\n\\n([A-Z]\\w+ \\((yours|theirs|ours|the world's)\\))`, "m");
      assert.match(errors!, section);
    }
    const named = Object.values(entryPoints).flatMap((text) =>
      [...text.matchAll(/errors\.md#(\w+)/g)].map((match) => match[1]!.toUpperCase()),
    );
    assert.deepEqual(
      named.filter((code) => !(code in ERROR_CODES)),
      [],
    );
  });
});
