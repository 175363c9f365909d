/** ● The page of every error code: what core/error-codes.ts says of it, whose move it is, and what says that it throws it. */
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { ERROR_CODES } from "../../src/core/error-codes.ts";

const root = join(import.meta.dirname, "../..");

/** Something of an entry point that may throw, with what its docstring says. */
export interface Thrower {
  readonly entryPoint: string;
  /** "CacheClient.get" */
  readonly name: string;
  /** The entry that it is explained under. */
  readonly anchor: string;
  readonly text: string;
}

const MOVES = {
  ProtocolError: "theirs",
  UsageError: "yours",
  OperationError: "the world's",
  AssertionFailed: "ours",
} as const;

type Kind = keyof typeof MOVES;

const codes = Object.keys(ERROR_CODES);

const INTRO = `# Error codes

Every error that leaves Holdfast is a \`HoldfastError\` with a stable \`code\`; messages may change, codes do not. Its class tells whose move it is:

| class             | whose move  | what it is                                                                              |
| ----------------- | ----------- | --------------------------------------------------------------------------------------- |
| \`UsageError\`      | yours       | an argument, an option or an order of calls that cannot work; nothing was sent          |
| \`OperationError\`  | the world's | a deadline passed, a peer is gone, a bound is reached, a disk is full; trying again may help |
| \`ProtocolError\`   | theirs      | the peer sent what its protocol forbids; it costs at most that one connection           |
| \`AssertionFailed\` | ours        | a bug in Holdfast                                                                       |

A miss is a value (\`undefined\`), never an error. Made from the sources by \`npm run reference\`.
`;

/** @param throwers what the entry points' docstrings say */
export function errorsPage(throwers: readonly Thrower[]): string {
  const moves = movesByCode();
  const sections = groups().map(({ title, codes: below }) => {
    const parts = below.map((code) => codeSection(code, moves.get(code) ?? new Set(), throwers));
    return `## ${title}\n\n${parts.join("\n")}`;
  });
  return `${INTRO}\n${sections.join("\n")}`;
}

/** The list's own headings: comments on lines of their own. */
function groups(): { title: string; codes: (keyof typeof ERROR_CODES)[] }[] {
  const list = readFileSync(join(root, "src/core/error-codes.ts"), "utf8");
  const found: { title: string; codes: (keyof typeof ERROR_CODES)[] }[] = [];
  for (const line of list.split("\n")) {
    const title = /^ {2}\/\/ (.*)$/.exec(line)?.[1];
    if (title !== undefined) found.push({ title: title.charAt(0).toUpperCase() + title.slice(1), codes: [] });
    const code = /^ {2}([A-Z][A-Z0-9_]*):/.exec(line)?.[1];
    if (code !== undefined) found.at(-1)!.codes.push(code as keyof typeof ERROR_CODES);
  }
  return found.filter(({ codes }) => codes.length > 0);
}

/** Which classes the sources make with which code; where a code is made elsewhere than its error, what docstrings say. */
function movesByCode(): Map<string, Set<Kind>> {
  const made = new Map<string, Set<Kind>>();
  const said = new Map<string, Set<Kind>>();
  const add = (to: Map<string, Set<Kind>>, code: string, kind: Kind): void =>
    void to.set(code, (to.get(code) ?? new Set()).add(kind));
  for (const path of globSync("src/**/*.ts", { cwd: root })) {
    const text = readFileSync(join(root, path), "utf8");
    for (const [, kind, first] of text.matchAll(/new (ProtocolError|UsageError|OperationError)\(([^,]*),/g)) {
      for (const [, code] of first!.matchAll(/"([A-Z0-9_]+)"/g)) add(made, code!, kind as Kind);
      const prefix = /`([A-Z_]+_)\$\{/.exec(first!)?.[1];
      if (prefix !== undefined) for (const code of codes) if (code.startsWith(prefix)) add(made, code, kind as Kind);
    }
    // The sockets' table: code, number, whether it is the caller's fault, text.
    for (const [, code, yours] of text.matchAll(/^ {2}(E[A-Z]+): \[[\d_]+, (true|false), "[^"]*"\],$/gm))
      add(made, code!, yours === "true" ? "UsageError" : "OperationError");
    for (const [, thrown] of text.matchAll(/@throws ([\s\S]*?)(?:\*\/|\n\s*\* @)/g)) {
      let kind: Kind | undefined;
      for (const [word] of thrown!.matchAll(/\b(ProtocolError|UsageError|OperationError|[A-Z]+_[A-Z0-9_]+)\b/g)) {
        if (word in MOVES) kind = word as Kind;
        else if (kind) add(said, word, kind);
      }
    }
  }
  add(made, "ASSERTION_FAILED", "AssertionFailed");
  return new Map([...said, ...made]);
}

function codeSection(code: keyof typeof ERROR_CODES, kinds: ReadonlySet<Kind>, throwers: readonly Thrower[]): string {
  const who = [...kinds].sort().map((kind) => `${kind} (${MOVES[kind]})`);
  const named = throwers.filter(({ text }) => new RegExp(`\\b${code}\\b`).test(text));
  const links = named.map(
    ({ entryPoint, name, anchor }) => `[\`${name}\`](${entryPoint.replace("/", "-")}.md#${anchor.toLowerCase()})`,
  );
  const lines = [`### ${code}\n`, `${ERROR_CODES[code]}.\n`];
  if (who.length > 0)
    lines.push(`${who.join(", ")}.${links.length > 0 ? ` Named by ${[...new Set(links)].join(", ")}.` : ""}\n`);
  return lines.join("\n");
}
