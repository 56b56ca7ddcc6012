// Contract: every type that the public API mentions can be imported by name, nothing internal shows in it, and what a caller may leave
// out may also be `undefined`, whatever the strictness of his project.
import path from "node:path";
import ts from "typescript";
import { describe, expect, it } from "vitest";
import { root } from "../../scripts/build/nativeSources.mjs";
import { repoFiles } from "../../scripts/check/repoFiles.mjs";

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

/** Properties of an argument that may be left out, but may not be `undefined` under exactOptionalPropertyTypes. */
function notUndefined(type: ts.Type, at: string, seen: Set<ts.Type>): string[] {
  if (seen.has(type) || type.isClass()) return [];
  seen.add(type);
  if (type.isUnionOrIntersection()) return type.types.flatMap((one) => notUndefined(one, at, seen));
  if (checker.isArrayType(type)) {
    return checker
      .getTypeArguments(type as ts.TypeReference)
      .flatMap((one) => notUndefined(one, `${at}[]`, seen));
  }
  if (type.symbol === undefined || !isOurs(type.symbol)) return [];
  return checker.getPropertiesOfType(type).flatMap((property) => {
    const name = `${at}.${property.name}`;
    const node = property.declarations?.find(ts.isPropertySignature);
    const own = node?.type && checker.getTypeFromTypeNode(node.type);
    if (own === undefined) return [];
    const parts = own.isUnion() ? own.types : [own];
    const isMissing =
      node?.questionToken !== undefined &&
      !parts.some((one) => one.flags & (ts.TypeFlags.Undefined | ts.TypeFlags.Any | ts.TypeFlags.Unknown));
    return [...(isMissing ? [name] : []), ...notUndefined(own, name, seen)];
  });
}

/** Arguments of public functions and methods below a declaration. */
function parametersOf(node: ts.Node): ts.ParameterDeclaration[] {
  if (isInternal(node) || ts.isBlock(node) || ts.isTypeNode(node)) return [];
  if (ts.isParameter(node)) return [node];
  const found: ts.ParameterDeclaration[] = [];
  ts.forEachChild(node, (child) => void found.push(...parametersOf(child)));
  return found;
}

describe("the public API", () => {
  it("takes undefined for everything that may be left out", () => {
    const parameters = [...named].flatMap((symbol) =>
      (symbol.declarations ?? [])
        .filter((node) => !ts.isSourceFile(node))
        .flatMap(parametersOf)
        .map((node) => ({
          at: `${symbol.name}(${node.name.getText()})`,
          type: checker.getTypeAtLocation(node),
        })),
    );
    expect(parameters.length).toBeGreaterThan(150);
    const seen = new Set<ts.Type>();
    expect(parameters.flatMap(({ at, type }) => notUndefined(type, at, seen))).toEqual([]);
  });

  it("compiles in the examples under the options that `tsc --init` writes", () => {
    const strict: ts.CompilerOptions = {
      ...config.options,
      rootDir: root,
      exactOptionalPropertyTypes: true,
      noUncheckedIndexedAccess: true,
      noUncheckedSideEffectImports: true,
      moduleDetection: ts.ModuleDetectionKind.Force,
      types: ["node"],
    };
    const files = repoFiles(/^examples\/.*\.ts$/).map((file) => path.join(root, file));
    const examples = ts.createProgram(files, strict);
    const problems = files.flatMap((file) => examples.getSemanticDiagnostics(examples.getSourceFile(file)));
    expect(files.length).toBeGreaterThan(5);
    expect(
      problems.map(
        (one) => `${one.file?.fileName}: ${ts.flattenDiagnosticMessageText(one.messageText, " ")}`,
      ),
    ).toEqual([]);
  });

  it("has messages of a chat with content, or with tool calls, and any further field", () => {
    const file = path.join(root, "test/package/messages.ts");
    const lines = [
      '{ role: "user", content: "x", name: "Wren" }',
      '{ role: "assistant", content: null, reasoning: [1] }',
      '{ role: "assistant", tool_calls: [{}] }',
      '{ role: "user", content: [{ type: "text", text: "x" }] }',
      '{ role: "user" }',
      '{ role: "user", contents: "x" }',
      '{ role: "user", content: 5 }',
      '{ content: "x" }',
    ];
    const text = `import type { ChatMessage } from "../../lib/index.js";
${lines.map((line, i) => `export const m${i}: ChatMessage = ${line};`).join("\n")}`;
    const options = { ...config.options, rootDir: root };
    const host = ts.createCompilerHost(options);
    const { getSourceFile, fileExists } = host;
    host.fileExists = (name) => name === file || fileExists(name);
    host.getSourceFile = (name, how) =>
      name === file ? ts.createSourceFile(name, text, how) : getSourceFile(name, how);
    const chats = ts.createProgram([file], options, host);
    const wrong = chats
      .getSemanticDiagnostics(chats.getSourceFile(file))
      .map((one) => lines[one.file!.getLineAndCharacterOfPosition(one.start!).line - 1]);
    expect(wrong).toEqual(lines.slice(4));
  });

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
