/**
 * Grammars as Lark's: rules in small letters, terminals in capitals, `start` is the text. What says how a text is taken apart (aliases,
 * priorities, ? and ! before names) changes no text and is read over. No terminal is preferred to another, as with Lark's dynamic lexer.
 *
 * @see https://lark-parser.readthedocs.io/en/latest/grammar.html
 * @see https://github.com/guidance-ai/llguidance/blob/main/docs/syntax.md
 */
import type { Node } from "ohm-js";
import { patternSource } from "../syntax/pattern.js";
import { commonTerminals } from "./commonTerminals.js";
import { choice, type FailAt, type GrammarNode, type GrammarRule, sequence } from "./grammarText.js";
import {
  codePointOf,
  escapeSyntax,
  listed,
  type Notation,
  optional,
  placeOf,
  quantified,
  stringOf,
  textOf,
} from "./notation.js";

const syntax = `
Lark {
  Grammar = Statement* end
  Statement = Rule | Ignore | Import | empty | directive
  Rule = head Choice
  Choice = Sequence ("|" Sequence)*
  Sequence = Item* ("->" name)?
  Item = Atom quantifier*
  Atom = "(" Choice ")" -- group
       | "[" Choice "]" -- optional
       | range | string | pattern | reference | token
  Ignore = "%ignore" Choice
  Import = "%import" "common" "(" name ("," name)* ")" -- several
         | "%import" "common" "." name ("->" name)? -- one

  head (a rule) = ("?" | "!")? name attributes? priority? blank* ":"
  attributes = blank* ("[" (~("]" | "\\n") any)* "]" | "{" (~("}" | "\\n") any)* "}")
  priority = "." "-"? digit+
  empty = "%llguidance" blank* "{" blank* "}"
  directive = "%" any*
  quantifier (a quantifier) = "?" ~(name priority? blank* ":") -- optional
             | ("*" | "+") -- many
             | "~" blank* digit+ (blank* ".." blank* digit+)? -- times
             | "{" blank* digit* blank* ("," blank* digit* blank*)? "}" -- counts
  range = string blank* ".." blank* string
  string = "\\"" (escape | ~("\\"" | "\\\\" | "\\n") any)* "\\"" "i"?
  pattern = "/" patternChar+ "/" letter*
  patternChar = "\\\\" any -- escaped
              | ~("/" | "\\n") any -- plain
  reference (a name) = name ~(blank* (":" | priority blank* ":")) ~(attributes priority? blank* ":")
  token = "<" (~(">" | "\\n") any)+ ">" -- special
        | "@" name -- grammar
        | ("&" | "~" | "%json" | "%regex" | "%lark") -- other
  name (a name) = (letter | "_") (alnum | "_" | "-" ~">")*
  blank = " " | "\\t"
  space += comment
  comment = ("//" | "#") (~"\\n" any)*
${escapeSyntax}
}`;

/** The name of what is ignored. */
const ignored = "%ignore";
const isTerminal = (name: string): boolean => /^_?\p{Lu}/u.test(name);

class LarkReader {
  readonly rules: GrammarRule[] = [];
  readonly #ignored: GrammarNode[] = [];

  constructor(readonly fail: FailAt) {}

  statement(node: Node): void {
    const [first, second] = node.children;
    switch (node.ctorName) {
      case "Rule":
        return this.#rule(first!, second!);
      case "Ignore":
        return void this.#ignored.push(this.#choice(second!));
      case "Import":
        return this.#import(node.children[0]!);
      case "empty":
        return;
      default: {
        const name = /^%\s*\w*/.exec(textOf(node))![0];
        const imports = "%import takes terminals of common: `common.INT`, `common.WS -> SPACE`";
        return this.fail(placeOf(node), name === "%import" ? imports : `${name} is not supported`);
      }
    }
  }

  /** All rules, with what is ignored behind each terminal and before the first. */
  finish(): readonly GrammarRule[] {
    if (this.#ignored.length === 0) return this.rules;
    const more: GrammarNode = { kind: "repeat", of: choice(this.#ignored), min: 0, max: Infinity, at: 0 };
    const rules = this.rules.map(({ name, body, at }): GrammarRule => {
      if (isTerminal(name)) return { name, body, at };
      const whole = withIgnored(body);
      return { name, body: name === "start" ? sequence([ignoredName, whole]) : whole, at };
    });
    return [...rules, { name: ignored, body: more, at: 0 }];
  }

  #rule(head: Node, body: Node): void {
    const [, name, attributes] = head.children;
    const given = optional(attributes!);
    if (given)
      this.fail(
        placeOf(given),
        `attributes and parameters of rules are not supported: ${textOf(given).trim()}`,
      );
    this.rules.push({ name: textOf(name!), body: this.#choice(body), at: placeOf(name!) });
  }

  #import(node: Node): void {
    const { children } = node;
    if (node.ctorName === "Import_several")
      return listed(children[3]!, children[5]!).forEach((name) => this.#importOne(name));
    this.#importOne(children[3]!, optional(children[5]!));
  }

  #importOne(name: Node, as = name): void {
    const at = placeOf(name);
    const pattern = Object.hasOwn(commonTerminals, textOf(name)) ? commonTerminals[textOf(name)] : undefined;
    if (pattern === undefined) return this.fail(at, `common has no terminal ${textOf(name)}`);
    this.rules.push({ name: textOf(as), body: { kind: "pattern", pattern: { source: pattern }, at }, at });
  }

  #choice({ children: [first, , others] }: Node): GrammarNode {
    return choice(listed(first!, others!).map((one) => this.#sequence(one)));
  }

  #sequence({ children: [items] }: Node): GrammarNode {
    const parts = items!.children.map(({ children: [atom, quantifiers] }) => {
      const of = this.#atom(atom!.children[0]!);
      return quantifiers!.children.reduce((node, one) => quantified(node, one, this.fail), of);
    });
    return sequence(parts);
  }

  #atom(node: Node): GrammarNode {
    const { children } = node;
    const at = placeOf(node);
    switch (node.ctorName) {
      case "Atom_group":
        return this.#choice(children[1]!);
      case "Atom_optional":
        return { kind: "repeat", of: this.#choice(children[1]!), min: 0, max: 1, at };
      case "string":
        return this.#string(node);
      case "range":
        return this.#range(node);
      case "pattern":
        return this.#pattern(node);
      case "reference":
        return { kind: "name", name: textOf(node), at };
      default:
        return this.fail(at, `not supported: ${textOf(node)}`);
    }
  }

  #string(node: Node): GrammarNode {
    const text = stringOf(node.children[1]!, this.fail);
    if (textOf(node.children[3]!) === "") return { kind: "text", text };
    const source = text.replace(/[\^$\\.*+?()[\]{}|/]/g, "\\$&");
    return { kind: "pattern", pattern: { source, flags: "iu" }, at: placeOf(node) };
  }

  #range(node: Node): GrammarNode {
    const ends = [node.children[0]!, node.children[4]!].map(({ children: [, characters, , flag] }) => {
      const [only] = characters!.children;
      if (characters!.children.length !== 1 || textOf(flag!) !== "")
        return this.fail(placeOf(node), `expected one character at each end of a range, got ${textOf(node)}`);
      return codePointOf(only!, this.fail);
    }) as [number, number];
    if (ends[0] > ends[1]) this.fail(placeOf(node), `expected the smaller one first, got ${textOf(node)}`);
    return { kind: "class", ranges: [ends] };
  }

  #pattern(node: Node): GrammarNode {
    const [, source, , flags] = node.children.map(textOf) as [string, string, string, string];
    const at = placeOf(node);
    if (/[^isu]/.test(flags)) return this.fail(at, `expected flags of i, s and u, got ${flags}`);
    const unicode = [...new Set(`${flags}u`)].join("");
    return { kind: "pattern", pattern: { source: patternSource(source), flags: unicode }, at };
  }
}

const ignoredName: GrammarNode = { kind: "name", name: ignored, at: 0 };

function withIgnored(node: GrammarNode): GrammarNode {
  switch (node.kind) {
    case "sequence":
    case "choice":
      return { ...node, parts: node.parts.map(withIgnored) };
    case "repeat":
      return { ...node, of: withIgnored(node.of) };
    case "name":
      return isTerminal(node.name) ? sequence([node, ignoredName]) : node;
    case "text":
    case "class":
    case "pattern":
      return sequence([node, ignoredName]);
  }
}

export const lark: Notation = {
  syntax,
  read({ children: [statements] }, fail) {
    const reader = new LarkReader(fail);
    for (const { children } of statements!.children) reader.statement(children[0]!);
    return { rules: reader.finish(), start: "start" };
  },
};
