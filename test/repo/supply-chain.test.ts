/** What others' code comes into the checkout and into a user's folder: pinned by its hash, under a licence that asks for nothing, running nothing. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { suite, test } from "node:test";

const root = join(import.meta.dirname, "../..");
const read = (path: string): unknown => JSON.parse(readFileSync(join(root, path), "utf8"));

interface Locked {
  readonly version?: string;
  readonly integrity?: string;
  readonly resolved?: string;
  readonly dev?: boolean;
  readonly devOptional?: boolean;
  readonly optional?: boolean;
  readonly peer?: boolean;
  readonly hasInstallScript?: boolean;
}

interface Bill {
  readonly components: readonly { readonly name: string; readonly version: string; readonly hashes?: readonly unknown[] }[];
}

/** Whose scripts may run when the checkout is installed: each fetches or builds a binary that tests and benches need. */
const SCRIPTS = ["esbuild", "koffi", "msgpackr-extract", "node", "zeromq"];
const LICENCES = ["0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT"];

const { packages } = read("package-lock.json") as { packages: Record<string, Locked> };
const installed = Object.entries(packages).flatMap(([path, locked]) => (path === "" ? [] : [{ path, ...locked }]));
/** What comes with `npm install holdfast`. */
const shipped = installed.filter(({ dev, devOptional, optional, peer }) => !dev && !devOptional && !optional && !peer);
const nameOf = (path: string): string => path.slice(path.lastIndexOf("node_modules/") + "node_modules/".length);

suite("what the project depends on", () => {
  test("is pinned: each package by the SHA-512 of its tarball, from whatever registry", () => {
    assert.ok(installed.length > 100);
    const loose = installed.filter(({ integrity, resolved }) => !integrity?.startsWith("sha512-") || resolved !== undefined);
    assert.deepEqual(
      loose.map(({ path }) => path),
      [],
    );
  });

  test("runs nothing when a user installs it, and in a checkout only what is listed here", () => {
    const running = (list: readonly (Locked & { path: string })[]): string[] =>
      list.filter(({ hasInstallScript }) => hasInstallScript).map(({ path }) => nameOf(path));
    assert.deepEqual(running(shipped), []);
    assert.deepEqual([...new Set(running(installed))].sort(), SCRIPTS);
    const { scripts } = read("package.json") as { scripts: Record<string, string> };
    for (const name of ["preinstall", "install", "postinstall", "prepare"]) assert.equal(scripts[name], undefined, name);
  });

  test("asks its users for nothing: the licences of what is installed with it are permissive", () => {
    for (const { path } of shipped) {
      const { license = "none" } = read(join(path, "package.json")) as { license?: string };
      assert.ok(LICENCES.includes(license), `${path}: ${license}`);
    }
  });

  test("stands in the bill of materials of a release, each part with its hash", () => {
    const flags = ["--package-lock-only", "--omit", "dev", "--sbom-format", "cyclonedx"];
    const { components } = JSON.parse(
      execFileSync("npm", ["sbom", ...flags], { cwd: root, encoding: "utf8", maxBuffer: 2 ** 26 }),
    ) as Bill;
    assert.deepEqual(
      components.map(({ name, version }) => `${name}@${version}`).sort(),
      shipped.map(({ path, version }) => `${nameOf(path)}@${version}`).sort(),
    );
    for (const { name, hashes } of components) assert.equal(hashes?.length, 1, name);
  });
});
