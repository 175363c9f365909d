/**
 * ● Files that are their owner's alone. What is stored is made so whatever the umask says, and what an earlier version or another hand
 * left open is closed; a secret that others can read is refused, since it may be known to them already. Windows has no such modes.
 */
import { chmodSync, closeSync, fstatSync, mkdirSync, openSync, readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { codeOf, UsageError } from "./errors.ts";

/** Read and written by its owner, by nobody else. */
export const PRIVATE_FILE = 0o600;
const PRIVATE_FOLDER = 0o700;
/** What the group and others may do. */
const NOT_OWNER = 0o077;
const OTHERS = 0o007;
/** As on /tmp: a folder that many users share. */
const STICKY = 0o1000;

/** What was open to others and is no more. */
export interface OpenFiles {
  readonly folder: string;
  /** Names of files in it; empty when it was the folder itself. */
  readonly files: readonly string[];
}

/**
 * Makes a folder for its owner alone, with what is missing above it; of one that is there it closes our files, and the folder too when
 * nothing else lies in it. What belongs to another user stays as it is. Throws what the file system says.
 *
 * @param isOurs whether we write files of this name
 * @returns undefined when nothing was open
 */
export function privateFolder(path: string, isOurs: (name: string) => boolean): OpenFiles | undefined {
  const folder = resolve(path);
  makeFolder(folder);
  if (process.platform === "win32") return undefined;
  const names = readdirSync(folder);
  const files = names.filter((name) => isOurs(name) && close(join(folder, name), PRIVATE_FILE));
  const wasOpen = names.every(isOurs) && close(folder, PRIVATE_FOLDER);
  return wasOpen || files.length > 0 ? { folder, files } : undefined;
}

/** @returns whether it was open, and could be closed */
function close(path: string, mode: number): boolean {
  const found = statSync(path, { throwIfNoEntry: false });
  if (
    !found ||
    found.isDirectory() !== (mode === PRIVATE_FOLDER) ||
    (found.mode & NOT_OWNER) === 0 ||
    (found.mode & STICKY) !== 0 ||
    found.uid !== process.getuid!()
  )
    return false;
  chmodSync(path, mode);
  return true;
}

/**
 * Reads a file with a secret. Nobody but its owner may read it; its group may where somebody else owns it, or root: so it is given to
 * one service by systemd, by Kubernetes' `fsGroup` and by `chgrp`. PostgreSQL's rule for its keys. Throws what the file system says.
 *
 * @throws UsageError FILE_NOT_PRIVATE
 */
export function readSecret(path: string): Buffer {
  const descriptor = openSync(path, "r");
  try {
    const found = fstatSync(descriptor);
    const { mode, uid } = found;
    const isGiven = uid === 0 || uid !== process.getuid?.();
    // A pipe is of whoever made it: `--curve-keys <(command)`.
    const isOpen = found.isFile() && (mode & (isGiven ? OTHERS : NOT_OWNER)) !== 0;
    if (isOpen && process.platform !== "win32")
      throw new UsageError(
        "FILE_NOT_PRIVATE",
        `Cannot use ${path}: others can read or write it (mode ${(mode & 0o777).toString(8)}); close it with: chmod 600 ${path}`,
      );
    return readFileSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/**
 * Makes a folder for its owner alone, where there is none, and those above it as the umask says. Throws what the file system says.
 *
 * Level by level: Node's own `recursive` never returns where a file system answers ENOENT to every mkdir, as /proc does (tried on 26.10).
 */
export function makeFolder(path: string, mode = PRIVATE_FOLDER): void {
  const folder = resolve(path);
  const parent = dirname(folder);
  if (parent !== folder && !isFolder(parent)) makeFolder(parent, 0o777);
  try {
    mkdirSync(folder, { mode });
  } catch (error) {
    if (codeOf(error) !== "EEXIST" || !isFolder(folder)) throw error;
  }
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}
