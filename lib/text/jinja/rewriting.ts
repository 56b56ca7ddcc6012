/**
 * What @huggingface/jinja does not parse, put into words that it does: `{% raw %}` (cut out of the source), tests with
 * arguments (filters whose names begin with "is ", which the evaluator knows), and numbers such as 1e3, 1_000 and 0x10.
 */
import type { tokenize } from "@huggingface/jinja";
import { TemplateError } from "./values.js";

type Token = ReturnType<typeof tokenize>[number];
type Type = Token["type"];

const token = (type: Type, value: string): Token => ({ type, value });

/** `is NAME` of a test with arguments, as a filter's name: no identifier contains a space. */
const testName = /^is (not )?(\w+)$/;

/** What a filter's name says that stands for a test; undefined for a filter. */
export function testOfFilter(name: string): { readonly name: string; readonly negate: boolean } | undefined {
  const [, negate, test] = testName.exec(name) ?? [];
  return test === undefined ? undefined : { name: test, negate: negate !== undefined };
}

/** The tokens of a template, with numbers and tests as the parser takes them. */
export function rewriteTokens(tokens: readonly Token[]): Token[] {
  return rewriteTests(joinNumbers(tokens));
}

/** The library ends a number at the first letter or underscore. */
function joinNumbers(tokens: readonly Token[]): Token[] {
  const joined: Token[] = [];
  for (let i = 0; i < tokens.length; i++) {
    const first = tokens[i]!;
    const [second, third, fourth] = [tokens[i + 1], tokens[i + 2], tokens[i + 3]];
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
  if (/^0(x[\da-f]+|o[0-7]+|b[01]+)$/i.test(plain)) return String(Number(plain));
  if (/^-?\d+$/.test(plain)) return plain;
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

/** A source without `{% raw %}`: a string stands for each text, which `restoreRaw` puts in again. */
export interface CutSource {
  readonly source: string;
  readonly texts: ReadonlyMap<string, string>;
}

const rawBegin = /\{%([-+]?)\s*raw\s*(?:-%\}\s*|%\})/y;
const rawEnd = /\{%([-+]?)\s*endraw\s*(?:\+%\}|-%\}\s*|%\}(\n?))/g;

/** Whitespace is that of Jinja's lexer with lstrip_blocks and trim_blocks. @throws TemplateError for one that does not end */
export function cutRaw(source: string): CutSource {
  const texts = new Map<string, string>();
  let [cut, data] = ["", 0]; // what is done, and where the text behind the last tag begins
  for (let at = 0; ;) {
    const tag = nextTag(source, at);
    if (tag === -1) return { source: cut + source.slice(data), texts };
    rawBegin.lastIndex = tag;
    const begin = rawBegin.exec(source);
    if (begin === null) {
      at = behindTag(source, tag);
      cut += source.slice(data, at);
      data = at;
      continue;
    }
    rawEnd.lastIndex = rawBegin.lastIndex;
    const end = rawEnd.exec(source);
    if (end === null) throw new TemplateError("it cannot be parsed: a raw block does not end");
    const key = `\u0000raw${texts.size}`;
    texts.set(key, stripEnd(source.slice(rawBegin.lastIndex, end.index), end[1], false));
    // The comment ends its line as the block does.
    const line = end[2] === "\n" ? "{##}\n" : "";
    cut += `${stripEnd(source.slice(data, tag), begin[1], data === 0)}{{ "${key}" }}${line}`;
    at = data = rawEnd.lastIndex;
  }
}

/** Puts the texts of raw blocks where strings stand for them. */
export function restoreRaw(tokens: readonly Token[], texts: ReadonlyMap<string, string>): readonly Token[] {
  if (texts.size === 0) return tokens;
  return tokens.map((one) => {
    const text = one.type === "StringLiteral" ? texts.get(one.value) : undefined;
    return text === undefined ? one : token("StringLiteral", text);
  });
}

/** What a block's sign leaves of the text before it. */
function stripEnd(text: string, sign: string | undefined, startsLine: boolean): string {
  if (sign === "-") return text.trimEnd();
  if (sign === "+") return text;
  const line = text.lastIndexOf("\n") + 1;
  return (line > 0 || startsLine) && /^[ \t]*$/.test(text.slice(line)) ? text.slice(0, line) : text;
}

function nextTag(source: string, from: number): number {
  for (let at = source.indexOf("{", from); at !== -1; at = source.indexOf("{", at + 1)) {
    if ("#%{".includes(source[at + 1] ?? " ")) return at;
  }
  return -1;
}

/** Where a comment, a statement or an expression ends; its strings may contain anything. */
function behindTag(source: string, tag: number): number {
  const kind = source[tag + 1]!;
  const end = kind === "{" ? "}}" : `${kind}}`;
  for (let at = tag + 2; at < source.length; at++) {
    if (source.startsWith(end, at)) return at + 2;
    const quote = source[at]!;
    if (kind === "#" || (quote !== '"' && quote !== "'")) continue;
    for (at++; at < source.length && source[at] !== quote; at++) if (source[at] === "\\") at++;
  }
  return source.length;
}
