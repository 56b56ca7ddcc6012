/** Small grammars with all that is hard in grammars, for tests that compare every mask with another way to find it. */
import { writeFormat } from "../../lib/grammar/format.js";
import { GrammarWriter, type GrammarSymbol, type WrittenGrammar } from "../../lib/grammar/syntax/rules.js";

type Build = (grammar: GrammarWriter) => GrammarSymbol;
type Right = readonly (GrammarSymbol | string)[];

/** `left` becomes any of these. */
function rules(grammar: GrammarWriter, left: GrammarSymbol, ...rights: readonly Right[]): GrammarSymbol {
  for (const right of rights)
    grammar.rule(
      left,
      right.map((part) => (typeof part === "string" ? grammar.text(part) : part)),
    );
  return left;
}

const recursive =
  (build: (self: GrammarSymbol, grammar: GrammarWriter) => readonly Right[]): Build =>
  (grammar) => {
    const self = grammar.nonterminal();
    return rules(grammar, self, ...build(self, grammar));
  };

const builds: Readonly<Record<string, Build>> = {
  "left recursion": recursive((a) => [["a"], [a, ",", "a"]]),
  "right recursion": recursive((a) => [["a"], ["a", "b", a]]),
  "recursion in the middle": recursive((a) => [[], ["(", a, ")"]]),
  "brackets beside each other": recursive((a) => [[], [a, "(", a, ")"]]),
  "an ambiguous sum": recursive((a) => [["1"], [a, "+", a], ["(", a, ")"]]),
  "exponential ambiguity": recursive((a) => [["a"], [a, a], [a, a, a]]),
  "a cycle of units": recursive((a) => [[a], ["a"], ["b", a]]),
  "left recursion behind an empty rule": (grammar) => {
    const [a, empty] = [grammar.nonterminal(), grammar.nonterminal()];
    rules(grammar, empty, [], ["c"]);
    return rules(grammar, a, [empty, a, "b"], ["a"]);
  },
  "empty rules in a row": (grammar) => {
    const [a, b, c] = [grammar.nonterminal(), grammar.nonterminal(), grammar.nonterminal()];
    rules(grammar, b, [], ["b"]);
    rules(grammar, c, [b, b], ["c", c]);
    return rules(grammar, a, [b, c, b], [a, "x"]);
  },
  palindromes: recursive((a) => [[], ["a", a, "a"], ["b", a, "b"], ["a"]]),
  "terminals that overlap": (grammar) => {
    const write = grammar.expressions;
    const word = grammar.terminal(write.repeat(write.bytes([[0x61, 0x63]]), 1));
    return grammar.list(grammar.choice([[word], [grammar.text("ab")], [grammar.text("abc,")]]), {
      min: 1,
      max: 4,
      between: grammar.text(","),
    });
  },
  "a terminal that may be empty": (grammar) => {
    const write = grammar.expressions;
    const spaces = grammar.terminal(write.repeat(write.text(" ")));
    return grammar.list(grammar.choice([[spaces, grammar.text("a"), spaces]]), { max: 3 });
  },
  "a terminal that is only empty": (grammar) => {
    const none = grammar.terminal(grammar.expressions.empty);
    return grammar.choice([[none, grammar.text("a"), none], [none]]);
  },
  "rules that derive nothing": (grammar) => {
    const [loop, unknown] = [grammar.nonterminal(), grammar.nonterminal()];
    rules(grammar, loop, ["a", loop]);
    const none = grammar.terminal(grammar.expressions.nothing);
    return grammar.choice([
      [grammar.text("ab")],
      [loop],
      [unknown, grammar.text("x")],
      [none],
      [grammar.text("a"), none],
    ]);
  },
  "bytes that are no text": (grammar) => {
    const write = grammar.expressions;
    return grammar.terminal(
      write.concat([write.bytes([[0x80, 0xff]]), write.repeat(write.bytes([[0, 0xff]]), 0, 3)]),
    );
  },
  "intersection and complement": (grammar) => {
    const write = grammar.expressions;
    const letters = write.repeat(write.bytes([[0x61, 0x7a]]));
    const has = (text: string): typeof letters => write.concat([letters, write.text(text), letters]);
    const length = write.repeat(write.bytes([[0x61, 0x7a]]), 2, 6);
    return grammar.terminal(write.both([length, write.complement(has("ab")), has("b")]));
  },
  "an intersection that nothing is in": (grammar) => {
    const write = grammar.expressions;
    const [odd, even] = [1, 0].map((count) =>
      write.concat([write.repeat(write.text("aa")), write.repeat(write.text("a"), count, count)]),
    );
    return grammar.choice([
      [grammar.terminal(write.both([odd!, even!])), grammar.text("b")],
      [grammar.text("ab")],
    ]);
  },
  "repeats of repeats": (grammar) => {
    const write = grammar.expressions;
    const inner = write.repeat(write.either([write.text("ab"), write.text("a"), write.empty]), 1, 3);
    return grammar.terminal(write.repeat(write.concat([inner, write.optional(write.text("c"))]), 2, 3));
  },
  "anything but one text": (grammar) =>
    grammar.terminal(grammar.expressions.complement(grammar.expressions.text("abc"))),
};

const property = { type: "object", properties: { a: { type: "integer" } }, additionalProperties: false };
const formats: readonly object[] = [
  ...[
    "[a-c]{2,3}",
    "(?:ab|a)*c?",
    "\\p{Lu}\\p{Ll}*",
    "[^a]{1,3}",
    ".{0,4}é+",
    "(?:a|b)*a(?:a|b){3}",
    "\\d{4}-\\d\\d",
  ].map((regex) => ({ regex })),
  { regex: '[^"\\\\]{0,12}' },
  { choice: ["a", "ab", "abc", "hello world", "是否", "é"] },
  { grammar: 'root ::= item ("," item)*\nitem ::= [a-c]+ | "(" root? ")" | "1" item | "é"' },
  { grammar: 'start: sum\nsum: sum "+" one | one\none: NAME | "(" sum ")"\nNAME: /[a-z]+/\n%ignore / /' },
  { schema: property },
  { schema: { type: "array", items: property, maxItems: 2 } },
  { schema: { $defs: { t: { type: "array", items: { $ref: "#/$defs/t" } } }, $ref: "#/$defs/t" } },
  { schema: { type: "string", maxLength: 3 } },
  { schema: { type: "string", maxLength: 33 } },
  { schema: { type: "string" } },
  { schema: { type: "integer", minimum: -12, maximum: 123 } },
  { schema: { type: "number" } },
  { schema: { enum: [null, true, 12, "a", [1], { a: "é" }] } },
  { schema: { anyOf: [{ type: "boolean" }, { type: "array", items: { type: "null" }, minItems: 1 }] } },
];

const written = (build: Build): WrittenGrammar => {
  const grammar = new GrammarWriter();
  return grammar.finish(build(grammar));
};

/** By name. */
export const grammarCases: readonly (readonly [name: string, grammar: WrittenGrammar])[] = [
  ...Object.entries(builds).map(([name, build]) => [name, written(build)] as const),
  ...formats.map((format) => [JSON.stringify(format), writeFormat(JSON.stringify(format))] as const),
];
