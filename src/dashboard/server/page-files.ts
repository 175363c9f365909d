/**
 * ● The page's files, read from the build folder on request. In a checkout that is dist/dashboard/web, built by `npm ci` and
 * `npm run build`; in the installed package the folder `web` beside this one.
 */
import { readFile } from "node:fs/promises";
import { extname, join, normalize, sep } from "node:path";
import { codeOf } from "../../core/errors.ts";
import { packageFile } from "../../core/package-file.ts";

const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
  ".json": "application/json",
};

export interface PageFile {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly type: string;
  /** True under assets/, where names contain a hash of the content. */
  readonly immutable: boolean;
}

/**
 * The file of a path, or undefined.
 *
 * @param root where the page is mounted, "" or "/ops": its files' addresses begin with it
 */
export async function pageFile(path: string, root: string): Promise<PageFile | undefined> {
  const folder = packageFile((extension) => (extension === "ts" ? "../dist/dashboard/web" : "dashboard/web"));
  const file = normalize(join(folder, path === "/" ? "index.html" : path));
  const type = TYPES[extname(file)];
  if (!file.startsWith(folder + sep) || type === undefined) return undefined;
  try {
    const bytes = await readFile(file);
    return { bytes: path === "/" ? mounted(bytes, root) : bytes, type, immutable: path.startsWith("/assets/") };
  } catch (error) {
    if (["ENOENT", "ENOTDIR", "EISDIR"].includes(codeOf(error) ?? "")) return undefined;
    throw error;
  }
}

/** The response while the page is not built. */
export const NOT_BUILT = "The dashboard's page is not built. Run 'npm run build' in the checkout, then reload.\n";

/** The build's addresses are relative ("./assets/…"), but the page may be asked for with or without a slash at its end. */
function mounted(html: Buffer, root: string): Uint8Array<ArrayBuffer> {
  return Buffer.from(html.toString().replaceAll(/(src|href)="\.\//g, `$1="${root}/`));
}
