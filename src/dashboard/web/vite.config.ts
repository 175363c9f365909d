import { join } from "node:path";
import { defineConfig } from "vite";

const here = import.meta.dirname;

/** The page is built beside the compiled package. Nothing inline and no polyfills: the content policy allows neither. */
export default defineConfig({
  root: here,
  // Wherever a board is mounted.
  base: "./",
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  build: {
    outDir: join(here, "../../../dist/dashboard/web"),
    emptyOutDir: true,
    target: "es2023",
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    cssCodeSplit: false,
  },
});
