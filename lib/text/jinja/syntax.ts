/**
 * The syntax tree of a template, as @huggingface/jinja parses it, and which variables it reads. The library's own evaluator
 * is not used: it has no bounds, and its values are JavaScript's where templates expect Python's.
 */
import { parse } from "@huggingface/jinja";
import { lex } from "./lexing.js";
import { rewriteTokens } from "./rewriting.js";
import { recursiveName, rewriteStatements, withName } from "./statements.js";
import { isStackOverflow, TemplateError } from "./values.js";

export interface Identifier {
  readonly type: "Identifier";
  readonly value: string;
}
interface Operator {
  readonly value: string;
  /** Of operators in the same brackets; undefined for those of products and logic. */
  readonly group?: number;
}
export interface Call {
  readonly type: "CallExpression";
  readonly callee: Node;
  readonly args: readonly Node[];
}
export interface Keyword {
  readonly type: "KeywordArgumentExpression";
  readonly key: Identifier;
  readonly value: Node;
}
export type Parameter = Identifier | Keyword;
export interface Member {
  readonly type: "MemberExpression";
  readonly object: Node;
  readonly property: Node;
  readonly computed: boolean;
}
export interface Slice {
  readonly type: "SliceExpression";
  readonly start?: Node;
  readonly stop?: Node;
  readonly step?: Node;
}
export interface TupleNode {
  readonly type: "TupleLiteral";
  readonly value: readonly Node[];
}
export interface Select {
  readonly type: "SelectExpression";
  readonly lhs: Node;
  readonly test: Node;
}
export interface For {
  readonly type: "For";
  readonly loopvar: Node;
  readonly iterable: Node;
  readonly body: Block;
  readonly defaultBlock: Block;
}
export interface SetNode {
  readonly type: "Set";
  readonly assignee: Node;
  readonly value: Node | null;
  readonly body: Block;
}
export interface If {
  readonly type: "If";
  readonly test: Node;
  readonly body: Block;
  readonly alternate: Block;
}
export interface Macro {
  readonly type: "Macro";
  readonly name: Identifier;
  readonly args: readonly Parameter[];
  readonly body: Block;
}
export interface CallBlock {
  readonly type: "CallStatement";
  readonly call: Call;
  readonly callerArgs: readonly Parameter[] | null;
  readonly body: Block;
}
export interface Binary {
  readonly type: "BinaryExpression";
  readonly operator: Operator;
  readonly left: Node;
  readonly right: Node;
}
export interface FilterBlock {
  readonly type: "FilterStatement";
  readonly filter: FilterName;
  readonly body: Block;
}
export interface ObjectNode {
  readonly type: "ObjectLiteral";
  readonly value: ReadonlyMap<Node, Node>;
}
export type FilterName = Identifier | Call;
export type Block = readonly Node[];
export type Statement =
  For | SetNode | Macro | CallBlock | FilterBlock | If | { readonly type: "Break" | "Continue" | "Comment" };
/** What has a value. */
export type Expression =
  | Identifier
  | Call
  | Member
  | TupleNode
  | Select
  | Binary
  | ObjectNode
  | { readonly type: "FilterExpression"; readonly operand: Node; readonly filter: FilterName }
  | {
      readonly type: "TestExpression";
      readonly operand: Node;
      readonly negate: boolean;
      readonly test: Identifier;
    }
  | { readonly type: "UnaryExpression"; readonly operator: Operator; readonly argument: Node }
  | { readonly type: "Ternary"; readonly condition: Node; readonly trueExpr: Node; readonly falseExpr: Node }
  | { readonly type: "IntegerLiteral" | "FloatLiteral"; readonly value: number }
  | { readonly type: "StringLiteral"; readonly value: string }
  | { readonly type: "ArrayLiteral"; readonly value: readonly Node[] };
/** What stands only in brackets behind something else. */
export type Part =
  | Keyword
  | Slice
  | { readonly type: "SpreadExpression" | "KeywordSpreadExpression"; readonly argument: Node };
export type Node = Statement | Expression | Part;

const statements: ReadonlySet<string> = new Set<Statement["type"]>([
  ...(["For", "Set", "Macro", "CallStatement", "FilterStatement", "If"] as const),
  ...(["Break", "Continue", "Comment"] as const),
]);
const parts: ReadonlySet<string> = new Set<Part["type"]>([
  ...([
    "KeywordArgumentExpression",
    "SliceExpression",
    "SpreadExpression",
    "KeywordSpreadExpression",
  ] as const),
]);

export function isStatement(node: Node): node is Statement {
  return statements.has(node.type);
}

/** False for what has no value of its own. */
export function isExpression(node: Node): node is Expression {
  return !isStatement(node) && !parts.has(node.type);
}

/** The arguments of a `with`, from the test of the `if` that stands for it; undefined for other tests. */
export function withArguments(test: Node): readonly Node[] | undefined {
  if (test.type !== "CallExpression" || test.callee.type !== "Identifier") return undefined;
  return test.callee.value === withName ? test.args : undefined;
}

/** True for `{% for ... recursive %}`. */
export function isRecursive({ body: [first] }: For): boolean {
  return first?.type === "Identifier" && first.value === recursiveName;
}

/** Parses a template as transformers does: with trim_blocks and lstrip_blocks. @throws TemplateError */
export function parseTemplate(source: string): Block {
  try {
    return parse(rewriteTokens(rewriteStatements(lex(source)))).body as readonly unknown[] as Block;
  } catch (cause) {
    if (cause instanceof TemplateError) throw cause;
    throw new TemplateError(`it cannot be parsed: ${describeSyntaxError(cause)}`, { cause });
  }
}

/** The library reads beyond the last token, and recurses, without looking. */
function describeSyntaxError(cause: unknown): string {
  if (isStackOverflow(cause)) return "it is nested too deeply";
  if (cause instanceof TypeError) return "it ends inside a block or an expression";
  return cause instanceof Error ? cause.message.replace(/^Parser Error: /, "") : String(cause);
}

/** Names that a template reads as variables, its own included. */
export function variablesRead(body: Block): ReadonlySet<string> {
  const names = new Set<string>();
  visit(body, childrenOf, (node) => {
    if (node.type === "Identifier") names.add(node.value);
  });
  return names;
}

/** Names of the variables, parameters and macros that a template makes itself. */
export function variablesAssigned(body: Block): ReadonlySet<string> {
  const names = new Set<string>(["loop", "caller", "varargs", "kwargs"]);
  const add = (target: Node): void => {
    if (target.type === "Identifier") names.add(target.value);
    if (target.type === "TupleLiteral") target.value.forEach(add);
  };
  const addParameters = (list: readonly Parameter[]): void => {
    for (const parameter of list)
      names.add(parameter.type === "Identifier" ? parameter.value : parameter.key.value);
  };
  visit(body, Object.values, (node) => {
    if (node.type === "Set") add(node.assignee);
    else if (node.type === "For") add(node.loopvar);
    else if (node.type === "If") {
      addParameters(
        (withArguments(node.test) ?? []).filter((one) => one.type === "KeywordArgumentExpression"),
      );
    } else if (node.type === "Macro") addParameters([node.name, ...node.args]);
    else if (node.type === "CallStatement") addParameters(node.callerArgs ?? []);
  });
  return names;
}

/** Visits all nodes of a tree, without recursion: trees of hostile templates are deep. */
function visit(body: Block, childrenOf: (node: Node) => Iterable<unknown>, see: (node: Node) => void): void {
  const open: unknown[] = [body];
  while (open.length > 0) {
    const item = open.pop();
    if (typeof item !== "object" || item === null) continue;
    const isNode = !(Symbol.iterator in item);
    if (isNode) see(item as Node);
    for (const part of isNode ? childrenOf(item as Node) : (item as Iterable<unknown>)) open.push(part);
  }
}

/** The parts of a node that are evaluated: no names of attributes, filters, tests, keywords, operators and assigned variables. */
function childrenOf(node: Node): Iterable<unknown> {
  const defaults = (list: readonly Parameter[] | null): readonly Node[] =>
    (list ?? []).filter(({ type }) => type !== "Identifier");
  if (node.type === "MemberExpression") return node.computed ? [node.object, node.property] : [node.object];
  if (node.type === "KeywordArgumentExpression") return [node.value];
  // Operators are words, and tokens look like nodes.
  if (node.type === "BinaryExpression") return [node.left, node.right];
  if (node.type === "UnaryExpression") return [node.argument];
  if (node.type === "TestExpression") return [node.operand];
  if (node.type === "FilterExpression" || node.type === "FilterStatement") {
    const operand = node.type === "FilterExpression" ? node.operand : node.body;
    return [operand, node.filter.type === "CallExpression" ? node.filter.args : []];
  }
  if (node.type === "Set") {
    return [node.assignee.type === "MemberExpression" ? node.assignee : [], node.value, node.body];
  }
  if (node.type === "For") return [node.iterable, node.body, node.defaultBlock];
  if (node.type === "Macro") return [defaults(node.args), node.body];
  if (node.type === "CallStatement") return [node.call, defaults(node.callerArgs), node.body];
  return node.type === "Identifier" ? [] : Object.values(node);
}

/** An expression as its author wrote it, for messages; undefined for what is more than a path. */
export function pathOf(node: Node): string | undefined {
  if (node.type === "Identifier") return node.value;
  if (node.type !== "MemberExpression") return undefined;
  const object = pathOf(node.object);
  if (object === undefined) return undefined;
  const { property } = node;
  if (property.type === "StringLiteral") return `${object}['${property.value}']`;
  if (property.type === "IntegerLiteral") return `${object}[${property.value}]`;
  if (property.type !== "Identifier") return undefined;
  return node.computed ? `${object}[${property.value}]` : `${object}.${property.value}`;
}
