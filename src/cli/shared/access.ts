/** ● The access file of a command's servers. */
import { AccessControl } from "../../access/access-control.ts";
import type { Log } from "../../core/log.ts";
import type { ACCESS } from "../../settings/parts.ts";
import type { Values } from "../../settings/table.ts";

/** @returns undefined without a file: everybody may everything @throws UsageError ACCESS_FILE_INVALID, FILE_NOT_PRIVATE */
export function accessOf({ file }: Values<(typeof ACCESS)["settings"]>, log: Log): AccessControl | undefined {
  return file === undefined ? undefined : new AccessControl(file, log);
}
