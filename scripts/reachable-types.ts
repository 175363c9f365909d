/**
 * ○ What a package's entry points lead to of its types, declaration by declaration. A declaration that users need has others beside it in its
 * file, and those name the types of everything inside: without them half of all is left, in the package and in an editor's memory.
 */
import { dirname, join } from "node:path";

/** A statement with its comment, as `tsc` writes it: each begins at the start of a line. */
interface Statement {
  readonly text: string;
  readonly isDeclaration: boolean;
  readonly isExported: boolean;
  /** What it declares, imports or exports: the name here → the name where it comes from; "*": all. */
  readonly names: ReadonlyMap<string, string>;
  /** The file that it imports or exports from; undefined: this one, or another package. */
  readonly from: string | undefined;
}

/** A comment at the start of a line may also stand before a member of a union. */
const START =
  /^(?<!\*\/\n)(?=(?:\/\*\*(?:(?!\*\/)[^])*\*\/\n)?(?:export|import|declare|interface|type|class|abstract|const|function|enum|namespace)\b)/m;
const DECLARATION =
  /^(?:export )?(?:default )?(?:declare )?(?:abstract )?(?:interface|type|class|const|let|function|enum|namespace) (?!\{)([\w$]+)/;
const LIST = /^((?:import|export)(?: type)?) (?:\{([^}]*)\}|\*(?: as ([\w$]+))?|([\w$]+))/;
const FROM = /from "(\.[^"]+)";\s*$/;
const COMMENT = /\/\*[^]*?\*\/|\/\/.*/g;

/**
 * @param entries paths of the files that users import
 * @param read the text of a file; undefined: there is none
 * @returns path → what is left of it; other files are not among them
 */
export function reachableTypes(entries: readonly string[], read: (path: string) => string | undefined): Map<string, string> {
  const files = new Map<string, readonly Statement[]>();
  /** Path → the names that are used of it. */
  const used = new Map<string, Set<string>>();
  const statementsOf = (path: string): readonly Statement[] => {
    const known = files.get(path) ?? statementsIn(path, read(path) ?? "");
    files.set(path, known);
    return known;
  };
  const use = (path: string, name: string): void => {
    const names = used.get(path) ?? new Set();
    used.set(path, names);
    if (names.has(name)) return;
    names.add(name);
    for (const statement of statementsOf(path)) {
      const { from, isDeclaration, isExported } = statement;
      for (const [here, there] of statement.names) {
        if (name === "*" && isExported && here !== "*") use(path, here);
        if (here !== name && (here !== "*" || !isExported)) continue;
        if (isDeclaration) useWordsOf(path, statement);
        else if (from !== undefined) use(from, here === "*" ? name : there);
        else if (there !== name) use(path, there);
      }
    }
  };
  const useWordsOf = (path: string, { text }: Statement): void => {
    const code = text.replaceAll(COMMENT, "");
    for (const [, specifier, name] of code.matchAll(/\bimport\("(\.[^"]+)"\)(?:\.([\w$]+))?/g))
      use(typesAt(path, specifier!), name ?? "*");
    const here = new Set(statementsOf(path).flatMap(({ names }) => [...names.keys()]));
    for (const [word] of code.matchAll(/[A-Za-z_$][\w$]*/g)) if (here.has(word)) use(path, word);
  };
  for (const entry of entries) use(entry, "*");
  return new Map(
    Array.from(used, ([path, names]) => {
      const left = statementsOf(path).map((statement) => leftOf(statement, names));
      // A file without any would be no module.
      return [path, left.join("") || "export {};\n"];
    }),
  );
}

function statementsIn(path: string, text: string): Statement[] {
  const pieces = text.split(START).map((piece) => ({ piece, code: piece.replace(/^(?:\/\*\*(?:(?!\*\/)[^])*\*\/\s*)+/, "") }));
  return pieces.map(({ piece, code }) => {
    const isExported = code.startsWith("export ");
    const declared = DECLARATION.exec(code)?.[1];
    if (declared !== undefined) {
      const names = new Map([[declared, declared]]);
      return { text: piece, isDeclaration: true, isExported, names, from: undefined };
    }
    const from = FROM.exec(code)?.[1];
    return {
      text: code,
      isDeclaration: false,
      isExported,
      names: listedIn(code),
      from: from === undefined ? undefined : typesAt(path, from),
    };
  });
}

function listedIn(text: string): ReadonlyMap<string, string> {
  const match = LIST.exec(text);
  // Nothing but a comment, or `export {};`
  if (!match) return new Map();
  const [, , list, all, one] = match;
  if (one !== undefined) return new Map([[one, "default"]]);
  if (list === undefined) return new Map([[all ?? "*", "*"]]);
  const items = list.split(",").map((item) =>
    item
      .trim()
      .replace(/^type /, "")
      .split(" as "),
  );
  return new Map(items.filter(([there]) => there !== "").map(([there, here]) => [here ?? there!, there!]));
}

/** The statement with those of its names that are used; "": it has none. */
function leftOf({ text, isDeclaration, names }: Statement, used: ReadonlySet<string>): string {
  const isUsed = (name: string): boolean => used.has(name);
  const wanted = [...names.keys()];
  if (wanted.length === 0) return "";
  if (wanted.includes("*") || wanted.every(isUsed)) return text;
  if (isDeclaration || !wanted.some(isUsed)) return "";
  return text.replace(/\{([^}]*)\}/, (_, list: string) => {
    const items = list.split(",").map((item) => item.trim());
    return `{ ${items.filter((item) => item !== "" && isUsed(item.split(" ").at(-1)!)).join(", ")} }`;
  });
}

/** The file of types that an import names. */
function typesAt(path: string, specifier: string): string {
  return join(dirname(path), specifier.replace(/\.(ts|js)$/, ".d.ts"));
}
