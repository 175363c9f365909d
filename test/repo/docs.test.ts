/** The documents keep their word: each runnable snippet runs and prints what it says, each relative link leads somewhere. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, globSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { suite, test } from "node:test";
import { ownNamespace } from "../support/namespace.ts";
import { requires } from "../support/requires.ts";
import { snippetsOf, type SnippetResult } from "../support/snippets.ts";

const root = join(import.meta.dirname, "../..");
/** A document whose snippets need their own surroundings says which test runs them. */
const OWN_TEST = /^<!-- snippets run in (\S+) -->$/m;

const documents = globSync(["*.md", "docs/**/*.md", "examples/**/*.md"], { cwd: root }).sort();

suite("every snippet of the documents runs and prints what it claims", () => {
  for (const document of documents) {
    const markdown = readFileSync(join(root, document), "utf8");
    if (snippetsOf(markdown).length === 0 || OWN_TEST.test(markdown)) continue;
    test(document, requires("namespace", "iproute2", "python3-zmq", "python3-pymemcache"), () => {
      const folder = mkdtempSync(join(tmpdir(), "holdfast-docs-"));
      try {
        const report = join(folder, "report.json");
        const run = [
          "ip link set lo up && exec",
          process.execPath,
          "--conditions=holdfast-source",
          join(root, "test/support/snippets.ts"),
          join(root, document),
          report,
        ];
        const [unshare, ...flags] = ownNamespace()!;
        const { status, stderr } = spawnSync(unshare!, [...flags, "sh", "-c", run.join(" ")], { cwd: root, encoding: "utf8" });
        assert.equal(status, 0, stderr);
        const results = JSON.parse(readFileSync(report, "utf8")) as SnippetResult[];
        assert.deepEqual(
          results.filter(({ failure }) => failure !== undefined).map(({ line, failure }) => `${document}:${line} ${failure}`),
          [],
        );
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    });
  }
});

test("a document that has a test of its own names one that reads it", () => {
  for (const document of documents) {
    const own = OWN_TEST.exec(readFileSync(join(root, document), "utf8"))?.[1];
    if (own !== undefined) assert.ok(readFileSync(join(root, own), "utf8").includes(document), `${own} reads ${document}`);
  }
});

test("every relative link of the documents leads to a file", () => {
  const broken = documents.flatMap((document) =>
    [...readFileSync(join(root, document), "utf8").matchAll(/\]\((?!https?:|mailto:|#)([^)#\s]+)(?:#[^)]*)?\)/g)]
      .map((match) => match[1]!)
      .filter((link) => !existsSync(join(root, dirname(document), link)))
      .map((link) => `${document} → ${link}`),
  );
  assert.deepEqual(broken, []);
});

test("the README's commands are the ones that package.json has", () => {
  const readme = readFileSync(join(root, "README.md"), "utf8");
  assert.match(readme, /npm ci && npm start/);
  assert.match(readme, /npm ci && npm test/);
});
