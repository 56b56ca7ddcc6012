/** What the ways to write grammars have in common: the parser, the reading of its tree, and errors that name line and column. */
import { grammar as makeGrammar, type Grammar, type Node } from "ohm-js";
import { ArgumentRangeError } from "../../errors.js";
import { maxCount } from "../syntax/expressions.js";
import type { FailAt, GrammarNode, GrammarText } from "./grammarText.js";

/** A way to write grammars. */
export interface Notation {
  /** Its own grammar, in Ohm's. */
  readonly syntax: string;
  /** @param whole the tree of a text */
  read(whole: Node, fail: FailAt): GrammarText;
}

const parsers = new Map<Notation, Grammar>();

/** @throws ArgumentRangeError */
export function failIn(text: string): FailAt {
  return (at, problem) => {
    const before = text.slice(0, at);
    const where = `line ${before.split("\n").length}, column ${at - before.lastIndexOf("\n")}`;
    throw new ArgumentRangeError(`format.grammar: ${where}: ${problem}`);
  };
}

/** @throws ArgumentRangeError that names line and column */
export function parse(text: string, notation: Notation, fail: FailAt): GrammarText {
  let parser = parsers.get(notation);
  if (!parser) parsers.set(notation, (parser = makeGrammar(notation.syntax)));
  const match = parser.match(text);
  if (match.failed()) {
    const problem = (match.shortMessage ?? "").replace(/^Line (\d+), col (\d+)/, "line $1, column $2");
    throw new ArgumentRangeError(`format.grammar: ${problem}`);
  }
  const semantics = parser.createSemantics().addOperation<Node>("tree", {
    _nonterminal() {
      return this;
    },
  });
  const tree = semantics(match) as { tree(): Node };
  return notation.read(tree.tree(), fail);
}

/** The text that a part of the tree stands for, and where it begins. */
export const textOf = (node: Node): string => node.sourceString;
export const placeOf = (node: Node): number => node.source.startIdx;
/** What an optional part is, if it is there. */
export const optional = (node: Node): Node | undefined => node.children[0];

/** The children of a list with separators: the first one, and those behind them. */
export function listed(first: Node, others: Node): readonly Node[] {
  return [first, ...others.children];
}

const quantities: Readonly<Record<string, readonly [min: number, max: number]>> = {
  "?": [0, 1],
  "*": [0, Infinity],
  "+": [1, Infinity],
};

/** A node that is quantified: ?, *, +, {m}, {m,}, {,n}, {m,n}, ~ n, ~ m..n */
export function quantified(of: GrammarNode, quantifier: Node, fail: FailAt): GrammarNode {
  const [text, at] = [textOf(quantifier), placeOf(quantifier)];
  const known = quantities[text];
  if (known) return { kind: "repeat", of, min: known[0], max: known[1], at };
  const [least, most] = text.replace(/[{}~\s]/g, "").split(/,|\.\./) as [string, string?];
  if (least === "" && !most) return fail(at, `expected how many times, got ${text}`);
  const min = Number(least);
  const max = most === undefined ? min : most === "" ? Infinity : Number(most);
  if (min > maxCount || (max !== Infinity && max > maxCount))
    return fail(at, `at most ${maxCount} times, got ${text}`);
  if (max < min) return fail(at, `expected no more than the maximum, got ${text}`);
  return { kind: "repeat", of, min, max, at };
}

const escapes: Readonly<Record<string, string>> = {
  n: "\n",
  r: "\r",
  t: "\t",
  b: "\b",
  f: "\f",
  v: "\v",
  "0": "\0",
};

/** The code point that a character of a literal, or an escape, stands for. */
export function codePointOf(node: Node, fail: FailAt): number {
  const text = textOf(node);
  if (text[0] !== "\\" || text.length === 1) return text.codePointAt(0)!;
  const hex = /^\\[xuU]([0-9a-fA-F]+)$/.exec(text)?.[1];
  if (hex === undefined) return (escapes[text[1]!] ?? text[1]!).codePointAt(0)!;
  const codePoint = parseInt(hex, 16);
  if (codePoint > 0x10ffff || (codePoint >= 0xd800 && codePoint < 0xe000))
    return fail(placeOf(node), `${text} is no character`);
  return codePoint;
}

export function stringOf(characters: Node, fail: FailAt): string {
  return String.fromCodePoint(...characters.children.map((one) => codePointOf(one, fail)));
}

/** Characters of literals, of both ways to write them. */
export const escapeSyntax = `
  escape (an escape) = "\\\\x" hexDigit hexDigit -- byte
         | "\\\\u" hexDigit hexDigit hexDigit hexDigit -- short
         | "\\\\U" hexDigit hexDigit hexDigit hexDigit hexDigit hexDigit hexDigit hexDigit -- long
         | "\\\\" ("n" | "r" | "t" | "b" | "f" | "v" | "0" | "\\"" | "'" | "\\\\" | "[" | "]" | "-" | "^" | "/") -- sign
`;
