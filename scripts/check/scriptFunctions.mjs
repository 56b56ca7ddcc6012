// How long the functions of a TypeScript or JavaScript file are. The callback of describe() is a chapter of a test file,
// not a function, and does not count.
import ts from "typescript";

/**
 * @param {string} file only its extension matters
 * @param {string} text
 * @returns {{ name: string, line: number, lines: number }[]}
 */
export function scriptFunctions(file, text) {
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.ES2022, true);
  /** @type {{ name: string, line: number, lines: number }[]} */
  const found = [];
  const visit = (/** @type {ts.Node} */ node) => {
    if (ts.isFunctionLike(node) && "body" in node && node.body && !isDescribeCallback(node)) {
      const first = source.getLineAndCharacterOfPosition(node.getStart(source)).line;
      const last = source.getLineAndCharacterOfPosition(node.end).line;
      found.push({ name: nameOf(node, source), line: first + 1, lines: last - first + 1 });
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

/** @param {ts.Node} node */
function isDescribeCallback(node) {
  const call = node.parent;
  return ts.isCallExpression(call) && /^describe/.test(call.expression.getText());
}

/** @param {ts.SignatureDeclaration} node @param {ts.SourceFile} source */
function nameOf(node, source) {
  if (node.name) return node.name.getText(source);
  if (ts.isConstructorDeclaration(node)) return "constructor";
  const { parent } = node;
  if (ts.isVariableDeclaration(parent) || ts.isPropertyAssignment(parent)) return parent.name.getText(source);
  if (ts.isCallExpression(parent)) return `${parent.expression.getText(source).split("(")[0]}(...)`;
  return "anonymous";
}
