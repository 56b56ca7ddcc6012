/**
 * Expressions that @huggingface/jinja does not parse, put into words that it does: tests with arguments (filters whose names
 * begin with "is ", which the evaluator knows), numbers such as 1e3, 1_000 and 0x10, empty tuples and last commas. Operators
 * get the number of their brackets, by which the evaluator finds what the library's precedence has put together wrongly.
 */
import { type Token, token, type Type } from "./lexing.js";
import { requireExact } from "./text.js";

/** `is NAME` of a test with arguments, as a filter's name: no identifier contains a space. */
const testName = /^is (not )?(\w+)$/;

/** What a filter's name says that stands for a test; undefined for a filter. */
export function testOfFilter(name: string): { readonly name: string; readonly negate: boolean } | undefined {
  const [, negate, test] = testName.exec(name) ?? [];
  return test === undefined ? undefined : { name: test, negate: negate !== undefined };
}

/** The tokens of a template, with numbers and tests as the parser takes them. */
export function rewriteTokens(tokens: readonly Token[]): Token[] {
  return groupOperators(rewriteTuples(rewriteTests(joinNumbers(tokens))));
}

/** The library ends a number at the first letter or underscore. */
function joinNumbers(tokens: readonly Token[]): Token[] {
  const joined: Token[] = [];
  for (let i = 0; i < tokens.length; i++) {
    const first = tokens[i]!;
    const [second, third, fourth] = [tokens[i + 1], tokens[i + 2], tokens[i + 3]];
    if (first.type === "NumericLiteral" && !first.value.includes(".") && second?.type !== "Identifier") {
      requireExact(first.value);
    }
    if (first.type !== "NumericLiteral" || second?.type !== "Identifier") {
      joined.push(first);
      continue;
    }
    const isSigned = /^e$/i.test(second.value) && third?.type === "AdditiveBinaryOperator";
    const text = isSigned
      ? `${first.value}e${third.value}${fourth?.value ?? ""}`
      : `${first.value}${second.value}`;
    const number = literalOf(text);
    joined.push(number === undefined ? first : token("NumericLiteral", number));
    if (number !== undefined) i += isSigned ? 3 : 1;
  }
  return joined;
}

/** A number of Jinja as the parser takes it, which tells a float by its point; undefined for what is none. */
function literalOf(text: string): string | undefined {
  const plain = text.replace(/(?<=[\da-f])_(?=[\da-f])/gi, "");
  const isOtherBase = /^0(x[\da-f]+|o[0-7]+|b[01]+)$/i.test(plain);
  if (isOtherBase || /^-?\d+$/.test(plain)) {
    requireExact(plain);
    return isOtherBase ? String(Number(plain)) : plain;
  }
  const [, digits, fraction, exponent] = /^(-?\d+)(\.\d+)?e([-+]?\d+)$/i.exec(plain) ?? [];
  return digits === undefined ? undefined : `${digits}${fraction ?? ".0"}e${exponent}`;
}

const argumentStarts: ReadonlySet<Type> = new Set<Type>([
  ...(["Identifier", "StringLiteral", "NumericLiteral", "OpenSquareBracket", "OpenCurlyBracket"] as const),
]);
/** Words that end a test: what follows them is no argument. */
const endsTest: ReadonlySet<string> = new Set(["else", "or", "and", "is", "if", "not", "in"]);
const opens: ReadonlySet<Type> = new Set<Type>(["OpenParen", "OpenSquareBracket", "OpenCurlyBracket"]);
const closes: ReadonlySet<Type> = new Set<Type>(["CloseParen", "CloseSquareBracket", "CloseCurlyBracket"]);

/** `x is [not] NAME(arguments)` and `x is [not] NAME argument` become `x | is NAME(arguments)`. */
function rewriteTests(tokens: readonly Token[]): Token[] {
  const rewritten: Token[] = [];
  const ends = new Map<number, number>(); // arguments without parentheses: how many end before a token
  for (let at = 0; at <= tokens.length; at++) {
    for (let n = ends.get(at) ?? 0; n > 0; n--) rewritten.push(token("CloseParen", ")"));
    const name = nameOfTest(tokens, at);
    if (name === undefined) {
      if (at < tokens.length) rewritten.push(tokens[at]);
      continue;
    }
    const negate = tokens[at + 1]!.value === "not" ? "not " : "";
    rewritten.push(token("Pipe", "|"), token("Identifier", `is ${negate}${tokens[name]!.value}`));
    at = name;
    if (tokens[name + 1]?.type === "OpenParen") continue;
    rewritten.push(token("OpenParen", "("));
    const end = endOfArgument(tokens, name + 1);
    ends.set(end, (ends.get(end) ?? 0) + 1);
  }
  return rewritten;
}

/** Where the name of a test with an argument stands whose `is` is at index `at`; undefined where there is none. */
function nameOfTest(tokens: readonly Token[], at: number): number | undefined {
  const isWord = (index: number, word: string): boolean =>
    tokens[index]?.type === "Identifier" && tokens[index].value === word;
  if (!isWord(at, "is") || tokens[at - 1]?.type === "Dot") return undefined;
  const name = isWord(at + 1, "not") ? at + 2 : at + 1;
  const next = tokens[name + 1];
  if (tokens[name]?.type !== "Identifier" || next === undefined) return undefined;
  if (next.type === "OpenParen") return name;
  const isArgument =
    argumentStarts.has(next.type) && !(next.type === "Identifier" && endsTest.has(next.value));
  return isArgument ? name : undefined;
}

/** Behind a name, a literal or something in brackets, and the lookups and calls that follow it. */
function endOfArgument(tokens: readonly Token[], start: number): number {
  let at = opens.has(tokens[start]!.type) ? behindBrackets(tokens, start) : start + 1;
  for (;;) {
    const type = tokens[at]?.type;
    if (type === "Dot") at += 2;
    else if (type === "OpenSquareBracket" || type === "OpenParen") at = behindBrackets(tokens, at);
    else return Math.min(at, tokens.length);
  }
}

function behindBrackets(tokens: readonly Token[], start: number): number {
  let depth = 0;
  for (let at = start; at < tokens.length; at++) {
    if (opens.has(tokens[at]!.type)) depth++;
    else if (closes.has(tokens[at]!.type) && --depth === 0) return at + 1;
  }
  return tokens.length;
}

/** The name of the empty tuple, and that of the item behind a last comma, which is none. */
export const emptyTuple = "()";
export const noItem = ",";

/** What a call, a macro's parameters or a filter's arguments stand behind. */
const callees: ReadonlySet<Type> = new Set<Type>([
  ...(["Identifier", "CloseParen", "CloseSquareBracket", "StringLiteral", "CloseCurlyBracket"] as const),
]);
const keywords: ReadonlySet<string> = new Set(["in", "if", "elif", "else", "and", "or", "not", "is"]);

function rewriteTuples(tokens: readonly Token[]): Token[] {
  const rewritten: Token[] = [];
  const calls: boolean[] = [];
  for (const [at, one] of tokens.entries()) {
    const before = tokens[at - 1];
    if (opens.has(one.type)) {
      const isKeyword =
        before?.type === "Identifier" && keywords.has(before.value) && tokens[at - 2]?.type !== "Dot";
      calls.push(
        one.type !== "OpenParen" || (before !== undefined && callees.has(before.type) && !isKeyword),
      );
    } else if (closes.has(one.type)) {
      const isCall = calls.pop() ?? true;
      if (!isCall && before?.type === "Comma") rewritten.push(token("Identifier", noItem));
      if (!isCall && before?.type === "OpenParen") {
        rewritten.splice(-1, 1, token("Identifier", emptyTuple));
        continue;
      }
    }
    rewritten.push(one);
  }
  return rewritten;
}

/** Numbers the operators of comparisons and sums by the brackets they stand in; "in" and "not in" become operators. */
function groupOperators(tokens: readonly Token[]): Token[] {
  const grouped: Token[] = [];
  const open = [0];
  let [groups, targets] = [0, false];
  for (let at = 0; at < tokens.length; at++) {
    const one = tokens[at]!;
    const [before, after] = [tokens[at - 1], tokens[at + 1]];
    const group = open.at(-1) ?? 0;
    const isName = one.type === "Identifier" && before?.type !== "Dot" && before?.type !== "Pipe";
    if (opens.has(one.type)) open.push(++groups);
    else if (closes.has(one.type)) open.pop();
    if (before?.type === "OpenStatement") targets = isName && one.value === "for";
    if (one.type === "ComparisonBinaryOperator" || one.type === "AdditiveBinaryOperator") {
      grouped.push({ ...one, group });
    } else if (isName && one.value === "not" && after?.type === "Identifier" && after.value === "in") {
      grouped.push({ type: "ComparisonBinaryOperator", value: "not in", group });
      at++;
    } else if (isName && one.value === "in" && after?.type !== "Equals") {
      grouped.push(targets ? one : { type: "ComparisonBinaryOperator", value: "in", group });
      targets = false;
    } else grouped.push(one);
  }
  return grouped;
}
