/** ● The test suite of the `zeromq` package, made ready in a folder of its own, and one file of it run. */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, existsSync, globSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { build, transformWithOxc } from "vite";
import { codeOf } from "../../src/core/errors.ts";

/** What its tests need, in the versions that it names. */
const NEEDED = ["mocha@11", "chai@4", "semver@7", "proper-lockfile@4", "fs-extra@11", "which@5"];

/** 6 s a test: its own setting. */
const TEST_MS_MAX = 6000;
/** 90 s a file: its slowest takes 20 on one busy processor. */
const FILE_MS_MAX = 90_000;

/** What became of a test. */
export interface Outcome {
  readonly title: string;
  readonly result: "passes" | "fails" | "skips itself";
  readonly why?: string;
}

export class ZmqSuite {
  readonly folder: string;
  readonly #subject: string;

  private constructor(folder: string, subject: string) {
    this.folder = folder;
    this.#subject = subject;
  }

  /**
   * @param tree a checkout of zeromq.js, version 6
   * @param subject the module that is tested; sources are compiled, as they are where the package is installed
   */
  static async prepare(tree: string, subject: string): Promise<ZmqSuite> {
    if (!existsSync(join(tree, "test/unit/helpers.ts"))) throw new Error(`${tree} is no checkout of zeromq.js, version 6`);
    const folder = mkdtempSync(join(tmpdir(), "holdfast-zmq-conformance-"));
    for (const part of ["test/unit", "src", "v5-compat.js"]) cpSync(join(tree, part), join(folder, part), { recursive: true });
    for (const file of globSync(["test/unit/**/*.ts", "src/**/*.ts"], { cwd: folder })) {
      const path = join(folder, file);
      const { code } = await transformWithOxc(readFileSync(path, "utf8"), path, { sourcemap: false, tsconfig: false });
      writeFileSync(path, asCommonJs(code));
    }
    writeFileSync(join(folder, "src/draft.ts"), ""); // needs a libzmq with its drafts; its tests skip themselves without
    mkdirSync(join(folder, "tmp"));
    const compiled = subject.endsWith(".ts") ? await compile(subject, join(folder, "subject")) : subject;
    writeFileSync(join(folder, "index.js"), `module.exports = require(${JSON.stringify(compiled)});\n`);
    writeFileSync(join(folder, "package.json"), '{ "name": "zmq-conformance", "main": "index.js" }\n');
    execFileSync("npm", ["install", "--no-save", "--ignore-scripts", "--no-audit", "--no-fund", ...NEEDED], {
      cwd: folder,
      stdio: "ignore",
    });
    return new ZmqSuite(folder, compiled);
  }

  /** Relative to its `test/unit`. */
  get files(): readonly string[] {
    return globSync("test/unit/**/*-test.ts", { cwd: this.folder })
      .map((file) => relative("test/unit", file))
      .sort();
  }

  /** Runs one file; whatever it leaves running ends with it. */
  async run(file: string): Promise<readonly Outcome[]> {
    const { folder } = this;
    const output = join(folder, "tmp", `${file.replaceAll("/", "-")}.json`);
    const mocha = [
      "--timeout",
      `${TEST_MS_MAX}`,
      "--retries",
      "1",
      "--exit",
      "--reporter",
      "json",
      "--reporter-option",
      `output=${output}`,
    ];
    const child = spawn(
      process.execPath,
      ["--expose-gc", join(folder, "node_modules/mocha/bin/mocha.js"), "--no-config", ...mocha, join("test/unit", file)],
      {
        cwd: folder,
        detached: true,
        stdio: process.env["ZMQ_CONFORMANCE_OUTPUT"] === undefined ? "ignore" : "inherit",
        env: {
          ...process.env,
          ZMQ_TREE: folder,
          ZMQ_SUBJECT: this.#subject,
          INCLUDE_COMPAT_TESTS: "true",
          EXCLUDE_TYPINGS_COMPAT_TESTS: "true",
          NODE_OPTIONS: `--disable-warning=ExperimentalWarning --disable-warning=MODULE_TYPELESS_PACKAGE_JSON --import ${join(import.meta.dirname, "loader.ts")}`,
        },
      },
    );
    const late = setTimeout(() => kill(child.pid!), FILE_MS_MAX);
    const [code, signal] = (await once(child, "exit")) as [number | null, string | null];
    clearTimeout(late);
    kill(child.pid!);
    if (!existsSync(output))
      return [{ title: "(the file)", result: "fails", why: `ended with ${signal ?? code} and without a report` }];
    return readReport(JSON.parse(readFileSync(output, "utf8")));
  }
}

/** One CommonJS file of a module and all that it imports. */
async function compile(module: string, folder: string): Promise<string> {
  await build({
    configFile: false,
    logLevel: "error",
    ssr: { noExternal: true },
    build: {
      ssr: module,
      outDir: folder,
      minify: false,
      rolldownOptions: { output: { format: "cjs", entryFileNames: "index.cjs" } },
    },
  });
  return join(folder, "index.cjs");
}

/** What TypeScript makes of imports and exports where it compiles to CommonJS, as the package's tests are. */
function asCommonJs(code: string): string {
  const exported: string[] = [];
  const body = code
    .replaceAll(/^import \* as (\w+) from (".+?");$/gm, "const $1 = require($2);")
    .replaceAll(
      /^import \{([^}]+)\} from (".+?");$/gm,
      (_, names: string, from: string) => `const {${names.replaceAll(" as ", ": ")}} = require(${from});`,
    )
    .replaceAll(/^export \* from (".+?");$/gm, "Object.assign(exports, require($1));")
    .replaceAll(/^import (\w+) from (".+?");$/gm, "const $1 = require($2);")
    .replaceAll(/^export ((?:async )?(?:function\*?|class|const|let) (\w+))/gm, (_, declaration: string, name: string) => {
      exported.push(name);
      return declaration;
    })
    .replaceAll(/^export \{([^}]*)\};$/gm, (_, names: string) => {
      for (const name of names.split(",")) if (name.trim() !== "") exported.push(name.trim());
      return "";
    });
  const pairs = exported.map((name) => {
    const [own, as = own] = name.split(" as ");
    return `${as}: ${own}`;
  });
  return `"use strict";\n${body}\nObject.assign(exports, { ${pairs.join(", ")} });\n`;
}

/** A process group of which this was the first. */
function kill(pid: number): void {
  try {
    process.kill(-pid, "SIGKILL");
  } catch (error) {
    if (codeOf(error) !== "ESRCH") throw error; // nothing is left
  }
}

interface Report {
  readonly tests: readonly { readonly fullTitle: string; readonly err: { readonly message?: string } }[];
  readonly pending: readonly { readonly fullTitle: string }[];
  readonly failures: readonly { readonly fullTitle: string }[];
}

function readReport({ tests, pending, failures }: Report): readonly Outcome[] {
  const skipped = new Set(pending.map(({ fullTitle }) => fullTitle));
  const failed = new Set(failures.map(({ fullTitle }) => fullTitle));
  const outcomes = tests.map(({ fullTitle: title, err }): Outcome => {
    if (skipped.has(title)) return { title, result: "skips itself" };
    if (failed.has(title)) return { title, result: "fails", why: err.message ?? "" };
    return { title, result: "passes" };
  });
  // Of hooks that fail the reporter tells in `failures` alone
  const known = new Set(tests.map(({ fullTitle }) => fullTitle));
  return [
    ...outcomes,
    ...failures
      .filter(({ fullTitle }) => !known.has(fullTitle))
      .map(({ fullTitle }): Outcome => ({ title: fullTitle, result: "fails", why: "a hook" })),
  ];
}
