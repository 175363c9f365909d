/** The command of version 0.1.0, whose package lies beside the checkout where there is one. */
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { promisify } from "node:util";

const checkout = join(import.meta.dirname, "../..");
const PACKAGE = join(checkout, "../shared/old/holdfast-0.1.0.tgz");

/** Why tests that run it are skipped, or false. */
export const withoutOldPackage: string | false =
  !existsSync(PACKAGE) && "needs the package of 0.1.0 beside the checkout (../shared/old)";

/** Unpacked inside the checkout, so that it finds its dependencies. */
export async function oldCommand(t: TestContext): Promise<string> {
  const unpacked = await mkdtemp(join(checkout, "node_modules/.holdfast-0.1-"));
  t.after(() => rm(unpacked, { recursive: true }));
  await promisify(execFile)("tar", ["-xzf", PACKAGE, "-C", unpacked]);
  return join(unpacked, "package/dist/cli/main.js");
}
