/** ● Builds dist/: the compiled package, and the dashboard's page where its sources are. Run by `npm ci` in a checkout and before packing. */
import { execFileSync } from "node:child_process";
import { chmodSync, existsSync, globSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { transformSync } from "esbuild";
import { reachableTypes } from "./reachable-types.ts";

const root = join(import.meta.dirname, "..");
const run = (tool: string, ...args: string[]): void => {
  execFileSync(join(root, "node_modules/.bin", tool), args, { cwd: root, stdio: "inherit" });
};

rmSync(join(root, "dist"), { recursive: true, force: true });
// Editors show the comments of the types; those of the code are read in the sources.
run("tsc", "--project", "tsconfig.build.json", "--emitDeclarationOnly");
run("tsc", "--project", "tsconfig.build.json", "--declaration", "false", "--removeComments");
closeUp();
dropUnreachableTypes();
chmodSync(join(root, "dist/cli/main.js"), 0o755);
if (existsSync(join(root, "src/dashboard/web/vite.config.ts"))) {
  run("vite", "build", "--config", "src/dashboard/web/vite.config.ts", "--logLevel", "warn");
}

/** Without indentation, a tenth of the code's compressed size. Names and the order of statements stay, so that a stack trace can be read. */
function closeUp(): void {
  for (const file of globSync(join(root, "dist/**/*.js"))) {
    const { code } = transformSync(readFileSync(file, "utf8"), {
      minifyWhitespace: true,
      minifySyntax: true,
      lineLimit: 120,
      target: "esnext",
    });
    writeFileSync(file, code);
  }
}

/** Types that no entry point's types lead to are nobody's business, and half of all: a tenth of the package. */
function dropUnreachableTypes(): void {
  const { exports } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
    exports: Record<string, string | { types: string }>;
  };
  const entries = Object.values(exports).flatMap((entry) => (typeof entry === "string" ? [] : [join(root, entry.types)]));
  const reached = reachableTypes(entries, (file) => (existsSync(file) ? readFileSync(file, "utf8") : undefined));
  for (const file of globSync(join(root, "dist/**/*.d.ts"))) {
    const text = reached.get(file);
    if (text === undefined) rmSync(file);
    else writeFileSync(file, text);
  }
}
