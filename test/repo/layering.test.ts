/**
 * The direction of imports and the purity of cores (docs/ARCHITECTURE.md), proven for every file of src/, the page included. Each file
 * says in its first comment what it is: ○ pure or ● touches the world.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { type Import, readSources } from "../../scripts/sources.ts";

/** Part → the parts whose files it may import. The right may import the left, never the reverse. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  core: [],
  access: ["core"],
  memcached: ["core"],
  zmtp: ["core"],
  cache: ["core", "access", "memcached"],
  adapters: ["core", "cache"],
  zmq: ["core", "zmtp"],
  store: ["core"],
  link: ["core", "access", "store"],
  queue: ["core", "access", "zmtp", "zmq", "store"],
  wire: ["core", "memcached", "zmtp", "link", "queue"],
  settings: ["core"],
  dashboard: ["core", "access", "cache", "zmq", "link", "queue", "wire"],
  board: ["dashboard"],
  "index.ts": ["board", "cache", "link", "queue", "zmq"],
  cli: ["core", "access", "settings", "cache", "zmq", "link", "queue", "wire", "dashboard"],
};

/** Beyond core/, settings/ and their own folder, these reach a part only through its index.ts. */
const ENTRY_POINTS_ONLY = ["adapters", "cli", "dashboard"];

/** The page runs in a browser: it may use any pure file, wherever it lies, but of everything else only types. */
const PAGE = "src/dashboard/web/";

/** What a ○ file must not name: time, chance, timers, the process, the network, the console. */
const WORLD =
  /\b(Date\.now|new Date\(\)|performance\.|Math\.random|setTimeout|setInterval|setImmediate|queueMicrotask|process\.|console\.|fetch\(|crypto\.|globalThis\.|Atomics\.wait)/;

const sources = readSources(join(import.meta.dirname, "../..")).map((source) => ({
  ...source,
  part: partOf(source.path),
  pure: firstComment(source.text).startsWith("○"),
}));
type Source = (typeof sources)[number];

const byPath = new Map(sources.map((source) => [source.path, source]));
const onServer = sources.filter(({ path }) => !path.startsWith(PAGE));

/** "src/queue/broker/front-end.ts" → "queue" */
function partOf(path: string): string {
  return path.split("/")[1]!;
}

/** What a file belongs to within its part: its folder; a file that lies directly in the part stands for itself. */
function roomOf(path: string): string {
  const folders = path.split("/").slice(0, -1);
  return folders.length === 2 ? path : folders.join("/");
}

function firstComment(text: string): string {
  const match = /^(?:#![^\n]*\n)?\/\*\*\s*(?:\*\s*)?([\s\S]*?)\*\//.exec(text);
  return match?.[1]?.trim() ?? "";
}

function withoutComments(text: string): string {
  return text.replaceAll(/\/\*[\s\S]*?\*\//g, "").replaceAll(/(^|\s)\/\/[^\n]*/g, "$1");
}

/** Imports that break a rule, as sentences. */
function breaking(of: readonly Source[], isWrong: (source: Source, imported: Import) => boolean): string[] {
  return of.flatMap((source) =>
    source.imports
      .filter((imported) => isWrong(source, imported))
      .map(({ specifier, path }) => `${source.path} imports ${path ?? specifier}`),
  );
}

test("every source file opens with a comment that says ○ (pure) or ● (touches the world)", () => {
  assert.deepEqual(
    sources.filter(({ text }) => !/^[○●]/.test(firstComment(text))).map(({ path }) => path),
    [],
  );
});

test("imports go one way only", () => {
  const wrong = breaking(onServer, (source, { path }) => {
    if (!path?.startsWith("src/") || partOf(path) === source.part) return false;
    return !MAY_IMPORT[source.part]?.includes(partOf(path));
  });
  assert.deepEqual(wrong, []);
});

test("folders of a part import one way: none imports another that leads back to it, types included", () => {
  const arrows = new Map<string, Set<string>>();
  for (const { path: from, imports } of sources) {
    for (const { path: to } of imports) {
      if (!to || !byPath.has(to) || partOf(to) !== partOf(from) || roomOf(to) === roomOf(from)) continue;
      arrows.set(roomOf(from), (arrows.get(roomOf(from)) ?? new Set()).add(roomOf(to)));
    }
  }
  const reached = (from: string, seen = new Set<string>()): Set<string> => {
    for (const to of arrows.get(from) ?? []) if (!seen.has(to)) reached(to, seen.add(to));
    return seen;
  };
  const wrong = [...arrows].flatMap(([from, tos]) =>
    [...tos].filter((to) => reached(to).has(from)).map((to) => `${from} → ${to} → … → ${from}`),
  );
  assert.deepEqual(wrong, []);
});

test("the adapters, the command and the dashboard use the parts through their entry points only", () => {
  const users = onServer.filter(({ part }) => ENTRY_POINTS_ONLY.includes(part));
  const wrong = breaking(users, ({ part }, { path }) => {
    if (!path || ["core", "access", "settings", part].includes(partOf(path))) return false;
    return !path.endsWith("/index.ts");
  });
  assert.deepEqual(wrong, []);
});

test("the page imports its own files, packages, pure files, and types of the dashboard", () => {
  const page = sources.filter(({ path }) => path.startsWith(PAGE));
  const wrong = breaking(page, (_, { path, specifier, typeOnly }) => {
    if (!path) return specifier.startsWith("node:") && !typeOnly;
    if (path.startsWith(PAGE) || byPath.get(path)?.pure) return false;
    return !typeOnly || !path.startsWith("src/");
  });
  assert.deepEqual(wrong, []);
});

test("the links' entry point for browsers leads to pure files and those of its own folder, and to nothing of Node", () => {
  const reached = new Set(["src/link/browser.ts"]);
  const wrong: string[] = [];
  for (const path of reached) {
    const { pure, imports } = byPath.get(path)!;
    if (!pure && !path.startsWith("src/link/browser")) wrong.push(`${path} touches the world`);
    for (const imported of imports) {
      if (imported.typeOnly) continue;
      if (imported.path) reached.add(imported.path);
      else wrong.push(`${path} imports ${imported.specifier}`);
    }
  }
  assert.deepEqual(wrong, []);
  assert.ok(reached.size > 30);
});

test("no package-internal name is imported: sources use relative paths", () => {
  assert.deepEqual(
    breaking(sources, (_, { specifier }) => specifier.startsWith("holdfast")),
    [],
  );
});

test("a pure file imports values of pure files and node:buffer only", () => {
  const wrong = breaking(
    sources.filter(({ pure }) => pure),
    (_, { path, specifier, typeOnly }) => {
      if (typeOnly || specifier === "node:buffer" || specifier.startsWith("@noble/")) return false;
      return !(path && byPath.get(path)?.pure);
    },
  );
  assert.deepEqual(wrong, []);
});

test("a pure file names no clock, timer, chance, process or console", () => {
  const wrong = sources
    .filter(({ pure }) => pure)
    .flatMap(({ path, text }) => {
      const found = WORLD.exec(withoutComments(text));
      return found ? [`${path} names ${found[0]}`] : [];
    });
  assert.deepEqual(wrong, []);
});

test("core, memcached and zmtp are pure but for the clock, the ports of threads, the log, the tap, private files, the files of the package, the end of the process and what the runtime can do", () => {
  const worldly = sources.filter(({ part, pure }) => ["core", "memcached", "zmtp"].includes(part) && !pure);
  assert.deepEqual(
    worldly.map(({ path }) => path),
    [
      "src/core/clock.ts",
      "src/core/close-port.ts",
      "src/core/log.ts",
      "src/core/open-telemetry-log.ts",
      "src/core/open-telemetry-tracing.ts",
      "src/core/package-file.ts",
      "src/core/pending-handshakes.ts",
      "src/core/private-files.ts",
      "src/core/shutdown.ts",
      "src/core/socket-handle.ts",
      "src/core/tap.ts",
    ],
  );
});

test("index.ts stands only at entry points", () => {
  const allowed = ["board", "cache", "cache/client", "cache/server", "dashboard", "link", "queue", "wire", "zmq"];
  const wrong = sources.map(({ path }) => path).filter((path) => /^src\/.+\/index\.ts$/.test(path));
  assert.deepEqual(
    wrong.filter((path) => !allowed.includes(path.slice("src/".length, -"/index.ts".length))),
    [],
  );
});
