/**
 * The direction of imports and the purity of cores (docs/ARCHITECTURE.md), proven for every file of src/. Each file says in its
 * first comment what it is: ○ pure or ● touches the world.
 */
import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { test } from "node:test";

const root = join(import.meta.dirname, "../..");

/** Folder → the folders whose files it may import. The right may import the left, never the reverse. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  core: [],
  memcached: ["core"],
  zmtp: ["core"],
  cache: ["core", "memcached"],
  zmq: ["core", "zmtp"],
  link: ["core"],
  queue: ["core", "zmtp", "zmq"],
  wire: ["core", "memcached", "zmtp", "link", "queue"],
  dashboard: ["core", "cache", "zmq", "link", "queue", "wire"],
  cli: ["core", "cache", "zmq", "link", "queue", "wire", "dashboard"],
};

/** Beyond core/ and its own folder, these reach a part only through its index.ts. */
const ENTRY_POINTS_ONLY = ["cli", "dashboard"];

/** What a ○ file must not name: time, chance, timers, the process, the network, the console. */
const WORLD =
  /\b(Date\.now|new Date\(\)|performance\.|Math\.random|setTimeout|setInterval|setImmediate|queueMicrotask|process\.|console\.|fetch\(|crypto\.|globalThis\.|Atomics\.wait)/;

interface Source {
  readonly path: string;
  readonly folder: string;
  readonly text: string;
  readonly pure: boolean;
  readonly imports: readonly string[];
}

const sources: readonly Source[] = globSync("src/**/*.ts", { cwd: root })
  .filter((path) => !path.startsWith("src/dashboard/web/"))
  .map((path) => {
    const text = readFileSync(join(root, path), "utf8");
    const imports = [...text.matchAll(/(?:\bfrom\s+|\bimport\s*\(?\s*)"([^"]+)"/g)].map((match) => match[1]!);
    return { path, folder: path.split("/")[1]!, text, pure: firstComment(text).startsWith("○"), imports };
  });

const byPath = new Map(sources.map((source) => [source.path, source]));

function firstComment(text: string): string {
  const match = /^(?:#![^\n]*\n)?\/\*\*\s*(?:\*\s*)?([\s\S]*?)\*\//.exec(text);
  return match?.[1]?.trim() ?? "";
}

function withoutComments(text: string): string {
  return text.replaceAll(/\/\*[\s\S]*?\*\//g, "").replaceAll(/(^|\s)\/\/[^\n]*/g, "$1");
}

/** The imported file's path in the repository, or undefined for a package. */
function target(source: Source, specifier: string): string | undefined {
  return specifier.startsWith(".") ? normalize(join(dirname(source.path), specifier)) : undefined;
}

test("every source file opens with a comment that says ○ (pure) or ● (touches the world)", () => {
  assert.deepEqual(
    sources.filter(({ text }) => !/^[○●]/.test(firstComment(text))).map(({ path }) => path),
    [],
  );
});

test("imports go one way only", () => {
  const wrong = sources.flatMap((source) =>
    source.imports.flatMap((specifier) => {
      const path = target(source, specifier);
      const folder = path?.split("/")[1];
      if (!path?.startsWith("src/") || folder === source.folder) return [];
      return MAY_IMPORT[source.folder]?.includes(folder!) ? [] : [`${source.path} imports ${path}`];
    }),
  );
  assert.deepEqual(wrong, []);
});

test("the command and the dashboard use the parts through their doors only", () => {
  const wrong = sources
    .filter(({ folder }) => ENTRY_POINTS_ONLY.includes(folder))
    .flatMap((source) =>
      source.imports.flatMap((specifier) => {
        const path = target(source, specifier);
        const folder = path?.split("/")[1];
        const allowed = !path || folder === "core" || folder === source.folder || path.endsWith("/index.ts");
        return allowed ? [] : [`${source.path} imports ${path}`];
      }),
    );
  assert.deepEqual(wrong, []);
});

test("no package-internal name is imported: sources use relative paths", () => {
  const wrong = sources.filter(({ imports }) => imports.some((name) => name.startsWith("holdfast")));
  assert.deepEqual(
    wrong.map(({ path }) => path),
    [],
  );
});

test("a pure file imports pure files and node:buffer only", () => {
  const wrong = sources
    .filter(({ pure }) => pure)
    .flatMap((source) => {
      const code = withoutComments(source.text);
      const typeOnly = [...code.matchAll(/import type [^;]*?from "([^"]+)"/g)].map((match) => match[1]!);
      return source.imports.flatMap((specifier) => {
        const path = target(source, specifier);
        if (specifier === "node:buffer" || specifier.startsWith("@noble/") || typeOnly.includes(specifier)) return [];
        if (path && byPath.get(path)?.pure) return [];
        return [`${source.path} imports ${specifier}`];
      });
    });
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

test("core, memcached and zmtp are pure but for the clock, the tap, the making of folders and what the runtime can do", () => {
  const worldly = sources.filter(({ folder, pure }) => ["core", "memcached", "zmtp"].includes(folder) && !pure);
  assert.deepEqual(
    worldly.map(({ path }) => path),
    ["src/core/clock.ts", "src/core/make-folder.ts", "src/core/socket-handle.ts", "src/core/tap.ts"],
  );
});

test("index.ts stands only at the doors", () => {
  const entryPoints = sources.filter(({ path }) => path.endsWith("/index.ts")).map(({ path }) => path);
  const allowed = ["cache", "cache/client", "cache/server", "dashboard", "link", "queue", "wire", "zmq"].map(
    (folder) => `src/${folder}/index.ts`,
  );
  assert.deepEqual(
    entryPoints.filter((path) => !allowed.includes(path)),
    [],
  );
});
