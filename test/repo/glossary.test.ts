/** docs/GLOSSARY.md has every noun that Holdfast's exported types, folders, commands, metrics and views use, and each once. */
import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { suite, test } from "node:test";
import { readSources } from "../../scripts/sources.ts";

const root = join(import.meta.dirname, "../..");
const read = (path: string): string => readFileSync(join(root, path), "utf8");

/** The first cells of the glossary's tables. */
const terms = [...read("docs/GLOSSARY.md").matchAll(/^\| ([^|]+?) +\| ([^|]+?) +\|/gm)]
  .filter(([, term, meaning]) => meaning !== "meaning" && !/^-+$/.test(term!))
  .map((match) => match[1]!);

/** "keep-alive" and "WebAssembly (wasm)" as they are compared: without spaces, hyphens and case; what is in brackets is a term too. */
const known = new Set(terms.flatMap((term) => term.split(/[()]/)).map((term) => term.replaceAll(/[\s-]/g, "").toLowerCase()));

function isKnown(noun: string): boolean {
  const singular = [noun, noun.replace(/s$/, ""), noun.replace(/es$/, ""), noun.replace(/ies$/, "y")];
  return [...singular, `${noun}s`].some((each) => known.has(each));
}

/** A compound is known by its head ("RouterPattern": pattern), or by a longer end of it ("LeaseTable", "KeepAlive"). */
function isCovered(words: readonly string[]): boolean {
  return words.some((_, index) => isKnown(words.slice(index).join("").toLowerCase()));
}

/** "TcpInfo" → Tcp, Info; "X25519" and "U64" are one word. */
function wordsOf(name: string): readonly string[] {
  return name.match(/[A-Z]+(?![a-z])\d*|[A-Z]?[a-z]+\d*/g) ?? [name];
}

suite("the glossary", () => {
  const sources = readSources(root);

  test("has the head noun of every exported class, interface and type", () => {
    const missing = sources.flatMap(({ path, types }) =>
      types.filter((name) => !isCovered(wordsOf(name))).map((name) => `${name} (${path})`),
    );
    assert.deepEqual(missing, [], "add a line to docs/GLOSSARY.md, or use a word that is there");
  });

  test("has every folder", () => {
    const folders = new Set(sources.flatMap(({ path }) => path.split("/").slice(0, -1)));
    assert.deepEqual(
      [...folders].filter((folder) => !isCovered(folder.split("-"))),
      [],
    );
  });

  test("has every command", () => {
    const commands = [...read("docs/cli.md").matchAll(/^## holdfast (.+)$/gm)].flatMap((match) => match[1]!.split(" "));
    assert.ok(commands.length > 10);
    assert.deepEqual(
      commands.filter((command) => !isKnown(command)),
      [],
    );
  });

  test("has what every metric counts", () => {
    const names = globSync("src/dashboard/**/*.ts", { cwd: root }).flatMap((path) =>
      [...read(path).matchAll(/"holdfast_([a-z_]+)"/g)].map((match) => match[1]!.replace(/_total$/, "")),
    );
    assert.ok(names.length > 20);
    assert.deepEqual(
      names.filter((name) => !isCovered(name.split("_"))),
      [],
    );
  });

  test("has every view of the page", () => {
    const [, views] = /const VIEWS = \{([^}]*)\}/.exec(read("src/dashboard/web/src/app.tsx"))!;
    const names = [...views!.matchAll(/(\w+):/g)].map((match) => match[1]!);
    assert.ok(names.length > 3);
    assert.deepEqual(
      names.filter((name) => !isKnown(name)),
      [],
    );
  });

  test("has each term once", () => {
    const lower = terms.map((term) => term.toLowerCase());
    assert.deepEqual(
      lower.filter((term, index) => lower.indexOf(term) !== index),
      [],
    );
  });

  test("no type's name is exported twice for different things, unless entry points have promised both", () => {
    const entryPoints = sources.filter(({ path }) => path.endsWith("/index.ts")).map(({ path }) => read(path));
    const promised = (name: string): number => entryPoints.filter((text) => new RegExp(`\\b${name}\\b`).test(text)).length;
    const files = Map.groupBy(
      sources.flatMap(({ path, types }) => types.map((name) => ({ name, path }))),
      ({ name }) => name,
    );
    const twice = [...files].filter(([name, places]) => places.length > 1 && promised(name) < places.length);
    assert.deepEqual(
      twice.map(([name, places]) => `${name}: ${places.map(({ path }) => path).join(", ")}`),
      [],
    );
  });
});
