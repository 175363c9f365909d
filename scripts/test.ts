/**
 * ● Runs the tests with the repository's own Node: all, or those whose path contains one of the words given.
 * `npm test`, `npm test -- cache zmq`. Exits as the test runner does.
 */
import { spawnSync } from "node:child_process";
import { globSync } from "node:fs";
import { join } from "node:path";

/** 10 min: the slowest test (the conformance files of another project) takes 4; a hang must not hold a build for ever. */
const TEST_MS_MAX = 600_000;

const root = join(import.meta.dirname, "..");
const words = process.argv.slice(2).filter((word) => !word.startsWith("-"));
const flags = process.argv.slice(2).filter((word) => word.startsWith("-"));
const files = globSync("test/**/*.test.ts", { cwd: root })
  .filter((file) => words.length === 0 || words.some((word) => file.includes(word)))
  .sort();

if (files.length === 0) {
  console.error(`no test file matches ${words.join(" ")}`);
  process.exit(2);
}
const node = [
  "--conditions=holdfast-source",
  "--disable-warning=ExperimentalWarning",
  "--test",
  `--test-timeout=${TEST_MS_MAX}`,
  ...flags,
  ...files,
];
const { status } = spawnSync(process.execPath, node, { cwd: root, stdio: "inherit" });
process.exit(status ?? 1);
