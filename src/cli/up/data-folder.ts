/** ● The folder of --data: created if missing and tried with a write, so that a full or read-only disk is reported at start. */
import { access, constants, rm, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { messageOf, OperationError } from "../../core/errors.ts";
import { makeFolder } from "../../core/private-files.ts";

/**
 * Makes sure that the folder can be written.
 *
 * @returns its absolute path
 * @throws OperationError CLI_DATA_UNWRITABLE
 */
export async function dataFolder(path: string): Promise<string> {
  let folder = path;
  try {
    // Fails when the working folder has been removed.
    folder = resolve(path);
    makeFolder(folder);
    const probe = join(folder, `.writable-${process.pid}`);
    await access(folder, constants.W_OK | constants.X_OK);
    await writeFile(probe, "", { flag: "wx" });
    await rm(probe);
  } catch (error) {
    const sentence = `Cannot write the data folder ${folder}: ${messageOf(error)}; give --data another folder`;
    throw new OperationError("CLI_DATA_UNWRITABLE", sentence, { cause: error });
  }
  return folder;
}
