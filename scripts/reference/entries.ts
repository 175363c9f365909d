/** ● What an entry point exports, asked of TypeScript itself. Its API is called unstable: the version is pinned. */
import { join } from "node:path";
import type { Node } from "typescript/unstable/ast";
import {
  type Checker,
  type InterfaceType,
  type Project,
  type Signature,
  SignatureKind,
  type Symbol,
  SymbolFlags,
} from "typescript/unstable/sync";

export interface Member {
  readonly name: string;
  readonly optional: boolean;
  readonly type: string;
  readonly text: string;
}

/** Everything one entry point shows under one name. */
export interface Entry {
  readonly name: string;
  readonly kind: "function" | "class" | "interface" | "type" | "constant";
  readonly text: string;
  readonly tags: readonly Tag[];
  /** Declarations as they would be written, without bodies. */
  readonly code: readonly string[];
  readonly members: readonly Member[];
  /** Classes and interfaces of the entry point that it has further members from. */
  readonly from: readonly string[];
}

/** "@throws OperationError ABORTED" */
export interface Tag {
  readonly name: string;
  readonly text: string;
}

/**
 * @param root the checkout that the project is of
 * @param path the entry point's file under src/
 */
export function entriesOf({ checker, program, emitter }: Project, root: string, path: string): Entry[] {
  const file = program.getSourceFile(join(root, "src", path))!;
  const print = (node: Node): string => emitter.printNode(node).replaceAll(/\s*\n\s*/g, " ");
  const target = (symbol: Symbol): Symbol => (symbol.flags & SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol);
  const exports = checker
    .getExportsOfModule(checker.getSymbolAtLocation(file)!)
    .filter((exported) => !isInternal(target(exported), checker));
  const names = new Set(exports.map(({ name }) => name));
  return exports.map((exported) => {
    const symbol = target(exported);
    const { name } = exported;
    const about = { name, text: symbol.getDocumentationComment(checker), tags: tagsOf(symbol, checker), members: [], from: [] };
    if (symbol.flags & SymbolFlags.Function)
      return { ...about, kind: "function", code: writtenSignatures(symbol, print).map((signature) => name + signature) };
    if (symbol.flags & SymbolFlags.TypeAlias)
      return { ...about, kind: "type", code: [print(symbol.declarations[0]!.resolve()!).replace(/^export /, "")] };
    if (symbol.flags & (SymbolFlags.Class | SymbolFlags.Interface)) {
      const bases = basesOf(symbol, checker).filter((base) => names.has(base.name));
      const members = membersOf(symbol, { bases, checker, print, within: join(root, "src/") });
      const more = { members, from: bases.map((base) => base.name) };
      if (symbol.flags & SymbolFlags.Interface) return { ...about, ...more, kind: "interface", code: [] };
      return { ...about, ...more, kind: "class", code: constructorsOf(symbol, checker, print) };
    }
    return { ...about, kind: "constant", code: [`const ${name}: ${checker.typeToString(checker.getTypeOfSymbol(symbol)!)}`] };
  });
}

/** Its base classes and interfaces, and theirs. */
function basesOf(symbol: Symbol, checker: Checker): Symbol[] {
  const direct = checker
    .getBaseTypes(checker.getDeclaredTypeOfSymbol(symbol) as InterfaceType)
    .flatMap((type) => type.getSymbol() ?? []);
  return [...new Set(direct.flatMap((base) => [base, ...basesOf(base, checker)]))];
}

interface Reading {
  /** Explained on the same page: their members are not listed again. */
  readonly bases: readonly Symbol[];
  readonly checker: Checker;
  readonly print: (node: Node) => string;
  /** Where Holdfast's own members are declared. */
  readonly within: string;
}

function membersOf(symbol: Symbol, { bases, checker, print, within }: Reading): Member[] {
  const properties = (of: Symbol): readonly Symbol[] => checker.getPropertiesOfType(checker.getDeclaredTypeOfSymbol(of));
  const place = ({ declarations: [first] }: Symbol): string => `${first?.path} ${first?.index}`;
  const inherited = new Set(bases.flatMap((base) => properties(base).map(place)));
  const isShown = (member: Symbol): boolean => {
    const path = member.declarations[0]?.path;
    // Not what the language or Node gives every class, nor options that can be set and do nothing: docs/zmq.md names those.
    if (!path?.startsWith(within) || path.endsWith("/ignored-options.ts") || member.name.startsWith("__")) return false;
    return !inherited.has(place(member)) && !isInternal(member, checker);
  };
  return properties(symbol)
    .filter(isShown)
    .map((member) => {
      const tags = tagsOf(member, checker).filter(({ name }) => name === "throws" || name === "returns");
      const text = [member.getDocumentationComment(checker), ...tags.map((tag) => `**${tag.name}** ${tag.text}`)];
      return {
        name: member.name,
        optional: (member.flags & SymbolFlags.Optional) !== 0,
        type: typeOf(member, checker, print),
        text: text.filter((part) => part !== "").join(" "),
      };
    });
}

function isInternal(symbol: Symbol, checker: Checker): boolean {
  return tagsOf(symbol, checker).some(({ name }) => name === "internal");
}

/** As written, where it is. */
function typeOf(member: Symbol, checker: Checker, print: (node: Node) => string): string {
  if (member.flags & SymbolFlags.Method) return writtenSignatures(member, print).join(" · ");
  const written = (member.declarations[0]!.resolve() as { readonly type?: Node } | undefined)?.type;
  return written ? print(written) : checker.typeToString(checker.getTypeOfSymbol(member)!);
}

function constructorsOf(symbol: Symbol, checker: Checker, print: (node: Node) => string): string[] {
  const type = checker.getTypeOfSymbol(symbol)!;
  return checker
    .getSignaturesOfType(type, SignatureKind.Construct)
    .filter(({ declaration }) => {
      const node = declaration?.resolve();
      return node === undefined || !/@internal/.test(node.getSourceFile().text.slice(node.pos, node.end));
    })
    .map((each) => `new ${symbol.name}${signatureText(each, checker, print)}`);
}

/** What a function's or method's declaration node has; the API's own types for it are not exported. */
interface Callable {
  readonly parameters: readonly Node[];
  readonly type?: Node;
  readonly body?: Node;
}

/** "(options: ListenOptions = {}): Promise<LinkServer>", as written; one for each overload. */
function writtenSignatures(symbol: Symbol, print: (node: Node) => string): string[] {
  const nodes = symbol.declarations.flatMap((declaration) => (declaration.resolve() as unknown as Callable | undefined) ?? []);
  const overloads = nodes.filter(({ body }) => body === undefined);
  return (overloads.length > 0 ? overloads : nodes).map(
    ({ parameters, type }) => `(${parameters.map(print).join(", ")})${type ? `: ${print(type)}` : ""}`,
  );
}

/** The same as the checker sees it, for what a class inherits. */
function signatureText(signature: Signature, checker: Checker, print: (node: Node) => string): string {
  const CALL_SIGNATURE = 180;
  const node = checker.signatureToSignatureDeclaration(signature, CALL_SIGNATURE)!;
  return print(node)
    .replace(/;$/, "")
    .replaceAll(/(\w\?: [^,()]+?) \| undefined(?=[,)])/g, "$1");
}

function tagsOf(symbol: Symbol, checker: Checker): Tag[] {
  return symbol.getJsDocTags(checker).map(({ name, text }) => ({ name, text: text ?? "" }));
}
