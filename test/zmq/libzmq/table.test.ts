/** docs/zmq-libzmq-tests.md names tests that are there. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

const root = join(import.meta.dirname, "../../..");

test("every test that the table of libzmq's tests names is there", () => {
  const table = readFileSync(join(root, "docs/zmq-libzmq-tests.md"), "utf8");
  const named = [...table.matchAll(/`(\w[\w/-]+)`: ((?:“[^”]+”(?:; )?)+)/g)].flatMap(([, file, titles]) =>
    [...titles!.matchAll(/“([^”]+)”/g)].map(([, title]) => ({ file: file!, title: title! })),
  );
  assert.ok(named.length > 80, "the table was read");
  const missing = named.filter(
    ({ file, title }) => !readFileSync(join(root, "test", `${file}.test.ts`), "utf8").includes(title),
  );
  assert.deepEqual(missing, []);
});
