/**
 * GBNF, as llama.cpp reads it: rules `name ::= ...`, of which `root` is the text. Line breaks are as other spaces here.
 *
 * @see https://github.com/ggml-org/llama.cpp/blob/master/grammars/README.md
 */
import type { Node } from "ohm-js";
import { lastCodePoint, type Range } from "../syntax/utf8.js";
import { choice, type FailAt, type GrammarNode, type GrammarRule, sequence } from "./grammarText.js";
import {
  codePointOf,
  escapeSyntax,
  listed,
  type Notation,
  placeOf,
  quantified,
  stringOf,
  textOf,
} from "./notation.js";

const syntax = `
Gbnf {
  Grammar = Rule+ end
  Rule = name "::=" Choice
  Choice = Sequence ("|" Sequence)*
  Sequence = Item*
  Item = Atom quantifier*
  Atom = "(" Choice ")" -- group
       | string | class | dot | reference | token

  quantifier (a quantifier) = "?" | "*" | "+"
             | "{" blank* digit+ blank* ("," blank* digit* blank*)? "}" -- counts
  string = "\\"" (escape | ~("\\"" | "\\\\") any)* "\\""
  class = "[" "^"? (range | classChar)* "]"
  range = classChar "-" classChar
  classChar = escape | ~("]" | "\\\\") any
  dot = "."
  reference (a name) = name ~(space* "::=")
  token = "!"? "<" (~(">" | "\\n") any)+ ">"
  name (a name) = (alnum | "-" | "_")+
  blank = " " | "\\t"
  space += comment
  comment = "#" (~"\\n" any)*
${escapeSyntax}
}`;

/** [from, to] of all characters that are in none of the ranges. */
export function outside(ranges: readonly Range[]): readonly Range[] {
  const rest: Range[] = [];
  let from = 0;
  for (const [first, last] of [...ranges].sort(([a], [b]) => a - b)) {
    if (first > from) rest.push([from, first - 1]);
    from = Math.max(from, last + 1);
  }
  return from > lastCodePoint ? rest : [...rest, [from, lastCodePoint]];
}

class GbnfReader {
  constructor(readonly fail: FailAt) {}

  rule([name, , body]: readonly Node[]): GrammarRule {
    return { name: textOf(name!), body: this.choice(body!), at: placeOf(name!) };
  }

  choice({ children: [first, , others] }: Node): GrammarNode {
    return choice(listed(first!, others!).map((one) => this.sequence(one)));
  }

  sequence({ children: [items] }: Node): GrammarNode {
    return sequence(
      items!.children.map(({ children: [atom, quantifiers] }) => {
        const of = this.atom(atom!.children[0]!);
        return quantifiers!.children.reduce((node, one) => quantified(node, one, this.fail), of);
      }),
    );
  }

  atom(node: Node): GrammarNode {
    const { children } = node;
    switch (node.ctorName) {
      case "Atom_group":
        return this.choice(children[1]!);
      case "string":
        return { kind: "text", text: stringOf(children[1]!, this.fail) };
      case "class":
        return this.class(children);
      case "dot":
        return { kind: "class", ranges: [[0, lastCodePoint]] };
      case "reference":
        return { kind: "name", name: textOf(node), at: placeOf(node) };
      default:
        return this.fail(placeOf(node), `tokens are not supported: ${textOf(node)}`);
    }
  }

  class([, not, items]: readonly Node[]): GrammarNode {
    const ranges = items!.children.map((item): Range => {
      const [first, , last] = item.children;
      if (item.ctorName !== "range") return [codePointOf(item, this.fail), codePointOf(item, this.fail)];
      const [from, to] = [codePointOf(first!, this.fail), codePointOf(last!, this.fail)];
      return from <= to
        ? [from, to]
        : this.fail(placeOf(item), `expected the smaller one first, got ${textOf(item)}`);
    });
    return { kind: "class", ranges: textOf(not!) === "^" ? outside(ranges) : ranges };
  }
}

export const gbnf: Notation = {
  syntax,
  read({ children: [rules] }, fail) {
    const reader = new GbnfReader(fail);
    return { rules: rules!.children.map(({ children }) => reader.rule(children)), start: "root" };
  },
};
