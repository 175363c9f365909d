/** ● The process's environment, a settings file, secrets in files and systemd's credentials, as `resolve` wants them. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { codeOf, messageOf, UsageError } from "../core/errors.ts";
import { readSecret } from "../core/private-files.ts";
import type { Sources } from "./resolve.ts";

/** Where the file of settings is said to be. */
export const FILE_VARIABLE = "HOLDFAST_CONFIG";

/**
 * @param path the settings file; undefined: what HOLDFAST_CONFIG says, if anything
 * @throws UsageError SETTING_INVALID when the file cannot be read or is not JSON
 */
export function processSources(flags: Sources["flags"], path: string | undefined): Sources {
  const environment = process.env;
  const file = path ?? environment[FILE_VARIABLE];
  return {
    flags,
    environment,
    file: file === undefined ? undefined : { path: file, content: readJson(file) },
    firstLine,
    credential(name) {
      const folder = environment["CREDENTIALS_DIRECTORY"];
      return folder === undefined ? undefined : readLine(join(folder, name));
    },
  };
}

function readJson(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, "utf8"));
  } catch (cause) {
    throw new UsageError("SETTING_INVALID", `Cannot read the settings in ${path}: ${messageOf(cause)}`, { cause });
  }
}

function firstLine(path: string, name: string): string {
  const line = readLine(path);
  if (line === undefined) throw new UsageError("SETTING_INVALID", `Cannot read ${name}: there is no file ${path}`);
  if (line === "") throw new UsageError("SETTING_INVALID", `Cannot use ${name}: the first line of ${path} is empty`);
  return line;
}

/** @returns undefined when there is no such file @throws UsageError SETTING_INVALID, FILE_NOT_PRIVATE */
function readLine(path: string): string | undefined {
  try {
    return readSecret(path).toString().split("\n")[0]!.trim();
  } catch (cause) {
    if (codeOf(cause) === "ENOENT") return undefined;
    if (codeOf(cause) === "FILE_NOT_PRIVATE") throw cause;
    throw new UsageError("SETTING_INVALID", `Cannot read ${path}: ${messageOf(cause)}`, { cause });
  }
}
