/**
 * ● Runs the tests with the repository's own Node: all, or those whose path contains one of the words given.
 * `npm test`, `npm test -- cache zmq`. Exits as the test runner does. With all of them the soak runs beside the others: it takes
 * minutes of time and seconds of a processor.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { globSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { codeOf } from "../src/core/errors.ts";

/** 10 min: the slowest test (the conformance files of another project) takes 4; a hang must not hold a build for ever. */
const TEST_MS_MAX = 600_000;
const BESIDE = "test/soak/soak.test.ts";

const root = join(import.meta.dirname, "..");
const words = process.argv.slice(2).filter((word) => !word.startsWith("-"));
const flags = process.argv.slice(2).filter((word) => word.startsWith("-"));
const files = globSync("test/**/*.test.ts", { cwd: root })
  .filter((file) => (words.length === 0 ? file !== BESIDE : words.some((word) => file.includes(word))))
  .sort();

if (files.length === 0) {
  console.error(`no test file matches ${words.join(" ")}`);
  process.exit(2);
}

interface Run {
  readonly code: Promise<number>;
  /** Only of a run whose output is kept back. */
  readonly output: Promise<string>;
}

function run(paths: readonly string[], stdout: "inherit" | "pipe"): Run {
  const node = [
    "--conditions=holdfast-source",
    "--disable-warning=ExperimentalWarning",
    "--test",
    `--test-timeout=${TEST_MS_MAX}`,
  ];
  const stdio = ["inherit", stdout, "inherit"] as const;
  // A process group of its own: what a failed test has left running ends with it.
  const child = spawn(process.execPath, [...node, ...flags, ...paths], { cwd: root, stdio: [...stdio], detached: true });
  const signal = (name: NodeJS.Signals): void => {
    try {
      process.kill(-child.pid!, name);
    } catch (error) {
      if (codeOf(error) !== "ESRCH") throw error; // Nothing is left.
    }
  };
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(name, signal);
  return {
    code: once(child, "exit").then(([code]) => {
      signal("SIGKILL");
      return (code as number | null) ?? 1;
    }),
    output: child.stdout ? text(child.stdout) : Promise.resolve(""),
  };
}

const beside = words.length === 0 ? run([BESIDE], "pipe") : undefined;
// The last lines are the runner's count of all others: the soak says in between that it passed, or at the end why not.
void beside?.code.then(async (code) => code === 0 && process.stdout.write(withoutCount(await beside.output)));
const code = await run(files, "inherit").code;
const codeBeside = (await beside?.code) ?? 0;
if (codeBeside !== 0) process.stdout.write(await beside!.output);
process.exitCode = Math.max(code, codeBeside);

function withoutCount(output: string): string {
  return output.replaceAll(/^ℹ (tests|suites|pass|fail|cancelled|skipped|todo|duration_ms) .*\n/gm, "");
}
