// Contract: every type that the public API mentions can be imported by name, and nothing internal shows in it.
import path from "node:path";
import ts from "typescript";
import { describe, expect, it } from "vitest";
import { root } from "../../scripts/build/nativeSources.mjs";

const config = ts.getParsedCommandLineOfConfigFile(
  path.join(root, "tsconfig.build.json"),
  { noEmit: true },
  { ...ts.sys, onUnRecoverableConfigFileDiagnostic: () => undefined },
)!;
const program = ts.createProgram(config.fileNames, config.options);
const checker = program.getTypeChecker();
const index = program.getSourceFile(path.join(root, "lib/index.ts"))!;

const resolved = (symbol: ts.Symbol): ts.Symbol =>
  symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol;
const exportsOf = (symbol: ts.Symbol): ts.Symbol[] => checker.getExportsOfModule(symbol).map(resolved);
const isOurs = (symbol: ts.Symbol): boolean =>
  symbol.declarations?.some((node) => node.getSourceFile().fileName.startsWith(path.join(root, "lib/"))) ??
  false;

const topLevel = exportsOf(checker.getSymbolAtLocation(index)!);
const modules = topLevel.filter((symbol) => symbol.flags & ts.SymbolFlags.ValueModule); // ops
const named = new Set([...topLevel, ...modules.flatMap(exportsOf)]);

function isInternal(node: ts.Node): boolean {
  if (ts.getJSDocTags(node).some((tag) => tag.tagName.text === "internal")) return true;
  const { name } = node as ts.NamedDeclaration;
  if (name && ts.isPrivateIdentifier(name)) return true;
  return (
    ts.canHaveModifiers(node) &&
    (ts.getModifiers(node) ?? []).some((modifier) => modifier.kind === ts.SyntaxKind.PrivateKeyword)
  );
}

/** Types of this package that a declaration mentions where a user can see it: not in bodies or private members. */
function mentioned(node: ts.Node, found: Set<ts.Symbol>): void {
  if (isInternal(node) || ts.isBlock(node)) return;
  const name = ts.isTypeReferenceNode(node)
    ? node.typeName
    : ts.isExpressionWithTypeArguments(node)
      ? node.expression
      : undefined;
  const symbol = name && checker.getSymbolAtLocation(name);
  if (symbol && isOurs(resolved(symbol)) && !(symbol.flags & ts.SymbolFlags.TypeParameter))
    found.add(resolved(symbol));
  const initializer = (node as ts.VariableDeclaration).initializer;
  ts.forEachChild(node, (child) => {
    if (child !== initializer) mentioned(child, found);
  });
}

describe("the public API", () => {
  it("mentions only types that can be named", () => {
    const missing = [...named].flatMap((symbol) => {
      const found = new Set<ts.Symbol>();
      for (const node of symbol.declarations ?? []) if (!ts.isSourceFile(node)) mentioned(node, found);
      return [...found].filter((type) => !named.has(type)).map((type) => `${symbol.name}: ${type.name}`);
    });
    expect(named.size).toBeGreaterThan(80);
    expect(missing).toEqual([]);
  });

  it.each(["GenerationStream", "Stream", "Tensor", "Graph", "Scope", "Device", "LLM"])(
    "%s shows no constructor and no member that only the package can use",
    (name) => {
      const symbol = topLevel.find((one) => one.name === name)!;
      const node = symbol.declarations!.find(
        (one) => ts.isClassDeclaration(one) || ts.isInterfaceDeclaration(one),
      )!;
      const members = node.members;
      const shown = [...members].filter((member) => !isInternal(member));
      expect(shown.filter((member) => ts.isConstructorDeclaration(member))).toEqual([]);
      const names = shown.map((member) => member.name?.getText() ?? "");
      expect(names.filter((one) => /^(handle|run|encode|push|fail|readBytes|_.*)$/.test(one))).toEqual([]);
    },
  );
});
