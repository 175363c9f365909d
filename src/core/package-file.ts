/**
 * ● What is found at run time, so that no bundler looks for it: the package's own files that nobody imports (the code of threads, the
 * page) and optional packages. The package's files stand beside the code that asks; a bundle has taken that code away from them, so
 * there they are those of the installed package.
 */
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { codeOf, UsageError } from "./errors.ts";

/** Undefined in a bundle of CommonJS, whatever its type says. */
const HERE: string | undefined = import.meta.url;

/** Where this file is from the folder of all code, unless it was bundled. */
const OWN_PATH = /\/core\/package-file\.(ts|js)$/;

/** The code of a thread or process: "store/sqlite/sqlite-thread". @throws UsageError PACKAGE_FILE_MISSING */
export function packageCode(path: string): string {
  return packageFile((extension) => `${path}.${extension}`);
}

/**
 * A file or folder.
 *
 * @param pathOf its path in src/ ("ts") and in dist/ ("js")
 * @throws UsageError PACKAGE_FILE_MISSING in a bundle without the package beside it
 */
export function packageFile(pathOf: (extension: "ts" | "js") => string): string {
  const extension = HERE === undefined ? undefined : (OWN_PATH.exec(HERE)?.[1] as "ts" | "js" | undefined);
  const own = extension && join(fileURLToPath(new URL("..", HERE)), pathOf(extension));
  // A bundler may write into the bundle where this file was, or something like it.
  if (own !== undefined && (extension === "ts" || existsSync(own))) return own;
  const path = pathOf("js");
  for (const beside of places()) {
    const found = inPackage(beside, path);
    if (found !== undefined) return found;
  }
  throw new UsageError(
    "PACKAGE_FILE_MISSING",
    `Cannot find ${path} of the package holdfast: this program is a bundle, and the package is not in the node_modules beside it or in the working folder; install it there`,
  );
}

/**
 * An optional package, as `require` has it.
 *
 * @throws the runtime's error, MODULE_NOT_FOUND where it is not installed
 */
export function requireInstalled(name: string): unknown {
  let failure: unknown;
  for (const beside of places()) {
    try {
      return createRequire(beside)(name);
    } catch (error) {
      failure ??= error;
      if (!isMissing(error)) throw error;
    }
  }
  throw failure;
}

/** Files whose node_modules are looked in, and those above them: this one or the bundle that it is in, the program, the working folder. */
function places(): string[] {
  const known = [HERE, process.argv[1]].filter((place) => place !== undefined && place !== "" && !place.startsWith("-"));
  return [...(known as string[]), join(process.cwd(), "x.js")];
}

function isMissing(error: unknown): boolean {
  const code = codeOf(error);
  return code === "MODULE_NOT_FOUND" || code === "ERR_MODULE_NOT_FOUND" || code === "ERR_INVALID_ARG_VALUE";
}

/** @param beside a file whose node_modules are looked in */
function inPackage(beside: string, path: string): string | undefined {
  try {
    const manifest = createRequire(beside).resolve("holdfast/package.json");
    const file = join(manifest, "../dist", path);
    return existsSync(file) ? file : undefined;
  } catch {
    return undefined; // not there, which the caller tells when it is nowhere
  }
}
