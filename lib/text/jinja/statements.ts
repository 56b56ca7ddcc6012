/**
 * Statements that @huggingface/jinja does not parse, put into words that it does: `with`, `generation`, recursive loops, chains
 * of filters in filter blocks, and filters of `{% set %}` blocks.
 */
import { type Token, token } from "./lexing.js";

/** The function that an `if` calls that stands for a `with`: no identifier contains a space. */
export const withName = "with block";
/** What the body of a recursive loop begins with. */
export const recursiveName = "recursive loop";

const statement = (...inside: readonly Token[]): readonly Token[] => [
  token("OpenStatement", "{%"),
  ...inside,
  token("CloseStatement", "%}"),
];
const name = (value: string): Token => token("Identifier", value);

export function rewriteStatements(tokens: readonly Token[]): readonly Token[] {
  const rewritten: Token[] = [];
  const rewriter = new Rewriter();
  for (let at = 0; at < tokens.length; at++) {
    if (tokens[at]!.type !== "OpenStatement") {
      rewritten.push(tokens[at]);
      continue;
    }
    let end = at + 1;
    while (end < tokens.length && tokens[end]!.type !== "CloseStatement") end++;
    for (const one of rewriter.rewrite(tokens.slice(at + 1, end))) rewritten.push(one);
    at = end;
  }
  return rewritten;
}

class Rewriter {
  /** How many filter blocks stand for each open filter block, and inside each open set block. */
  readonly #filters: number[] = [];
  readonly #sets: number[] = [];

  /** @param inside the tokens of a statement, without its ends */
  rewrite(inside: readonly Token[]): readonly Token[] {
    const rest = inside.slice(1);
    switch (inside[0]?.type === "Identifier" ? inside[0].value : "") {
      case "generation":
        return statement(name("filter"), name("string"), ...rest);
      case "endgeneration":
        return statement(name("endfilter"), ...rest);
      case "with":
        return statement(
          name("if"),
          name(withName),
          token("OpenParen", "("),
          ...rest,
          token("CloseParen", ")"),
        );
      case "endwith":
        return statement(name("endif"), ...rest);
      case "for":
        if (rest.at(-1)?.type !== "Identifier" || rest.at(-1)!.value !== "recursive") break;
        if (rest.at(-2)?.type === "Identifier" && rest.at(-2)!.value === "in") break;
        return [
          ...statement(...inside.slice(0, -1)),
          token("OpenExpression", "{{"),
          name(recursiveName),
          token("CloseExpression", "}}"),
        ];
      case "filter":
        return this.#nested(rest, this.#filters);
      case "endfilter":
        return this.#closed(this.#filters.pop() ?? 1, rest);
      case "set":
        return this.#set(inside);
      case "endset":
        return [...this.#closed(this.#sets.pop() ?? 0, []), ...statement(...inside)];
    }
    return statement(...inside);
  }

  /** A filter block for each filter of a chain, the last one outermost. */
  #nested(chain: readonly Token[], counts: number[]): readonly Token[] {
    const filters = splitAt("Pipe", chain);
    counts.push(filters.length);
    return filters.reverse().flatMap((filter) => statement(name("filter"), ...filter));
  }

  #closed(count: number, rest: readonly Token[]): readonly Token[] {
    return Array.from({ length: count }, () => statement(name("endfilter"), ...rest)).flat();
  }

  #set(inside: readonly Token[]): readonly Token[] {
    if (splitAt("Equals", inside).length > 1) return statement(...inside);
    const [target = [], ...filters] = splitAt("Pipe", inside);
    if (filters.length === 0) {
      this.#sets.push(0);
      return statement(...inside);
    }
    return [...statement(...target), ...this.#nested(inside.slice(target.length + 1), this.#sets)];
  }
}

/** The pieces between tokens of a type that stand in no brackets. */
function splitAt(type: Token["type"], tokens: readonly Token[]): (readonly Token[])[] {
  const pieces: Token[][] = [[]];
  let depth = 0;
  for (const one of tokens) {
    if (/^Open(Paren|SquareBracket|CurlyBracket)$/.test(one.type)) depth++;
    if (/^Close(Paren|SquareBracket|CurlyBracket)$/.test(one.type)) depth--;
    if (one.type === type && depth === 0) pieces.push([]);
    else pieces.at(-1)!.push(one);
  }
  return pieces;
}
