/**
 * ● Loaded before the tests of the `zeromq` package (`--import`): what they import of the package itself is the subject named by
 * `ZMQ_SUBJECT`; of its sources only the compatibility layer and its helpers stay its own.
 */
import { existsSync, statSync } from "node:fs";
import { registerHooks } from "node:module";
import { dirname, join, resolve as resolvePath } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const tree = process.env["ZMQ_TREE"]!;
const subject = pathToFileURL(process.env["ZMQ_SUBJECT"]!).href;

const REPLACED = [tree, join(tree, "src"), join(tree, "src/index"), join(tree, "lib")];

function isFile(path: string): boolean {
  return existsSync(path) && statSync(path).isFile();
}

registerHooks({
  resolve(specifier, context, next) {
    if (!/^[./]/.test(specifier) || context.parentURL?.startsWith("file:") !== true) return next(specifier, context);
    const from = fileURLToPath(context.parentURL);
    if (!from.startsWith(tree) || from.includes("/node_modules/")) return next(specifier, context);
    const asked = resolvePath(dirname(from), specifier);
    if (REPLACED.includes(asked)) return { url: subject, shortCircuit: true };
    const source = asked.replace(join(tree, "lib"), join(tree, "src"));
    const path = [asked, `${asked}.ts`, `${asked}.js`, `${source}.ts`].find(isFile);
    return path === undefined ? next(specifier, context) : { url: pathToFileURL(path).href, shortCircuit: true };
  },
});
