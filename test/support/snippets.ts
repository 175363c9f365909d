/**
 * Runs the code of one document: every fenced block of sh, ts and python, in order, against one `holdfast up` on its default
 * addresses. Meant to be started in a network namespace of its own (docs.test.ts does), so that those ports are free.
 * A line `# → text` or `// → text` in a block claims that the block prints `text`.
 */
import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

const root = join(import.meta.dirname, "../..");

/** 30 s: a block that waits for a keep-alive to fail takes this long at most; anything longer is a hang. */
const BLOCK_MS_MAX = 30_000;

export interface Snippet {
  readonly line: number;
  readonly language: "sh" | "ts" | "python";
  readonly code: string;
}

export interface SnippetResult {
  readonly line: number;
  readonly language: string;
  /** Why the block failed, with its output; undefined when it did what it says. */
  readonly failure?: string;
}

/** The runnable blocks of a markdown text. A block fenced as `ts fragment` (or `sh fragment` …) shows syntax only and does not run. */
export function snippetsOf(markdown: string): Snippet[] {
  const found: Snippet[] = [];
  for (const match of markdown.matchAll(/^```(sh|ts|python)\n([\s\S]*?)^```$/gm)) {
    const line = markdown.slice(0, match.index).split("\n").length;
    found.push({ line, language: match[1] as Snippet["language"], code: match[2]! });
  }
  return found;
}

function runSnippet({ language, code }: Snippet, folder: string): string | undefined {
  const env = { ...process.env, PATH: `${join(root, "bin")}:${join(root, "node_modules/.bin")}:${process.env["PATH"]}` };
  const [command, args, cwd] = {
    sh: ["bash", ["-euo", "pipefail", "-c", code], folder] as const,
    ts: [
      process.execPath,
      ["--conditions=holdfast-source", "--disable-warning=ExperimentalWarning", "--input-type=module-typescript", "-e", code],
      root,
    ] as const,
    python: ["/usr/bin/python3", ["-c", code], folder] as const,
  }[language];
  const { status, stdout, stderr, signal } = spawnSync(command, args, { cwd, env, timeout: BLOCK_MS_MAX, encoding: "utf8" });
  const output = `${stdout}\n${stderr}`;
  if (status !== 0) return `ended with ${signal ?? status}:\n${output}`;
  const claims = [...code.matchAll(/(?:#|\/\/) → (.*)$/gm)].map((match) => match[1]!.trim());
  const missing = claims.filter((claim) => !output.includes(claim));
  return missing.length > 0 ? `did not print ${JSON.stringify(missing)} but:\n${output}` : undefined;
}

async function up(data: string): Promise<ChildProcess> {
  const child = spawn(join(root, "bin/holdfast"), ["up", "--data", data], { stdio: ["ignore", "pipe", "inherit"] });
  for await (const line of createInterface({ input: child.stdout! })) if (line.startsWith("dashboard")) return child;
  throw new Error("holdfast up ended before it was ready");
}

if (import.meta.main) {
  const folder = mkdtempSync(join(tmpdir(), "holdfast-docs-"));
  const server = await up(join(folder, "data"));
  try {
    const results = snippetsOf(readFileSync(process.argv[2]!, "utf8")).map((snippet): SnippetResult => {
      const failure = runSnippet(snippet, folder);
      return { line: snippet.line, language: snippet.language, ...(failure === undefined ? {} : { failure }) };
    });
    writeFileSync(process.argv[3]!, JSON.stringify(results));
  } finally {
    server.kill("SIGTERM");
    await new Promise((resolve) => server.once("exit", resolve));
    rmSync(folder, { recursive: true, force: true });
  }
}
