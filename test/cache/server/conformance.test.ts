/**
 * The test files of Debian's memcached (1.6.18), run against `holdfast cache`. docs/memcached.md has the table of all files, in
 * their 1.6.45 form, which `scripts/memcached-conformance.ts` runs.
 */
import assert from "node:assert/strict";
import { globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, suite, test } from "node:test";
import { requires } from "../../support/requires.ts";
import { until } from "../../support/zmq.ts";
import { ownNamespace } from "../../support/namespace.ts";
import { debianSource, makeSuite, needsPort, notApplicable, runFile } from "../support/memcached-suite.ts";

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
      const skip =
        ownNamespace() === undefined && needsPort(theirs, file) && "needs root or user namespaces, for a port 11211 of its own";
      test(`${file} passes`, { skip }, async () => {
        const { outcome, assertions, output } = await runFile(theirs, file);
        assert.equal(outcome, "passes", output.slice(-4000));
        assert.ok(assertions > 0, `${file} asserts something`);
      });
    }
  });
}

for (const [where, namespace] of [
  ["a namespace", ownNamespace()],
  ["a process group", []],
] as const) {
  const { skip } = requires("perl");
  test(
    `a file that fails leaves nothing running: ${where}`,
    { skip: skip || (namespace ? false : "needs namespaces") },
    async () => {
      const folder = mkdtempSync(join(tmpdir(), "holdfast-conformance-"));
      const seconds = `98765.${process.pid}`;
      mkdirSync(join(folder, "t"));
      const perl = `if (fork() == 0) { close(STDOUT); close(STDERR); exec("sleep", "${seconds}"); }\nprint "1..1\\nnot ok 1\\n"; exit 1;\n`;
      writeFileSync(join(folder, "t/leaves.t"), perl);
      try {
        const { outcome, assertions } = await runFile({ folder, files: ["leaves.t"] }, "leaves.t", { namespace });
        assert.deepEqual({ outcome, assertions }, { outcome: "fails", assertions: 1 });
        await until(() => !isThere(seconds), `the end of sleep ${seconds}`);
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    },
  );
}

/** Whether a process has this word on its command line. */
function isThere(word: string): boolean {
  return globSync("/proc/[0-9]*/cmdline").some((path) => {
    try {
      return readFileSync(path, "latin1").split("\0").includes(word);
    } catch {
      return false; // It has ended meanwhile.
    }
  });
}
