/**
 * Runs the benches one after the other, each against its rivals, and keeps what they found in bench/results/NAME.json.
 *
 *   npm run bench                      all of them
 *   npm run bench -- cache zmq         those whose name contains a word
 *   npm run bench -- queue -- --rounds 5    what follows the second -- goes to the bench itself
 */
import { spawnSync } from "node:child_process";
import { globSync, mkdirSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";

const separator = process.argv.indexOf("--", 2);
const words = process.argv.slice(2, separator === -1 ? undefined : separator);
const passed = separator === -1 ? [] : process.argv.slice(separator + 1);

const here = import.meta.dirname;
const results = join(here, "results");
const benches = globSync("*.ts", { cwd: here })
  .map((file) => basename(file, ".ts"))
  .filter((name) => name !== "run" && (words.length === 0 || words.some((word) => name.includes(word))))
  .sort();
if (benches.length === 0) {
  console.error(`no bench matches ${words.join(" ")}`);
  process.exit(2);
}

mkdirSync(results, { recursive: true });
const failed: string[] = [];
for (const name of benches) {
  console.error(`${name} …`);
  const args = [
    "--conditions=holdfast-source",
    "--disable-warning=ExperimentalWarning",
    join(here, `${name}.ts`),
    "--json",
    ...passed,
  ];
  const { status, stdout } = spawnSync(process.execPath, args, {
    stdio: ["ignore", "pipe", "inherit"],
    encoding: "utf8",
    maxBuffer: 64 * 1024 ** 2,
  });
  if (status !== 0) failed.push(name);
  else writeFileSync(join(results, `${name}.json`), stdout);
  process.stdout.write(stdout);
}
if (failed.length > 0) console.error(`failed: ${failed.join(", ")}`);
process.exitCode = failed.length > 0 ? 1 : 0;
