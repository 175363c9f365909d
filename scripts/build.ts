/** ● Builds dist/: the compiled package, and the dashboard's page where its sources are. Run by `npm ci` in a checkout and before packing. */
import { execFileSync } from "node:child_process";
import { chmodSync, existsSync, rmSync } from "node:fs";
import { join } from "node:path";

const root = join(import.meta.dirname, "..");
const run = (tool: string, ...args: string[]): void => {
  execFileSync(join(root, "node_modules/.bin", tool), args, { cwd: root, stdio: "inherit" });
};

rmSync(join(root, "dist"), { recursive: true, force: true });
// Editors show the comments of the types; those of the code are read in the sources.
run("tsc", "--project", "tsconfig.build.json", "--emitDeclarationOnly");
run("tsc", "--project", "tsconfig.build.json", "--declaration", "false", "--removeComments");
chmodSync(join(root, "dist/cli/main.js"), 0o755);
if (existsSync(join(root, "src/dashboard/web/vite.config.ts"))) {
  run("vite", "build", "--config", "src/dashboard/web/vite.config.ts", "--logLevel", "warn");
}
