/**
 * The test files of Debian's memcached (1.6.18), run against `holdfast cache`. docs/memcached.md has the table of all files, in
 * their 1.6.45 form, which `scripts/memcached-conformance.ts` runs.
 */
import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { after, suite, test } from "node:test";
import { requires } from "../../support/requires.ts";
import { debianSource, makeSuite, notApplicable, runFile } from "../support/memcached-suite.ts";

/** Files whose 1.6.18 form memcached 1.6.45 fails too, because behaviour changed in between: they count in their 1.6.45 form. */
const CHANGED_SINCE = new Set(
  (
    "binary cas chunked-items flush-all issue_3 item_size_max lru-crawler metaget shutdown " +
    "slabs-reassign-chunked slabs-reassign2 stats"
  ).split(" "),
);

/** TLS and SASL have tests of their own in this folder: theirs want switches of the environment and skip themselves without. */
const SWITCHED = /^(ssl_|binary-sasl)/;

const { skip } = requires("memcached", "dpkg-dev", "perl");

if (skip) {
  test("memcached's own tests", { skip }, () => undefined);
} else {
  const source = debianSource();
  const theirs = makeSuite(source);
  const files = theirs.files.filter(
    (file) => notApplicable(file) === undefined && !CHANGED_SINCE.has(file.replace(".t", "")) && !SWITCHED.test(file),
  );

  suite("memcached's own tests", { concurrency: 4 }, () => {
    after(() => {
      rmSync(theirs.folder, { recursive: true, force: true });
      rmSync(join(source, "../.."), { recursive: true, force: true });
    });

    test("there are at least 45 of them that apply", () => {
      assert.ok(files.length >= 45, files.join(" "));
    });

    for (const file of files) {
      test(`${file} passes`, async () => {
        const { outcome, assertions, output } = await runFile(theirs, file);
        assert.equal(outcome, "passes", output.slice(-4000));
        assert.ok(assertions > 0, `${file} asserts something`);
      });
    }
  });
}
