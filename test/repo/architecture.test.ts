/** docs/ARCHITECTURE.md and CONTRIBUTING.md say what is so: the paths of calls, where to change what, who reads a clock. */
import assert from "node:assert/strict";
import { existsSync, globSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { test } from "node:test";
import { listsOf, tracedPaths } from "../../scripts/traced-paths.ts";
import { requires } from "../support/requires.ts";

const root = join(import.meta.dirname, "../..");
const read = (path: string): string => readFileSync(join(root, path), "utf8");
const page = read("docs/ARCHITECTURE.md");

/** The files that a text links, as paths in the repository. */
function linked(text: string): string[] {
  return [...text.matchAll(/\]\(\.\.\/([^)#]+)/g)].map((match) => match[1]!);
}

test("the files that a call passes are those that the page lists, in this order; if not: npm run paths", async () => {
  const nats = requires("nats-server").skip === false;
  const paths = await tracedPaths({ nats });
  const lists = listsOf(page);
  for (const [name, files] of Object.entries(paths)) {
    const listed = lists[name]?.map(({ path }) => path);
    assert.deepEqual(listed, files, `docs/ARCHITECTURE.md, path: ${name}`);
  }
  const unknown = Object.keys(lists).filter((name) => !(name in paths));
  assert.deepEqual(unknown, nats ? [] : ["task at the leader"]);
});

test("the page says something of each file on a path", () => {
  const silent = Object.values(listsOf(page)).flatMap((lines) => lines.filter(({ words }) => words === ""));
  assert.deepEqual(
    silent.map(({ path }) => path),
    [],
  );
});

test("each row of 'To change X, open Y' names symbols that are in the files it links, and each of these has one", () => {
  const table = page.slice(page.indexOf("## To change X, open Y"));
  const rows = [...table.matchAll(/^\| (.+?) \| (.+?) \| (.+?) \|$/gm)]
    .map(([, change, open, symbols]) => ({ change: change!.trim(), open: open!, symbols: symbols! }))
    .filter(({ change }) => change !== "to change" && !/^-+$/.test(change));
  assert.ok(rows.length > 20);
  const wrong = rows.flatMap(({ change, open, symbols }) => {
    const missing = linked(open).filter((path) => !existsSync(join(root, path)));
    if (missing.length > 0) return [`"${change}": there is no ${missing.join(", ")}`];
    const files = linked(open).filter((path) => /^(src\/|package\.json)/.test(path));
    const names = [...symbols.matchAll(/`([^`]+)`/g)].map((match) => match[1]!);
    const isIn = (path: string, name: string): boolean => new RegExp(`\\b${name}\\b`).test(read(path));
    if (files.length === 0 || names.length === 0) return [`"${change}" links a file and names a symbol`];
    return [
      ...names.filter((name) => !files.some((path) => isIn(path, name))).map((name) => `"${change}": no file has ${name}`),
      ...files.filter((path) => !names.some((name) => isIn(path, name))).map((path) => `"${change}": ${path} has no symbol`),
    ];
  });
  assert.deepEqual(wrong, []);
});

test("every path that the page names in code exists", () => {
  const named = [...page.matchAll(/`((?:src|test|docs|bench|scripts)\/[^`<*]*)`/g)].map((match) => match[1]!);
  assert.deepEqual(
    named.filter((path) => !existsSync(join(root, path))),
    [],
  );
});

test("the page lists every part of src/, and every file that reads the machine's clock", () => {
  for (const part of globSync("src/*/", { cwd: root })) assert.match(page, new RegExp(`^\\| \`${part}/\``, "m"));
  const paragraph = /^- \*\*Who reads the machine's clock:\*\*(?:.+\n)(?: {2}.+\n)*/m.exec(page)![0];
  const readers = globSync("src/**/*.ts", { cwd: root, exclude: ["src/dashboard/web/**"] }).filter((path) =>
    /\b(Date\.now|performance\.now|hrtime|new Date\(\))/.test(read(path).replaceAll(/\/\*[\s\S]*?\*\/|\/\/.*/g, "")),
  );
  assert.deepEqual(linked(paragraph).sort(), readers.sort());
});

test("tests of pure files alone never wait: they move the clock", () => {
  const isPure = (path: string): boolean => /^(?:#!.*\n)?\/\*\*\s*(?:\*\s*)?○/.test(read(path));
  /** Whether a test, or what it is helped by, uses other programs or anything of src/ that touches the world. */
  const touches = (path: string, seen: Set<string>): boolean => {
    if (path.startsWith("src/")) return !isPure(path) && path !== "src/core/clock.ts";
    if (seen.has(path)) return false;
    seen.add(path);
    const text = read(path);
    if (/"node:(child_process|net|worker_threads|dgram)"/.test(text)) return true;
    const imported = [...text.matchAll(/^(?:import|export) (?!type )[^;]*?from "(\.[^"]+)"/gm)].map((match) => match[1]!);
    return imported.some((specifier) => touches(relative(root, join(root, path, "..", specifier)), seen));
  };
  const tests = globSync("test/**/*.test.ts", { cwd: root, exclude: ["test/repo/**", "test/core/clock.test.ts"] });
  const pure = tests.filter((path) => !touches(path, new Set()));
  assert.ok(pure.length > 20, `${pure.length} tests are of pure files alone`);
  assert.deepEqual(
    pure.filter((path) => /\bsetTimeout\b|node:timers\/promises|\bsleep\(/.test(read(path))),
    [],
  );
});
