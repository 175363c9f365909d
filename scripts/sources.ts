/**
 * ● The sources as TypeScript's own parser sees them: what each file imports, exports and defines. For the tests of the repository
 * (test/repo) and for the traced paths (scripts/traced-paths.ts). The parser's API is called unstable: its version is pinned.
 */
import { globSync } from "node:fs";
import { dirname, join, normalize, relative } from "node:path";
import { ModifierFlags, type Node, type SourceFile, SyntaxKind } from "typescript/unstable/ast";
import {
  isBlock,
  isCallExpression,
  isClassDeclaration,
  isExportDeclaration,
  isFunctionLikeDeclaration,
  isImportDeclaration,
  isImportTypeNode,
  isInterfaceDeclaration,
  isLiteralTypeNode,
  isNamedExports,
  isNamedImports,
  isStringLiteral,
  isTypeAliasDeclaration,
} from "typescript/unstable/ast/is";
import { API } from "typescript/unstable/sync";

export interface Import {
  readonly specifier: string;
  /** The imported file's path in the repository, or undefined for a package. */
  readonly path: string | undefined;
  /** Nothing but types: the compiled file does not use what it imports. */
  readonly typeOnly: boolean;
}

export interface Source {
  /** Path in the repository. */
  readonly path: string;
  readonly text: string;
  readonly imports: readonly Import[];
  /** Classes, interfaces and types that are defined here and exported. */
  readonly types: readonly string[];
  /** Bodies of functions: where they begin and end, and whether they are blocks or the expression of an arrow function. */
  readonly bodies: readonly Body[];
}

export interface Body {
  readonly start: number;
  readonly end: number;
  readonly isBlock: boolean;
}

const CONFIGS = ["tsconfig.build.json", "src/dashboard/web/tsconfig.json"];

/** All files of src/, sorted by path. */
export function readSources(root: string): Source[] {
  const api = new API({ cwd: root });
  try {
    const configs = CONFIGS.map((config) => join(root, config));
    const snapshot = api.updateSnapshot({ openProjects: configs });
    const programs = configs.map((config) => snapshot.getProject(config)!.program);
    return globSync("src/**/*.{ts,tsx}", { cwd: root, exclude: ["**/vite.config.ts"] })
      .sort()
      .map((path) => {
        const file = programs.map((program) => program.getSourceFile(join(root, path))).find((found) => found !== undefined);
        if (!file) throw new Error(`${path} belongs to none of ${CONFIGS.join(", ")}`);
        return { path, text: file.text, imports: importsOf(file, path), types: typesOf(file), bodies: bodiesOf(file) };
      });
  } finally {
    api.close();
  }
}

function importsOf(file: SourceFile, path: string): Import[] {
  const found: Import[] = [];
  const add = (specifier: Node | undefined, typeOnly: boolean): void => {
    if (specifier === undefined || !isStringLiteral(specifier)) return;
    const { text } = specifier;
    const target = text.startsWith(".") ? relative(".", normalize(join(dirname(path), text))) : undefined;
    found.push({ specifier: text, path: target, typeOnly });
  };
  each(file, (node) => {
    if (isImportDeclaration(node)) add(node.moduleSpecifier, importsTypesOnly(node.importClause));
    else if (isExportDeclaration(node)) add(node.moduleSpecifier, exportsTypesOnly(node));
    else if (isImportTypeNode(node)) add(isLiteralTypeNode(node.argument) ? node.argument.literal : undefined, true);
    else if (isCallExpression(node) && node.expression.kind === SyntaxKind.ImportKeyword) add(node.arguments[0], false);
  });
  return found;
}

/** `import type …`, or braces in which every name is marked so: one value beside the types makes it an import of a value. */
function importsTypesOnly(
  clause: (Node & { phaseModifier?: SyntaxKind; name?: Node; namedBindings?: Node }) | undefined,
): boolean {
  if (clause === undefined) return false;
  if (clause.phaseModifier === SyntaxKind.TypeKeyword) return true;
  const { name, namedBindings: names } = clause;
  return name === undefined && names !== undefined && isNamedImports(names) && names.elements.every((each) => each.isTypeOnly);
}

function exportsTypesOnly({ isTypeOnly, exportClause: names }: { isTypeOnly: boolean; exportClause?: Node }): boolean {
  return isTypeOnly || (names !== undefined && isNamedExports(names) && names.elements.every((each) => each.isTypeOnly));
}

function typesOf(file: SourceFile): string[] {
  const found = file.statements
    .filter((node) => isClassDeclaration(node) || isInterfaceDeclaration(node) || isTypeAliasDeclaration(node))
    .filter((node) => node.modifierFlags & ModifierFlags.Export)
    .flatMap((node) => node.name?.text ?? []);
  return [...new Set(found)];
}

function bodiesOf(file: SourceFile): Body[] {
  const found: Body[] = [];
  each(file, (node) => {
    const body = isFunctionLikeDeclaration(node) ? (node as { body?: Node }).body : undefined;
    if (body) found.push({ start: body.getStart(file), end: body.end, isBlock: isBlock(body) });
  });
  return found;
}

function each(node: Node, visit: (node: Node) => void): void {
  node.forEachChild((child) => {
    visit(child);
    each(child, visit);
  });
}
