/**
 * ● Keeps the lists of docs/ARCHITECTURE.md that tell which files a call passes: `npm run paths` makes each call, traces it and writes
 * the files in the order of their first calls. What stands behind a file's name is written by hand and kept; a file without words
 * fails the test (test/repo/architecture.test.ts), as does a list that differs from the trace. Files of src/core/ are left out.
 */
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { promisify } from "node:util";
import { readSources } from "./sources.ts";
import type { Trace } from "./traced-paths/trace-hook.ts";

const root = join(import.meta.dirname, "..");
const execute = promisify(execFile);
const PAGE = join(root, "docs/ARCHITECTURE.md");

/** 120 s: the slowest call, with a NATS server of its own, takes ten. */
const CALL_MS_MAX = 120_000;

/** The name of a list, as its marker in the page says → the files. */
export type Paths = Readonly<Record<string, readonly string[]>>;

/** Makes the calls. Without `nats` the path that needs a nats-server is left out. */
export async function tracedPaths({ nats }: { readonly nats: boolean }): Promise<Paths> {
  const folder = mkdtempSync(join(tmpdir(), "holdfast-paths-"));
  try {
    const bodies = join(folder, "bodies.json");
    const sources = readSources(root).filter(({ path }) => !path.startsWith("src/dashboard/web/"));
    writeFileSync(bodies, JSON.stringify({ root, files: Object.fromEntries(sources.map((each) => [each.path, each.bodies])) }));
    const [getAtServer, getAtClient, task, probe, leader] = await Promise.all([
      trace("getAtServer", bodies),
      trace("getAtClient", bodies),
      trace("task", bodies),
      trace("probe", bodies),
      nats ? trace("taskAtLeader", bodies) : undefined,
    ]);
    return {
      "get at the server": getAtServer!.main,
      "get at the client": getAtClient!.main,
      "task at the broker": task!.main,
      "task in the store's thread": task!.threads,
      ...(leader && { "task at the leader": leader.main.filter((path) => !task!.main.includes(path)) }),
      probe: probe!.main,
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function trace(call: string, bodies: string): Promise<Trace> {
  const node = ["--conditions=holdfast-source", "--disable-warning=ExperimentalWarning"];
  const hook = [
    "--import",
    join(root, "scripts/traced-paths/trace-hook.ts"),
    join(root, "scripts/traced-paths/calls.ts"),
    call,
  ];
  const env = { ...process.env, TRACED_BODIES: bodies };
  const { stdout } = await execute(process.execPath, [...node, ...hook], { env, timeout: CALL_MS_MAX });
  const { main, threads } = JSON.parse(stdout) as Trace;
  const shown = (paths: readonly string[]): string[] => paths.filter((path) => !path.startsWith("src/core/"));
  return { main: shown(main), threads: shown(threads) };
}

/** "<!-- path: NAME -->" and the numbered list below it. */
const LIST = /^<!-- path: (.+) -->\n\n((?:\d+\. .*\n|[ ]{3,}\S.*\n)*)/gm;
const ITEM = /^\d+\. \[[^\]]+\]\(\.\.\/([^)]+)\)(?:: ((?:.*)(?:\n {3,}.*)*))?$/gm;

interface Line {
  readonly path: string;
  /** What the page says of it; "" where nobody has said anything yet. */
  readonly words: string;
}

/** The lists of the page. */
export function listsOf(page: string): Record<string, readonly Line[]> {
  const lists = [...page.matchAll(LIST)].map(([, name, list]) => {
    const lines = [...list!.matchAll(ITEM)].map(([, path, words]): Line => ({ path: path!, words: words ?? "" }));
    return [name!, lines] as const;
  });
  return Object.fromEntries(lists);
}

/** The page with the files of the paths, and its own words; a file that has moved keeps them. */
export function withPaths(page: string, paths: Paths): string {
  const words = new Map<string, string>();
  for (const [list, lines] of Object.entries(listsOf(page)))
    for (const line of lines) words.set(list + line.path, line.words).set(list + basename(line.path), line.words);
  return page.replaceAll(LIST, (whole, name: string) => {
    const lines = paths[name]?.map((path) => {
      const said = words.get(name + path) ?? words.get(name + basename(path)) ?? "";
      // All are "1.": a line more or less changes no other.
      return `1. [${path.slice("src/".length)}](../${path})${said === "" ? "" : `: ${said}`}\n`;
    });
    return lines ? `<!-- path: ${name} -->\n\n${lines.join("")}` : whole;
  });
}

if (import.meta.main) {
  const page = readFileSync(PAGE, "utf8");
  const now = withPaths(page, await tracedPaths({ nats: true }));
  writeFileSync(PAGE, now);
  for (const [list, lines] of Object.entries(listsOf(now)))
    for (const { path, words } of lines) if (words === "") console.log(`docs/ARCHITECTURE.md, ${list}: say what ${path} does`);
}
